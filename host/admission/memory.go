package admission

import (
	"container/list"
	"context"
	"sync"
)

// Memory is how many bytes all sandboxes that run may take together. It is one for the
// whole broker, whatever releases come and go. Safe for concurrent use.
//
//   - A plugin reserves its first sandboxes: while fewer than these run, a call is within
//     its reservation.
//   - The bytes of calls that run never exceed the budget.
//   - A call beyond its plugin's reservation leaves free what the live release has reserved
//     and does not use.
//   - A call within its reservation waits for nobody but calls of releases that are being
//     replaced, and these end: the reservations of one release fit the budget (see Fits),
//     and those of the release before do not count any more.
//
// So a swap is neither refused nor held up because the old release still runs, and what
// both run together stays within the budget.
type Memory struct {
	budget uint64

	mu       sync.Mutex
	used     uint64    // guarded by mu; bytes of the calls that run
	promised uint64    // guarded by mu; bytes that live shares have reserved and do not use
	queue    list.List // guarded by mu; of *memoryWaiter
}

// NewMemory returns a budget of so many bytes. Of none, nothing is lent.
func NewMemory(budget uint64) *Memory { return &Memory{budget: budget} }

// Budget is how many bytes there are.
func (m *Memory) Budget() uint64 { return m.budget }

// Used is how many bytes the calls take that run now.
func (m *Memory) Used() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}

// Share is one plugin's part in a Memory. Safe for concurrent use.
type Share struct {
	memory   *Memory
	size     uint64 // bytes of one sandbox
	reserved int    // sandboxes

	running int  // guarded by memory.mu
	live    bool // guarded by memory.mu
}

// Share returns the part of a plugin whose sandboxes take size bytes each. Its reservation
// does not count before Swap.
func (m *Memory) Share(size uint64, reserved int) *Share {
	return &Share{memory: m, size: size, reserved: reserved}
}

// Reserved is how many bytes the share reserves.
func (s *Share) Reserved() uint64 { return s.size * uint64(s.reserved) }

// Fits reports whether the reservations of shares fit the budget, and what their sum is.
func (m *Memory) Fits(shares []*Share) (sum uint64, ok bool) {
	ok = true
	for _, s := range shares {
		if r := s.Reserved(); r > m.budget-min(sum, m.budget) {
			ok = false
		}
		sum += s.Reserved()
	}
	return sum, ok
}

// Swap ends the reservations of old and begins those of next. Calls that run are not touched.
func (m *Memory) Swap(old, next []*Share) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range old {
		m.promised -= s.unused()
		s.live = false
	}
	for _, s := range next {
		s.live = true
		m.promised += s.unused()
	}
	m.grant()
}

type memoryWaiter struct {
	share   *Share
	granted chan struct{} // closed under mu
}

// Acquire waits for the memory of one sandbox until ctx ends. The returned function gives
// it back and must be called once.
func (s *Share) Acquire(ctx context.Context) (release func(), err error) {
	if w := s.enter(); w != nil {
		select {
		case <-w.granted:
		case <-ctx.Done():
			s.memory.giveUp(w)
			return nil, waited(ctx, leastAfter)
		}
	}
	if ctx.Err() != nil {
		s.release()
		return nil, waited(ctx, leastAfter)
	}
	return s.release, nil
}

// enter takes the memory or a place in the queue, which is returned.
func (s *Share) enter() *memoryWaiter {
	m := s.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	// A call within its reservation passes those that wait for more than theirs.
	if s.fits() && (s.within() || m.queue.Len() == 0) {
		s.take()
		return nil
	}
	w := &memoryWaiter{s, make(chan struct{})}
	m.queue.PushBack(w)
	m.grant() // it may come after such as need not wait for what it waits for
	return w
}

func (s *Share) release() {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	s.give()
	s.memory.grant()
}

func (m *Memory) giveUp(w *memoryWaiter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-w.granted: // at that very moment
		w.share.give()
	default:
		for e := m.queue.Front(); e != nil; e = e.Next() {
			if e.Value == w {
				m.queue.Remove(e)
				break
			}
		}
	}
	m.grant() // also for those behind a waiter that has gone
}

// grant lets start who may, in the order in which they came. Of those beyond their
// reservation nobody passes another: what waits for much would wait for ever.
func (m *Memory) grant() { // mu is held, here and below
	held := false
	for e := m.queue.Front(); e != nil; {
		next := e.Next()
		w := e.Value.(*memoryWaiter)
		switch {
		case w.share.fits() && (w.share.within() || !held):
			m.queue.Remove(e)
			w.share.take()
			close(w.granted)
		case !w.share.within():
			held = true
		}
		e = next
	}
}

// within reports whether the share's next call is within its reservation.
func (s *Share) within() bool { return s.running < s.reserved }

// unused is what the share has reserved and does not use, while its release is live.
func (s *Share) unused() uint64 {
	if !s.live || !s.within() {
		return 0
	}
	return s.size * uint64(s.reserved-s.running)
}

// fits reports whether there is room for the share's next call.
func (s *Share) fits() bool {
	m := s.memory
	room := m.budget - m.used
	if !s.within() {
		room -= min(room, m.promised)
	}
	return s.size <= room
}

func (s *Share) take() {
	s.memory.promised -= s.unused()
	s.running++
	s.memory.used += s.size
	s.memory.promised += s.unused()
}

func (s *Share) give() {
	s.memory.promised -= s.unused()
	s.running--
	s.memory.used -= s.size
	s.memory.promised += s.unused()
}
