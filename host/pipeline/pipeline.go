// Package pipeline owns the run of a route's steps: which may start, how long they may
// take, and how what they answer becomes one answer. It knows neither HTTP nor Wasm.
package pipeline

import (
	"context"
	"time"

	"pointsman/host/broker"
	"pointsman/host/parcel"
	"pointsman/host/view"
)

// Runner calls the function of a plugin.
type Runner interface {
	// Run gives input, whose text nobody changes any more, to the function that step names,
	// and returns its output: what is there, or a promise of it. The output is settled soon
	// after ctx ends, and Run returns soon after that: the pipeline waits for both. It is
	// called concurrently.
	//
	// Whose fault an error is says the *broker.Error in its chain, of what settles the output,
	// too; any other error is Internal. NotFound means that there is no such record.
	Run(ctx context.Context, step StepCall, input Input) (output *parcel.Parcel, err error)
}

// Input is what a step hands to its plugin.
type Input struct {
	Text   []byte // JSON
	Labels broker.Labels
	// Parcels are the documents that stand in the text as {"$parcel": number}; nil for a
	// plugin that does not take any. The runner closes it.
	Parcels *parcel.Table
}

// Plugins says what plugins take of their inputs. nil means that none opens or moves anything.
type Plugins interface {
	// Opens reports whether a plugin gets what the pointers of a domain point at.
	Opens(plugin, domain string) bool
	// Moves reports whether a plugin takes the outputs of steps as parcels, and what of its
	// input it may read nevertheless. What may be read whole is handed over as text.
	Moves(plugin string) (reads view.View, ok bool)
}

// Param is the value of a parameter in one request.
type Param struct {
	Value string
	// Opened is what a pointer points at. The steps whose plugin may open the pointers of
	// its domain get it in place of Value; all else, the answer too, has Value.
	Opened string
}

// StepCall names what a step calls.
type StepCall struct {
	Step     string // the step's name in its route
	Plugin   string
	Function string
}

// Result is what a run came to.
type Result struct {
	// Answer is a valid JSON text; nil if Run failed. The caller owns it.
	Answer []byte
	// Labels are those of all that the answer was made of.
	Labels broker.Labels
	// Sources says how every step went, in the order of the route. A step that was not
	// run because a reference led to nothing, or because the request had failed before,
	// is Absent and took no time.
	Sources []broker.Source
	// Complete is true if every source is OK.
	Complete bool
}

// Plan is a compiled route. It does not change, and may run any number of times at once.
type Plan struct {
	deadline time.Duration
	params   []param
	steps    []step
	answer   template
}

type param struct {
	name     string
	fallback *string // nil: nothing stands in for a missing one
	labels   broker.Labels
	pointer  bool // labels are of what it points at
}

type step struct {
	call     StepCall
	input    template
	moves    bool      // takes parcels
	view     view.View // of the output
	required bool
	deadline time.Duration // 0: only the route's
	waits    int           // number of steps that the input refers to
	next     []int         // steps that wait for the end of this one, ascending
	early    []int         // steps that wait for its promise only, ascending
}

// Run runs the plan once, with the values of the route's parameters, and returns when
// every step it started has ended.
//
// A step starts as soon as the steps that it refers to have ended, and ends with its own
// deadline or the route's. One whose plugin takes parcels does not wait for the end of the
// steps that it refers to as a whole: it starts when they have promised their output. If a required step fails, those still running are stopped and
// the error is a *broker.Error whose kind says why; the result then has the sources only.
// The failure of any other step is an outcome: to those who refer to the whole step it is
// null, and those who refer into it are not run. In the answer, what leads to nothing is
// null.
//
// If ctx is cancelled, the error is of kind Canceled.
func (p *Plan) Run(ctx context.Context, run Runner, params map[string]Param) (Result, error) {
	values, err := p.bind(params)
	if err != nil {
		return Result{Sources: p.sources()}, err
	}
	return newRun(p, run, values).all(ctx)
}

// sources returns the sources of a run that did not begin.
func (p *Plan) sources() []broker.Source {
	s := make([]broker.Source, len(p.steps))
	for i := range p.steps {
		s[i] = broker.Source{Name: p.steps[i].call.Step, Outcome: broker.Absent}
	}
	return s
}
