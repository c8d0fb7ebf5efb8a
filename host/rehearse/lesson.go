package rehearse

import (
	"context"
	"fmt"
	"slices"

	"pointsman/host/manifest"
	"pointsman/host/view"
)

// Lesson is what a rehearsal taught.
type Lesson struct {
	Grants Grants `json:"grants"`
	// Wanted is what the author asks for and no call used.
	Wanted []string `json:"wantedUnused"`
	// Beyond is what was used and the author does not ask for: the broker refuses to grant it.
	Beyond []string `json:"usedUnwanted"`
	// Granted is what a manifest grants and no call used; Missing is what was used and it does
	// not grant. Both are nil unless there is a manifest.
	Granted []string `json:"grantedUnused,omitempty"`
	Missing []string `json:"usedUngranted,omitempty"`
	// Notes say what the numbers of a view are worth, by grant, as "http crm".
	Notes map[string]string `json:"notes"`
}

// Learn returns the smallest grants with which calls that were played without a fault do the
// same. granted is the plugin's manifest, nil if there is none: it gives the admin's names for
// the back ends. The error is ctx's, or one of the engine.
func (r *Rehearsal) Learn(ctx context.Context, played []Played, granted *manifest.Plugin) (*Lesson, error) {
	var uses []use
	served := map[source]map[int][][]byte{}
	for i, p := range played {
		uses = append(uses, p.uses...)
		for of, docs := range p.served {
			if served[of] == nil {
				served[of] = map[int][][]byte{}
			}
			served[of][i] = docs
		}
	}
	lesson := &Lesson{Notes: map[string]string{}}
	paths, err := r.measure(ctx, played, served, lesson.Notes)
	if err != nil {
		return nil, err
	}
	var wants manifest.Wants
	if r.About != nil {
		wants = r.About.Wants
	}
	lesson.Grants = learn(uses, wants, paths)
	used := lesson.Grants.powers()
	lesson.Wanted, lesson.Beyond = []string{}, []string{}
	if r.About != nil {
		wanted := wantedPowers(wants)
		lesson.Wanted, lesson.Beyond = minus(wanted, used), minus(used, wanted)
	}
	if granted != nil {
		lesson.Granted, lesson.Missing = compare(granted, uses, lesson.Grants)
		lesson.Grants.rename(granted)
	}
	return lesson, nil
}

// measure finds the smallest views, and writes into notes what was found out on the way.
func (r *Rehearsal) measure(ctx context.Context, played []Played, served map[source]map[int][][]byte, notes map[string]string) (map[source]manifest.Paths, error) {
	out := map[source]manifest.Paths{}
	whole := func(of source, why string) {
		out[of], notes[of.String()] = manifest.Paths{All: true}, why
	}
	again := func(ctx context.Context, only []int, views map[source]view.View) (bool, error) {
		for _, i := range only {
			p, err := r.play(ctx, i, views)
			if err != nil || p.outcome != played[i].outcome {
				return false, err
			}
		}
		return true, nil
	}
	everyCall := make([]int, len(played))
	for i := range everyCall {
		everyCall[i] = i
	}
	steady, err := again(ctx, everyCall, nil)
	if err != nil {
		return nil, err
	}
	if !steady {
		for of := range served {
			whole(of, "not measured: the same call does not give the same twice")
		}
		return out, nil
	}
	views, why, err := smallest(ctx, served, again)
	if err != nil {
		return nil, err
	}
	for of, reason := range why {
		whole(of, "all: "+reason)
	}
	for of, v := range views {
		p, ok := pathsOf(of, v)
		if !ok {
			whole(of, "all: the rows are no objects")
			continue
		}
		recorded, _ := fields(served[of])
		out[of], notes[of.String()] = p, fmt.Sprintf("%d of %d recorded fields change what comes out", len(v.Paths()), len(recorded))
	}
	return out, nil
}

// rename gives back ends the names that the admin has for them.
func (g *Grants) rename(p *manifest.Plugin) {
	for i, h := range g.HTTP {
		at := slices.IndexFunc(p.HTTPGrants, func(m manifest.HTTPGrant) bool { return m.As == h.Backend })
		if at >= 0 && p.HTTPGrants[at].Backend != h.Backend {
			g.HTTP[i].As, g.HTTP[i].Backend = h.Backend, p.HTTPGrants[at].Backend
		}
	}
	for i, s := range g.SQL {
		at := slices.IndexFunc(p.SQLGrants, func(m manifest.SQLGrant) bool { return m.As == s.Backend })
		if at >= 0 && p.SQLGrants[at].Backend != s.Backend {
			g.SQL[i].As, g.SQL[i].Backend = s.Backend, p.SQLGrants[at].Backend
		}
	}
}
