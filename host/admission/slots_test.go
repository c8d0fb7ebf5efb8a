package admission_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"pointsman/host/admission"
	"pointsman/host/broker"
)

func caller(route, consumer int) admission.Caller {
	return admission.Caller{Route: fmt.Sprint("r", route), Consumer: broker.PrincipalID(fmt.Sprint("c", consumer))}
}

// TestQueueForOneRequest: however few the slots, all the steps of one request find a place.
func TestQueueForOneRequest(t *testing.T) {
	for slots := 1; slots < 40; slots++ {
		for steps := 1; steps <= 50; steps++ {
			for _, users := range []int{1, 2, 50} {
				d := admission.Divide(slots, admission.Users{Routes: users, Consumers: users, Steps: steps})
				if room := min(d.Queue, d.QueueRoute, d.QueueConsumer) + 1; room < steps {
					t.Fatalf("%d slots, %d users: room for %d of %d", slots, users, room, steps)
				}
			}
		}
	}
}

func TestDivide(t *testing.T) {
	tests := []struct {
		name                     string
		slots, routes, consumers int
		want                     admission.Division
	}{
		{"one route, one consumer: all", 32, 1, 1, admission.Division{0, 32, 32, 32, 32, 128, 128, 128}},
		{"one route, some consumers", 32, 1, 9, admission.Division{0, 32, 32, 16, 16, 128, 128, 64}},
		{"two routes", 32, 2, 1, admission.Division{8, 16, 24, 32, 24, 128, 64, 128}},
		{"two routes, two consumers", 32, 2, 2, admission.Division{8, 16, 24, 16, 12, 128, 64, 64}},
		{"ten routes", 32, 10, 2, admission.Division{1, 22, 23, 16, 12, 128, 64, 64}},
		{"half as many routes as slots", 32, 16, 2, admission.Division{1, 16, 17, 16, 9, 128, 64, 64}},
		{"one more", 32, 17, 2, admission.Division{0, 32, 16, 16, 8, 128, 64, 64}},
		{"more routes than slots", 4, 50, 50, admission.Division{0, 4, 2, 2, 1, 16, 8, 8}},
		{"one slot for many", 1, 5, 5, admission.Division{0, 1, 1, 1, 1, 4, 2, 2}},
		{"nobody uses it", 8, 0, 0, admission.Division{0, 8, 8, 8, 8, 32, 32, 32}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, admission.Divide(tt.slots, admission.Users{Routes: tt.routes, Consumers: tt.consumers})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestIsolation: whoever takes all that it gets leaves something for the others, for every
// number of slots and routes; the promises are those of division.
func TestIsolation(t *testing.T) {
	for slots := 1; slots <= 24; slots++ {
		for routes := 1; routes <= 26; routes++ {
			name := fmt.Sprintf("%d slots, %d routes", slots, routes)
			d := admission.Divide(slots, admission.Users{Routes: routes, Consumers: 3})
			if d.Own*routes+d.Shared != slots || d.PerRoute < 1 || d.PerConsumer < 1 || d.PerBoth < 1 {
				t.Fatalf("%s: %+v does not add up", name, d)
			}
			if routes > 1 && slots >= 2 { // one route, all consumers
				s := admission.NewSlots(slots, admission.Users{Routes: routes, Consumers: 3})
				greed(t, s, slots, func(i int) admission.Caller { return caller(0, i) })
				for r := 1; r < routes; r++ {
					mustStart(t, s, caller(r, 99), name+": another route")
				}
			}
			if slots >= 3 || routes == 1 && slots >= 2 { // one consumer, first on one route and then on all
				s := admission.NewSlots(slots, admission.Users{Routes: routes, Consumers: 3})
				greed(t, s, slots, func(int) admission.Caller { return caller(0, 0) })
				mustStart(t, s, caller(0, 1), name+": another consumer on the same route")
				greed(t, s, slots*routes, func(i int) admission.Caller { return caller(i%routes, 0) })
				for r := range routes {
					mustStart(t, s, caller(r, 1), name+": another consumer")
				}
			}
			s := admission.NewSlots(slots, admission.Users{Routes: routes, Consumers: 3}) // everybody but the last route
			greed(t, s, slots*routes, func(i int) admission.Caller { return caller(i%max(routes-1, 1), i) })
			for i := range d.Own {
				if _, err := s.Acquire(ended(), caller(routes-1, 1000+i)); err == nil {
					t.Fatal("a slot on an ended context")
				}
				hold(t, s, caller(routes-1, 1000+i), fmt.Sprintf("%s: slot %d of the route's own", name, i))
			}
		}
	}
}

// ended is a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// greed tries n times to take a slot and keeps what it gets.
func greed(t *testing.T, s *admission.Slots, n int, as func(int) admission.Caller) {
	t.Helper()
	for i := range n {
		before, _, _, _ := s.Held()
		if _, ok := s.Try(as(i)); ok {
			if after, _, _, _ := s.Held(); after != before+1 {
				t.Fatalf("%d run after %d", after, before)
			}
		}
	}
}

// mustStart takes a slot at once and gives it back.
func mustStart(t *testing.T, s *admission.Slots, c admission.Caller, what string) {
	t.Helper()
	hold(t, s, c, what)()
}

func hold(t *testing.T, s *admission.Slots, c admission.Caller, what string) (release func()) {
	t.Helper()
	release, ok := s.Try(c)
	if !ok {
		t.Fatalf("%s does not start at once", what)
	}
	return release
}

func TestSlotsRefuse(t *testing.T) {
	t.Run("a context that has ended", func(t *testing.T) {
		s := admission.NewSlots(1, admission.Users{Routes: 1, Consumers: 1})
		_, err := s.Acquire(ended(), caller(0, 0))
		if e := wantRefusal(t, err, admission.ErrWaited); !errors.Is(e, context.Canceled) {
			t.Errorf("%v does not say that it was canceled", err)
		}
		mustStart(t, s, caller(0, 0), "the slot that was not taken")
	})
	t.Run("a queue that is full", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := admission.NewSlots(2, admission.Users{Routes: 2, Consumers: 2})
			var group sync.WaitGroup
			defer group.Wait()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			wait := func(c admission.Caller) {
				group.Go(func() {
					if release, err := s.Acquire(ctx, c); err == nil {
						<-ctx.Done()
						release()
					}
				})
				synctest.Wait()
			}
			wait(caller(0, 0))
			wait(caller(1, 1))
			for range 4 {
				wait(caller(0, 0))
			}
			_, err := s.Acquire(now(t), caller(0, 1))
			wantRefusal(t, err, admission.ErrFull) // the route has its half
			_, err = s.Acquire(now(t), caller(1, 0))
			wantRefusal(t, err, admission.ErrFull) // the consumer has its half
			for range 4 {
				wait(caller(1, 1))
			}
			_, err = s.Acquire(now(t), caller(2, 2))
			wantRefusal(t, err, admission.ErrFull)
		})
	})
}

