package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/manifest"
	"pointsman/host/pipeline"
	"pointsman/pdk/wire"
)

// calls has plugins of one release run each other's functions; it is a callcap.Callee. A
// function that another plugin calls runs as one that a step calls, with its own grants,
// views, limits and clearance, for the same consumer, under the request's identity, deadline
// and budget of uses. What its caller has seen it has seen, too: the input may hold it.
//
// What is checked here was checked in the manifests already. It is checked again where it
// happens, because everything else relies on it: that the memory of a chain is lent with that
// of its first sandbox, and that nobody waits in a circle.
type calls struct{ release *Release }

// Call implements callcap.Callee. A refusal is Denied. Any other failure is capability.Said,
// with the code that the function failed with.
func (c calls) Call(ctx context.Context, caller broker.Call, plugin, function string, input []byte) ([]byte, broker.Labels, error) {
	call := caller
	call.Callers = append(slices.Clone(caller.Callers), caller.Plugin)
	call.Plugin, call.Function = plugin, function
	if err := c.check(call); err != nil {
		return nil, broker.Labels{}, err
	}
	out, seen, err := runner{c.release, call}.invoke(ctx, call, pipeline.Input{Text: input, Labels: caller.Seen.Labels()})
	if err != nil {
		return nil, seen, failureOf(call, err)
	}
	labels := out.Facts().Labels.All()
	v, err := out.Wait(ctx)
	if err != nil {
		return nil, labels, failureOf(call, err)
	}
	return v.Append(nil), labels, nil
}

// check refuses a call of a plugin by another. Its words are names of the manifests.
func (c calls) check(call broker.Call) error {
	caller, p := call.Callers[len(call.Callers)-1], c.release.plugins[call.Plugin]
	switch {
	case slices.Contains(call.Callers, call.Plugin):
		return refusedCall("plugin %s waits for this call already; plugins must not call each other in a circle", call.Plugin)
	case len(call.Callers) > manifest.MaxCallDepth:
		return refusedCall("%d plugins wait for each other already, and %d is the most", len(call.Callers), manifest.MaxCallDepth)
	case p == nil || p.called[caller] == nil:
		return refusedCall("plugin %s does not let itself be called by %s; callableBy would list it", call.Plugin, caller)
	case !slices.Contains(p.functions, call.Function):
		return refusedCall("plugin %s has no function %s", call.Plugin, call.Function)
	}
	return nil
}

func refusedCall(format string, args ...any) error {
	return &broker.Error{Kind: broker.Denied, Detail: fmt.Sprintf(format, args...)}
}

// failureOf is what a failed call comes to for its caller: a code, and names. Whatever was
// refused has been recorded under the name of the plugin that was refused it, so that this
// is no refusal any more.
func failureOf(call broker.Call, err error) error {
	f := &broker.Error{Kind: broker.Upstream}
	code := wire.Permanent // it broke off, or its output is nothing that could be passed on
	e, ok := errors.AsType[*broker.Error](err)
	if ok {
		f.After = e.After
		switch e.Kind {
		case broker.UpstreamTimeout, broker.Unavailable, broker.Canceled:
			f.Kind, code = e.Kind, wire.Transient
		case broker.NotFound:
			f.Kind, code = e.Kind, wire.NotFound
		case broker.Denied: // its output was kept from leaving
			code = wire.Denied
		}
	}
	if said, ok := errors.AsType[*capability.Said](err); ok {
		code = said.Code
	}
	f.Detail = fmt.Sprintf("%s.%s failed: %s", call.Plugin, call.Function, code)
	f.Err = &capability.Said{Code: code}
	return f
}
