package admission

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

	"pointsman/host/broker"
)

// Slots bounds how many calls of one plugin run at the same time, and sees to it that no
// route and no consumer takes them all; division says how. Who cannot start waits in one
// queue: a slot that becomes free goes to the first who may have it. Safe for concurrent
// use.
type Slots struct {
	division division

	mu        sync.Mutex
	routes    map[string]*held             // guarded by mu, as are those it holds; see held
	consumers map[broker.PrincipalID]*held // guarded by mu
	both      map[Caller]*held             // guarded by mu
	running   int                          // guarded by mu
	shared    int                          // guarded by mu; shared slots that are taken
	queue     list.List                    // guarded by mu; of *waiter
	pace      time.Duration                // guarded by mu; how long a call holds its slot, lately
}

// held counts what one route or consumer has. Those who have nothing are not in the maps.
type held struct{ slots, queued int }

type waiter struct {
	caller  Caller
	granted chan struct{} // closed under mu, when the slot is its own
}

// NewSlots divides slots among u. slots below 1 is taken for 1.
func NewSlots(slots int, u Users) *Slots {
	return &Slots{
		division: divide(max(slots, 1), u),
		routes:   map[string]*held{}, consumers: map[broker.PrincipalID]*held{}, both: map[Caller]*held{},
	}
}

// Acquire waits for a slot until ctx ends; it does not wait when the queue is full. The
// returned function gives the slot back and must be called once.
func (s *Slots) Acquire(ctx context.Context, c Caller) (release func(), err error) {
	w, err := s.enter(c)
	if err != nil {
		return nil, err
	}
	if w != nil {
		select {
		case <-w.granted:
		case <-ctx.Done():
			return nil, s.giveUp(ctx, w)
		}
	}
	if ctx.Err() != nil { // also when a slot became free at that very moment
		s.release(c, 0)
		return nil, waited(ctx, leastAfter)
	}
	began := time.Now()
	return func() { s.release(c, time.Since(began)) }, nil
}

// enter takes a slot or a place in the queue, which is returned.
func (s *Slots) enter(c Caller) (*waiter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Nobody who waits may have a slot now: else it would have got it. So nobody is passed.
	if s.may(c) {
		s.take(c)
		return nil, nil
	}
	switch d := s.division; {
	case s.queue.Len() >= d.queue:
		return nil, s.full("the plugin's queue is full, with %d calls", s.queue.Len())
	case s.queuedBy(c) >= d.queueRoute:
		return nil, s.full("the route fills its half of the plugin's queue, with %d calls", s.queuedBy(c))
	case s.queuedFor(c) >= d.queueConsumer:
		return nil, s.full("the consumer fills its half of the plugin's queue, with %d calls", s.queuedFor(c))
	}
	w := &waiter{caller: c, granted: make(chan struct{})}
	s.queue.PushBack(w)
	s.count(c, 0, 1)
	return w, nil
}

func (s *Slots) full(format string, n int) error {
	return unavailable("no sandbox is free, and too many requests wait for one", fmt.Errorf("%w: "+format, ErrFull, n), s.after())
}

// giveUp takes w out of the queue.
func (s *Slots) giveUp(ctx context.Context, w *waiter) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-w.granted: // at that very moment
		s.give(w.caller)
		s.grant()
		return waited(ctx, s.after())
	default:
	}
	for e := s.queue.Front(); e != nil; e = e.Next() {
		if e.Value == w {
			s.queue.Remove(e)
			break
		}
	}
	s.count(w.caller, 0, -1)
	return waited(ctx, s.after())
}

// release gives back a slot that was held for so long; 0 when nothing ran.
func (s *Slots) release(c Caller, held time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if held > 0 {
		if s.pace == 0 {
			s.pace = held
		}
		s.pace += (held - s.pace) / 8 // the weight that TCP gives to a new round-trip time (RFC 6298)
	}
	s.give(c)
	s.grant()
}

// grant gives every slot that is free to the first in the queue that may have it.
func (s *Slots) grant() { // mu is held, here and below
	for e := s.queue.Front(); e != nil && s.running < s.division.slots; {
		next := e.Next()
		if w := e.Value.(*waiter); s.may(w.caller) {
			s.queue.Remove(e)
			s.count(w.caller, 0, -1)
			s.take(w.caller)
			close(w.granted)
		}
		e = next
	}
}

// may reports whether c may have a slot now.
func (s *Slots) may(c Caller) bool {
	d := s.division
	route := slotsOf(s.routes[c.Route])
	return (route < d.own || s.shared < d.shared) && route < d.perRoute &&
		slotsOf(s.consumers[c.Consumer]) < d.perConsumer && slotsOf(s.both[c]) < d.perBoth
}

func (s *Slots) take(c Caller) {
	if slotsOf(s.routes[c.Route]) >= s.division.own {
		s.shared++
	}
	s.running++
	s.count(c, 1, 0)
}

func (s *Slots) give(c Caller) {
	if slotsOf(s.routes[c.Route]) > s.division.own {
		s.shared--
	}
	s.running--
	s.count(c, -1, 0)
}

// count adds to what c's route and consumer have.
func (s *Slots) count(c Caller, slots, queued int) {
	add(s.routes, c.Route, slots, queued)
	add(s.consumers, c.Consumer, slots, queued)
	add(s.both, c, slots, queued)
}

func add[K comparable](m map[K]*held, k K, slots, queued int) {
	h := m[k]
	if h == nil {
		h = new(held)
		m[k] = h
	}
	h.slots += slots
	h.queued += queued
	if *h == (held{}) {
		delete(m, k)
	}
}

func slotsOf(h *held) int {
	if h == nil {
		return 0
	}
	return h.slots
}

func (s *Slots) queuedBy(c Caller) int {
	if h := s.routes[c.Route]; h != nil {
		return h.queued
	}
	return 0
}

func (s *Slots) queuedFor(c Caller) int {
	if h := s.consumers[c.Consumer]; h != nil {
		return h.queued
	}
	return 0
}

// after is how long the queue will take, at the pace of late.
func (s *Slots) after() time.Duration {
	return times(s.pace, s.queue.Len()/s.division.slots+1)
}
