package capability_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/audit"
	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/grant"
	"pointsman/host/sandbox"
	"pointsman/pdk/wire"
)

const canary = "canary-51b0-of-a-back-end"

// power is a capability whose operation is a function, and which counts its effects.
type power struct {
	unrecorded bool
	op         func(request []byte) (capability.Planned, error)
	bindErr    error
	done       atomic.Int64
}

func (p *power) Name() string   { return "http" }
func (p *power) Ops() []string  { return []string{"other", "request"} }
func (p *power) Recorded() bool { return !p.unrecorded }

func (p *power) Bind(capability.Scope) (map[string]capability.Op, error) {
	if p.bindErr != nil {
		return nil, p.bindErr
	}
	return map[string]capability.Op{"request": p.plan}, nil
}

func (p *power) plan(request []byte) (capability.Planned, error) {
	if p.op != nil {
		return p.op(request)
	}
	return p.does(nil, nil)(request)
}

// does is an operation whose effect returns err, after what before does.
func (p *power) does(err error, before func()) func([]byte) (capability.Planned, error) {
	return func(request []byte) (capability.Planned, error) {
		return capability.Planned{Resource: "crm GET /contacts/{id}", Do: func(context.Context) ([]byte, error) {
			p.done.Add(1)
			if before != nil {
				before()
			}
			return append([]byte("did "), request...), err
		}}, nil
	}
}

// world is a gate with everything around it.
type world struct {
	power  *power
	gate   capability.Gate
	door   func(context.Context, []byte) []byte
	mu     sync.Mutex
	uses   []audit.Use // guarded by mu
	faults []string    // guarded by mu; resource, colon, error
	dead   error       // what Use returns
}

func (w *world) Use(_ context.Context, u audit.Use) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.uses = append(w.uses, u)
	return w.dead
}

func (w *world) fault(_ broker.Call, resource string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, resource+": "+err.Error())
}

func newWorld(t *testing.T, p *power) *world {
	t.Helper()
	w := &world{power: p}
	w.gate = capability.Gate{Capabilities: []capability.Capability{p}, Recorder: w, Fault: w.fault}
	lent, err := w.gate.Lend(approved(t))
	if err != nil || len(lent) != 1 || lent[0].Capability != "http" || lent[0].Op != "request" {
		t.Fatalf("lent %v, %v, want http.request", lent, err)
	}
	w.door = lent[0].Do
	return w
}

