package sandbox

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// record is the context that a guest of the snapshot engine runs under: it is the record
// of its call. It has no timer: host functions compare the clock (see overdue), and
// operations, which may wait, get a context of the standard library that has one.
//
// It is made for one call and never used again, because contexts outlive calls.
type record struct {
	call
	caller   context.Context
	deadline time.Time
	stopped  atomic.Bool

	mu     sync.Mutex
	under  context.Context    // guarded by mu; for operations, nil until there is one
	cancel context.CancelFunc // guarded by mu; of under
}

var _ context.Context = (*record)(nil)

// startRecord begins a call of at most limit under caller.
func startRecord(caller context.Context, c call, limit time.Duration) *record {
	r := &record{call: c, caller: caller, deadline: time.Now().Add(limit)}
	if end, ok := caller.Deadline(); ok && end.Before(r.deadline) {
		r.deadline = end
	}
	return r
}

// Deadline implements context.Context.
func (r *record) Deadline() (time.Time, bool) { return r.deadline, true }

// Err implements context.Context. That the deadline has passed shows in it only when Done
// was asked for; overdue compares the clock.
func (r *record) Err() error {
	if r.stopped.Load() {
		return context.Canceled
	}
	return r.caller.Err()
}

// Done implements context.Context.
func (r *record) Done() <-chan struct{} { return r.operation().Done() }

// Value implements context.Context.
func (r *record) Value(key any) any {
	if key == (callKey{}) {
		return &r.call
	}
	return r.caller.Value(key)
}

// operation is the context for what the host does on behalf of the guest.
func (r *record) operation() context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.under == nil {
		r.under, r.cancel = context.WithDeadline(r.caller, r.deadline)
		if r.stopped.Load() {
			r.cancel()
		}
	}
	return r.under
}

// stop implements stopper.
func (r *record) stop() {
	r.stopped.Store(true)
	r.end()
}

// end ends the operations' context.
func (r *record) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cancel != nil {
		r.cancel()
	}
}
