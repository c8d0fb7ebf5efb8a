package reach

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"pointsman/host/broker"
	"pointsman/host/manifest"
	"pointsman/host/view"
)

func (g *Graph) addRoute(m *manifest.Route) error {
	r := &route{Route: m, id: len(g.routes), clear: broker.NewLabels(m.Clear...), params: slices.Sorted(maps.Keys(m.Params))}
	g.routes = append(g.routes, r)
	var err error
	if r.answer, err = refsOf(m.Answer); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	byName := map[string]*step{}
	for _, s := range m.Steps {
		st := &step{Step: s, id: len(g.steps), route: r, frames: map[*plugin]*frame{}}
		if st.with, err = refsOf(s.With); err != nil {
			return fmt.Errorf("step %s: %w", s.Name, err)
		}
		if st.view, err = whole(s.View); err != nil {
			return fmt.Errorf("step %s: view: %w", s.Name, err)
		}
		g.steps = append(g.steps, st)
		r.steps = append(r.steps, st)
		byName[s.Name] = st
	}
	for _, st := range r.steps {
		for _, ref := range st.with {
			if p := g.byName[st.Plugin]; p != nil {
				ref.readable = p.in.Overlaps(ref.atView)
				if p.moves && ref.root != manifest.RootParams {
					ref.readable = p.parcels.Overlaps(ref.atView)
				}
			}
			if from := byName[ref.root]; from != nil {
				ref.passes = from.view.Overlaps(ref.fromView)
				from.readers = append(from.readers, reader{st, ref})
			}
		}
	}
	for _, ref := range r.answer {
		if from := byName[ref.root]; from != nil {
			ref.passes = from.view.Overlaps(ref.fromView)
		}
	}
	for _, c := range g.consumers {
		if len(m.Scopes) == 0 || !c.scopes.HasAll(m.Scopes) {
			continue // a route without a scope is none that Load lets pass
		}
		v, err := whole(m.View)
		if err != nil {
			return fmt.Errorf("view: %w", err)
		}
		for _, scope := range slices.Sorted(maps.Keys(m.Views)) {
			if !c.scopes.Has(scope) {
				continue
			}
			more, err := shown(m.Views[scope])
			if err != nil {
				return fmt.Errorf("views.%s: %w", scope, err)
			}
			v = v.Union(more)
		}
		for _, ref := range r.answer {
			ref.shownTo = append(ref.shownTo, v.Overlaps(ref.atView))
		}
		r.consumers = append(r.consumers, c)
		c.routes = append(c.routes, r)
	}
	return nil
}

// link connects callers and callees, and finds which plugin can run in which step. A route
// that no consumer can use runs nothing.
func (g *Graph) link() error {
	for _, p := range g.plugins {
		if !p.uses("call") {
			continue
		}
		for _, c := range p.CallGrants {
			callee := g.byName[c.Plugin]
			if callee == nil || !slices.Contains(callee.CallableBy, p.Name) {
				continue // both sides must agree
			}
			v, err := shown(c.View)
			if err != nil {
				return fmt.Errorf("plugin %s: grants.call to %s: view: %w", p.Name, c.Plugin, err)
			}
			p.calls = append(p.calls, callLink{callee, c.Function, v, broker.NewLabels(c.Clear...)})
			if !slices.Contains(callee.callers, p) {
				callee.callers = append(callee.callers, p)
			}
		}
	}
	for _, s := range g.steps {
		root := g.byName[s.Plugin]
		if root == nil || len(s.route.consumers) == 0 {
			continue
		}
		todo := []*frame{g.frame(s, root, nil)}
		for len(todo) > 0 {
			f := todo[0]
			todo = todo[1:]
			for _, c := range f.plugin.calls {
				if s.frames[c.callee] == nil {
					todo = append(todo, g.frame(s, c.callee, f))
				}
			}
		}
	}
	return nil
}

func (g *Graph) frame(s *step, p *plugin, via *frame) *frame {
	f := &frame{id: len(g.frames), step: s, plugin: p, via: via}
	g.frames = append(g.frames, f)
	s.frames[p] = f
	p.frames = append(p.frames, f)
	for _, c := range s.route.consumers {
		if !slices.Contains(p.consumers, c) {
			p.consumers = append(p.consumers, c)
		}
	}
	return f
}

// refsOf lists the references of a value, with the places where they stand.
func refsOf(v manifest.Value) (refs []*ref, err error) {
	var walk func(v manifest.Value, path string)
	walk = func(v manifest.Value, path string) {
		switch v.Kind {
		case manifest.ValueRef:
			r, from := &ref{root: v.Ref.Root}, ""
			if r.root == manifest.RootParams {
				r.param = v.Ref.Path[0]
			} else {
				for _, name := range v.Ref.Path {
					from = member(from, name)
				}
			}
			var err1, err2 error
			r.fromView, err1 = at(from)
			r.atView, err2 = at(path)
			err = errors.Join(err, err1, err2)
			refs = append(refs, r)
		case manifest.ValueObject:
			for _, f := range v.Fields {
				walk(f.Value, member(path, f.Name))
			}
		case manifest.ValueArray:
			for _, item := range v.Items {
				walk(item, path+"[]")
			}
		}
	}
	walk(v, "")
	return refs, err
}

// whole is everything where a manifest that may say nothing does.
func whole(p manifest.Paths) (view.View, error) {
	if p.All || !p.Written() {
		return view.All(), nil
	}
	return view.Parse(p.List)
}

// shown is nothing where a manifest says nothing.
func shown(p manifest.Paths) (view.View, error) {
	if p.All {
		return view.All(), nil
	}
	return view.Parse(p.List)
}
