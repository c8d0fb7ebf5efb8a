package pipeline

import (
	"fmt"
	"maps"
	"slices"

	"pointsman/host/broker"
	"pointsman/host/manifest"
	"pointsman/host/view"
)

// Compile turns a route into a plan. A route from manifest.Load compiles; the errors are
// those of a route that was put together otherwise: an unknown or repeated name, steps
// that wait for each other, a value that is not JSON.
func Compile(r *manifest.Route, plugins Plugins) (*Plan, error) {
	if plugins == nil {
		plugins = plain{}
	}
	p, err := compile(r, plugins)
	if err != nil {
		return nil, fmt.Errorf("compile route %s: %w", r.Name, err)
	}
	return p, nil
}

func compile(r *manifest.Route, plugins Plugins) (*Plan, error) {
	if r.Deadline <= 0 {
		return nil, fmt.Errorf("it has no deadline")
	}
	p := &Plan{deadline: r.Deadline, steps: make([]step, len(r.Steps))}
	names := scope{params: map[string]int{}, steps: map[string]int{}}
	for i, name := range slices.Sorted(maps.Keys(r.Params)) {
		names.params[name] = i
		m := r.Params[name]
		p.params = append(p.params, param{name: name, fallback: m.Default, labels: labelsOf(m.Label), pointer: m.Pointer != ""})
	}
	for i, s := range r.Steps {
		if _, twice := names.steps[s.Name]; twice || s.Name == manifest.RootParams {
			return nil, fmt.Errorf("step %s: the name is taken", s.Name)
		}
		names.steps[s.Name] = i
	}
	for i, s := range r.Steps {
		p.steps[i] = step{
			call:     StepCall{Step: s.Name, Plugin: s.Plugin, Function: s.Function},
			required: s.Required || s.OnError == manifest.OnErrorFail,
			deadline: s.Deadline,
		}
		with := s.With
		if with.Kind == manifest.ValueNone {
			with.Kind = manifest.ValueObject
		}
		var err error
		if p.steps[i].view, err = viewOf(s.View); err != nil {
			return nil, fmt.Errorf("step %s: view: %w", s.Name, err)
		}
		takes := takes{opened: func(name string) bool {
			domain := r.Params[name].Pointer
			return domain != "" && plugins.Opens(s.Plugin, domain)
		}}
		takes.reads, p.steps[i].moves = plugins.Moves(s.Plugin)
		takes.text = !p.steps[i].moves
		if p.steps[i].input, err = names.template(with, takes); err != nil {
			return nil, fmt.Errorf("step %s: %w", s.Name, err)
		}
	}
	var err error
	if p.answer, err = names.template(r.Answer, takes{text: true}); err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	return p, p.connect()
}

// plain is plugins that open and move nothing.
type plain struct{}

func (plain) Opens(string, string) bool      { return false }
func (plain) Moves(string) (view.View, bool) { return view.View{}, false }

// labelsOf is the set of a label that may be missing.
func labelsOf(label string) broker.Labels {
	if label == "" {
		return broker.Labels{}
	}
	return broker.NewLabels(label)
}

// viewOf is everything where a manifest says nothing: what a route uses of a step shows in
// its references.
func viewOf(p manifest.Paths) (view.View, error) {
	if p.All || !p.Written() {
		return view.All(), nil
	}
	return view.Parse(p.List)
}

// connect fills in who waits for whom, and refuses circles.
func (p *Plan) connect() error {
	for i := range p.steps {
		early := map[int]bool{} // of a step that the input refers to, whether its promise will do
		for _, part := range p.steps[i].input {
			if part.kind == stepRef {
				before, again := early[part.index]
				early[part.index] = part.parcel && part.whole && (before || !again)
			}
		}
		p.steps[i].waits = len(early)
		for _, j := range slices.Sorted(maps.Keys(early)) {
			if early[j] {
				p.steps[j].early = append(p.steps[j].early, i)
			} else {
				p.steps[j].next = append(p.steps[j].next, i)
			}
		}
	}
	waits := make([]int, len(p.steps))
	var ready []int
	for i := range p.steps {
		if waits[i] = p.steps[i].waits; waits[i] == 0 {
			ready = append(ready, i)
		}
	}
	for n := 0; n < len(ready); n++ {
		for _, j := range slices.Concat(p.steps[ready[n]].next, p.steps[ready[n]].early) {
			if waits[j]--; waits[j] == 0 {
				ready = append(ready, j)
			}
		}
	}
	if len(ready) < len(p.steps) {
		i := slices.IndexFunc(waits, func(n int) bool { return n > 0 })
		return fmt.Errorf("step %s waits for itself", p.steps[i].call.Step)
	}
	return nil
}
