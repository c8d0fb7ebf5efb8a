package reach

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Report is everything that is reached, sorted by name.
type Report struct {
	Consumers []ConsumerReach `json:"consumers"`
	Plugins   []PluginReach   `json:"plugins"`
}

// ConsumerReach is what a consumer can ask and see.
type ConsumerReach struct {
	Name   string       `json:"name"`
	Sector string       `json:"sector"`
	Scopes []string     `json:"scopes"`
	Routes []RouteReach `json:"routes"`
}

// RouteReach is one route that a consumer has the scopes for.
type RouteReach struct {
	Name  string      `json:"name"`
	Path  string      `json:"path"` // method and path
	Steps []StepReach `json:"steps"`
	Sees  []Field     `json:"sees"`
}

// StepReach is one call of a plugin.
type StepReach struct {
	Name     string   `json:"name"`
	Plugin   string   `json:"plugin"`
	Function string   `json:"function"`
	Calls    []string `json:"calls,omitempty"` // plugins that may run on its behalf, sorted
}

// PluginReach is what a plugin can use and see.
type PluginReach struct {
	Name string `json:"name"`
	// Imports says whether the module was there to be looked at; without it the plugin is
	// taken to import everything.
	Imports    bool     `json:"importsKnown"`
	Consumers  []string `json:"consumers"` // on whose behalf it runs; none: it never does
	Powers     []Power  `json:"powers"`
	Sees       []Field  `json:"sees"`
	Moves      []Field  `json:"moves,omitempty"` // without seeing them
	Sends      []Sent   `json:"sends,omitempty"`
	Declassify []string `json:"declassifies,omitempty"`
}

// Field is one field of a source.
type Field struct {
	Source string   `json:"source"`
	Path   string   `json:"path"` // empty: every field that no manifest names
	Labels []string `json:"labels,omitempty"`
}

func (f Field) String() string {
	switch {
	case f.single():
		return f.Source
	case f.Path == "":
		return f.Source + ".*"
	}
	return f.Source + "." + f.Path
}

// single reports whether the source is one value.
func (f Field) single() bool { return strings.Contains(f.Source, ":") }

// Sent is a field that a plugin can send on.
type Sent struct {
	To Subject `json:"to"`
	Field
}

// Report computes everything.
func (g *Graph) Report() (*Report, error) {
	b := newBuilder(g)
	f := newFlow(g)
	for _, s := range g.sources {
		for _, path := range s.paths {
			a, err := s.atom(path)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.name(), err)
			}
			f.follow(a)
			b.add(f)
		}
	}
	return b.report(), nil
}

// builder collects what flows show.
type builder struct {
	g     *Graph
	seen  [][]Field            // by plugin
	moved [][]Field            // by plugin
	sent  [][]Sent             // by plugin
	shown map[[2]int32][]Field // by consumer and route
}

func newBuilder(g *Graph) *builder {
	n := len(g.plugins)
	return &builder{g: g, seen: make([][]Field, n), moved: make([][]Field, n), sent: make([][]Sent, n), shown: map[[2]int32][]Field{}}
}

// last reports whether the last one of a list is of a source and path: all that one flow
// shows is added in a row.
func last(list []Field, f Field) bool {
	return len(list) > 0 && list[len(list)-1].Path == f.Path && list[len(list)-1].Source == f.Source
}

func (b *builder) add(f *flow) {
	left := make([]Field, len(f.sets)) // the field with the labels that are left: what was declassified is not there any more
	for i, labels := range f.sets {
		left[i] = Field{Source: f.atom.source.name(), Path: f.atom.path, Labels: labels.Names()}
	}
	if len(left) == 0 {
		return
	}
	field := left[0]
	moved := map[int32]bool{}
	sent := map[sending]bool{}
	send := func(to Subject, plugin int32) {
		if key := (sending{to, plugin}); !sent[key] {
			sent[key] = true
			b.sent[plugin] = append(b.sent[plugin], Sent{to, field})
		}
	}
	for _, v := range f.visits {
		switch v.place {
		case atSees:
			if p := b.g.frames[v.id].plugin.id; !last(b.seen[p], field) {
				b.seen[p] = append(b.seen[p], field)
			}
		case atMoves:
			moved[int32(b.g.frames[v.id].plugin.id)] = true
		case atConsumer:
			at := [2]int32{v.id, v.other}
			if !last(b.shown[at], field) {
				b.shown[at] = append(b.shown[at], left[v.labels])
			}
		case atBackend:
			if to := b.g.set.Backends[v.other].Name; to != f.atom.source.backend {
				send(Subject{"backend", to}, v.id)
			}
		case atKV:
			send(Subject{Kind: "kv"}, v.id)
		case atLog:
			send(Subject{Kind: "log"}, v.id)
		}
	}
	for p := range moved {
		if !last(b.seen[p], field) { // seeing is more than moving
			b.moved[p] = append(b.moved[p], field)
		}
	}
}

