package reach

import (
	"errors"
	"fmt"
	"strings"

	"pointsman/host/manifest"
)

// Failure is a claim that does not hold, and one way by which it does not.
type Failure struct {
	Claim   manifest.Claim `json:"-"`
	Place   string         `json:"place"`
	Says    string         `json:"says"`
	Why     string         `json:"why,omitempty"`
	Who     Subject        `json:"who"`
	Witness []Hop          `json:"witness"`
}

func (f Failure) String() string {
	text := fmt.Sprintf("%s: %s: does not hold of %s: %s", f.Place, f.Says, f.Who, WitnessText(f.Witness))
	if f.Why != "" {
		text += "\n    " + f.Why
	}
	return text
}

// Check returns a failure for each claim that does not hold. The error is for claims
// that name what there is not: they would hold of anything.
func (g *Graph) Check(claims []manifest.Claim) ([]Failure, error) {
	var failures []Failure
	var faults []error
	for _, a := range claims {
		f, err := g.check(a)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %s: %w", a.Pos, a, err))
		}
		if f != nil {
			f.Claim, f.Place, f.Says, f.Why = a, a.Pos.String(), a.String(), a.Why
			failures = append(failures, *f)
		}
	}
	return failures, errors.Join(faults...)
}

func (g *Graph) check(a manifest.Claim) (*Failure, error) {
	var faults []error
	except := map[Subject]bool{}
	for _, text := range a.Except {
		kind, name, _ := strings.Cut(text, " ")
		s := Subject{kind, name}
		except[s] = true
		if kind == "kv" || kind == "log" { // of a plugin
			s.Kind = "plugin"
		}
		faults = append(faults, g.find(s))
	}
	if a.Kind != manifest.Nobody {
		faults = append(faults, g.find(Subject{a.Kind, a.Name}))
	}
	bound := func(s Subject) bool {
		return a.Kind == manifest.Nobody && !except[s] || s == Subject{a.Kind, a.Name}
	}
	if a.Reaches != "" {
		kind, name, _ := strings.Cut(a.Reaches, " ")
		what := Subject{kind, name}
		if err := errors.Join(append(faults, g.find(what))...); err != nil {
			return nil, err
		}
		return g.reacher(what, bound), nil
	}
	t, err := g.Target(a.Sees)
	if err := errors.Join(append(faults, err)...); err != nil {
		return nil, err
	}
	for _, s := range g.WhoCanSee(t) {
		if bound(s.Who) {
			return &Failure{Who: s.Who, Witness: s.Witness}, nil
		}
	}
	return nil, nil
}

// reacher finds somebody who is bound and reaches what; nil when nobody does.
func (g *Graph) reacher(what Subject, bound func(Subject) bool) *Failure {
	for _, c := range g.consumers {
		if !bound(Subject{"consumer", c.Name}) {
			continue
		}
		for _, r := range g.fromConsumer(c) {
			if r.what == what {
				return &Failure{Who: Subject{"consumer", c.Name}, Witness: r.way}
			}
		}
	}
	for _, p := range g.plugins {
		if !bound(Subject{"plugin", p.Name}) {
			continue
		}
		for _, r := range g.fromPlugin(p, nil) {
			if r.what == what {
				return &Failure{Who: Subject{"plugin", p.Name}, Witness: r.way}
			}
		}
	}
	return nil
}

// WitnessText is a witness in one line.
func WitnessText(hops []Hop) string {
	words := make([]string, len(hops))
	for i, h := range hops {
		words[i] = h.Kind + " " + h.Name
		if h.Note != "" {
			words[i] += " (" + h.Note + ")"
		}
	}
	return strings.Join(words, " → ")
}
