package pipeline

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"pointsman/host/broker"
)

// bind returns the route's parameters as JSON texts.
func (p *Plan) bind(params map[string]Param) (v values, err error) {
	v = values{
		params: make([]Document, len(p.params)), opened: make([]Document, len(p.params)),
		steps: make([]Document, len(p.steps)),
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
		v.params[i].Text, err = jsontext.AppendQuote(nil, given.Value)
		if err == nil && d.pointer {
			v.opened[i].Text, err = jsontext.AppendQuote(nil, given.Opened)
		}
		if err != nil {
			return v, &broker.Error{Kind: broker.Invalid, Detail: "parameter " + d.name + " is not UTF-8", Err: err}
		}
		if d.pointer {
			v.opened[i].Labels = d.labels // a pointer itself means nothing
		} else {
			v.params[i].Labels = d.labels
		}
	}
	return v, nil
}

// run is one run of a plan. Only the goroutine of Plan.Run touches waiting and failure.
// A step's goroutine writes its own entry of ends and values.steps, before it says that
// it is done; others read them after that.
type run struct {
	plan    *Plan
	runner  Runner
	values  values
	ends    []end
	done    chan int // a step that ended; has room for all
	waiting []int    // for each step, how many it still waits for
	failure error    // of the first required step that failed
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
		ends:   make([]end, n), done: make(chan int, n), waiting: make([]int, n),
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
	for ; running > 0; running-- {
		i := <-r.done
		if r.failure == nil && r.ends[i].err != nil && r.plan.steps[i].required {
			r.failure = r.failed(i)
			stop()
		}
		if r.failure != nil || canceled(ctx) {
			continue
		}
		for _, j := range r.plan.steps[i].next {
			if r.waiting[j]--; r.waiting[j] == 0 {
				start(j)
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
	answer, _, err := r.plan.answer.fill(r.values)
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
	defer func() {
		r.ends[i] = e
		r.done <- i
	}()
	input, whole, err := s.input.fill(r.values)
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
	e.elapsed = time.Since(began)
	e.outcome, e.err = judge(ctx, err)
	if e.err == nil {
		r.values.steps[i] = output
	}
}

// call calls the runner, unless time is up, and lets out what the step's view shows of what
// it returns.
func (r *run) call(ctx context.Context, s *step, input Document) (output Document, err error) {
	if err := ctx.Err(); err != nil {
		return Document{}, err
	}
	defer func() {
		if v := recover(); v != nil {
			err = &broker.Error{Kind: broker.Internal, Err: fmt.Errorf("runner panicked: %v\n%s", v, debug.Stack())}
		}
	}()
	output, err = r.runner.Run(ctx, s.call, input)
	if err != nil {
		return Document{}, err
	}
	output.Text, _, err = s.view.Append(nil, output.Text)
	if err != nil {
		return Document{}, &broker.Error{Kind: broker.Upstream, Err: fmt.Errorf("output: %w", err)}
	}
	return output, nil
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
