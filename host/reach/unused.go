package reach

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pointsman/host/grant"
	"pointsman/host/manifest"
)

// Use is a use of a power that was allowed, as the audit log has it.
type Use struct{ Plugin, Capability, Op, Resource string }

// History is what an audit log says of the present grants of plugins. The zero History is an
// empty log.
type History struct {
	approved map[string]approval // by plugin
}

// approval is the last grant that a plugin was approved for.
type approval struct {
	digest string
	since  time.Time       // of the first approval in a row with that digest
	used   map[string]bool // resources since then, behind what usedAs puts in front of them
}

// Approve notes that a plugin was approved for the grant with that digest. A broker notes it
// at each start, so that the same grant may come many times.
func (h *History) Approve(at time.Time, plugin, digest string) {
	if h.approved == nil {
		h.approved = map[string]approval{}
	}
	if h.approved[plugin].digest != digest {
		h.approved[plugin] = approval{digest: digest, since: at, used: map[string]bool{}}
	}
}

// Use notes a use that was allowed. Uses come in the order of the log.
func (h *History) Use(u Use) {
	if a, ok := h.approved[u.Plugin]; ok {
		a.used[usedAs(u.Capability, u.Op, u.Resource)] = true
	}
}

func usedAs(capability, op, resource string) string {
	if capability == "pointer" { // only there does a grant tell the operations apart
		capability += " " + op
	}
	return capability + " " + resource
}

// Unused is what one plugin was granted and has not used since.
type Unused struct {
	Plugin string    `json:"plugin"`
	Since  time.Time `json:"since"` // since when it has had these grants, as far as the log goes
	Idle   bool      `json:"idle"`  // it has used nothing at all
	Grants []string  `json:"grants"`
}

// Unused lists what the plugins of set are granted and, as far as h goes, have not used since
// they were granted it: rules, statements, functions, domains and kv. Of query parameters,
// headers and the log no log tells. untold are the plugins whose grants are not those that the
// log knows, each with a sentence.
func (h *History) Unused(set *manifest.Set) (unused []Unused, untold []string) {
	unused, untold = []Unused{}, []string{}
	for _, p := range set.Plugins {
		powers := recorded(p)
		if len(powers) == 0 {
			continue
		}
		a, known := h.approved[p.Name]
		switch digest, err := digestOf(p); {
		case !known:
			untold = append(untold, fmt.Sprintf("plugin %s: the log does not know it", p.Name))
			continue
		case err != nil || digest != a.digest:
			untold = append(untold, fmt.Sprintf("plugin %s: its grants are not those that it was approved for on %s", p.Name, a.since.UTC().Format(time.DateOnly)))
			continue
		}
		u := Unused{Plugin: p.Name, Since: a.since, Idle: len(a.used) == 0}
		for _, power := range powers {
			if !a.used[power] {
				u.Grants = append(u.Grants, power)
			}
		}
		if len(u.Grants) > 0 {
			unused = append(unused, u)
		}
	}
	slices.SortFunc(unused, func(a, b Unused) int { return strings.Compare(a.Plugin, b.Plugin) })
	slices.Sort(untold)
	return unused, untold
}

// recorded are the powers of p whose uses are recorded, as usedAs writes them.
func recorded(p *manifest.Plugin) []string {
	var all []string
	for _, g := range p.HTTPGrants {
		for _, rule := range g.Allow {
			all = append(all, usedAs("http", "", g.Backend+" "+rule))
		}
	}
	for _, g := range p.SQLGrants {
		for _, statement := range g.Statements {
			all = append(all, usedAs("sql", "", g.Backend+" "+statement))
		}
	}
	for _, g := range p.CallGrants {
		all = append(all, usedAs("call", "", g.Plugin+"."+g.Function))
	}
	for _, g := range p.PointerGrants {
		if g.Mint != "" {
			all = append(all, usedAs("pointer", "mint", g.Mint))
		} else {
			all = append(all, usedAs("pointer", "open", g.Open))
		}
	}
	if p.KVGrant != nil {
		all = append(all, usedAs("kv", "", "kv"))
	}
	return all
}

// digestOf is the digest of the grant that p's manifest comes to when it is approved: what the
// module imports and its author wants decides whether, not what.
func digestOf(p *manifest.Plugin) (string, error) {
	ask := grant.Ask{Plugin: p.Name, Grants: p.Grants}
	for name := range p.Grants {
		ask.Offered = append(ask.Offered, name)
	}
	g, err := grant.Approve(ask)
	if err != nil {
		return "", err
	}
	return g.Digest(), nil
}
