package admission

import (
	"time"

	"pointsman/host/broker"
)

// Division is what divide says, for tests: see there.
type Division struct {
	Own, Shared, PerRoute, PerConsumer, PerBoth, Queue, QueueRoute, QueueConsumer int
}

// Divide shows divide.
func Divide(slots int, u Users) Division {
	d := divide(slots, u)
	return Division{d.own, d.shared, d.perRoute, d.perConsumer, d.perBoth, d.queue, d.queueRoute, d.queueConsumer}
}

// Held is what s counts: calls that run and that wait, shared slots taken, and how many
// routes and consumers are remembered.
func (s *Slots) Held() (running, waiting, shared, remembered int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running, s.queue.Len(), s.shared, len(s.routes) + len(s.consumers) + len(s.both)
}

// Waiting is how many calls wait for memory.
func (m *Memory) Waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.queue.Len()
}

// Promised is what is reserved and not used, in bytes.
func (m *Memory) Promised() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.promised
}

// Begin and Check show begin and check.
func (b *Breaker) Begin(c broker.PrincipalID) (func(Verdict), error) { return b.begin(c) }
func (b *Breaker) Check(c broker.PrincipalID) error                  { return b.check(c) }

// Try takes a slot if one may be had at once.
func (s *Slots) Try(c Caller) (release func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.may(c) {
		return nil, false
	}
	s.take(c)
	began := time.Now()
	return func() { s.release(c, time.Since(began)) }, true
}
