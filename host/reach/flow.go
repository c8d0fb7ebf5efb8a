package reach

import (
	"slices"

	"pointsman/host/broker"
	"pointsman/host/view"
)

// kind of a place that data can come to.
type place uint8

const (
	atInput    place = iota // the input of a frame: within reach of the plugin
	atSees                  // in the memory of a frame
	atMoves                 // held for a frame by the host, unseen
	atOutput                // out of a frame
	atStep                  // the output of a step, as its route has it
	atAnswer                // the answer of a route
	atConsumer              // the end of it: a consumer
	atBackend               // the end of it: sent to a back end
	atKV                    // kept for a plugin
	atLog                   // written to the log by a plugin
)

// state is one place with the labels that the data still carries there.
type state struct {
	place  place
	id     int32 // of the frame, step, route, consumer, plugin
	other  int32 // of a consumer the route, of what a back end is sent the back end
	labels int32 // index in flow.sets
}

// visit is a state that was come to, and from where.
type visit struct {
	state
	from int // index of the visit before; -1: the source itself
	note string
}

// flow is one field followed through the graph.
type flow struct {
	g      *Graph
	atom   atom
	sets   []broker.Labels
	names  [][]string // of sets
	visits []visit
	seen   map[state]int
}

func newFlow(g *Graph) *flow { return &flow{g: g, seen: map[state]int{}} }

// follow finds every place that a field can come to, nearest first. What an earlier call
// found is forgotten.
func (f *flow) follow(a atom) {
	f.atom, f.sets, f.names, f.visits = a, f.sets[:0], f.names[:0], f.visits[:0]
	clear(f.seen)
	f.start()
	for i := 0; i < len(f.visits); i++ {
		f.step(i)
	}
}

func (f *flow) start() {
	a, s := f.atom, f.atom.source
	set := f.set(a.labels)
	for _, in := range f.g.comesBy[s] {
		for _, fr := range in.plugin.frames {
			if a.shows(in.link) {
				f.come(-1, atSees, fr.id, 0, set, in.note)
			}
			if in.plugin.moves {
				f.come(-1, atMoves, fr.id, 0, set, in.note)
			}
		}
	}
	if s.kind == SourcePointer {
		for _, p := range f.g.plugins {
			if has(p.opens, s.domain) && p.uses("pointer") {
				for _, fr := range p.frames {
					f.come(-1, atSees, fr.id, 0, set, "opens pointers")
				}
			}
		}
	}
	if s.kind != SourceParam {
		return
	}
	for _, st := range s.route.steps {
		for _, r := range st.with {
			if r.param == s.param && (s.domain == "" || has(f.g.byName[st.Plugin].opens, s.domain)) {
				f.input(-1, st.frames[f.g.byName[st.Plugin]], r, set)
			}
		}
	}
	for _, r := range s.route.answer {
		if r.param == s.param && s.domain == "" {
			f.answer(-1, s.route, r, set)
		}
	}
}

// comes is one link by which a source's data comes to a plugin.
type comes struct {
	plugin *plugin
	link   *fieldsLink
	note   string
}

// index finds for each source the links that it comes by.
func (g *Graph) index() {
	byName := map[[2]string]*source{}
	for _, s := range g.sources {
		if s.kind == SourceHTTP || s.kind == SourceSQL {
			byName[[2]string{s.backend, s.statement}] = s
		}
	}
	g.comesBy = map[*source][]comes{}
	for _, p := range g.plugins {
		for i := range p.fields {
			link := &p.fields[i]
			link.sends = link.backend + "." + shorten(link.statements)
			if link.kind == SourceHTTP {
				link.sends = shorten(link.allow)
				if s := byName[[2]string{link.backend, ""}]; s != nil {
					g.comesBy[s] = append(g.comesBy[s], comes{p, link, link.sends})
				}
			}
			for _, name := range link.statements {
				if s := byName[[2]string{link.backend, name}]; s != nil {
					g.comesBy[s] = append(g.comesBy[s], comes{p, link, ""})
				}
			}
		}
	}
}

// come notes that the field can be at a place.
func (f *flow) come(from int, at place, id, other int, set int32, note string) {
	s := state{at, int32(id), int32(other), set}
	if _, ok := f.seen[s]; ok {
		return
	}
	f.seen[s] = len(f.visits)
	f.visits = append(f.visits, visit{s, from, note})
}

// set numbers a set of labels; a field has few of them.
func (f *flow) set(l broker.Labels) int32 {
	names := l.Names()
	for i, have := range f.names {
		if slices.Equal(have, names) {
			return int32(i)
		}
	}
	f.sets, f.names = append(f.sets, l), append(f.names, names)
	return int32(len(f.sets) - 1)
}

// within reports whether a clearance covers a set.
func (f *flow) within(set int32, clearance broker.Labels) bool {
	for _, name := range f.names[set] {
		if !clearance.Has(name) {
			return false
		}
	}
	return true
}

