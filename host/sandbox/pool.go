package sandbox

import (
	"errors"
	"sync"
)

// pool holds the instances of a module that wait for a call, all as the image says. Safe
// for concurrent use.
type pool struct {
	limit int

	mu     sync.Mutex
	idle   []*instance // guarded by mu; the last is the one used last
	closed bool        // guarded by mu
}

// take gives away an instance, or nil when none waits.
func (p *pool) take() *instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle) - 1
	if n < 0 {
		return nil
	}
	i := p.idle[n]
	p.idle[n] = nil
	p.idle = p.idle[:n]
	return i
}

// put takes an instance back. It is closed when enough wait.
func (p *pool) put(i *instance) {
	if !p.keep(i) {
		_ = i.close() // of no concern to the call that it served
	}
}

func (p *pool) keep(i *instance) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= p.limit {
		return false
	}
	p.idle = append(p.idle, i)
	return true
}

// drain closes what waits, and everything that is put from now on.
func (p *pool) drain() error {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	var errs []error
	for _, i := range idle {
		errs = append(errs, i.close())
	}
	return errors.Join(errs...)
}
