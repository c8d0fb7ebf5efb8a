package admission_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pointsman/host/admission"
	"pointsman/host/broker"
)

// circuit is a breaker with its log.
type circuit struct {
	*admission.Breaker
	t   *testing.T
	log *bytes.Buffer
}

func newCircuit(t *testing.T) circuit {
	var log bytes.Buffer
	return circuit{admission.NewBreaker("crm", slog.New(slog.NewTextHandler(&log, nil))), t, &log}
}

// call makes one call that ends with v and reports whether it was let in.
func (c circuit) call(consumer broker.PrincipalID, v admission.Verdict) bool {
	c.t.Helper()
	done, err := c.Begin(consumer)
	if err != nil {
		wantRefusal(c.t, err, admission.ErrOpen)
		return false
	}
	done(v)
	return true
}

// calls makes n and returns how many were let in.
func (c circuit) calls(n int, consumer broker.PrincipalID, v admission.Verdict) (in int) {
	c.t.Helper()
	for range n {
		if c.call(consumer, v) {
			in++
		}
	}
	return in
}

func (c circuit) wantLogged(opened, closed int) {
	c.t.Helper()
	if o, cl := strings.Count(c.log.String(), "breaker opened"), strings.Count(c.log.String(), "breaker closed"); o != opened || cl != closed {
		c.t.Errorf("the log tells of %d openings and %d closings, want %d and %d:\n%s", o, cl, opened, closed, c.log)
	}
}

func TestBreakerOpens(t *testing.T) {
	tests := []struct {
		name        string
		fine, broke int
		nothing     int
		over        time.Duration // between two calls
		want        bool
	}{
		{"20 faults at once", 0, 20, 0, 0, true},
		{"19 are too few", 0, 19, 0, 0, false},
		{"what says nothing does not count", 0, 19, 30, 0, false},
		{"four in five", 4, 16, 0, 0, true},
		{"three in four", 5, 15, 0, 0, false},
		{"20 in nine seconds", 0, 20, 0, 450 * time.Millisecond, true},
		{"one a second, for a long time", 0, 60, 0, time.Second, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCircuit(t)
				c.calls(tt.nothing, "shop", admission.Nothing)
				c.calls(tt.fine, "shop", admission.Fine)
				for range tt.broke {
					c.call("shop", admission.Broken)
					time.Sleep(tt.over)
				}
				if open := c.Check("shop") != nil; open != tt.want {
					t.Errorf("open: %v, want %v", open, tt.want)
				}
			})
		})
	}
}

// TestBreakerIsOfOneConsumer: however often one consumer makes a plugin break off, it is
// not closed for others; nor when three do.
func TestBreakerIsOfOneConsumer(t *testing.T) {
	for _, attackers := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			c := newCircuit(t)
			for second := range 120 {
				for a := range attackers {
					c.calls(50, broker.PrincipalID(fmt.Sprint("crafty", a)), admission.Broken)
				}
				if second%7 == 0 && !c.call("honest", admission.Fine) {
					t.Fatalf("after %d s another consumer is refused", second)
				}
				time.Sleep(time.Second)
			}
			if in := c.calls(50, "crafty0", admission.Broken); in > 1 { // the probe
				t.Errorf("%d calls of the one that does it are let in", in)
			}
			c.wantLogged(attackers, 0) // once, however often it is tried again
		})
	}
}

// TestBreakerOfAll: a plugin that breaks off for everybody is closed for everybody, also
// for those who ask rarely.
func TestBreakerOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircuit(t)
		in := 0
		for second := range 60 {
			for i := range 25 {
				if c.call(broker.PrincipalID(fmt.Sprint("c", i)), admission.Broken) {
					in++
				}
			}
			if second > 0 && second < 4 && c.Check("newcomer") == nil {
				t.Errorf("after %d s it is open to others", second)
			}
			time.Sleep(time.Second)
		}
		// 20 open it, and then four tries every five or six seconds.
		if in < 20 || in > 100 {
			t.Errorf("%d of 1500 calls were let in", in)
		}
		c.wantLogged(1, 0)
		time.Sleep(5 * time.Second)
		if !c.call("c1", admission.Fine) || !c.call("c2", admission.Fine) || c.Check("newcomer") != nil {
			t.Error("two good tries do not close it")
		}
		c.wantLogged(1, 1)
	})
}

