package broker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pointsman/host/broker"
)

func TestZeroValuesAllowNothing(t *testing.T) {
	var scopes broker.Scopes
	if scopes.Has("") || scopes.Has("read") || scopes.HasAll([]string{"read"}) || scopes.String() != "" {
		t.Error("the zero Scopes holds something")
	}
	if !scopes.HasAll(nil) {
		t.Error("HasAll of no names is false, want true")
	}
	var p broker.Principal
	if p.Scopes.Has("read") || p.ID != "" {
		t.Error("the zero Principal is somebody")
	}
	call, ok := broker.CallFrom(context.Background())
	if ok || call.Principal.ID != "" || call.Budget != nil {
		t.Errorf("a context without a call carries %+v", call)
	}
	if ok, first := call.Budget.Take(); ok || !first {
		t.Errorf("a nil Budget: %v, %v, want a refusal worth recording", ok, first)
	}
	call.Witness.SawTimeout()
	if call.Witness.Timeout() {
		t.Error("a nil Witness remembers")
	}
}

func TestScopes(t *testing.T) {
	names := []string{"write", "read", "write"}
	s := broker.NewScopes(names...)
	names[0] = "admin"
	tests := []struct {
		names string
		want  bool
	}{
		{"read", true}, {"write", true}, {"read write", true}, {"write read read", true},
		{"admin", false}, {"read admin", false}, {"rea", false}, {"Read", false},
	}
	for _, tt := range tests {
		if got := s.HasAll(strings.Fields(tt.names)); got != tt.want {
			t.Errorf("HasAll(%s) is %v, want %v", tt.names, got, tt.want)
		}
	}
	if got := s.String(); got != "read write" {
		t.Errorf("String is %q, want it sorted and without repetition", got)
	}
}

func TestCallTravelsByContext(t *testing.T) {
	ctx := broker.WithCall(context.Background(), broker.Call{Plugin: "outer"})
	inner := broker.WithCall(ctx, broker.Call{Plugin: "inner"})
	for want, c := range map[string]context.Context{"outer": ctx, "inner": inner} {
		if got, ok := broker.CallFrom(c); !ok || got.Plugin != want {
			t.Errorf("got %q, %v, want %q", got.Plugin, ok, want)
		}
	}
}

func TestBudget(t *testing.T) {
	for _, n := range []int{0, 1, 32} {
		const takers = 8
		var taken, first atomic.Int64
		var group sync.WaitGroup
		b := broker.NewBudget(n)
		for range takers {
			group.Go(func() {
				for range 2*n + 10 {
					switch ok, f := b.Take(); {
					case ok && f:
						t.Error("one is both allowed and the first refused")
					case ok:
						taken.Add(1)
					case f:
						first.Add(1)
					}
				}
			})
		}
		group.Wait()
		if taken.Load() != int64(n) || first.Load() != 1 {
			t.Errorf("budget of %d: %d taken and %d first refusals, want %d and 1", n, taken.Load(), first.Load(), n)
		}
	}
}

func TestWitness(t *testing.T) {
	w := new(broker.Witness)
	if w.Timeout() {
		t.Error("a new Witness saw a timeout")
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(w.SawTimeout)
	}
	group.Wait()
	if !w.Timeout() {
		t.Error("the Witness forgot")
	}
}

func TestKindOf(t *testing.T) {
	denied := &broker.Error{Kind: broker.Denied, Err: io.EOF}
	tests := []struct {
		name string
		err  error
		want broker.Kind
	}{
		{"nil", nil, broker.Internal},
		{"another error", io.EOF, broker.Internal},
		{"itself", denied, broker.Denied},
		{"wrapped", fmt.Errorf("step x: %w", denied), broker.Denied},
		{"joined", errors.Join(io.EOF, denied), broker.Denied},
		{"the outermost counts", &broker.Error{Kind: broker.Upstream, Err: denied}, broker.Upstream},
		{"the zero Error", &broker.Error{}, broker.Internal},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := broker.KindOf(tt.err); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	if !errors.Is(fmt.Errorf("x: %w", denied), io.EOF) {
		t.Error("the cause is not in the chain")
	}
}

// TestDetailNeverHoldsTheCause: what is shown is what somebody wrote to be shown.
func TestDetailNeverHoldsTheCause(t *testing.T) {
	const canary = "canary-7d1c"
	e := &broker.Error{Kind: broker.Upstream, Detail: "the back end failed", Err: errors.New(canary), After: time.Second}
	outer := &broker.Error{Kind: broker.Unavailable, Err: e}
	for _, e := range []*broker.Error{e, outer} {
		if strings.Contains(e.Detail, canary) || strings.Contains(e.Kind.String(), canary) {
			t.Errorf("Detail %q holds the cause", e.Detail)
		}
		if !strings.Contains(e.Error(), canary) {
			t.Errorf("Error() %q is for the log and lacks the cause", e.Error())
		}
	}
}

func TestKindsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for k := broker.Internal; k <= broker.Spent; k++ {
		name := k.String()
		if name == "" || strings.HasPrefix(name, "kind(") || seen[name] {
			t.Errorf("kind %d is called %q", k, name)
		}
		seen[name] = true
	}
	if got := (broker.Spent + 1).String(); got != "kind(13)" {
		t.Errorf("a kind that is none is called %q", got)
	}
}

// TestWitnessOfWaiting: waits of one call add up, whoever sees them.
func TestWitnessOfWaiting(t *testing.T) {
	var none *broker.Witness
	none.Waited(time.Second)
	if none.Waiting() != 0 {
		t.Error("a nil Witness remembers")
	}
	w := new(broker.Witness)
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() { w.Waited(time.Millisecond) })
	}
	group.Wait()
	if got := w.Waiting(); got != 10*time.Millisecond {
		t.Errorf("it waited %v, want 10 ms", got)
	}
}
