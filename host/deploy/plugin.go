package deploy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-json-experiment/json"

	"pointsman/host/admission"
	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/grant"
	"pointsman/host/parcel"
	"pointsman/host/pipeline"
	"pointsman/host/sandbox"
	"pointsman/pdk/wire"
)

// plugin is one compiled module with its grant.
type plugin struct {
	name   string
	digest string // SHA-256 of the module as delivered, hex
	grant  grant.Grant
	module sandbox.Module
	time   time.Duration    // that one call may take; 0: what the engine takes for it
	guard  *admission.Guard // of calls by steps
	// called are the guards of calls by other plugins, by the caller's name. Who is not there
	// may not call.
	called    map[string]*admission.Guard
	functions []string // that may be called
	shape     shape
	opens     []string // domains whose pointers it is handed opened
}

// runner calls plugins for one request.
type runner struct {
	release *Release
	call    broker.Call
}

// Run calls one function of a plugin in a pristine sandbox. Errors are *broker.Error.
func (r runner) Run(ctx context.Context, step pipeline.StepCall, input pipeline.Input) (*parcel.Parcel, error) {
	call := r.call
	call.Step, call.Plugin, call.Function = step.Step, step.Plugin, step.Function
	out, _, err := r.invoke(ctx, call, input)
	return out, err
}

// invoke runs call.Function of call.Plugin in a pristine sandbox, which is handed what the
// plugin's input view shows, and lets out what its output view shows and its labels allow.
// What the function began and did not wait for is over when the output is there. Errors are
// *broker.Error; with one come the labels of what the sandbox was handed until it failed.
func (r runner) invoke(ctx context.Context, call broker.Call, input pipeline.Input) (output *parcel.Parcel, seen broker.Labels, err error) {
	p := r.release.plugins[call.Plugin]
	in, err := p.shape.narrow(input)
	if err != nil {
		return nil, seen, err
	}
	if p.shape.moves && in.Parcels == nil { // another plugin calls it
		in.Parcels = parcel.NewTable()
	}
	call.Witness, call.Seen = new(broker.Witness), new(broker.Seen)
	call.LogClear = p.shape.logClear
	call.Seen.Add(in.Labels)
	text, err := r.run(ctx, call, p, in)
	if err == nil {
		output, err = r.letOut(ctx, call, p.shape, text, in.Parcels)
	}
	begun := in.Parcels.Close()
	if err != nil {
		parcel.Wait(ctx, begun)
		return nil, call.Seen.Labels().Minus(p.shape.declassified), err
	}
	return parcel.After(output, begun), seen, nil
}

// run runs call in a sandbox, which is free again when it returns. Errors are *broker.Error.
func (r runner) run(ctx context.Context, call broker.Call, p *plugin, in pipeline.Input) ([]byte, error) {
	leave, err := p.guardOf(call).Enter(ctx, admission.Caller{Route: call.Route, Consumer: call.Principal.ID})
	if err != nil {
		return nil, err
	}
	verdict := admission.Broken // if the engine breaks down over it
	defer func() { leave(verdict) }()
	began := time.Now()
	inside := parcel.WithTable(broker.WithCall(ctx, call), in.Parcels)
	out, err := p.module.Call(inside, call.Function, in.Text)
	verdict = judge(err, time.Since(began), call.Witness.Waiting(), p.time)
	if err != nil {
		failure := classify(err, call.Witness)
		r.tell(ctx, call, failure.Kind, err)
		return nil, failure
	}
	return out, nil
}

// guardOf is what stands before p when it is called so. calls.check has seen to it that there
// is one.
func (p *plugin) guardOf(call broker.Call) *admission.Guard {
	if n := len(call.Callers); n > 0 {
		return p.called[call.Callers[n-1]]
	}
	return p.guard
}

// tell puts what a plugin said when it failed into the log, or where it broke off, with the
// last host function that it called. Its words and the names of its functions are a
// stranger's text and may hold data of the request: they go nowhere else, and only into
// their own field, escaped as what it writes itself.
func (r runner) tell(ctx context.Context, call broker.Call, kind broker.Kind, err error) {
	level, text, hostCall := slog.LevelWarn, err.Error(), ""
	if kind == broker.NotFound || kind == broker.Canceled { // nothing that an operator would act on
		level = slog.LevelDebug
	}
	if guest, ok := errors.AsType[*sandbox.GuestError](err); ok {
		text, hostCall = call.Loggable(sandbox.Printable(guest.Text)), guest.HostCall
	}
	if fault, ok := errors.AsType[*sandbox.Fault](err); ok {
		hostCall = fault.HostCall
	}
	r.release.log.Log(ctx, level, "a plugin failed", "call", call.Request, "route", call.Route, "step", call.Step,
		"kind", kind.String(), slog.Group("plugin", "name", call.Plugin, "function", call.Function, "host_call", hostCall, "msg", text))
}

// classify says what a failed sandbox call means for the request. A guest's own words
// decide only the kind; they are in no part of the error.
func classify(err error, saw *broker.Witness) *broker.Error {
	if fault, ok := errors.AsType[*sandbox.Fault](err); ok {
		cause := fmt.Errorf("the plugin broke off: %s", fault.Kind)
		switch fault.Kind {
		case sandbox.Timeout:
			return &broker.Error{Kind: broker.UpstreamTimeout, Err: cause}
		case sandbox.Stopped:
			return &broker.Error{Kind: broker.Canceled, Err: cause}
		}
		return &broker.Error{Kind: broker.Upstream, Err: cause}
	}
	if errors.Is(err, sandbox.ErrClosed) { // the release had to go before the request was done
		return &broker.Error{Kind: broker.Unavailable, Err: err}
	}
	guest, ok := errors.AsType[*sandbox.GuestError](err)
	if !ok {
		return &broker.Error{Kind: broker.Internal, Err: err}
	}
	var said wire.Error
	if json.Unmarshal([]byte(guest.Text), &said) != nil || !said.Code.Valid() {
		return &broker.Error{Kind: broker.Upstream, Err: errors.New("the plugin failed without one of our words")}
	}
	after := min(max(said.AfterMS, 0), maxAfter.Milliseconds())
	return capability.Failed(said.Code, saw.Timeout(), time.Duration(after)*time.Millisecond)
}

// maxAfter is the longest wait that a guest's word is taken for: a back end that is away
// for longer is not one to wait for.
const maxAfter = time.Hour
