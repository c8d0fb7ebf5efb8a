package reach

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pointsman/host/manifest"
)

// Refusal is a use that was refused, as the audit log has it, and how often.
type Refusal struct {
	Plugin, Route  string
	Capability, Op string
	Resource       string   // see host/capability and its powers
	Labels         []string // that a clearance lacked
	Reason         string
	Count          int
}

func (r Refusal) String() string {
	text := r.Capability + "." + r.Op
	if r.Resource != "" {
		text += " " + r.Resource
	}
	if len(r.Labels) > 0 {
		text += " with " + strings.Join(r.Labels, ", ")
	}
	return text
}

// Suggestion is the least that one document would have to say beside what it says, so that
// uses that were refused are allowed.
type Suggestion struct {
	Document Subject  `json:"document"` // plugin or route
	YAML     string   `json:"yaml"`     // lists hold what is to be added
	Refused  []string `json:"refused"`
	Opens    []string `json:"opens"` // what would newly be reached, a line each
}

// Advice is what refusals come to.
type Advice struct {
	Suggestions []Suggestion `json:"suggestions"`
	// Silent are refusals for which no manifest is the answer, or none that could be written
	// from what was recorded, each with the reason.
	Silent []string `json:"silent"`
}

// extra is what is added to one plugin or route.
type extra struct {
	who     Subject
	http    map[string]*extraHTTP // by the admin's name for the back end
	sql     map[string][]string   // statements, by the admin's name for the back end
	call    []string              // plugin.function
	pointer []manifest.PointerGrant
	clear   map[string][]string // by where: "sql store", "call p.f", "kv", "log", "" for the output or answer
	refused []string
}

type extraHTTP struct{ allow, query, headers, clear []string }