func approved(t *testing.T) grant.Grant {
	t.Helper()
	g, err := grant.Approve(grant.Ask{
		Plugin: "p", Offered: []string{"http"},
		Grants: map[string]json.RawMessage{"http": json.RawMessage(`[{"backend":"crm","allow":["GET /contacts/{id}"]}]`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func fullCall(budget int) broker.Call {
	return broker.Call{
		Request: "01HZZZZZZZZZZZZZZZZZZZZZZZ", Principal: broker.Principal{ID: "shop"}, Release: 7, Route: "customer",
		Step: "crm", Plugin: "p", Function: "find", Budget: broker.NewBudget(budget), Witness: new(broker.Witness),
	}
}

// use is the record of fullCall's use.
func use(resource string, decision audit.Decision, reason string) audit.Use {
	return audit.Use{
		Request: "01HZZZZZZZZZZZZZZZZZZZZZZZ", Principal: "shop", Release: 7, Route: "customer", Step: "crm", Plugin: "p",
		Function: "find", Capability: "http", Op: "request", Resource: resource, Decision: decision, Reason: reason,
	}
}

// told is the error that the guest got, nil if none.
func told(t *testing.T, reply []byte) *wire.Error {
	t.Helper()
	_, err := wire.ParseReply(reply)
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*wire.Error](err)
	if !ok {
		t.Fatalf("the reply %q is none: %v", reply, err)
	}
	return e
}

func TestGateRefuses(t *testing.T) {
	const template = "crm GET /contacts/{id}"
	broken := errors.New("disk full at " + canary)
	nobody := fullCall(5)
	nobody.Principal = broker.Principal{}
	poor := fullCall(5)
	poor.Budget = nil
	refusal := func(kind broker.Kind, detail string) func([]byte) (capability.Planned, error) {
		return func([]byte) (capability.Planned, error) {
			return capability.Planned{Resource: template}, &broker.Error{Kind: kind, Detail: detail, Err: errors.New(canary)}
		}
	}
	anonymous := use("", audit.Denied, "no principal stands behind this call")
	anonymous.Principal = ""
	tests := []struct {
		name      string
		call      broker.Call
		power     *power
		dead      error
		want      wire.Error
		wantUses  []audit.Use
		wantFault string // "" for none
		wantDone  int64
	}{
		{"the zero call", broker.Call{}, &power{}, nil,
			wire.Error{Code: wire.Denied, Message: "no principal stands behind this call"},
			[]audit.Use{{Capability: "http", Op: "request", Decision: audit.Denied, Reason: "no principal stands behind this call"}}, "", 0},
		{"no principal", nobody, &power{}, nil,
			wire.Error{Code: wire.Denied, Message: "no principal stands behind this call"}, []audit.Use{anonymous}, "", 0},
		{"no budget at all", poor, &power{}, nil,
			wire.Error{Code: wire.Denied, Message: "the request has used up its budget of host calls"},
			[]audit.Use{use("", audit.Denied, "the request has used up its budget of host calls")}, "", 0},
		{"budget used up", fullCall(0), &power{}, nil,
			wire.Error{Code: wire.Denied, Message: "the request has used up its budget of host calls"},
			[]audit.Use{use("", audit.Denied, "the request has used up its budget of host calls")}, "", 0},
		{"refused by the operation", fullCall(5), &power{op: refusal(broker.Denied, "granted: GET /contacts/{id}")}, nil,
			wire.Error{Code: wire.Denied, Message: "granted: GET /contacts/{id}"},
			[]audit.Use{use(template, audit.Denied, "granted: GET /contacts/{id}")}, "", 0},
		{"not decoded by the operation", fullCall(5), &power{op: refusal(broker.Invalid, "")}, nil,
			wire.Error{Code: wire.Permanent, Message: "invalid"}, []audit.Use{use(template, audit.Denied, "invalid")}, "", 0},
		{"refused without a kind", fullCall(5), &power{op: func([]byte) (capability.Planned, error) { return capability.Planned{}, errors.New(canary) }}, nil,
			wire.Error{Code: wire.Permanent, Message: "internal error"}, []audit.Use{use("", audit.Denied, "internal")}, "", 0},
		{"allowed but not recorded", fullCall(5), &power{}, broken,
			wire.Error{Code: wire.Transient, Message: "the use could not be recorded"},
			[]audit.Use{use(template, audit.Allowed, "")}, "record the use: disk full", 0},
		{"refused and not recorded", fullCall(5), &power{op: refusal(broker.Denied, "no")}, broken,
			wire.Error{Code: wire.Transient, Message: "the use could not be recorded"},
			[]audit.Use{use(template, audit.Denied, "no")}, "record the use: disk full", 0},
		{"the operation panics", fullCall(5), &power{op: func([]byte) (capability.Planned, error) { panic(canary) }}, nil,
			wire.Error{Code: wire.Permanent, Message: "internal error"}, nil, "http.request panicked: string", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.power)
			w.dead = tt.dead
			reply := w.door(broker.WithCall(context.Background(), tt.call), []byte("request"))
			if diff := cmp.Diff(&tt.want, told(t, reply)); diff != "" {
				t.Errorf("the guest was told (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.wantUses, w.uses); diff != "" {
				t.Errorf("recorded (-want +got):\n%s", diff)
			}
			if got := strings.Join(w.faults, "\n"); tt.wantFault == "" && got != "" || !strings.Contains(got, tt.wantFault) {
				t.Errorf("Fault was told %q, want %q", got, tt.wantFault)
			}
			if n := tt.power.done.Load(); n != tt.wantDone {
				t.Errorf("done %d times, want %d", n, tt.wantDone)
			}
		})
	}
}

// TestGateWithoutCall: a context that carries no call is nobody's.
func TestGateWithoutCall(t *testing.T) {
	for _, p := range []*power{{}, {unrecorded: true}} {
		w := newWorld(t, p)
		if e := told(t, w.door(context.Background(), nil)); e == nil || e.Code != wire.Denied || p.done.Load() != 0 {
			t.Errorf("unrecorded %v: told %v, done %d times, want a denial and nothing done", p.unrecorded, e, p.done.Load())
		}
	}
}

// TestGateStorm: of a storm of calls beyond the budget one refusal is recorded, and every
// one is refused.
func TestGateStorm(t *testing.T) {
	const budget, callers, each = 10, 8, 50
	w := newWorld(t, &power{})
	ctx := broker.WithCall(context.Background(), fullCall(budget))
	var refused atomic.Int64
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for range each {
				if _, err := wire.ParseReply(w.door(ctx, nil)); err != nil {
					refused.Add(1)
				}
			}
		})
	}
	group.Wait()
	count := map[audit.Decision]int{}
	for _, u := range w.uses {
		count[u.Decision]++
	}
	if diff := cmp.Diff(map[audit.Decision]int{audit.Allowed: budget, audit.Denied: 1}, count); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
	if done, n := w.power.done.Load(), refused.Load(); done != budget || n != callers*each-budget {
		t.Errorf("%d done and %d refused, want %d and %d", done, n, budget, callers*each-budget)
	}
}

