package capability

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"pointsman/host/audit"
	"pointsman/host/broker"
	"pointsman/host/grant"
	"pointsman/host/parcel"
	"pointsman/host/sandbox"
	"pointsman/pdk/wire"
)

// Recorder keeps the record of every use. *audit.Log is one.
type Recorder interface {
	Use(ctx context.Context, u audit.Use) error
}

// Gate lends capabilities to plugins and stands between them and every use.
// Safe for concurrent use.
type Gate struct {
	Capabilities []Capability
	Recorder     Recorder
	// Fault is told of every effect that failed and every record that could not be kept, with
	// the cause that the plugin is not told, and of bugs of ours. Required; safe for
	// concurrent use.
	Fault func(call broker.Call, resource string, err error)
}

// Names are the capabilities that this gate can lend, in its order.
func (g *Gate) Names() []string {
	names := make([]string, len(g.Capabilities))
	for i, c := range g.Capabilities {
		names[i] = c.Name()
	}
	return names
}

// Lend returns the host functions that gr allows. What it does not allow is not there.
func (g *Gate) Lend(gr grant.Grant) ([]sandbox.Import, error) {
	var lent []sandbox.Import
	for _, c := range g.Capabilities {
		raw, ok := gr.Scope(c.Name())
		if !ok {
			continue
		}
		ops, err := c.Bind(Scope{Plugin: gr.Plugin(), Grant: raw, Wants: gr.Wants()})
		if err != nil {
			return nil, fmt.Errorf("grants.%s: %w", c.Name(), err)
		}
		for name, op := range ops {
			lent = append(lent, sandbox.Import{Capability: c.Name(), Op: name, Do: g.door(c, name, op)})
		}
	}
	return lent, nil
}

// Lendable lists every operation of every capability. Its functions refuse: it is for
// telling what a module could be lent, not for lending.
func (g *Gate) Lendable() []sandbox.Import {
	refuse := func(context.Context, []byte) []byte {
		return wire.Failed(wire.Error{Code: wire.Denied, Message: "nothing was granted"})
	}
	var all []sandbox.Import
	for _, c := range g.Capabilities {
		for _, op := range c.Ops() {
			all = append(all, sandbox.Import{Capability: c.Name(), Op: op, Do: refuse})
		}
	}
	return all
}

// door is the middleware around one operation: identity, budget, check, record, do.
func (g *Gate) door(c Capability, name string, op Op) func(context.Context, []byte) []byte {
	return func(ctx context.Context, request []byte) (reply []byte) {
		call, _ := broker.CallFrom(ctx)
		use := audit.Use{
			Request: call.Request, Principal: call.Principal.ID, Release: call.Release, Route: call.Route,
			Step: call.Step, Plugin: call.Plugin, Function: call.Function, Capability: c.Name(), Op: name,
		}
		defer func() {
			if r := recover(); r != nil { // a bug of ours; the guest learns nothing of it
				g.Fault(call, use.Resource, fmt.Errorf("%s.%s panicked: %s\n%s", c.Name(), name, panicWord(r), debug.Stack()))
				reply = wire.Failed(wire.Error{Code: wire.Permanent, Message: "internal error"})
			}
		}()
		pass := g.pass
		if !c.Recorded() {
			pass = g.passUnrecorded
		}
		payload, err := pass(ctx, call, &use, op, request)
		if err != nil {
			if broker.KindOf(err) == broker.UpstreamTimeout {
				call.Witness.SawTimeout()
			}
			return wire.Failed(wireError(err))
		}
		return wire.Done(payload)
	}
}

// pass takes one request through the gate. What cannot be recorded is not done.
func (g *Gate) pass(ctx context.Context, call broker.Call, use *audit.Use, op Op, request []byte) ([]byte, error) {
	if call.Principal.ID == "" {
		return nil, g.refuse(ctx, call, use, errNobody())
	}
	if ok, first := call.Budget.Take(); !ok {
		if first { // a storm of calls must not become a storm of records
			return nil, g.refuse(ctx, call, use, errSpent())
		}
		return nil, errSpent()
	}
	planned, err := op(request)
	use.Resource = planned.Resource
	if err == nil {
		err = cleared(ctx, call, planned)
	}
	if err != nil {
		return nil, g.refuse(ctx, call, use, err)
	}
	use.Decision = audit.Allowed
	if err := g.record(ctx, call, use); err != nil {
		return nil, err
	}
	if planned.Promise != nil {
		return g.promise(ctx, call, *use, planned.Promise)
	}
	payload, err := planned.Do(ctx)
	if err != nil {
		g.Fault(call, use.Resource, err)
		if broker.KindOf(err) == broker.Denied { // decided only now: an address that a name came to
			return nil, g.refuse(ctx, call, use, err)
		}
		return nil, err
	}
	call.Seen.Add(planned.Yields) // before the guest has it
	return payload, nil
}

// promise has the effect on a goroutine of its own and gives the plugin the number of what
// comes of it. What comes of it is recorded and reported as if the plugin had waited.
func (g *Gate) promise(ctx context.Context, call broker.Call, use audit.Use, p *Promise) ([]byte, error) {
	h, err := parcel.TableFrom(ctx).Begin(p.Facts, func(ctx context.Context) (parcel.Value, error) {
		v, err := g.fetch(ctx, call, use, p)
		if broker.KindOf(err) == broker.UpstreamTimeout && err != nil {
			call.Witness.SawTimeout()
		}
		return v, err
	})
	if err != nil {
		return nil, err
	}
	return Number(h), nil
}

