package rehearse

import (
	"cmp"
	"slices"
	"strings"

	"pointsman/host/egress"
	"pointsman/host/manifest"
)

// use is one use of a power, as far as a grant tells it from another.
type use struct {
	of      source // kind is http, sql, call, kv, pointer or log
	what    string // the method, the statement, open or mint
	path    string // of a request
	names   []string
	query   []string
	headers []string
}

// Grants are the smallest that allow what a rehearsal used, as a Plugin manifest has them.
type Grants struct {
	HTTP    []HTTPGrant    `json:"http,omitempty"`
	SQL     []SQLGrant     `json:"sql,omitempty"`
	Call    []CallGrant    `json:"call,omitempty"`
	Pointer []PointerGrant `json:"pointer,omitempty"`
	KV      *struct{}      `json:"kv,omitempty"`
	Log     *struct{}      `json:"log,omitempty"`
}

// HTTPGrant is a grant of one back end.
type HTTPGrant struct {
	Backend string         `json:"backend"`
	As      string         `json:"as,omitempty"` // the plugin's word, if it is another
	Allow   []string       `json:"allow"`
	Query   []string       `json:"query,omitempty"`
	Headers []string       `json:"headers,omitempty"`
	View    manifest.Paths `json:"view,omitzero"`
}

// SQLGrant is a grant of one database.
type SQLGrant struct {
	Backend    string         `json:"backend"`
	As         string         `json:"as,omitempty"`
	Statements []string       `json:"statements"`
	View       manifest.Paths `json:"view,omitzero"`
}

// CallGrant is a grant of one function of another plugin.
type CallGrant struct {
	Function string         `json:"function"`
	View     manifest.Paths `json:"view,omitzero"`
}

// PointerGrant is a grant to open or mint pointers.
type PointerGrant struct {
	Open string `json:"open,omitempty"`
	Mint string `json:"mint,omitempty"`
}

// learn returns the smallest grants that allow uses. Where the author wants a rule that allows
// a request, it is that rule: the broker grants no other.
func learn(uses []use, wants manifest.Wants, views map[source]manifest.Paths) Grants {
	var g Grants
	bySource := map[source][]use{}
	for _, u := range uses {
		bySource[u.of] = append(bySource[u.of], u)
	}
	for _, of := range sortedSources(bySource) {
		uses := bySource[of]
		switch of.kind {
		case "http":
			g.HTTP = append(g.HTTP, learnHTTP(of, uses, wants, views[of]))
		case "sql":
			s := SQLGrant{Backend: of.name, View: views[of]}
			for _, u := range uses {
				s.Statements = add(s.Statements, u.what)
			}
			g.SQL = append(g.SQL, s)
		case "call":
			g.Call = append(g.Call, CallGrant{Function: of.name, View: views[of]})
		case "pointer":
			for _, u := range uses {
				one := PointerGrant{Open: of.name}
				if u.what == "mint" {
					one = PointerGrant{Mint: of.name}
				}
				if !slices.Contains(g.Pointer, one) {
					g.Pointer = append(g.Pointer, one)
				}
			}
		case "kv":
			g.KV = &struct{}{}
		case "log":
			g.Log = &struct{}{}
		}
	}
	return g
}

func learnHTTP(of source, uses []use, wants manifest.Wants, shown manifest.Paths) HTTPGrant {
	g := HTTPGrant{Backend: of.name, View: shown}
	var wanted manifest.HTTPWant
	if at := slices.IndexFunc(wants.HTTP, func(w manifest.HTTPWant) bool { return w.Backend == of.name }); at >= 0 {
		wanted = wants.HTTP[at]
	}
	var own []use // that the author has no rule for
	for _, u := range uses {
		if rule := narrowest(wanted.Allow, u); rule != "" {
			g.Allow = add(g.Allow, rule)
		} else {
			own = append(own, u)
		}
		for _, name := range u.query {
			g.Query = add(g.Query, name)
		}
		for _, name := range u.headers {
			if at := slices.IndexFunc(wanted.Headers, func(h string) bool { return strings.EqualFold(h, name) }); at >= 0 {
				name = wanted.Headers[at]
			} else {
				name = canonicalHeader(name)
			}
			g.Headers = add(g.Headers, name)
		}
	}
	for _, rule := range generalise(own) {
		g.Allow = add(g.Allow, rule)
	}
	return g
}

// narrowest is the rule with the fewest templates that allows u, "" if none does.
func narrowest(rules []string, u use) string {
	best := ""
	for _, text := range rules {
		rule, err := egress.ParseRule(text)
		if err == nil && rule.Match(u.what, u.path) && (best == "" || strings.Count(text, "{") < strings.Count(best, "{")) {
			best = text
		}
	}
	return best
}

// canonicalHeader is a header as manifests write it: Content-Type.
func canonicalHeader(name string) string {
	parts := strings.Split(strings.ToLower(name), "-")
	for i, p := range parts {
		if p != "" {
			parts[i] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "-")
}

// add puts text into a sorted list, once.
func add(list []string, text string) []string {
	at, there := slices.BinarySearch(list, text)
	if there {
		return list
	}
	return slices.Insert(list, at, text)
}

func sortedSources[V any](m map[source]V) []source {
	var all []source
	for s := range m {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b source) int { return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name)) })
	return all
}