// TestGateFailures: the effect was tried and recorded as allowed; the guest learns what it
// may, Fault the rest.
func TestGateFailures(t *testing.T) {
	const template = "crm GET /contacts/{id}"
	allowed := use(template, audit.Allowed, "")
	cause := errors.New("dial 10.0.0.7: " + canary)
	tests := []struct {
		name        string
		err         error
		before      func()
		want        wire.Error
		wantUses    []audit.Use
		wantFault   string
		wantTimeout bool
	}{
		{"not an error of ours", cause, nil, wire.Error{Code: wire.Permanent, Message: "internal error"}, []audit.Use{allowed}, canary, false},
		{"internal", &broker.Error{Kind: broker.Internal, Detail: "frame", Err: cause}, nil, wire.Error{Code: wire.Permanent, Message: "internal error"}, []audit.Use{allowed}, canary, false},
		{"invalid", &broker.Error{Kind: broker.Invalid, Detail: "d", Err: cause}, nil, wire.Error{Code: wire.Permanent, Message: "d"}, []audit.Use{allowed}, canary, false},
		{"too large", &broker.Error{Kind: broker.TooLarge, Detail: "d", Err: cause}, nil, wire.Error{Code: wire.Permanent, Message: "d"}, []audit.Use{allowed}, canary, false},
		{"not found", &broker.Error{Kind: broker.NotFound, Detail: "d", Err: cause}, nil, wire.Error{Code: wire.NotFound, Message: "d"}, []audit.Use{allowed}, canary, false},
		{"rate limited", &broker.Error{Kind: broker.RateLimited, Detail: "d", Err: cause, After: 1500 * time.Millisecond}, nil, wire.Error{Code: wire.RateLimited, Message: "d", AfterMS: 1500}, []audit.Use{allowed}, canary, false},
		{"unavailable", &broker.Error{Kind: broker.Unavailable, Detail: "d", Err: cause, After: time.Second}, nil, wire.Error{Code: wire.Transient, Message: "d", AfterMS: 1000}, []audit.Use{allowed}, canary, false},
		{"upstream", &broker.Error{Kind: broker.Upstream, Detail: "d", Err: cause}, nil, wire.Error{Code: wire.Transient, Message: "d"}, []audit.Use{allowed}, canary, false},
		{"canceled", &broker.Error{Kind: broker.Canceled, Err: cause}, nil, wire.Error{Code: wire.Transient, Message: "canceled"}, []audit.Use{allowed}, canary, false},
		{"too slow", &broker.Error{Kind: broker.UpstreamTimeout, Detail: "d", Err: cause}, nil, wire.Error{Code: wire.Transient, Message: "d"}, []audit.Use{allowed}, canary, true},
		{"wrapped", fmt.Errorf("send: %w", &broker.Error{Kind: broker.UpstreamTimeout, Detail: "d", Err: cause}), nil, wire.Error{Code: wire.Transient, Message: "d"}, []audit.Use{allowed}, canary, true},
		{"denied only now", &broker.Error{Kind: broker.Denied, Detail: "the address is private", Err: cause}, nil, wire.Error{Code: wire.Denied, Message: "the address is private"},
			[]audit.Use{allowed, use(template, audit.Denied, "the address is private")}, canary, false},
		{"panics", nil, func() { panic(errors.New(canary)) }, wire.Error{Code: wire.Permanent, Message: "internal error"}, []audit.Use{allowed}, "http.request panicked: *errors.errorString", false},
		{"panics by Go's hand", nil, func() { none := []int(nil); _ = none[len(none)] }, wire.Error{Code: wire.Permanent, Message: "internal error"}, []audit.Use{allowed}, "index out of range", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := &power{}
			p.op = p.does(tt.err, tt.before)
			w := newWorld(t, p)
			call := fullCall(5)
			reply := w.door(broker.WithCall(context.Background(), call), nil)
			if diff := cmp.Diff(&tt.want, told(t, reply)); diff != "" {
				t.Errorf("the guest was told (-want +got):\n%s", diff)
			}
			if strings.Contains(string(reply), canary) {
				t.Errorf("the guest was told the cause: %s", reply)
			}
			if diff := cmp.Diff(tt.wantUses, w.uses); diff != "" {
				t.Errorf("recorded (-want +got):\n%s", diff)
			}
			if len(w.faults) != 1 || !strings.HasPrefix(w.faults[0], template+": ") || !strings.Contains(w.faults[0], tt.wantFault) {
				t.Errorf("Fault was told %q, want %q once", w.faults, tt.wantFault)
			}
			if call.Witness.Timeout() != tt.wantTimeout || p.done.Load() != 1 {
				t.Errorf("timeout %v, done %d times, want %v and once", call.Witness.Timeout(), p.done.Load(), tt.wantTimeout)
			}
			if e := told(t, w.door(broker.WithCall(context.Background(), call), nil)); e == nil && tt.err != nil {
				t.Error("the next call went another way")
			}
		})
	}
}

