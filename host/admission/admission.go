// Package admission owns the decision whether a call of a plugin may start now. Three things
// decide: the plugin's breaker, its slots, and the memory that all sandboxes together may
// take. What cannot start waits no longer than its context, or is told when to try again;
// nothing here ever ends what has started.
//
// The order is fixed: breaker, slot, memory, breaker again. Whoever waits for memory holds
// a slot, and whoever holds memory waits for nothing but the slots of plugins that it calls.
// These are slots that nobody waits for memory with, so that nobody waits in a circle as long
// as plugins do not call each other in one.
package admission

import (
	"context"
	"errors"
	"math"
	"time"

	"pointsman/host/broker"
)

// Why a call may not start; each is in the chain of a *broker.Error of kind Unavailable.
var (
	ErrWaited = errors.New("admission: nothing became free in time")
	ErrFull   = errors.New("admission: too many wait already")
	ErrOpen   = errors.New("admission: the plugin's breaker is open")
)

// leastAfter is the shortest wait that anybody is told, and the one when nothing better is
// known; mostAfter the longest. The unit of Retry-After is the second, and 30 s is the
// longest deadline of a route: nothing that runs now runs then.
const (
	leastAfter = time.Second
	mostAfter  = 30 * time.Second
)

// Caller is on whose behalf a plugin is called.
type Caller struct {
	Route    string
	Consumer broker.PrincipalID
}

// Verdict is what the end of a call says about the plugin.
type Verdict uint8

const (
	Nothing Verdict = iota // its caller went away, or its time was used up by others
	Fine                   // it came to an end, in success or by saying that it failed
	Broken                 // it broke off by its own fault
)

// Guard stands before one plugin. Safe for concurrent use.
type Guard struct {
	Slots   *Slots
	Share   *Share // nil: whose call it is part of was lent the memory for both
	Breaker *Breaker
}

// Enter waits until a call may start, until ctx ends. The returned function must be called
// once, when the call has ended. The error is a *broker.Error of kind Unavailable.
func (g *Guard) Enter(ctx context.Context, c Caller) (leave func(Verdict), err error) {
	if err := g.Breaker.check(c.Consumer); err != nil { // first: nobody queues for a plugin that is closed
		return nil, err
	}
	freeSlot, err := g.Slots.Acquire(ctx, c)
	if err != nil {
		return nil, err
	}
	freeMemory := func() {}
	if g.Share != nil {
		if freeMemory, err = g.Share.Acquire(ctx); err != nil {
			freeSlot()
			return nil, err
		}
	}
	done, err := g.Breaker.begin(c.Consumer)
	if err != nil {
		freeMemory()
		freeSlot()
		return nil, err
	}
	return func(v Verdict) {
		done(v)
		freeMemory()
		freeSlot()
	}, nil
}

func unavailable(detail string, err error, after time.Duration) error {
	return &broker.Error{Kind: broker.Unavailable, Detail: detail, Err: err, After: min(max(after, leastAfter), mostAfter)}
}

// waited is the error of who waited in vain.
func waited(ctx context.Context, after time.Duration) error {
	return unavailable("no sandbox became free in time", errors.Join(ErrWaited, context.Cause(ctx)), after)
}

// half is at most half of n, rounded up.
func half(n int) int { return n - n/2 }

// times is d n times, without overflow. n is not negative.
func times(d time.Duration, n int) time.Duration {
	if n > 0 && d > math.MaxInt64/time.Duration(n) {
		return math.MaxInt64
	}
	return d * time.Duration(n)
}
