// Package reach owns the question of who can see what: a pure function of the manifests and
// of what each module imports. It does no I/O and runs nothing.
//
// # What is computed
//
// An upper bound. Data starts at a source (a field of a back end's answer, a column of a
// statement, what a pointer points at, a parameter) and is followed through everything that
// the host would let it pass: views, labels and clearances, imports, references between
// steps, calls between plugins, the view and the clearance of a route, a consumer's scopes.
// A plugin is taken for the worst that it may be: what it saw it may put anywhere in its
// output, under any name, so a path of an output says nothing of what is in it. Labels do,
// because the host carries them along.
//
// What the bound leaves out: what a back end does with what it was sent; that a step failed,
// how long it took and how long its output is; and what a guest writes to standard output or
// gives as an error, which goes to the operator's log and nowhere else.
package reach

import (
	"fmt"
	"slices"
	"strings"

	"pointsman/host/broker"
	"pointsman/host/grant"
	"pointsman/host/manifest"
	"pointsman/host/view"
)

// Modules holds what the module of each plugin imports, by the plugin's name. A plugin that
// is not in it is taken to import everything.
type Modules map[string][]grant.Import

// Graph is who is connected to whom, under one set of manifests. It does not change and may
// be used concurrently.
type Graph struct {
	set       *manifest.Set
	backends  map[string]*manifest.Backend
	numbers   map[string]int      // of back ends
	secrets   map[string][]string // that the host uses towards them
	plugins   []*plugin
	byName    map[string]*plugin
	routes    []*route
	consumers []*consumer
	steps     []*step
	frames    []*frame
	sources   []*source
	comesBy   map[*source][]comes
	labels    []string // every one that a manifest gives to a field, sorted
}

// plugin is one plugin with what it can use: what it is granted and its module imports.
type plugin struct {
	*manifest.Plugin
	id        int
	known     bool // whether the module's imports are
	imports   map[string]bool
	reads     bool      // its input
	moves     bool      // documents that it need not have seen
	parcels   view.View // of those in its input, what it may read
	in, out   view.View
	clear     broker.Labels
	gone      broker.Labels // declassified
	fields    []fieldsLink
	calls     []callLink
	opens     []string // domains
	mints     []string
	kv        *broker.Labels // its clearance; nil: none
	log       *broker.Labels
	callers   []*plugin
	frames    []*frame // that can run
	consumers []*consumer
}

// fieldsLink is a grant by which answers of a back end come in and requests go out.
type fieldsLink struct {
	backend    string
	to         int    // number of the back end
	kind       string // capability
	sends      string // how data goes out by it, for a witness
	statements []string
	allow      []string
	view       view.View
	flat       view.View // without steps to elements
	clear      broker.Labels
}

type callLink struct {
	callee   *plugin
	function string
	view     view.View
	clear    broker.Labels
}

// frame is a plugin at work for one step: the one that the step calls, or one that is called
// by another on its behalf. All calls of one plugin on behalf of one step share a frame.
type frame struct {
	id     int
	step   *step
	plugin *plugin
	via    *frame // who calls it, one of them; nil: the step itself
}

type route struct {
	*manifest.Route
	id        int
	steps     []*step
	answer    []*ref
	clear     broker.Labels
	consumers []*consumer // that have its scopes
	params    []string
}

type step struct {
	manifest.Step
	id      int
	route   *route
	view    view.View
	with    []*ref
	readers []reader // steps that refer to its output
	frames  map[*plugin]*frame
}

// ref is one reference, and the place in the input or answer where what it refers to goes.
type ref struct {
	root  string // a step, or manifest.RootParams
	param string
	// fromView is what of the root is taken, atView the place that it goes to.
	fromView, atView view.View
	// What follows from them, once and for all: whether the step's view lets any of it pass,
	// whether the input view of the plugin that it goes to shows any of it, and to which of
	// the route's consumers, in their order, the place in the answer is shown.
	passes, readable bool
	shownTo          []bool
}

type reader struct {
	step *step
	ref  *ref
}

type consumer struct {
	*manifest.Consumer
	id     int
	scopes broker.Scopes
	routes []*route
}

