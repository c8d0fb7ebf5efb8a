package reach

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"pointsman/host/broker"
	"pointsman/host/manifest"
	"pointsman/host/view"
)

// Kinds of a source.
const (
	SourceHTTP    = "http"    // answers of a back end
	SourceSQL     = "sql"     // rows of a statement
	SourcePointer = "pointer" // what the pointers of a domain point at
	SourceParam   = "param"   // what a consumer gives for a parameter
)

// source is where data comes from, and the fields of it that manifests speak of.
type source struct {
	kind      string
	backend   string // SourceHTTP, SourceSQL
	statement string // SourceSQL
	domain    string // SourcePointer; SourceParam when its values are pointers
	route     *route // SourceParam
	param     string // SourceParam
	labels    view.Labels
	paths     []string      // of the fields, sorted; "" is every field that none of them names
	own       broker.Labels // SourceParam, SourcePointer: of the value itself
}

// atom is one field, as it is followed through the graph.
type atom struct {
	source *source
	path   string // "" is every field that no manifest names
	at     view.View
	labels broker.Labels
}

// name is what the source is called, in the words of questions.
func (s *source) name() string {
	switch s.kind {
	case SourceSQL:
		return s.backend + "." + s.statement
	case SourcePointer:
		return "pointer:" + s.domain
	case SourceParam:
		return "param:" + s.route.Name + "." + s.param
	}
	return s.backend
}

// atom is the field of s at path.
func (s *source) atom(path string) (atom, error) {
	a := atom{source: s, path: path}
	switch {
	case s.kind == SourceParam || s.kind == SourcePointer:
		a.at = view.All()
		a.labels = s.own
	case path == "":
		// Only who is shown everything sees a field that nobody names. It has no label:
		// what has one is named.
	default:
		at, err := flat([]string{path})
		if err != nil {
			return a, err
		}
		a.at, a.labels = at, s.labels.Of(at)
	}
	return a, nil
}

// shows reports whether a view shows something of the field. Steps to elements make no
// difference: a back end may answer with a list where a record was expected.
func (a atom) shows(link *fieldsLink) bool {
	if a.path == "" {
		return link.view.All()
	}
	return link.flat.Overlaps(a.at)
}

// addSources collects every field that a manifest names: in labels and in views.
func (g *Graph) addSources() error {
	named := map[string][]string{} // by back end, or back end and statement
	for _, p := range g.plugins {
		for i := range p.fields {
			link := &p.fields[i]
			link.to = g.numbers[link.backend]
			var err error
			if link.flat, err = flat(link.view.Paths()); err != nil {
				return err
			}
			if link.view.All() {
				link.flat = view.All()
				continue
			}
			if link.kind == SourceHTTP {
				named[link.backend] = append(named[link.backend], link.view.Paths()...)
			}
			for _, st := range link.statements {
				named[link.backend+"."+st] = append(named[link.backend+"."+st], link.view.Paths()...)
			}
		}
	}
	all := map[string]bool{}
	add := func(s *source, labels map[string][]string) error {
		var err error
		if s.labels, err = view.ParseLabels(labels); err != nil {
			return err
		}
		paths := append([]string{""}, named[s.name()]...)
		for label, at := range labels {
			all[label] = true
			paths = append(paths, at...)
		}
		slices.Sort(paths)
		s.paths = slices.Compact(paths)
		g.sources = append(g.sources, s)
		return nil
	}
	for _, b := range g.set.Backends {
		if b.HTTP != nil {
			if err := add(&source{kind: SourceHTTP, backend: b.Name}, b.HTTP.Labels); err != nil {
				return err
			}
		}
		if b.SQL == nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(b.SQL.Statements)) {
			if err := add(&source{kind: SourceSQL, backend: b.Name, statement: name}, b.SQL.Statements[name].Labels); err != nil {
				return err
			}
		}
	}
	domains := map[string]*source{}
	for _, d := range g.set.Domains {
		s := &source{kind: SourcePointer, domain: d.Name, paths: []string{""}}
		domains[d.Name] = s
		g.sources = append(g.sources, s)
	}
	for _, r := range g.routes {
		for _, name := range r.params {
			p := r.Params[name]
			if p.Label == "" && p.Pointer == "" {
				continue // what a consumer says itself, and nobody calls anything
			}
			s := &source{kind: SourceParam, route: r, param: name, domain: p.Pointer, paths: []string{""}}
			g.sources = append(g.sources, s)
			if p.Label == "" {
				continue
			}
			s.own, all[p.Label] = broker.NewLabels(p.Label), true
			if d := domains[p.Pointer]; d != nil { // ids are labelled where a route takes them
				d.own = d.own.Union(s.own)
			}
		}
	}
	g.labels = slices.Sorted(maps.Keys(all))
	return nil
}

// statement is a declared one; nil: none.
func (g *Graph) statement(backend, name string) *manifest.Statement {
	if b := g.backends[backend]; b != nil && b.SQL != nil {
		return b.SQL.Statements[name]
	}
	return nil
}

// flat is the view of paths without their steps to elements.
func flat(paths []string) (view.View, error) {
	out := make([]string, 0, len(paths))
	for _, p := range paths {
		var b strings.Builder
		quoted := false
		for i := 0; i < len(p); i++ {
			switch c := p[i]; {
			case quoted && c == '\\' && i+1 < len(p):
				b.WriteByte(c)
				i++
				b.WriteByte(p[i])
				continue
			case c == '"':
				quoted = !quoted
			case !quoted && c == '[' && i+1 < len(p) && p[i+1] == ']':
				i++
				continue
			}
			b.WriteByte(p[i])
		}
		name := strings.TrimPrefix(b.String(), ".")
		if name == "" && p != "" { // the elements themselves
			return view.All(), nil
		}
		out = append(out, name)
	}
	return view.Parse(out)
}

// member is the path of a member below at.
func member(at, name string) string {
	if !isWord(name) {
		quoted, err := json.Marshal(name)
		if err != nil {
			panic(err) // a string is always JSON
		}
		name = string(quoted)
	}
	if at == "" {
		return name
	}
	return at + "." + name
}

// isWord reports whether a path takes the name without quotes.
func isWord(name string) bool {
	for i := 0; i < len(name); i++ {
		c := name[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || c == '-')) {
			return false
		}
	}
	return name != ""
}