// TestRetryAfter: who is sent away is told how long the queue takes, at the pace of late.
func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := admission.NewSlots(1, admission.Users{Routes: 1, Consumers: 1})
		release := hold(t, s, caller(0, 0), "the first")
		time.Sleep(4 * time.Second)
		release()
		release = hold(t, s, caller(0, 0), "the second")
		ctx, cancel := context.WithCancel(context.Background())
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				if release, err := s.Acquire(ctx, caller(0, 0)); err == nil {
					release()
				}
			})
		}
		synctest.Wait()
		_, err := s.Acquire(now(t), caller(0, 0))
		if e := wantRefusal(t, err, admission.ErrFull); e.After != 20*time.Second {
			t.Errorf("after %v, want 5 calls of 4 s each", e.After)
		}
		cancel()
		group.Wait()
		release()
	})
}

// TestQueueOrder: a slot goes to who waits for longest of those who may have it.
func TestQueueOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := admission.NewSlots(4, admission.Users{Routes: 2, Consumers: 2}) // one of each route's own, two shared, two for a consumer
		held := []func(){hold(t, s, caller(0, 0), "first"), hold(t, s, caller(0, 0), "second"), hold(t, s, caller(0, 1), "third")}
		order := make(chan int, 4)
		var group sync.WaitGroup
		for i, c := range []admission.Caller{caller(0, 0), caller(0, 1), caller(0, 0), caller(1, 1)} {
			group.Go(func() {
				release, err := s.Acquire(now(t), c)
				if err != nil {
					t.Error(err)
					return
				}
				order <- i
				time.Sleep(time.Second)
				release()
			})
			synctest.Wait()
		}
		if got := <-order; got != 3 {
			t.Errorf("%d starts first, want the one whose route has a slot of its own", got)
		}
		held[2]()
		if got := <-order; got != 1 {
			t.Errorf("%d is next, want the one whose consumer has not got its half", got)
		}
		held[0]()
		if got := <-order; got != 0 {
			t.Errorf("%d is next, want the first in the queue", got)
		}
		held[1]()
		if got := <-order; got != 2 {
			t.Errorf("%d is last, want the third in the queue", got)
		}
		group.Wait()
	})
}

