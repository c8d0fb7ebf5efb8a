// Package callcap owns the power to call functions of other plugins: it decides whether a
// call is within its grant and what the caller sees of the output. Who runs the function,
// and with which powers, is its Callee's.
package callcap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/view"
	"pointsman/pdk/wire"
)

// maxInput is how many bytes of input a function can be given: what a sandbox takes.
const maxInput = 1 << 20

// Callee runs functions of plugins. Safe for concurrent use.
type Callee interface {
	// Call runs a function for the plugin that makes the call caller, until ctx ends. It
	// does not change input and may keep it. The output is the caller's to keep.
	//
	// labels are those of all that the function was handed. They are true of a failure, too,
	// because a failure tells something of what was seen. Errors are *broker.Error; their
	// Detail holds names and none of the function's words.
	Call(ctx context.Context, caller broker.Call, plugin, function string, input []byte) (output []byte, labels broker.Labels, err error)
}

// Call lends one operation, "function", which takes a frame of wire.CallRequest and the
// input, and answers the output under the grant's view. The labels of the output are noted
// as seen before the caller has it, also when the view shows nothing and when it failed.
type Call struct{ Callee Callee }

// Name is "call".
func (*Call) Name() string { return "call" }

// Ops is "function".
func (*Call) Ops() []string { return []string{"function"} }

// Bind compiles a grant, a list of {function, view, clear}. An empty one lends nothing. It
// refuses a function that is not written plugin.function, or twice there. Whether it exists
// and lets itself be called is for Callee to say.
func (c *Call) Bind(scope capability.Scope) (map[string]capability.Op, error) {
	var grants []grant
	if err := capability.DecodeGrant(scope.Grant, &grants, "a list of {function, view, clear}"); err != nil {
		return nil, err
	}
	if len(grants) == 0 {
		return nil, nil
	}
	p := policy{}
	for i, g := range grants {
		e, err := c.compile(g)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
		if _, twice := p[g.Function]; twice {
			return nil, fmt.Errorf("entry %d: function %q is granted twice", i, g.Function)
		}
		p[g.Function] = e
	}
	return map[string]capability.Op{"function": p.teach(scope.Wants.Call)}, nil
}

type grant struct {
	Function string           `json:"function"`
	View     capability.Paths `json:"view"`
	Clear    []string         `json:"clear"`
}

// policy is what a plugin may call, by plugin.function. It is immutable.
type policy map[string]*entry

type entry struct {
	callee           Callee
	name             string // plugin.function
	plugin, function string
	view             view.View
	clear            broker.Labels
}

func (c *Call) compile(g grant) (*entry, error) {
	plugin, function, ok := strings.Cut(g.Function, ".")
	if !ok || plugin == "" || function == "" {
		return nil, fmt.Errorf("function is %q; want plugin.function", g.Function)
	}
	seen, err := g.View.View()
	if err != nil {
		return nil, fmt.Errorf("view: %w", err)
	}
	return &entry{
		callee: c.Callee, name: g.Function, plugin: plugin, function: function,
		view: seen, clear: broker.NewLabels(g.Clear...),
	}, nil
}

// plan decodes a request and checks it against the policy. What it returns holds copies of
// everything, so what was checked is what the function gets.
func (p policy) plan(request []byte) (capability.Planned, error) {
	head, body, err := wire.SplitFrame(request)
	if err != nil {
		return capability.Planned{}, invalid("the request is not a frame: 4 bytes of length, the head as JSON, the input")
	}
	var asked wire.CallRequest
	if err := capability.Decode(head, &asked); err != nil {
		return capability.Planned{}, err
	}
	e, ok := p[asked.Function]
	if !ok {
		return capability.Planned{}, &broker.Error{Kind: broker.Denied,
			Detail: "the plugin asked for a function that it was not granted; granted: " + p.names()}
	}
	if len(body) > maxInput {
		return capability.Planned{}, &broker.Error{Kind: broker.TooLarge, Detail: fmt.Sprintf("the input is larger than %d bytes", maxInput)}
	}
	input, _, err := view.All().Append(nil, body) // a copy, of what is strictly JSON
	if err != nil {
		return capability.Planned{}, invalid("the input is not one JSON value without repeated names, in UTF-8, of at most 64 levels")
	}
	return capability.Planned{
		Resource: e.name, Clear: e.clear,
		Do: func(ctx context.Context) ([]byte, error) { return e.call(ctx, input) },
	}, nil
}

// call has the function run and returns what the caller may see.
func (e *entry) call(ctx context.Context, input []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, &broker.Error{Kind: broker.Canceled, Detail: "the request was canceled", Err: err}
	}
	caller, _ := broker.CallFrom(ctx)
	output, labels, err := e.callee.Call(ctx, caller, e.plugin, e.function, input)
	caller.Seen.Add(labels) // also of a failure: its code was chosen by who had seen them
	if err != nil {
		return nil, err
	}
	if e.view.None() {
		return []byte("null"), nil
	}
	shown, _, err := e.view.Append(nil, output)
	if err != nil {
		return nil, &broker.Error{Kind: broker.Upstream, Detail: e.name + " answered something that is not strict JSON", Err: errors.Join(&capability.Said{Code: wire.Permanent}, err)}
	}
	return shown, nil
}

func (p policy) names() string {
	const most = 12 // named, so that a refusal stays a sentence
	names := slices.Sorted(maps.Keys(p))
	if more := len(names) - most; more > 0 {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}

func invalid(detail string) error { return &broker.Error{Kind: broker.Invalid, Detail: detail} }
