package pipeline

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"pointsman/host/broker"
	"pointsman/host/parcel"
	"pointsman/host/view"
)

// bind returns the route's parameters as JSON texts.
func (p *Plan) bind(params map[string]Param) (v values, err error) {
	v = values{
		params: make([]value, len(p.params)), opened: make([]value, len(p.params)),
		steps: make([]*parcel.Parcel, len(p.steps)),
	}
	for i, d := range p.params {
		given, ok := params[d.name]
		switch {
		case ok:
		case d.fallback != nil:
			given.Value = *d.fallback
		default:
			continue
		}
		v.params[i].text, err = jsontext.AppendQuote(nil, given.Value)
		if err == nil && d.pointer {
			v.opened[i].text, err = jsontext.AppendQuote(nil, given.Opened)
		}
		if err != nil {
			return v, &broker.Error{Kind: broker.Invalid, Detail: "parameter " + d.name + " is not UTF-8", Err: err}
		}
		if d.pointer {
			v.opened[i].labels = d.labels // a pointer itself means nothing
		} else {
			v.params[i].labels = d.labels
		}
	}
	return v, nil
}

// run is one run of a plan. Only the goroutine of Plan.Run touches waiting and failure.
// A step's goroutine writes its own entry of values.steps before it says that it promised it,
// and its entry of ends before it says that it is done; others read them after that.
type run struct {
	plan    *Plan
	runner  Runner
	values  values
	ends    []end
	news    chan news // of steps; has room for all
	waiting []int     // for each step, how many it still waits for
	failure error     // of the first required step that failed
}

// news is that a step promised its output, or ended.
type news struct {
	step  int
	ended bool
}

// end is how a step ended. The zero end is that of a step that was not run.
type end struct {
	outcome broker.Outcome
	err     error // nil only if outcome is OK
	elapsed time.Duration
}

func newRun(p *Plan, runner Runner, v values) *run {
	n := len(p.steps)
	r := &run{
		plan: p, runner: runner,
		values: v,
		ends:   make([]end, n), news: make(chan news, 2*n), waiting: make([]int, n),
	}
	for i := range p.steps {
		r.waiting[i] = p.steps[i].waits
	}
	return r
}

func (r *run) all(ctx context.Context) (Result, error) {
	bounded, stop := context.WithTimeout(ctx, r.plan.deadline)
	defer stop()
	running := 0
	start := func(i int) {
		running++
		go r.step(bounded, i)
	}
	for i, n := range r.waiting {
		if n == 0 {
			start(i)
		}
	}
	promised := make([]bool, len(r.ends))
	for running > 0 {
		n := <-r.news
		i, s := n.step, &r.plan.steps[n.step]
		if n.ended {
			running--
		}
		if n.ended && r.failure == nil && r.ends[i].err != nil && s.required {
			r.failure = r.failed(i)
			stop()
		}
		if r.failure != nil || canceled(ctx) {
			continue
		}
		ready := func(j int) {
			if r.waiting[j]--; r.waiting[j] == 0 {
				start(j)
			}
		}
		if !promised[i] { // one that fails before it promised anything has ended for these, too
			promised[i] = true
			for _, j := range s.early {
				ready(j)
			}
		}
		if n.ended {
			for _, j := range s.next {
				ready(j)
			}
		}
	}
	result := Result{Sources: r.plan.sources(), Complete: true}
	for i, e := range r.ends {
		if e.outcome != "" {
			result.Sources[i].Outcome, result.Sources[i].Elapsed = e.outcome, e.elapsed
		}
		result.Complete = result.Complete && e.outcome == broker.OK
	}
	switch {
	case canceled(ctx):
		return result, &broker.Error{Kind: broker.Canceled, Err: context.Cause(ctx)}
	case r.failure != nil:
		return result, r.failure
	}
	answer, _, err := r.plan.answer.fill(r.values, nil)
	if err != nil {
		return result, &broker.Error{Kind: broker.Upstream, Err: fmt.Errorf("answer: %w", err)}
	}
	result.Answer, result.Labels = answer.Text, answer.Labels
	return result, nil
}

