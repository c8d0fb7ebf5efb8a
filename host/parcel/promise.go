package parcel

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"pointsman/host/broker"
	"pointsman/host/view"
)

// Parcel is a document that the host holds: a promise of a Value, with what is known of it
// before it is there. What is made of others is made once, when somebody asks for it and the
// others are there, on the goroutine by which the last of them came. Safe for concurrent use.
type Parcel struct {
	facts Facts
	made  *atomic.Int64 // counts what is made against its owner's budget; nil: not counted
	from  []*Parcel
	make  func() (Value, error) // nil when it comes from outside
	// spares says that one of from that failed does not make p fail.
	spares bool

	mu      sync.Mutex
	state   state       // guarded by mu
	waiting []func()    // guarded by mu: called once it is there
	there   atomic.Bool // state is settled; value and err do not change any more
	value   Value
	err     error
}

type state uint8

const (
	idle  state = iota // nobody asked yet
	asked              // for what it is made of
	settled
)

// Of returns the parcel of a document that is there.
func Of(v Value, f Facts) *Parcel {
	p := &Parcel{facts: f, state: settled, value: v}
	p.there.Store(true)
	return p
}

// Pending returns a parcel that comes from outside, and the function that settles it. It must
// be called, and counts once. An error is why there is no document.
func Pending(f Facts) (p *Parcel, settle func(Value, error)) {
	p = &Parcel{facts: f, state: asked}
	return p, p.settle
}

// Made returns the parcel of what make returns, which is called at most once, when all of
// from are there. One of them that failed is what it fails with: make is not called then.
func Made(f Facts, make func() (Value, error), from ...*Parcel) *Parcel {
	return &Parcel{facts: f, make: make, from: from}
}

// OrNull is p, and nothing, which is written null, where p fails: what a route refers to when it goes on without a step.
func OrNull(p *Parcel) *Parcel {
	null := &Parcel{facts: p.facts, from: []*Parcel{p}, spares: true}
	null.make = func() (Value, error) {
		if p.err != nil {
			return Value{}, nil
		}
		return p.value, nil
	}
	return null
}

// With is p with other facts.
func With(p *Parcel, f Facts) *Parcel {
	if p.Settled() && p.err == nil {
		return Of(p.value, f)
	}
	return Made(f, func() (Value, error) { return p.value, nil }, p)
}

// Readable is p, of which what shown shows may be read.
func Readable(p *Parcel, shown view.View) *Parcel {
	return With(p, Facts{Labels: p.facts.Labels, Shown: shown})
}

// Facts is what is known of the document, whether it is there or not.
func (p *Parcel) Facts() Facts { return p.facts }

// Settled reports whether Wait returns at once.
func (p *Parcel) Settled() bool { return p.there.Load() }

// Then calls f once when p is there or failed: before it returns, if that is so already.
func (p *Parcel) Then(f func()) {
	p.mu.Lock()
	if p.state == settled {
		p.mu.Unlock()
		f()
		return
	}
	p.waiting = append(p.waiting, f)
	first := p.state == idle
	p.state = asked
	p.mu.Unlock()
	if first {
		p.ask()
	}
}

// ask asks for what p is made of, and makes p when all of it is there.
func (p *Parcel) ask() {
	var missing atomic.Int64
	missing.Store(int64(len(p.from)) + 1)
	come := func() {
		if missing.Add(-1) == 0 {
			p.settle(p.evaluate())
		}
	}
	for _, from := range p.from {
		from.Then(come)
	}
	come()
}

// evaluate makes the value of p. All that it is made of is there.
func (p *Parcel) evaluate() (v Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			v, err = Value{}, &broker.Error{Kind: broker.Internal, Err: fmt.Errorf("making a parcel panicked: %T\n%s", r, debug.Stack())}
		}
	}()
	if !p.spares {
		for _, from := range p.from {
			if from.err != nil {
				return Value{}, from.err
			}
		}
	}
	if v, err = p.make(); err == nil && p.made != nil && p.made.Add(-int64(v.cost())) < 0 {
		return Value{}, errBudget
	}
	return v, err
}

// settle says what p came to, once.
func (p *Parcel) settle(v Value, err error) {
	p.mu.Lock()
	if p.state == settled {
		p.mu.Unlock()
		return
	}
	p.value, p.err, p.state = v, err, settled
	waiting := p.waiting
	p.waiting, p.from, p.make = nil, nil, nil // what it was made of may go
	p.there.Store(true)
	p.mu.Unlock()
	for _, f := range waiting {
		f()
	}
}

// Wait returns the document, or why there is none. When ctx ends before, the error is that of
// ctx: what settles parcels from outside heeds the same end.
func (p *Parcel) Wait(ctx context.Context) (Value, error) {
	if !p.there.Load() {
		come := make(chan struct{})
		p.Then(func() { close(come) })
		select {
		case <-come:
		case <-ctx.Done():
			return Value{}, ctx.Err()
		}
	}
	return p.value, p.err
}