// New builds the graph of a set that manifest.Load returned. The error is for a view that is
// none, which a loaded set does not have.
func New(set *manifest.Set, modules Modules) (*Graph, error) {
	g := &Graph{set: set, byName: map[string]*plugin{}, backends: map[string]*manifest.Backend{}, numbers: map[string]int{}, secrets: map[string][]string{}}
	for i, b := range set.Backends {
		g.backends[b.Name], g.numbers[b.Name], g.secrets[b.Name] = b, i, secretsOf(b)
	}
	for _, p := range set.Plugins {
		q, err := newPlugin(p, modules)
		if err != nil {
			return nil, fmt.Errorf("plugin %s: %w", p.Name, err)
		}
		q.id = len(g.plugins)
		g.plugins = append(g.plugins, q)
		g.byName[p.Name] = q
	}
	for _, c := range set.Consumers {
		g.consumers = append(g.consumers, &consumer{Consumer: c, id: len(g.consumers), scopes: broker.NewScopes(c.Scopes...)})
	}
	for _, r := range set.Routes {
		if err := g.addRoute(r); err != nil {
			return nil, fmt.Errorf("route %s: %w", r.Name, err)
		}
	}
	if err := g.link(); err != nil {
		return nil, err
	}
	if err := g.addSources(); err != nil {
		return nil, err
	}
	g.index()
	return g, nil
}

// uses reports whether the plugin's module imports a capability.
func (p *plugin) uses(capability string) bool { return !p.known || p.imports[capability] }

func newPlugin(m *manifest.Plugin, modules Modules) (*plugin, error) {
	p := &plugin{Plugin: m, imports: map[string]bool{}, reads: true, moves: m.ParcelGrant != nil}
	var imports []grant.Import
	if imports, p.known = modules[m.Name]; p.known {
		p.reads = slices.ContainsFunc(imports, readsInput)
		for _, imp := range imports {
			if c := grant.CapabilityOf(imp); c != "" {
				p.imports[c] = true
			}
		}
	}
	p.clear, p.gone = broker.NewLabels(m.Clear...), broker.NewLabels(m.Declassify...)
	var err error
	if p.in, err = whole(m.Input); err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	if p.moves {
		if p.parcels, err = shown(m.ParcelGrant.View); err != nil {
			return nil, fmt.Errorf("grants.parcel: view: %w", err)
		}
	}
	if p.out, err = whole(m.Output); err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	return p, p.addGrants()
}

// readsInput reports whether an import hands a module its input: ours, or Extism's.
func readsInput(imp grant.Import) bool {
	switch {
	case imp.Module == "pointsman:rt":
		return strings.HasPrefix(imp.Name, "input_read")
	case imp.Module == "extism:host/env":
		return strings.HasPrefix(imp.Name, "input_load") || imp.Name == "input_offset"
	}
	return false
}

func (p *plugin) addGrants() error {
	if p.uses("http") {
		for _, h := range p.HTTPGrants {
			v, err := shown(h.View)
			if err != nil {
				return fmt.Errorf("grants.http to %s: view: %w", h.Backend, err)
			}
			p.fields = append(p.fields, fieldsLink{backend: h.Backend, kind: "http", allow: h.Allow, view: v, clear: broker.NewLabels(h.Clear...)})
		}
	}
	if p.uses("sql") {
		for _, s := range p.SQLGrants {
			v, err := shown(s.View)
			if err != nil {
				return fmt.Errorf("grants.sql to %s: view: %w", s.Backend, err)
			}
			p.fields = append(p.fields, fieldsLink{backend: s.Backend, kind: "sql", statements: s.Statements, view: v, clear: broker.NewLabels(s.Clear...)})
		}
	}
	if p.KVGrant != nil && p.uses("kv") {
		p.kv = new(broker.NewLabels(p.KVGrant.Clear...))
	}
	if p.LogGrant != nil && p.uses("log") {
		p.log = new(broker.NewLabels(p.LogGrant.Clear...))
	}
	for _, d := range p.PointerGrants {
		if d.Open != "" {
			p.opens = append(p.opens, d.Open) // the host opens a route's parameter for it, whatever it imports
		}
		if d.Mint != "" && p.uses("pointer") {
			p.mints = append(p.mints, d.Mint)
		}
	}
	return nil
}
