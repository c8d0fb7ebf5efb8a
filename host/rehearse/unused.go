package rehearse

import (
	"fmt"
	"slices"
	"strings"

	"pointsman/host/egress"
	"pointsman/host/manifest"
	"pointsman/host/view"
)

// powers are what g lends, a line each, by the plugin's names.
func (g Grants) powers() []string {
	var all []string
	for _, h := range g.HTTP {
		all = append(all, httpPowers(h.Backend, h.Allow, h.Query, h.Headers)...)
	}
	for _, s := range g.SQL {
		all = append(all, listed("sql "+s.Backend+" ", s.Statements)...)
	}
	for _, c := range g.Call {
		all = append(all, "call "+c.Function)
	}
	for _, p := range g.Pointer {
		all = append(all, pointerPower(p.Open, p.Mint))
	}
	return append(all, others(g.KV != nil, g.Log != nil)...)
}

// wantedPowers are what an author asks for, likewise.
func wantedPowers(w manifest.Wants) []string {
	var all []string
	for _, h := range w.HTTP {
		all = append(all, httpPowers(h.Backend, h.Allow, h.Query, h.Headers)...)
	}
	for _, s := range w.SQL {
		all = append(all, listed("sql "+s.Backend+" ", s.Statements)...)
	}
	for _, c := range w.Call {
		all = append(all, "call "+c.Plugin+"."+c.Function)
	}
	for _, p := range w.Pointer {
		all = append(all, pointerPower(p.Open, p.Mint))
	}
	return append(all, others(w.KV != nil, w.Log != nil)...)
}

func httpPowers(name string, allow, query, headers []string) []string {
	return slices.Concat(listed("http "+name+" ", allow), listed("http "+name+" query ", query), listed("http "+name+" header ", headers))
}

func listed(prefix string, words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = prefix + w
	}
	return out
}

func pointerPower(open, mint string) string {
	if mint != "" {
		return "pointer mint " + mint
	}
	return "pointer open " + open
}

func others(kv, log bool) []string {
	var all []string
	if kv {
		all = append(all, "kv")
	}
	if log {
		all = append(all, "log")
	}
	return all
}

// minus is what is in a and not in b, which may write headers otherwise.
func minus(a, b []string) []string {
	out := []string{}
	for _, one := range a {
		if !slices.ContainsFunc(b, func(other string) bool {
			return one == other || strings.Contains(one, " header ") && strings.EqualFold(one, other)
		}) {
			out = append(out, one)
		}
	}
	return out
}

// compare holds the grants of a manifest against what was used: what nothing used, and what
// was used and is not granted.
func compare(p *manifest.Plugin, uses []use, learned Grants) (unused, missing []string) {
	unused, missing = []string{}, []string{}
	var granted []string // what learned has that is granted by other words, too
	for _, h := range p.HTTPGrants {
		for _, rule := range h.Allow {
			if r, err := egress.ParseRule(rule); err != nil || !slices.ContainsFunc(uses, func(u use) bool {
				return u.of == source{"http", h.As} && r.Match(u.what, u.path)
			}) {
				unused = append(unused, "http "+h.As+" "+rule)
			}
		}
		granted = append(granted, httpPowers(h.As, nil, h.Query, h.Headers)...)
		if at := slices.IndexFunc(learned.HTTP, func(l HTTPGrant) bool { return l.Backend == h.As }); at >= 0 {
			unused = append(unused, tooWide("http "+h.As, h.View, learned.HTTP[at].View)...)
			missing = append(missing, tooNarrow("http "+h.As, h.View, learned.HTTP[at].View)...)
		}
	}
	for _, s := range p.SQLGrants {
		granted = append(granted, listed("sql "+s.As+" ", s.Statements)...)
		if at := slices.IndexFunc(learned.SQL, func(l SQLGrant) bool { return l.Backend == s.As }); at >= 0 {
			unused = append(unused, tooWide("sql "+s.As, s.View, learned.SQL[at].View)...)
			missing = append(missing, tooNarrow("sql "+s.As, s.View, learned.SQL[at].View)...)
		}
	}
	for _, c := range p.CallGrants {
		name := c.Plugin + "." + c.Function
		granted = append(granted, "call "+name)
		if at := slices.IndexFunc(learned.Call, func(l CallGrant) bool { return l.Function == name }); at >= 0 {
			unused = append(unused, tooWide("call "+name, c.View, learned.Call[at].View)...)
			missing = append(missing, tooNarrow("call "+name, c.View, learned.Call[at].View)...)
		}
	}
	for _, g := range p.PointerGrants {
		granted = append(granted, pointerPower(g.Open, g.Mint))
	}
	granted = append(granted, others(p.KVGrant != nil, p.LogGrant != nil)...)
	withoutRules := learned
	withoutRules.HTTP = slices.Clone(learned.HTTP)
	for i := range withoutRules.HTTP {
		withoutRules.HTTP[i].Allow = nil
	}
	used := withoutRules.powers()
	unused = append(unused, minus(granted, used)...)
	missing = append(missing, minus(used, granted)...)
	for _, u := range uses {
		if u.of.kind == "http" && !covered(p, u) {
			missing = add(missing, fmt.Sprintf("http %s %s", u.of.name, ruleFor(learned, u)))
		}
	}
	slices.Sort(unused)
	slices.Sort(missing)
	return unused, missing
}

func covered(p *manifest.Plugin, u use) bool {
	return slices.ContainsFunc(p.HTTPGrants, func(h manifest.HTTPGrant) bool {
		return h.As == u.of.name && narrowest(h.Allow, u) != ""
	})
}

// ruleFor is the rule that was learned from u.
func ruleFor(learned Grants, u use) string {
	at := slices.IndexFunc(learned.HTTP, func(h HTTPGrant) bool { return h.Backend == u.of.name })
	if at < 0 {
		return u.what
	}
	return narrowest(learned.HTTP[at].Allow, u)
}

// tooWide lists the paths of a view that show nothing of what was needed.
func tooWide(what string, granted, needed manifest.Paths) []string {
	if needed.All {
		return nil
	}
	n, err := view.Parse(needed.List)
	switch {
	case err != nil:
		return nil
	case granted.All:
		return []string{fmt.Sprintf("%s view all (needed: %d of its fields)", what, len(needed.List))}
	}
	var out []string
	for _, path := range granted.List {
		if v, err := view.Parse([]string{path}); err == nil && !v.Overlaps(n) {
			out = append(out, what+" view "+path)
		}
	}
	return out
}

// tooNarrow lists the paths that were needed and that a view does not show.
func tooNarrow(what string, granted, needed manifest.Paths) []string {
	if granted.All {
		return nil
	}
	if needed.All {
		return []string{what + " view all"}
	}
	g, err := view.Parse(granted.List)
	if err != nil { // one that a manifest can have is none
		return nil
	}
	var out []string
	for _, path := range needed.List {
		if v, err := view.Parse([]string{path}); err == nil && !g.Covers(v) {
			out = append(out, what+" view "+path)
		}
	}
	return out
}
