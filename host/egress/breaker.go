package egress

import (
	"context"
	"errors"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"pointsman/host/broker"
)

// Breaker says when a back end that fails is left alone. The zero Breaker never opens.
//
// What counts as a failure is a broken connection, no answer in time, 502, 503 and 504. No
// other answer does: a plugin that asks for what the back end cannot bear must not take it
// from everyone else.
type Breaker struct {
	Percent  int           // of attempts that fail, which opens it; 0: there is no breaker
	Requests int           // attempts within the time below which it stays closed; 0 means 10
	Within   time.Duration // the time that is looked at; 0 means 10 s
	Open     time.Duration // how long it stays open before one attempt is let through; 0 means 5 s
}

// Defaults of a breaker, and how it is told that a trial runs.
const (
	defaultRequests = 10               // fewer say nothing about a share of them
	defaultWithin   = 10 * time.Second // five exchanges of the default time, one after the other
	defaultOpen     = 5 * time.Second
	trialTime       = time.Second // when to come again while another's trial decides
)

// breaker is a checked Breaker. A nil one lets everything pass.
type breaker struct {
	circuitbreaker.CircuitBreaker[any]
}

// verdict is what an attempt says about the health of a back end.
type verdict uint8

const (
	nothing verdict = iota
	success
	failure
)

func newBreaker(c Breaker, turned func(from, to string)) (*breaker, error) {
	if c == (Breaker{}) {
		return nil, nil
	}
	if c.Percent < 1 || c.Percent > 100 || c.Requests < 0 || c.Within < 0 || c.Open < 0 {
		return nil, errors.New("breaker: it needs a percentage from 1 to 100, and nothing can be negative")
	}
	return &breaker{circuitbreaker.NewBuilder[any]().
		WithFailureRateThreshold(float64(c.Percent)/100, uint(or(c.Requests, defaultRequests)), or(c.Within, defaultWithin)).
		WithSuccessThreshold(1).
		WithDelay(or(c.Open, defaultOpen)).
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) { turned(e.OldState.String(), e.NewState.String()) }).
		Build()}, nil
}

// open returns an error while nothing could be sent, so that nobody waits for that.
func (b *breaker) open() error {
	if b == nil {
		return nil
	}
	if left := b.RemainingDelay(); left > 0 {
		return errOpen(left)
	}
	return nil
}

// admit takes a permit, which record gives back.
func (b *breaker) admit() error {
	if b == nil || b.TryAcquirePermit() {
		return nil
	}
	return errOpen(or(b.RemainingDelay(), trialTime))
}

func errOpen(after time.Duration) error {
	return &broker.Error{Kind: broker.Unavailable, Detail: "the back end failed too often and is left alone for a moment", After: after}
}

// record gives the permit back with what was learned.
func (b *breaker) record(v verdict) {
	switch {
	case b == nil:
	case v == failure:
		b.RecordFailure()
	case v == success:
		b.RecordSuccess()
	case b.IsHalfOpen(): // a trial that showed nothing: the next one is some time away
		b.RecordFailure()
	}
}

// judged is what o says about the back end. ctx is the attempt's: when it was canceled,
// because the caller left or another attempt was faster, nothing was learned.
func judged(ctx context.Context, o outcome) verdict {
	switch {
	case o.broken && errors.Is(ctx.Err(), context.Canceled):
		return nothing
	case o.broken:
		return failure
	case o.err == nil || broker.KindOf(o.err) == broker.Upstream: // an answer, if one that we do not like
		return success
	}
	return nothing
}

// breakerTurned logs a change; the breaker's own lock is not held.
func (b *Backend) breakerTurned(from, to string) {
	b.log.Warn("a back end's breaker turned", "backend", b.name, "from", from, "to", to)
}