// TestGatePanicValueStaysIn: a panic's value can hold data of a request.
func TestGatePanicValueStaysIn(t *testing.T) {
	p := &power{}
	p.op = p.does(nil, func() { panic("value " + canary) })
	w := newWorld(t, p)
	reply := w.door(broker.WithCall(context.Background(), fullCall(5)), nil)
	if all := string(reply) + strings.Join(w.faults, ""); strings.Contains(all, "value "+canary) {
		t.Errorf("the panic's value was told: %s", all)
	}
}

// TestGateLateRefusalNotRecorded: what cannot be recorded is not told as decided.
func TestGateLateRefusalNotRecorded(t *testing.T) {
	p := &power{}
	w := newWorld(t, p)
	p.op = p.does(&broker.Error{Kind: broker.Denied, Detail: "late"}, func() { w.dead = errors.New("disk full") })
	if e := told(t, w.door(broker.WithCall(context.Background(), fullCall(5)), nil)); e == nil || e.Code != wire.Transient {
		t.Errorf("told %v, want transient", e)
	}
	if len(w.faults) != 2 {
		t.Errorf("Fault was told %q, want the refusal and the record", w.faults)
	}
}

func TestGateDoes(t *testing.T) {
	w := newWorld(t, &power{})
	payload, err := wire.ParseReply(w.door(broker.WithCall(context.Background(), fullCall(1)), []byte("it")))
	if err != nil || string(payload) != "did it" {
		t.Errorf("got %q, %v, want did it", payload, err)
	}
	if diff := cmp.Diff([]audit.Use{use("crm GET /contacts/{id}", audit.Allowed, "")}, w.uses); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
	if len(w.faults) != 0 {
		t.Errorf("Fault was told %q, want nothing", w.faults)
	}
}