// Suggest turns refusals into what would allow them. It says what could be granted, not that
// it should be.
func Suggest(set *manifest.Set, modules Modules, refusals []Refusal) (*Advice, error) {
	before, err := facts(set, modules)
	if err != nil {
		return nil, err
	}
	advice := &Advice{Suggestions: []Suggestion{}, Silent: []string{}}
	extras := map[Subject]*extra{}
	for _, r := range refusals {
		who := Subject{"plugin", r.Plugin}
		if r.Capability == "answer" && r.Op == "route" {
			who = Subject{"route", r.Route}
		}
		e := extras[who]
		if e == nil {
			e = &extra{who: who, http: map[string]*extraHTTP{}, sql: map[string][]string{}, clear: map[string][]string{}}
		}
		if why := e.take(set, r); why != "" {
			advice.Silent = append(advice.Silent, fmt.Sprintf("%s: %s (%s): %s", who, r, times(r.Count), why))
			continue
		}
		extras[who] = e
		e.refused = append(e.refused, fmt.Sprintf("%s (%s)", r, times(r.Count)))
	}
	for _, who := range slices.SortedFunc(maps.Keys(extras), func(a, b Subject) int { return strings.Compare(a.String(), b.String()) }) {
		e := extras[who]
		after, err := facts(e.apply(set), modules)
		if err != nil {
			return nil, err
		}
		s := Suggestion{Document: who, YAML: e.yaml(), Refused: e.refused, Opens: []string{}}
		for _, line := range slices.Sorted(maps.Keys(after)) {
			if !before[line] {
				s.Opens = append(s.Opens, line)
			}
		}
		advice.Suggestions = append(advice.Suggestions, s)
	}
	slices.Sort(advice.Silent)
	return advice, nil
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// take adds what would allow r, or says why nothing can be added.
func (e *extra) take(set *manifest.Set, r Refusal) (why string) {
	if e.who.Kind == "route" {
		if !slices.ContainsFunc(set.Routes, func(m *manifest.Route) bool { return m.Name == r.Route }) {
			return "there is no such route any more"
		}
		return e.cleared("", r)
	}
	at := slices.IndexFunc(set.Plugins, func(m *manifest.Plugin) bool { return m.Name == r.Plugin })
	if at < 0 {
		return "there is no such plugin any more"
	}
	p := set.Plugins[at]
	switch r.Capability {
	case "http":
		return e.takeHTTP(set, p, r)
	case "sql":
		return e.takeSQL(set, p, r)
	case "call":
		return e.takeCall(set, p, r)
	case "pointer":
		return e.takePointer(set, p, r)
	case "kv", "log":
		return e.cleared(r.Capability, r)
	case "answer":
		return e.cleared("", r)
	}
	return "no grant is known to allow it: " + r.Reason
}

// cleared adds the labels that a clearance lacked.
func (e *extra) cleared(at string, r Refusal) string {
	if len(r.Labels) == 0 {
		return "no grant is known to allow it: " + r.Reason
	}
	e.clear[at] = union(e.clear[at], r.Labels...)
	return ""
}

// takeHTTP reads a resource as host/capability/httpcap writes it.
func (e *extra) takeHTTP(set *manifest.Set, p *manifest.Plugin, r Refusal) string {
	words := strings.Fields(r.Resource)
	if len(words) < 3 {
		return "neither its grant nor its author names what it asked for"
	}
	name, wanted := strings.CutSuffix(words[0], "?")
	grants := slices.IndexFunc(p.HTTPGrants, func(g manifest.HTTPGrant) bool { return g.Backend == name && !wanted })
	switch {
	case strings.HasPrefix(words[2], "{") || words[1] == "?":
		return "its author does not name such a request, so that nothing could be granted that is no wider"
	case wanted && !slices.ContainsFunc(set.Backends, func(b *manifest.Backend) bool { return b.Name == name && b.HTTP != nil }):
		return fmt.Sprintf("it means a back end by %q; define one, and grant it with as: %s", name, name)
	case !wanted && grants < 0:
		return "it is no longer granted the back end"
	}
	var more extraHTTP
	rule := words[1] + " " + words[2]
	if len(r.Labels) > 0 {
		more.clear = r.Labels
	} else if wanted || !slices.Contains(p.HTTPGrants[grants].Allow, rule) {
		more.allow = []string{rule}
	}
	for i := 3; i+1 < len(words); i += 2 {
		switch words[i] {
		case "query":
			more.query = append(more.query, words[i+1])
		case "header":
			more.headers = append(more.headers, words[i+1])
		}
	}
	if len(more.allow)+len(more.query)+len(more.headers)+len(more.clear) == 0 {
		return "it is granted; what refused it is no grant: " + r.Reason
	}
	to := e.http[name]
	if to == nil {
		to = &extraHTTP{}
		e.http[name] = to
	}
	to.allow, to.query = union(to.allow, more.allow...), union(to.query, more.query...)
	to.headers, to.clear = union(to.headers, more.headers...), union(to.clear, more.clear...)
	return ""
}

// apply is the set with what is added; set itself does not change.
func (e *extra) apply(set *manifest.Set) *manifest.Set {
	out := *set
	if e.who.Kind == "route" {
		out.Routes = slices.Clone(set.Routes)
		for i, r := range out.Routes {
			if r.Name == e.who.Name {
				changed := *r
				changed.Clear = union(r.Clear, e.clear[""]...)
				out.Routes[i] = &changed
			}
		}
		return &out
	}
	out.Plugins = slices.Clone(set.Plugins)
	for i, p := range out.Plugins {
		if p.Name == e.who.Name {
			out.Plugins[i] = e.plugin(*p)
		}
	}
	return &out
}

func (e *extra) plugin(p manifest.Plugin) *manifest.Plugin {
	p.HTTPGrants, p.SQLGrants, p.CallGrants = slices.Clone(p.HTTPGrants), slices.Clone(p.SQLGrants), slices.Clone(p.CallGrants)
	for _, name := range slices.Sorted(maps.Keys(e.http)) {
		more := e.http[name]
		at := slices.IndexFunc(p.HTTPGrants, func(g manifest.HTTPGrant) bool { return g.Backend == name })
		if at < 0 {
			at = len(p.HTTPGrants)
			p.HTTPGrants = append(p.HTTPGrants, manifest.HTTPGrant{Backend: name, As: name})
		}
		g := &p.HTTPGrants[at]
		g.Allow, g.Query = union(g.Allow, more.allow...), union(g.Query, more.query...)
		g.Headers, g.Clear = union(g.Headers, more.headers...), union(g.Clear, more.clear...)
	}
	for _, name := range slices.Sorted(maps.Keys(e.sql)) {
		at := slices.IndexFunc(p.SQLGrants, func(g manifest.SQLGrant) bool { return g.Backend == name })
		if at < 0 {
			at = len(p.SQLGrants)
			p.SQLGrants = append(p.SQLGrants, manifest.SQLGrant{Backend: name, As: name})
		}
		p.SQLGrants[at].Statements = union(p.SQLGrants[at].Statements, e.sql[name]...)
	}
	for _, name := range e.call {
		callee, function, _ := strings.Cut(name, ".")
		p.CallGrants = append(p.CallGrants, manifest.CallGrant{Plugin: callee, Function: function})
	}
	p.PointerGrants = slices.Concat(p.PointerGrants, e.pointer)
	for i := range p.SQLGrants {
		p.SQLGrants[i].Clear = union(p.SQLGrants[i].Clear, e.clear["sql "+p.SQLGrants[i].Backend]...)
	}
	for i := range p.CallGrants {
		p.CallGrants[i].Clear = union(p.CallGrants[i].Clear, e.clear["call "+p.CallGrants[i].Plugin+"."+p.CallGrants[i].Function]...)
	}
	if labels := e.clear["kv"]; len(labels) > 0 && p.KVGrant != nil {
		kv := *p.KVGrant
		kv.Clear = union(kv.Clear, labels...)
		p.KVGrant = &kv
	}
	if labels := e.clear["log"]; len(labels) > 0 && p.LogGrant != nil {
		p.LogGrant = &manifest.LogGrant{Clear: union(p.LogGrant.Clear, labels...)}
	}
	p.Clear = union(p.Clear, e.clear[""]...)
	return &p
}

func union(list []string, more ...string) []string {
	out := slices.Concat(list, more)
	slices.Sort(out)
	return slices.Compact(out)
}