// canceled reports whether the caller of ctx went away. That it has no more time is
// something else.
func canceled(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

var (
	errAbsent = &broker.Error{Kind: broker.NotFound, Err: errors.New("a reference in its input leads to nothing")}
	errEnded  = &broker.Error{Kind: broker.Internal, Err: errors.New("runner ended its goroutine")}
)

// step runs step i.
func (r *run) step(ctx context.Context, i int) {
	s := &r.plan.steps[i]
	began := time.Now()
	e := end{outcome: broker.Failed, err: errEnded} // if the runner calls runtime.Goexit
	var promise func(parcel.Value, error)           // settles what was promised
	defer func() {
		r.ends[i] = e
		if promise != nil { // a runner that ended its goroutine
			promise(parcel.Value{}, e.err)
		}
		r.news <- news{i, true}
	}()
	var parcels *parcel.Table
	if s.moves {
		parcels = parcel.NewTable()
	}
	input, whole, err := s.input.fill(r.values, parcels)
	if err != nil {
		e = end{outcome: broker.Failed, err: &broker.Error{Kind: broker.Upstream, Err: fmt.Errorf("input: %w", err)}}
		return
	}
	if !whole {
		e = end{outcome: broker.Absent, err: errAbsent}
		return
	}
	if s.deadline > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, s.deadline)
		defer stop()
	}
	output, err := r.call(ctx, s, input)
	if err != nil {
		e.elapsed = time.Since(began)
		e.outcome, e.err = judge(ctx, err)
		return
	}
	if !output.Settled() {
		// What others were promised is what this step comes to: all of them see the same.
		r.values.steps[i], promise = parcel.Pending(output.Facts())
		r.news <- news{i, false}
	}
	v, err := output.Wait(ctx)
	e.elapsed = time.Since(began)
	e.outcome, e.err = judge(ctx, err)
	switch {
	case promise != nil:
		promise(v, e.err)
	case e.err == nil:
		r.values.steps[i] = output
	}
}

// call calls the runner, unless time is up, and lets out what the step's view shows of what
// it returns.
func (r *run) call(ctx context.Context, s *step, input Input) (output *parcel.Parcel, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	defer func() {
		if v := recover(); v != nil {
			err = &broker.Error{Kind: broker.Internal, Err: fmt.Errorf("runner panicked: %v\n%s", v, debug.Stack())}
		}
	}()
	output, err = r.runner.Run(ctx, s.call, input)
	if err != nil {
		return nil, err
	}
	return show(output, s.view), nil
}

// show is what v shows of p.
func show(p *parcel.Parcel, v view.View) *parcel.Parcel {
	if v.All() {
		return p
	}
	facts := p.Facts()
	facts.Shown = facts.Shown.Intersect(v)
	return parcel.Made(facts, func() (parcel.Value, error) {
		whole, err := p.Wait(context.Background()) // it is there
		if err != nil {
			return parcel.Value{}, err
		}
		text, _, err := v.Append(nil, whole.Append(nil))
		if err != nil {
			return parcel.Value{}, &broker.Error{Kind: broker.Upstream, Err: fmt.Errorf("output: %w", err)}
		}
		return parcel.Parse(text)
	}, p)
}

// judge says what the end of a step means. ctx is the step's.
func judge(ctx context.Context, err error) (broker.Outcome, error) {
	if err == nil {
		return broker.OK, nil
	}
	kind := broker.KindOf(err)
	switch {
	case kind == broker.NotFound:
		return broker.Absent, err
	case kind == broker.Denied:
		return broker.Refused, err
	case kind == broker.UpstreamTimeout:
		return broker.Late, err
	case kind == broker.Unavailable: // no sandbox became free: waiting longer is not the answer
		return broker.Failed, err
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		// A runner that was stopped may say so in many ways.
		return broker.Late, &broker.Error{Kind: broker.UpstreamTimeout, Err: err}
	}
	return broker.Failed, err
}

// failed returns the error of a run whose required step i failed.
func (r *run) failed(i int) error {
	e := &broker.Error{Err: fmt.Errorf("step %s: %w", r.plan.steps[i].call.Step, r.ends[i].err)}
	cause, ok := errors.AsType[*broker.Error](r.ends[i].err)
	if !ok {
		return e
	}
	switch cause.Kind {
	case broker.Unauthenticated, broker.NotAllowed, broker.TooLarge, broker.RateLimited, broker.Canceled:
		// These speak about the consumer's request, which is not what the step was asked.
		e.Kind = broker.Upstream
	default:
		e.Kind, e.Detail, e.After = cause.Kind, cause.Detail, cause.After
	}
	return e
}
