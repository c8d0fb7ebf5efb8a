package sandbox

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// sweepEvery is how many instances come back between two looks at whether all of them are
// still needed: often enough that a storm's instances are gone seconds after it at the rates
// that cause storms, seldom enough to cost nothing.
const sweepEvery = 512

// pool holds the instances of a module that wait for a call, all as the image says. Safe
// for concurrent use.
type pool struct {
	limit int    // how many may wait, whatever the others do
	spare *spare // for those beyond

	mu     sync.Mutex
	idle   []*instance // guarded by mu; the last is the one used last
	closed bool        // guarded by mu
	puts   int         // guarded by mu; since the last sweep
	least  int         // guarded by mu; the fewest that waited since the last sweep
}

// spare is the room that the pools of an engine share for instances beyond what each may
// keep: who is busy keeps what it needs, and all together never more than this. A pool
// without one keeps its limit only. Safe for concurrent use.
type spare struct{ left atomic.Int64 }

func newSpare(n int) *spare {
	s := &spare{}
	s.left.Store(int64(n))
	return s
}

// borrow takes the room of one instance, if there is any.
func (s *spare) borrow() bool {
	if s == nil {
		return false
	}
	if s.left.Add(-1) < 0 {
		s.left.Add(1)
		return false
	}
	return true
}

// giveBack returns the room of n instances.
func (s *spare) giveBack(n int) {
	if s != nil && n > 0 {
		s.left.Add(int64(n))
	}
}

// take gives away an instance, or nil when none waits.
func (p *pool) take() *instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle) - 1
	if n < 0 {
		p.least = 0
		return nil
	}
	i := p.idle[n]
	p.idle[n] = nil
	p.idle = p.idle[:n]
	p.least = min(p.least, n)
	if n >= p.limit {
		p.spare.giveBack(1)
	}
	return i
}

// put takes an instance back. It is closed when enough wait, and so are those that were not
// needed for a while.
func (p *pool) put(i *instance) {
	kept, unused := p.keep(i)
	if !kept {
		unused = append(unused, i)
	}
	for _, i := range unused {
		_ = i.close() // of no concern to the call that it served
	}
}

func (p *pool) keep(i *instance) (kept bool, unused []*instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= p.limit && !p.spare.borrow() {
		return false, nil
	}
	p.idle = append(p.idle, i)
	if p.puts++; p.puts < sweepEvery {
		return true, nil
	}
	if n := min(p.least, len(p.idle)-p.limit); n > 0 {
		unused = slices.Clone(p.idle[:n])
		p.idle = slices.Delete(p.idle, 0, n)
		p.spare.giveBack(n)
	}
	p.puts, p.least = 0, len(p.idle)
	return true, unused
}

// drain closes what waits, and everything that is put from now on.
func (p *pool) drain() error {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.spare.giveBack(len(idle) - p.limit)
	p.mu.Unlock()
	var errs []error
	for _, i := range idle {
		errs = append(errs, i.close())
	}
	return errors.Join(errs...)
}