// step follows the field from one place to the next ones.
func (f *flow) step(i int) {
	v := f.visits[i]
	labels := v.labels
	switch v.place {
	case atInput:
		if fr := f.g.frames[v.id]; fr.plugin.reads {
			f.come(i, atSees, fr.id, 0, labels, "")
		}
	case atSees:
		f.use(i, f.g.frames[v.id], labels)
	case atMoves:
		f.move(i, f.g.frames[v.id], labels)
	case atOutput:
		f.leave(i, f.g.frames[v.id], labels)
	case atStep:
		st := f.g.steps[v.id]
		for _, r := range st.readers {
			if r.ref.passes {
				f.input(i, r.step.frames[f.g.byName[r.step.Plugin]], r.ref, labels)
			}
		}
		for _, r := range st.route.answer {
			if r.root == st.Name && r.passes {
				f.answer(i, st.route, r, labels)
			}
		}
	case atAnswer:
		// its consumers were noted with it
	case atKV:
		for _, fr := range f.g.plugins[v.id].frames { // of another call, for another consumer
			f.come(i, atSees, fr.id, 0, labels, "")
		}
	}
}

// move is what a plugin can do with what it did not see: hand it on, and send it to a back end.
func (f *flow) move(i int, fr *frame, labels int32) {
	p := fr.plugin
	out, note := f.left(p, labels)
	if !p.out.None() && f.within(out, p.clear) {
		f.come(i, atOutput, fr.id, 0, out, note)
	}
	for k := range p.fields {
		if link := &p.fields[k]; link.kind == SourceHTTP && f.within(labels, link.clear) {
			f.come(i, atBackend, p.id, link.to, labels, link.sends)
		}
	}
}

// left is what labels an output of p carries of these.
func (f *flow) left(p *plugin, labels int32) (out int32, note string) {
	before := f.sets[labels]
	if p.gone.Empty() || before.Empty() {
		return labels, ""
	}
	left := before.Minus(p.gone)
	if gone := before.Minus(left); !gone.Empty() {
		note = "declassifies " + gone.String()
	}
	return f.set(left), note
}

// use is what a plugin can do with what it saw.
func (f *flow) use(i int, fr *frame, labels int32) {
	p := fr.plugin
	out, note := f.left(p, labels)
	if !p.out.None() && f.within(out, p.clear) {
		f.come(i, atOutput, fr.id, 0, out, note)
	}
	for _, c := range p.calls {
		if to := fr.step.frames[c.callee]; to != nil && f.within(labels, c.clear) {
			f.hand(i, to, !c.callee.in.None(), labels)
		}
	}
	for k := range p.fields {
		if link := &p.fields[k]; f.within(labels, link.clear) {
			f.come(i, atBackend, p.id, link.to, labels, link.sends)
		}
	}
	if p.kv != nil && f.within(labels, *p.kv) {
		f.come(i, atKV, p.id, 0, labels, "")
	}
	if p.log != nil && f.within(labels, *p.log) {
		f.come(i, atLog, p.id, 0, labels, "")
	}
}

// leave takes the field out of a frame: to whoever called it, and to the route.
func (f *flow) leave(i int, fr *frame, labels int32) {
	for _, caller := range fr.plugin.callers {
		to := fr.step.frames[caller]
		if to == nil {
			continue
		}
		for _, c := range caller.calls {
			if c.callee != fr.plugin {
				continue
			}
			if !c.view.None() {
				f.come(i, atSees, to.id, 0, labels, "")
			}
			if caller.moves {
				f.come(i, atMoves, to.id, 0, labels, "")
			}
		}
	}
	if fr.step.Plugin == fr.plugin.Name && !fr.step.view.None() {
		f.come(i, atStep, fr.step.id, 0, labels, "")
	}
}

// input hands the field to the plugin of a step.
func (f *flow) input(i int, to *frame, r *ref, labels int32) {
	if to != nil {
		f.hand(i, to, r.readable, labels)
	}
}

// hand is what becomes of an input: what the view shows can be read, and all of it moved.
func (f *flow) hand(i int, to *frame, shown bool, labels int32) {
	if shown {
		f.come(i, atInput, to.id, 0, labels, "")
	}
	if to.plugin.moves {
		f.come(i, atMoves, to.id, 0, labels, "")
	}
}

// answer puts the field into an answer, and shows it to those who may see that place of it.
func (f *flow) answer(i int, r *route, at *ref, labels int32) {
	if !f.within(labels, r.clear) {
		return
	}
	f.come(i, atAnswer, r.id, 0, labels, "")
	via := f.seen[state{atAnswer, int32(r.id), 0, labels}]
	for k, c := range r.consumers {
		if at.shownTo[k] {
			f.come(via, atConsumer, c.id, r.id, labels, "")
		}
	}
}

func has(list []string, name string) bool {
	for _, s := range list {
		if s == name {
			return true
		}
	}
	return false
}

// at is the view of one place, of the whole document for the empty path.
func at(path string) (view.View, error) {
	if path == "" {
		return view.All(), nil
	}
	return view.Parse([]string{path})
}
