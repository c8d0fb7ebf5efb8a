package parcel

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"

	"pointsman/host/broker"
)

// Limits of one call of a sandbox.
const (
	// MaxHandles is how many parcels a call can have: the connectors and merges that we know
	// take fewer than ten.
	MaxHandles = 64
	// maxMade is what the parcels that a call makes may take together, in bytes: four of the
	// largest documents.
	maxMade = 4 * MaxSize
)

// Handle is a parcel's number in one call. It means nothing in any other: numbers begin
// somewhere else in each.
type Handle uint64

// Append appends the number in decimal.
func (h Handle) Append(dst []byte) []byte { return strconv.AppendUint(dst, uint64(h), 10) }

// handleBits is how many bits a handle has: what a JSON number carries whole.
const handleBits = 53

// Table is the parcels that one call of a sandbox has handles for, and those that it waits for.
// It ends with the call. Safe for concurrent use.
type Table struct {
	first Handle          // number of the first
	ctx   context.Context // of the step; what was begun goes on in it when the sandbox has ended
	made  atomic.Int64

	mu      sync.Mutex
	parcels []*Parcel // guarded by mu
	begun   []*Parcel // guarded by mu: those that came by Begin
	closed  bool      // guarded by mu
}

// NewTable returns the table of a call that begins.
func NewTable() *Table {
	t := &Table{first: Handle(rand.Uint64N(1<<handleBits-MaxHandles-1)) + 1}
	t.made.Store(maxMade)
	return t
}

// Put gives p a number. The error is Denied when the call has as many as it may have, or is
// over.
func (t *Table) Put(p *Parcel) (Handle, error) {
	if t == nil {
		return 0, errNoTable
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.full(); err != nil {
		return 0, err
	}
	t.parcels = append(t.parcels, p)
	return t.first + Handle(len(t.parcels)-1), nil
}

// full is why there is no room for one more. t.mu is held.
func (t *Table) full() error {
	switch {
	case t.closed:
		return errOver
	case len(t.parcels) >= MaxHandles:
		return errFull
	}
	return nil
}

// Make puts the parcel of what make returns: see Made. It counts against what the call may
// make.
func (t *Table) Make(f Facts, make func() (Value, error), from ...*Parcel) (Handle, error) {
	p := Made(f, make, from...)
	if t != nil {
		p.made = &t.made
	}
	return t.Put(p)
}

// Begin has fetch run on a goroutine of its own, and puts the parcel of what it returns.
// fetch is handed the context of the step, which goes on when the sandbox has ended, and returns
// soon after that ends.
func (t *Table) Begin(f Facts, fetch func(context.Context) (Value, error)) (Handle, error) {
	p, settle := Pending(f)
	h, err := t.Put(p)
	if err != nil {
		return 0, err
	}
	t.mu.Lock()
	t.begun = append(t.begun, p)
	t.mu.Unlock()
	go func() {
		v, err := Value{}, error(errBroken)
		defer func() { settle(v, err) }() // also when fetch ends its goroutine
		v, err = fetch(t.ctx)
	}()
	return h, nil
}

// Get returns the parcel of a number that this call was given.
func (t *Table) Get(h Handle) (*Parcel, error) {
	if t == nil {
		return nil, errNoTable
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, errOver
	}
	if i := h - t.first; h >= t.first && i < Handle(len(t.parcels)) {
		return t.parcels[i], nil
	}
	return nil, errUnknown
}

// Close ends the numbers. It returns those that Begin began, whether they are there or not.
func (t *Table) Close() (begun []*Parcel) {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed, t.parcels = true, nil
	return t.begun
}

// After is p as it is when it and all of others are there, whatever the others came to.
func After(p *Parcel, others []*Parcel) *Parcel {
	pending := 0
	for _, o := range others {
		if o != p && !o.Settled() {
			pending++
		}
	}
	if pending == 0 {
		return p
	}
	after := &Parcel{facts: p.facts, from: append([]*Parcel{p}, others...), spares: true}
	after.make = func() (Value, error) { return p.value, p.err }
	return after
}

type tableKey struct{}

// WithTable returns a context that carries the table of a call, because the Wasm boundary
// passes nothing else. What the call begins goes on in ctx. It is called once, before the
// sandbox is.
func WithTable(ctx context.Context, t *Table) context.Context {
	if t == nil {
		return ctx
	}
	t.ctx = ctx
	return context.WithValue(ctx, tableKey{}, t)
}

// TableFrom returns the table that ctx carries; nil, in which there is no room, for none.
func TableFrom(ctx context.Context) *Table {
	t, _ := ctx.Value(tableKey{}).(*Table)
	return t
}

var (
	errNoTable = &broker.Error{Kind: broker.Denied, Detail: "parcels are for plugins that were granted parcel"}
	errOver    = &broker.Error{Kind: broker.Denied, Detail: "the call that had this parcel is over"}
	errFull    = &broker.Error{Kind: broker.Denied, Detail: "a call can have 64 parcels"}
	errUnknown = &broker.Error{Kind: broker.Denied, Detail: "this call has no parcel with that number"}
	errBudget  = &broker.Error{Kind: broker.TooLarge, Detail: "the parcels that the call makes are too large together"}
	errBroken  = &broker.Error{Kind: broker.Internal}
)

// Wait waits until all of parcels are there, or ctx ends.
func Wait(ctx context.Context, parcels []*Parcel) {
	for _, p := range parcels {
		p.Wait(ctx)
	}
}
