package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pointsman/host/deploy"
)

// TestSwapsUnderLoad: while releases come and go, every request is answered whole by the
// release that it began on, and none by one that was closed.
func TestSwapsUnderLoad(t *testing.T) {
	s := newSite(t)
	s.apply(source(t, echoing("v1")))
	stop := make(chan struct{})
	var served atomic.Int64
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for last := uint64(0); ; {
				select {
				case <-stop:
					return
				default:
				}
				r, release := s.deployer.Acquire()
				got, err := serveOn(context.Background(), r, "/say")
				if want := fmt.Sprintf(`{"said":"v%d"}`, r.Number()); err != nil || got != want {
					t.Errorf("release %d answers %s, %v; want %s", r.Number(), got, err, want)
				}
				if r.Number() < last {
					t.Errorf("release %d came after %d", r.Number(), last)
				}
				last = r.Number()
				release()
				served.Add(1)
			}
		})
	}
	for n := 2; n <= 20; n++ {
		before := served.Load()
		s.apply(source(t, echoing(fmt.Sprintf("v%d", n))))
		within(t, "requests are served between two deployments", func() bool { return served.Load() > before+8 })
	}
	close(stop)
	group.Wait()
	within(t, "the releases that were replaced are closed", func() bool { return s.engine.count() == 1 })
	s.serves(t, 20, `{"said":"v20"}`)
}

// TestDrain: a release that was replaced is closed when its last request has left, not
// before.
func TestDrain(t *testing.T) {
	s := newSite(t)
	s.apply(source(t, echoing("one")))
	old, leave := s.deployer.Acquire()
	again, leaveAgain := s.deployer.Acquire()
	if old != again {
		t.Fatal("two releases are live")
	}
	s.apply(source(t, echoing("two")))
	for _, leave := range []func(){leave, leaveAgain} {
		time.Sleep(20 * time.Millisecond) // for a close that comes too early
		if got, err := serveOn(context.Background(), old, "/say"); err != nil || got != `{"said":"one"}` {
			t.Errorf("the old release answers %s, %v, want it to serve who is inside", got, err)
		}
		if n := s.engine.count(); n != 2 || strings.Contains(s.log.String(), "drained") {
			t.Errorf("%d modules are open, want both releases'", n)
		}
		if s.number() != 2 {
			t.Errorf("release %d is live, want 2", s.number())
		}
		leave()
	}
	within(t, "the old release is closed", func() bool {
		return s.engine.count() == 1 && strings.Contains(s.log.String(), `"release drained" release=1`)
	})
	s.serves(t, 2, `{"said":"two"}`)
}

// TestCloseWaits: for who is inside of the live release and of those before it.
func TestCloseWaits(t *testing.T) {
	s := newSite(t)
	s.apply(source(t, echoing("one")))
	_, leaveOld := s.deployer.Acquire()
	s.apply(source(t, echoing("two")))
	live, leaveLive := s.deployer.Acquire()
	closed := make(chan error, 1)
	go func() { closed <- s.deployer.Close(context.Background()) }()
	within(t, "nothing is live", func() bool { return s.number() == 0 })
	if got, err := serveOn(context.Background(), live, "/say"); err != nil || got != `{"said":"two"}` {
		t.Errorf("who is inside gets %s, %v, want the answer", got, err)
	}
	for _, leave := range []func(){leaveLive, leaveOld} {
		select {
		case err := <-closed:
			t.Fatalf("closed, with %v, while requests are inside", err)
		case <-time.After(20 * time.Millisecond):
		}
		leave()
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if n := s.engine.count(); n != 0 {
		t.Errorf("%d modules are open, want none", n)
	}
	if err := s.deployer.Close(context.Background()); err != nil {
		t.Errorf("second Close: %v", err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.deployer.Close(ended); err != nil {
		t.Errorf("third Close, without time: %v", err)
	}
	if err := s.deployer.Apply(context.Background(), admin, source(t, echoing("three"))); !errors.Is(err, deploy.ErrClosed) {
		t.Errorf("a deployment after Close: %v, want ErrClosed", err)
	}
}

// TestCloseWithoutTime: an ended context is no fault when nothing runs.
func TestCloseWithoutTime(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for range 20 { // a choice between two ready channels would fail half of the times
		s := newSite(t)
		s.apply(source(t, echoing("one")))
		if err := s.deployer.Close(ended); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCloseStopsWhatDoesNotEnd: when its time is up, Close stops the guests of the live
// release and does not wait for the time that a drain has.
func TestCloseStopsWhatDoesNotEnd(t *testing.T) {
	s := newSite(t)
	spinning := pluginDoc("runaway", "{module: {path: runaway.wasm}}") + routeDoc("spin", "GET /spin", "runaway.spin", "{}")
	s.apply(source(t, spinning))
	_, leaveOld := s.deployer.Acquire() // somebody who never leaves
	s.apply(source(t, spinning))
	running := make(chan struct{}, 1)
	s.engine.calling = func(context.Context, string) { running <- struct{}{} }
	answered := make(chan error, 1)
	go func() {
		_, err := s.serve("/spin")
		answered <- err
	}()
	<-running
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := s.deployer.Close(ctx)
	if took := time.Since(began); took > 4*time.Second { // the route's deadline is 5 s, a drain's 60 s
		t.Errorf("Close took %v", took)
	}
	if err == nil || !strings.Contains(err.Error(), "1 requests are still running") || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want how many requests were running", err)
	}
	if err := <-answered; err == nil {
		t.Error("a guest that never ends has answered")
	}
	if n := s.engine.count(); n != 0 {
		t.Errorf("%d modules are open, want none", n)
	}
	leaveOld()
}

// TestCloseDuringApply: a deployment that runs does not go live any more.
func TestCloseDuringApply(t *testing.T) {
	s := newSite(t)
	s.apply(source(t, echoing("one")))
	compiling := make(chan struct{})
	s.engine.compiling = func(ctx context.Context, _ []byte) {
		close(compiling)
		<-ctx.Done()
	}
	applied := make(chan error, 1)
	go func() { applied <- s.deployer.Apply(context.Background(), admin, source(t, echoing("two"))) }()
	<-compiling
	before := s.auditText()
	if err := s.deployer.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-applied; !errors.Is(err, deploy.ErrClosed) {
		t.Errorf("the deployment ended with %v, want ErrClosed", err)
	}
	if n, number := s.engine.count(), s.number(); n != 0 || number != 0 || s.auditText() != before {
		t.Errorf("%d modules are open, release %d is live, and %q recorded; want nothing", n, number, strings.TrimPrefix(s.auditText(), before))
	}
}

// TestApplyTwiceAtOnce: deployments wait for each other and are numbered in turn.
func TestApplyTwiceAtOnce(t *testing.T) {
	s := newSite(t)
	var group sync.WaitGroup
	for i := range 4 {
		src := source(t, echoing(fmt.Sprintf("w%d", i)))
		group.Go(func() {
			if err := s.deployer.Apply(context.Background(), admin, src); err != nil {
				t.Error(err)
			}
		})
		group.Go(func() {
			if err := s.deployer.Check(context.Background(), src); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if s.number() != 4 {
		t.Errorf("release %d is live, want 4", s.number())
	}
	within(t, "all others are closed", func() bool { return s.engine.count() == 1 })
}