func (g *Gate) fetch(ctx context.Context, call broker.Call, use audit.Use, p *Promise) (v parcel.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &broker.Error{Kind: broker.Internal, Err: fmt.Errorf("%s.%s panicked: %s\n%s", use.Capability, use.Op, panicWord(r), debug.Stack())}
			g.Fault(call, use.Resource, err)
		}
	}()
	if v, err = p.Fetch(ctx); err == nil {
		return v, nil
	}
	if said, ok := errors.AsType[*Said](err); !ok || said == nil { // what a back end's status means is no fault of ours
		g.Fault(call, use.Resource, err)
	}
	if broker.KindOf(err) == broker.Denied {
		return parcel.Value{}, g.refuse(ctx, call, &use, err)
	}
	return parcel.Value{}, err
}

// Number is the payload that gives a plugin a parcel.
func Number(h parcel.Handle) []byte {
	return append(h.Append([]byte(`{"parcel":`)), '}')
}

// cleared refuses a use by which data could leave that its power is not cleared for.
func cleared(ctx context.Context, call broker.Call, planned Planned) error {
	if planned.Inward {
		return nil
	}
	if missing := call.Seen.Labels().Minus(planned.Clear); !missing.Empty() {
		return lacks("has seen", missing)
	}
	if planned.Carries == nil {
		return nil
	}
	carried, err := planned.Carries(ctx)
	if err != nil {
		return err
	}
	if missing := carried.Minus(planned.Clear); !missing.Empty() {
		return lacks("sends", missing)
	}
	return nil
}

func lacks(does string, missing broker.Labels) error {
	return &broker.Error{Kind: broker.Denied, Err: &uncleared{missing}, Detail: fmt.Sprintf(
		"the plugin %s data labelled %v, and this grant is not cleared for it; clear would list the labels", does, missing)}
}

// uncleared is the cause of a refusal for want of clearance.
type uncleared struct{ labels broker.Labels }

func (u *uncleared) Error() string { return "not cleared for " + u.labels.String() }

// passUnrecorded is pass for a power that is not security relevant.
func (g *Gate) passUnrecorded(ctx context.Context, call broker.Call, use *audit.Use, op Op, request []byte) ([]byte, error) {
	if call.Principal.ID == "" {
		return nil, errNobody()
	}
	planned, err := op(request)
	if err != nil {
		return nil, err
	}
	use.Resource = planned.Resource
	if err := cleared(ctx, call, planned); err != nil {
		// The power's own uses are not worth a record; that data was kept from leaving is.
		if call.Seen.FirstRefusal(use.Capability) {
			return nil, g.refuse(ctx, call, use, err)
		}
		return nil, err
	}
	payload, err := planned.Do(ctx)
	if err != nil {
		g.Fault(call, use.Resource, err)
		return nil, err
	}
	call.Seen.Add(planned.Yields)
	return payload, nil
}

// refuse records a refusal and returns it.
func (g *Gate) refuse(ctx context.Context, call broker.Call, use *audit.Use, refusal error) error {
	use.Decision, use.Reason = audit.Denied, reason(refusal)
	if u, ok := errors.AsType[*uncleared](refusal); ok {
		use.Labels = u.labels.String()
	}
	if err := g.record(ctx, call, use); err != nil {
		return err
	}
	return refusal
}

// record keeps use. The error is for the guest; the cause goes to Fault.
func (g *Gate) record(ctx context.Context, call broker.Call, use *audit.Use) error {
	err := g.Recorder.Use(ctx, *use)
	if err == nil {
		return nil
	}
	g.Fault(call, use.Resource, fmt.Errorf("record the use: %w", err))
	return &broker.Error{Kind: broker.Unavailable, Detail: "the use could not be recorded", Err: err}
}

func errNobody() error {
	return &broker.Error{Kind: broker.Denied, Detail: "no principal stands behind this call"}
}

func errSpent() error {
	return &broker.Error{Kind: broker.Denied, Detail: "the request has used up its budget of host calls"}
}

// panicWord is what may be told of a panic's value: it can hold data of a request, unless
// it is of Go's own making.
func panicWord(value any) string {
	if e, ok := value.(runtime.Error); ok {
		return e.Error()
	}
	return fmt.Sprintf("%T", value)
}

func reason(err error) string {
	if e, ok := errors.AsType[*broker.Error](err); ok && e.Detail != "" {
		return e.Detail
	}
	return broker.KindOf(err).String()
}

// wireError is what a guest is told of err: a code and the Detail, never the cause.
func wireError(err error) wire.Error {
	e, ok := errors.AsType[*broker.Error](err)
	if !ok || e.Kind == broker.Internal {
		return wire.Error{Code: wire.Permanent, Message: "internal error"}
	}
	code, after := wire.Permanent, time.Duration(0)
	switch e.Kind {
	case broker.Denied:
		code = wire.Denied
	case broker.NotFound:
		code = wire.NotFound
	case broker.RateLimited:
		code, after = wire.RateLimited, e.After
	case broker.Unavailable: // a breaker that is open says for how long
		code, after = wire.Transient, e.After
	case broker.Upstream, broker.UpstreamTimeout, broker.Canceled:
		code = wire.Transient
	}
	if said, ok := errors.AsType[*Said](e.Err); ok {
		code, after = said.Code, e.After
	}
	message := e.Detail
	if message == "" {
		message = e.Kind.String()
	}
	return wire.Error{Code: code, Message: message, AfterMS: after.Milliseconds()}
}