// TestSlotsProperties drives slots with any sequence of arrivals, departures and
// cancellations, and looks at everything after each: no more run than may, what a route has
// of its own is never withheld, the first who may start has started, no slot is lost.
func TestSlotsProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		slots := rapid.IntRange(1, 12).Draw(rt, "slots")
		routes := rapid.IntRange(1, 8).Draw(rt, "routes")
		consumers := rapid.IntRange(1, 4).Draw(rt, "consumers")
		d := admission.Divide(slots, admission.Users{Routes: routes, Consumers: consumers})
		s := admission.NewSlots(slots, admission.Users{Routes: routes, Consumers: consumers})
		type step struct{ What, Route, Consumer, Which int }
		steps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
			return step{
				What:  rapid.IntRange(0, 4).Draw(rt, "what"),
				Route: rapid.IntRange(0, routes-1).Draw(rt, "route"), Consumer: rapid.IntRange(0, consumers-1).Draw(rt, "consumer"),
				Which: rapid.IntRange(0, 99).Draw(rt, "which"),
			}
		}), 20, 80).Draw(rt, "steps")
		var failure string
		fail := func(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
		synctest.Test(t, func(*testing.T) {
			all, cancelAll := context.WithCancel(context.Background())
			defer cancelAll()
			defer func() {
				if r := recover(); r != nil {
					failure = fmt.Sprint(r)
				}
			}()
			type call struct {
				caller  admission.Caller
				cancel  func()
				done    chan struct{} // closed when Acquire has returned
				release func()
				err     error
			}
			var calls []*call // in the order of their arrival; those that are over are taken out
			look := func() {
				synctest.Wait()
				run, waiting := 0, 0
				byRoute, byConsumer, both := map[string]int{}, map[broker.PrincipalID]int{}, map[admission.Caller]int{}
				kept := calls[:0]
				for _, c := range calls {
					select {
					case <-c.done:
						if c.err != nil {
							continue
						}
						run++
						byRoute[c.caller.Route]++
						byConsumer[c.caller.Consumer]++
						both[c.caller]++
					default:
						waiting++
					}
					kept = append(kept, c)
				}
				calls = kept
				shared := 0
				for r, n := range byRoute {
					shared += max(0, n-d.Own)
					if n > d.PerRoute {
						fail("route %s holds %d, of at most %d", r, n, d.PerRoute)
					}
				}
				for c, n := range byConsumer {
					if n > d.PerConsumer {
						fail("consumer %s holds %d, of at most %d", c, n, d.PerConsumer)
					}
				}
				if gotRun, gotWaiting, gotShared, _ := s.Held(); run > slots || gotRun != run || gotWaiting != waiting || gotShared != shared || waiting > d.Queue {
					fail("%d run and %d wait, %d shared; counted are %d, %d, %d; of %+v", run, waiting, shared, gotRun, gotWaiting, gotShared, d)
				}
				for _, c := range calls { // nobody waits for what is there
					select {
					case <-c.done:
						continue
					default:
					}
					n := byRoute[c.caller.Route]
					if (n < d.Own || shared < d.Shared) && n < d.PerRoute && byConsumer[c.caller.Consumer] < d.PerConsumer && both[c.caller] < d.PerBoth {
						fail("%v waits and might run: %+v", c.caller, d)
					}
				}
			}
			for _, step := range steps {
				switch {
				case step.What <= 2:
					ctx, cancel := context.WithCancel(all)
					c := &call{caller: caller(step.Route, step.Consumer), cancel: cancel, done: make(chan struct{})}
					calls = append(calls, c)
					go func() {
						c.release, c.err = s.Acquire(ctx, c.caller)
						close(c.done)
					}()
				case len(calls) > 0:
					i := step.Which % len(calls)
					c := calls[i]
					select {
					case <-c.done:
						c.release()
						c.cancel()
						calls = append(calls[:i:i], calls[i+1:]...)
					default:
						c.cancel()
						if step.What == 4 { // and at the same moment something becomes free
							for j, o := range calls {
								select {
								case <-o.done:
									o.release()
									calls = append(calls[:j:j], calls[j+1:]...)
								default:
									continue
								}
								break
							}
						}
					}
				}
				look()
			}
			for len(calls) > 0 {
				for _, c := range calls {
					select {
					case <-c.done:
						c.release()
						c.err = errors.New("over")
					default:
						c.cancel()
					}
				}
				look()
			}
			if run, waiting, shared, remembered := s.Held(); run+waiting+shared+remembered != 0 {
				fail("when all have gone, %d run, %d wait, %d shared, %d remembered", run, waiting, shared, remembered)
			}
		})
		if failure != "" {
			rt.Fatal(failure)
		}
	})
}

// TestSlotsAtOnce is for the race detector: many callers, some of whom give up.
func TestSlotsAtOnce(t *testing.T) {
	s := admission.NewSlots(5, admission.Users{Routes: 3, Consumers: 2})
	var running, most int
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range 60 {
		group.Go(func() {
			for n := range 40 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration((i+n)%4)*100*time.Microsecond)
				release, err := s.Acquire(ctx, caller(i%3, i%2))
				cancel()
				if err != nil {
					continue
				}
				mu.Lock()
				running++
				most = max(most, running)
				mu.Unlock()
				mu.Lock()
				running--
				mu.Unlock()
				release()
			}
		})
	}
	group.Wait()
	if run, waiting, shared, remembered := s.Held(); most > 5 || run+waiting+shared+remembered != 0 {
		t.Errorf("%d ran at once, of 5; then %d run, %d wait, %d shared, %d remembered", most, run, waiting, shared, remembered)
	}
}