// TestGateUnrecorded: a power that is not security relevant costs no budget and leaves no
// record, but it is nobody's power either.
func TestGateUnrecorded(t *testing.T) {
	p := &power{unrecorded: true}
	w := newWorld(t, p)
	w.dead = errors.New("disk full")
	call := fullCall(1)
	for range 3 {
		if e := told(t, w.door(broker.WithCall(context.Background(), call), nil)); e != nil {
			t.Errorf("told %v, want it done", e)
		}
	}
	p.op = func([]byte) (capability.Planned, error) {
		return capability.Planned{}, &broker.Error{Kind: broker.Invalid, Detail: "no level", Err: errors.New(canary)}
	}
	if e := told(t, w.door(broker.WithCall(context.Background(), call), nil)); e == nil || *e != (wire.Error{Code: wire.Permanent, Message: "no level"}) {
		t.Errorf("told %v, want why it was refused", e)
	}
	p.op = p.does(errors.New(canary), nil)
	if e := told(t, w.door(broker.WithCall(context.Background(), call), nil)); e == nil || e.Message != "internal error" || len(w.faults) != 1 {
		t.Errorf("told %v, Fault %q, want an internal error and its cause", e, w.faults)
	}
	p.op = func([]byte) (capability.Planned, error) { panic(canary) }
	if e := told(t, w.door(broker.WithCall(context.Background(), call), nil)); e == nil || e.Message != "internal error" || len(w.faults) != 2 {
		t.Errorf("told %v, Fault %q, want an internal error and the panic", e, w.faults)
	}
	if len(w.uses) != 0 {
		t.Errorf("recorded %v, want nothing", w.uses)
	}
	if ok, _ := call.Budget.Take(); !ok {
		t.Error("the budget was used up")
	}
}

func TestLend(t *testing.T) {
	p := &power{}
	gate := capability.Gate{Capabilities: []capability.Capability{p}}
	t.Run("nothing to a plugin without a grant", func(t *testing.T) {
		if lent, err := gate.Lend(grant.Grant{}); err != nil || len(lent) != 0 {
			t.Errorf("lent %v, %v, want nothing", lent, err)
		}
	})
	t.Run("nothing that the host has not", func(t *testing.T) {
		empty := capability.Gate{}
		if lent, err := empty.Lend(approved(t)); err != nil || len(lent) != 0 {
			t.Errorf("lent %v, %v, want nothing", lent, err)
		}
	})
	t.Run("only what Bind returns", func(t *testing.T) {
		lent, err := gate.Lend(approved(t))
		if err != nil || len(lent) != 1 || lent[0].Op != "request" {
			t.Errorf("lent %v, %v, want request and not other", lent, err)
		}
	})
	t.Run("a grant that does not bind", func(t *testing.T) {
		bad := capability.Gate{Capabilities: []capability.Capability{&power{bindErr: errors.New("no such back end")}}}
		if lent, err := bad.Lend(approved(t)); err == nil || len(lent) != 0 || !strings.Contains(err.Error(), "grants.http") {
			t.Errorf("lent %v, %v, want an error that names grants.http", lent, err)
		}
	})
	if p.done.Load() != 0 {
		t.Error("lending had an effect")
	}
}

func TestLendableRefuses(t *testing.T) {
	p := &power{}
	gate := capability.Gate{Capabilities: []capability.Capability{p}}
	var names []string
	for _, imp := range gate.Lendable() {
		names = append(names, imp.Capability+"."+imp.Op)
		refuses(t, imp, fullCall(5))
		refuses(t, imp, broker.Call{})
	}
	if diff := cmp.Diff([]string{"http.other", "http.request"}, names); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"http"}, gate.Names()); diff != "" {
		t.Error(diff)
	}
	if p.done.Load() != 0 {
		t.Error("it was done")
	}
}

func refuses(t *testing.T, imp sandbox.Import, call broker.Call) {
	t.Helper()
	if e := told(t, imp.Do(broker.WithCall(context.Background(), call), nil)); e == nil || e.Code != wire.Denied {
		t.Errorf("%s.%s: told %v, want a denial", imp.Capability, imp.Op, e)
	}
}
