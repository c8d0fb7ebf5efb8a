package pipeline

import (
	"fmt"
	"maps"
	"slices"

	"pointsman/host/manifest"
)

// Compile turns a route into a plan. A route from manifest.Load compiles; the errors are
// those of a route that was put together otherwise: an unknown or repeated name, steps
// that wait for each other, a value that is not JSON.
func Compile(r *manifest.Route) (*Plan, error) {
	p, err := compile(r)
	if err != nil {
		return nil, fmt.Errorf("compile route %s: %w", r.Name, err)
	}
	return p, nil
}

func compile(r *manifest.Route) (*Plan, error) {
	if r.Deadline <= 0 {
		return nil, fmt.Errorf("it has no deadline")
	}
	p := &Plan{deadline: r.Deadline, steps: make([]step, len(r.Steps))}
	names := scope{params: map[string]int{}, steps: map[string]int{}}
	for i, name := range slices.Sorted(maps.Keys(r.Params)) {
		names.params[name] = i
		p.params = append(p.params, param{name, r.Params[name].Default})
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
		if p.steps[i].input, err = names.template(with); err != nil {
			return nil, fmt.Errorf("step %s: %w", s.Name, err)
		}
	}
	var err error
	if p.answer, err = names.template(r.Answer); err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	return p, p.connect()
}

// connect fills in who waits for whom, and refuses circles.
func (p *Plan) connect() error {
	for i := range p.steps {
		from := map[int]bool{}
		for _, part := range p.steps[i].input {
			if part.kind == stepRef {
				from[part.index] = true
			}
		}
		p.steps[i].waits = len(from)
		for _, j := range slices.Sorted(maps.Keys(from)) {
			p.steps[j].next = append(p.steps[j].next, i)
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
		for _, j := range p.steps[ready[n]].next {
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
