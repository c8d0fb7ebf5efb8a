// Package capabilitytest owns the suite that every capability passes: what the interface
// promises, with a case for each promise.
package capabilitytest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pointsman/host/broker"
	"pointsman/host/capability"
)

// Case is one operation with a request that its grant allows.
type Case struct {
	Name    string
	Grant   string // as in a manifest, JSON
	Op      string
	Request []byte
	// Canaries are values inside Request, such as ids. They must appear neither in the
	// resource nor in any refusal.
	Canaries []string
	// Effects returns how often something happened outside so far: records written,
	// requests that a server got.
	Effects func() int
}

// Run checks what c promises. Cases are for each operation that c has.
func Run(t *testing.T, c capability.Capability, cases ...Case) {
	t.Helper()
	if len(cases) == 0 {
		t.Fatal("no cases: nothing would be tested")
	}
	t.Run("zero scope lends nothing", func(t *testing.T) { zeroScope(t, c) })
	t.Run("grants that make no sense", func(t *testing.T) { badGrants(t, c) })
	for _, k := range cases {
		t.Run(k.Name, func(t *testing.T) {
			op := bind(t, c, k)
			t.Run("refuses garbage", func(t *testing.T) { garbage(t, op, k) })
			t.Run("plans without effect", func(t *testing.T) { plans(t, op, k) })
			t.Run("canceled", func(t *testing.T) { canceled(t, op, k) })
			t.Run("does what was checked", func(t *testing.T) { does(t, op, k) })
		})
	}
}

func zeroScope(t *testing.T, c capability.Capability) {
	for _, grant := range []json.RawMessage{nil, {}, json.RawMessage("null")} {
		ops, err := c.Bind(capability.Scope{Plugin: "p", Grant: grant})
		if err != nil || len(ops) != 0 {
			t.Errorf("grant %q: lends %d operations, %v, want none", grant, len(ops), err)
		}
	}
}

func badGrants(t *testing.T, c capability.Capability) {
	for _, grant := range []string{"x", "{", "[", "1", `"all"`, "true", `{"unknown":1}`, `[{"unknown":1}]`, "{}{}", "[][]", "[[]]", "\xff", strings.Repeat("[", 100000)} {
		ops, err := c.Bind(capability.Scope{Plugin: "p", Grant: json.RawMessage(grant)})
		if err == nil {
			t.Errorf("grant %.40q: lends %d operations, want a refusal", grant, len(ops))
		}
	}
}

func bind(t *testing.T, c capability.Capability, k Case) capability.Op {
	t.Helper()
	before := k.Effects()
	ops, err := c.Bind(capability.Scope{Plugin: "p", Grant: json.RawMessage(k.Grant)})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(c.Ops()) {
		t.Errorf("Ops() is %v, want it sorted", c.Ops())
	}
	for name := range ops {
		if !slices.Contains(c.Ops(), name) {
			t.Errorf("lends %q, which Ops() does not name", name)
		}
	}
	op, ok := ops[k.Op]
	if !ok {
		t.Fatalf("the grant does not lend %q", k.Op)
	}
	if k.Effects() != before {
		t.Error("Bind had an effect")
	}
	return op
}

// garbage sends what hostile guests send. Nothing may panic, and what is refused must say
// why without repeating it.
func garbage(t *testing.T, op capability.Op, k Case) {
	before := k.Effects()
	requests := map[string][]byte{
		"nothing": nil, "a zero": {0}, "zeros": make([]byte, 16), "ones": bytes.Repeat([]byte{0xff}, 64), "text": []byte("hello, this is not a request"),
		"null": []byte("null"), "a list": []byte("[]"), "a number": []byte("1"), "an empty object": []byte("{}"), "deep": bytes.Repeat([]byte("["), 100000), "large": make([]byte, 16<<20),
	}
	for name, r := range requests {
		if _, err := op(r); err == nil {
			t.Errorf("%s was planned, want a refusal", name)
		} else {
			refusal(t, name, err, k)
		}
	}
	for i := range k.Request {
		tryOp(t, fmt.Sprintf("the first %d bytes", i), op, k, k.Request[:i])
		for _, bit := range []byte{0x01, 0x20, 0x80} {
			flipped := bytes.Clone(k.Request)
			flipped[i] ^= bit
			tryOp(t, fmt.Sprintf("byte %d changed by %#x", i, bit), op, k, flipped)
		}
	}
	if k.Effects() != before {
		t.Error("planning had an effect")
	}
}

// tryOp allows both answers: a request that was changed may still be a good one.
func tryOp(t *testing.T, name string, op capability.Op, k Case, request []byte) {
	t.Helper()
	if planned, err := op(request); err != nil {
		refusal(t, name, err, k)
	} else if planned.Do == nil || planned.Resource == "" {
		t.Errorf("%s: planned without a resource or an effect", name)
	}
}

func refusal(t *testing.T, name string, err error, k Case) {
	t.Helper()
	e, ok := errors.AsType[*broker.Error](err)
	if !ok {
		t.Errorf("%s: refused with %T (%v), want a *broker.Error", name, err, err)
		return
	}
	switch e.Kind {
	case broker.Denied, broker.Invalid, broker.TooLarge:
	default:
		t.Errorf("%s: refused as %v, want denied, invalid or too large", name, e.Kind)
	}
	if e.Detail == "" {
		t.Errorf("%s: the refusal does not say why", name)
	}
	noCanary(t, name, err.Error(), k)
}

func plans(t *testing.T, op capability.Op, k Case) {
	before := k.Effects()
	planned, err := op(bytes.Clone(k.Request))
	if err != nil {
		t.Fatal(err)
	}
	if k.Effects() != before {
		t.Error("planning had an effect")
	}
	if planned.Resource == "" {
		t.Error("no resource: the audit log could not name what is used")
	}
	noCanary(t, "resource", planned.Resource, k)
}

func canceled(t *testing.T, op capability.Op, k Case) {
	before := k.Effects()
	planned, err := op(bytes.Clone(k.Request))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(call())
	cancel()
	_, err = planned.Do(ctx)
	if kind := broker.KindOf(err); err == nil || kind != broker.Canceled {
		t.Errorf("got %v, want an error of kind canceled", err)
	}
	if k.Effects() != before {
		t.Error("it was done all the same")
	}
}

// does changes the request between the check and the effect, as a guest would that shares
// memory with the host.
func does(t *testing.T, op capability.Op, k Case) {
	before := k.Effects()
	request := bytes.Clone(k.Request)
	planned, err := op(request)
	if err != nil {
		t.Fatal(err)
	}
	for i := range request {
		request[i] = 0xff
	}
	if _, err := planned.Do(call()); err != nil {
		t.Fatal(err)
	}
	if n := k.Effects() - before; n != 1 {
		t.Errorf("%d effects, want 1", n)
	}
}

func noCanary(t *testing.T, where, text string, k Case) {
	t.Helper()
	for _, canary := range k.Canaries {
		if strings.Contains(text, canary) {
			t.Errorf("%s: %q holds the value %q", where, text, canary)
		}
	}
}

func call() context.Context {
	return broker.WithCall(context.Background(), broker.Call{
		Request: "01HZZZZZZZZZZZZZZZZZZZZZZZ", Principal: broker.Principal{ID: "c", Sector: "c"}, Plugin: "p", Step: "s", Budget: broker.NewBudget(1000),
	})
}