// TestTriesAreNotOneConsumers: who makes a plugin break off cannot use up the tries that
// would close everybody's breaker.
func TestTriesAreNotOneConsumers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircuit(t)
		for i := range 20 {
			c.call(broker.PrincipalID(fmt.Sprint("c", i)), admission.Broken)
		}
		time.Sleep(6 * time.Second)
		if got := c.calls(50, "crafty", admission.Broken); got != 1 {
			t.Errorf("one consumer has %d tries at once, want 1", got)
		}
		if !c.call("c1", admission.Fine) || !c.call("c2", admission.Fine) || c.Check("c3") != nil {
			t.Error("two good tries of others do not close it")
		}
	})
}

// TestHalfOpen: after five seconds one call at a time is let in, and what it comes to
// decides.
func TestHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircuit(t)
		late, err := c.Begin("shop") // before it opens
		if err != nil {
			t.Fatal(err)
		}
		c.calls(20, "shop", admission.Broken)
		_, err = c.Begin("shop")
		if e := wantRefusal(t, err, admission.ErrOpen); e.After != 5*time.Second {
			t.Errorf("after %v, want 5 s", e.After)
		}
		time.Sleep(4 * time.Second)
		if e := wantRefusal(t, c.Check("shop"), admission.ErrOpen); e.After != time.Second {
			t.Errorf("after %v, want the second that is left", e.After)
		}
		time.Sleep(time.Second)
		probe, err := c.Begin("shop")
		if err != nil {
			t.Fatalf("the probe: %v", err)
		}
		if c.call("shop", admission.Fine) {
			t.Error("a second call is let in beside the probe")
		}
		late(admission.Fine)
		if c.call("shop", admission.Fine) {
			t.Error("a call from before has closed it")
		}
		probe(admission.Nothing)
		if probe, err = c.Begin("shop"); err != nil {
			t.Fatalf("the place of a probe that said nothing is lost: %v", err)
		}
		probe(admission.Broken)
		if c.Check("shop") == nil {
			t.Error("a probe that breaks off leaves it closed")
		}
		time.Sleep(5 * time.Second)
		if !c.call("shop", admission.Fine) || c.calls(30, "shop", admission.Fine) != 30 {
			t.Error("a good probe does not close it")
		}
		c.wantLogged(1, 1)
		for _, want := range []string{"level=WARN", "plugin=crm", "consumer=shop", "calls=20", "faults=20"} {
			if !strings.Contains(c.log.String(), want) {
				t.Errorf("the log does not say %s:\n%s", want, c.log)
			}
		}
	})
}

// TestGuard: what is refused gives back all that it took, in each of its places.
func TestGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := admission.NewMemory(2)
		g := &admission.Guard{Slots: admission.NewSlots(3, admission.Users{Routes: 1, Consumers: 1}), Share: m.Share(1, 1), Breaker: newCircuit(t).Breaker}
		c := caller(0, 0)
		var leaves []func(admission.Verdict)
		for range 2 {
			leave, err := g.Enter(now(t), c)
			if err != nil {
				t.Fatal(err)
			}
			leaves = append(leaves, leave)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := g.Enter(ctx, c)
		wantRefusal(t, err, admission.ErrWaited) // for memory
		if run, _, _, _ := g.Slots.Held(); run != 2 {
			t.Errorf("%d slots are taken, want 2", run)
		}
		for _, leave := range leaves {
			leave(admission.Broken)
		}
		for range 18 {
			leave, err := g.Enter(now(t), c)
			if err != nil {
				t.Fatal(err)
			}
			leave(admission.Broken)
		}
		began := time.Now()
		_, err = g.Enter(now(t), c)
		wantRefusal(t, err, admission.ErrOpen)
		if waited := time.Since(began); waited != 0 {
			t.Errorf("it waited %v to be refused", waited)
		}
		if run, waiting, _, _ := g.Slots.Held(); run+waiting != 0 || m.Used() != 0 {
			t.Errorf("at the end %d run, %d wait and %d bytes are used", run, waiting, m.Used())
		}
	})
}