// sending is where a plugin sends something.
type sending struct {
	to     Subject
	plugin int32
}

func (b *builder) report() *Report {
	r := &Report{Consumers: []ConsumerReach{}, Plugins: []PluginReach{}}
	for _, c := range b.g.consumers {
		cr := ConsumerReach{Name: c.Name, Sector: c.Sector, Scopes: slices.Clone(c.Scopes), Routes: []RouteReach{}}
		for _, rt := range c.routes {
			rr := RouteReach{Name: rt.Name, Path: rt.Method + " " + rt.Path, Sees: sorted(b.shown[[2]int32{int32(c.id), int32(rt.id)}])}
			for _, st := range rt.steps {
				sr := StepReach{Name: st.Name, Plugin: st.Plugin, Function: st.Function}
				for p := range st.frames {
					if p.Name != st.Plugin {
						sr.Calls = append(sr.Calls, p.Name)
					}
				}
				slices.Sort(sr.Calls)
				rr.Steps = append(rr.Steps, sr)
			}
			cr.Routes = append(cr.Routes, rr)
		}
		r.Consumers = append(r.Consumers, cr)
	}
	for _, p := range b.g.plugins {
		pr := PluginReach{Name: p.Name, Imports: p.known, Consumers: []string{}, Powers: append([]Power{}, b.g.powers(p)...),
			Sees: sorted(b.seen[p.id]), Moves: b.moved[p.id], Sends: b.sent[p.id], Declassify: p.gone.Names()}
		for _, c := range p.consumers {
			pr.Consumers = append(pr.Consumers, c.Name)
		}
		slices.Sort(pr.Consumers)
		slices.SortStableFunc(pr.Sends, func(x, y Sent) int {
			return cmp.Or(cmp.Compare(x.To.String(), y.To.String()), cmp.Compare(x.Field.String(), y.Field.String()))
		})
		r.Plugins = append(r.Plugins, pr)
	}
	return r
}

// sorted sorts a list, which JSON writes as one even when it is empty.
func sorted(fields []Field) []Field {
	if fields == nil {
		return []Field{}
	}
	less := func(a, b Field) int { return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Path, b.Path)) }
	if !slices.IsSortedFunc(fields, less) {
		slices.SortStableFunc(fields, less)
	}
	return fields
}

// From keeps of a report what begins at one consumer or plugin: with a consumer, the plugins
// that run on its behalf; with a plugin, it and those that it may call.
func (g *Graph) From(r *Report, from Subject) (*Report, error) {
	if from.Kind != "consumer" && from.Kind != "plugin" {
		return nil, fmt.Errorf("from %s: expected plugin NAME or consumer NAME", from)
	}
	if err := g.find(from); err != nil {
		return nil, err
	}
	out := &Report{Consumers: []ConsumerReach{}, Plugins: []PluginReach{}}
	keep := map[string]bool{}
	if from.Kind == "plugin" {
		keep[from.Name] = true
		for _, hit := range g.fromPlugin(g.byName[from.Name], nil) {
			if hit.what.Kind == "plugin" {
				keep[hit.what.Name] = true
			}
		}
	}
	for _, c := range r.Consumers {
		if from.Kind == "consumer" && c.Name == from.Name {
			out.Consumers = append(out.Consumers, c)
		}
	}
	for _, p := range r.Plugins {
		if keep[p.Name] || from.Kind == "consumer" && has(p.Consumers, from.Name) {
			out.Plugins = append(out.Plugins, p)
		}
	}
	return out, nil
}
