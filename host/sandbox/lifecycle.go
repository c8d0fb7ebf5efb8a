package sandbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrClosed is what a call gets of a module that is closed or closing.
var ErrClosed = errors.New("sandbox: module is closed")

// stopTime is how long Close waits for the calls that it stopped when its context had
// ended. A guest stops within a millisecond or so; an operation that does not heed its
// context may not.
const stopTime = 2 * time.Second

// stopper is a call that runs.
type stopper interface {
	stop() // any goroutine, any number of times
}

// lifecycle knows which calls of a module run, and frees the module when none does any
// more. Safe for concurrent use.
type lifecycle struct {
	free func() error // gives back what the module holds; nothing runs then

	mu        sync.Mutex
	closed    bool                 // guarded by mu
	abandoned bool                 // guarded by mu; Close has gone, the last call frees
	running   map[stopper]struct{} // guarded by mu
	lastEnded chan struct{}        // closed when closed is set and nothing runs
}

// newLifecycle returns that of an open module.
func newLifecycle(free func() error) lifecycle {
	return lifecycle{free: free, running: map[stopper]struct{}{}, lastEnded: make(chan struct{})}
}

// enter records that c runs. It reports false when the module is closed.
func (l *lifecycle) enter(c stopper) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.running[c] = struct{}{}
	return true
}

func (l *lifecycle) leave(c stopper) {
	l.mu.Lock()
	delete(l.running, c)
	last := l.closed && len(l.running) == 0
	if last {
		close(l.lastEnded)
	}
	abandoned := last && l.abandoned
	l.mu.Unlock()
	if abandoned {
		_ = l.free() // Close has reported already that it could not wait
	}
}

// Close implements Module. When ctx ends first, the calls that still run are stopped. If
// even then one does not end, its operation ignores its context: the error says so, and
// that call frees the module when it ends. A second Close does nothing.
func (l *lifecycle) Close(ctx context.Context) error {
	if !l.refuseCalls() {
		return nil
	}
	select {
	case <-l.lastEnded:
		return l.free()
	case <-ctx.Done():
	}
	l.stopCalls()
	late := time.NewTimer(stopTime)
	defer late.Stop()
	select {
	case <-l.lastEnded:
		return l.free()
	case <-late.C:
	}
	if l.abandon() {
		return fmt.Errorf("close module: calls still run after %v: %w", stopTime, ctx.Err())
	}
	return l.free()
}

// refuseCalls closes the module for new calls. It reports false if it was closed before.
func (l *lifecycle) refuseCalls() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.closed = true
	if len(l.running) == 0 {
		close(l.lastEnded)
	}
	return true
}

// stopCalls stops the calls that run.
func (l *lifecycle) stopCalls() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.running {
		c.stop()
	}
}

// abandon leaves the freeing to the last call. It reports false when none runs any more.
func (l *lifecycle) abandon() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.abandoned = len(l.running) > 0
	return l.abandoned
}
