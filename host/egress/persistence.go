package egress

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"golang.org/x/time/rate"

	"pointsman/host/broker"
)

// Retries says how often a request may be repeated. Only methods that RFC 9110 §9.2.2 calls
// idempotent are: GET, HEAD, PUT and DELETE. They are repeated after a broken connection, an
// attempt that took too long, 502, 503 and 504, and after 429 when it says how long to wait.
type Retries struct {
	Attempts int           // with the first; 0 and 1 mean none but it
	Time     time.Duration // of one attempt; 0: whatever is left for the whole use
	Budget   int           // percent of what runs that may be repetitions; 0 means 20; see minRetries
}

// Rate is a number of attempts in a time. The zero Rate is no limit.
type Rate struct {
	Count int
	Per   time.Duration
}

// Numbers behind retries.
const (
	maxAttempts   = 10
	defaultBudget = 20 // percent: what Finagle and failsafe-go start from
	minRetries    = 3  // repetitions that may run at once whatever the budget says: a quiet back end is worth some
	firstDelay    = 25 * time.Millisecond
	maxDelay      = time.Second
)

// persistence is how a back end is asked again. Its parts are nil when they are not wanted.
type persistence struct {
	rate     *rate.Limiter
	breaker  *breaker
	each     time.Duration // of one attempt; 0: no limit of its own
	retries  int           // beside the first attempt
	repeat   failsafe.Executor[outcome]
	hedge    failsafe.Executor[outcome] // for methods that change nothing: repeat, and hedging
	hedging  bool
	maxTotal time.Duration
}

func newPersistence(c Config, total time.Duration, turned func(from, to string)) (persistence, error) {
	p := persistence{each: c.Retries.Time, maxTotal: total, hedging: c.Hedge > 0}
	switch {
	case c.Rate.Count < 0 || c.Rate.Count > 0 && c.Rate.Per <= 0:
		return p, errors.New("limits: rate is not a number in a time")
	case c.Retries.Attempts < 0 || c.Retries.Attempts > maxAttempts:
		return p, fmt.Errorf("retries: at most %d attempts", maxAttempts)
	case c.Retries.Budget < 0 || c.Retries.Budget > 100:
		return p, errors.New("retries: the budget is a percentage")
	case c.Retries.Time < 0 || c.Retries.Time > total || c.Hedge < 0 || c.Hedge > total:
		return p, errors.New("retries and hedge: a time cannot be longer than that of the whole use")
	}
	if c.Rate.Count > 0 {
		// A tenth of a second's worth may go at once: a steady stream passes as it comes, and
		// no back end sees much more than its rate in any second.
		perSecond := float64(c.Rate.Count) / c.Rate.Per.Seconds()
		p.rate = rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond/10)))
	}
	var err error
	if p.breaker, err = newBreaker(c.Breaker, turned); err != nil {
		return p, err
	}
	shared := budget.NewBuilder().WithMaxRate(float64(or(c.Retries.Budget, defaultBudget)) / 100).WithMinConcurrency(minRetries).Build()
	var again, safe []failsafe.Policy[outcome]
	if p.retries = max(0, c.Retries.Attempts-1); p.retries > 0 {
		retry := retrypolicy.NewBuilder[outcome]().
			WithMaxRetries(p.retries).ReturnLastFailure().WithBudget(shared).
			HandleIf(func(o outcome, _ error) bool { return o.again }).
			WithDelayFunc(func(e failsafe.ExecutionAttempt[outcome]) time.Duration { return e.LastResult().wait }).
			Build()
		again = append(again, retry)
		p.repeat = failsafe.With(again...)
	}
	if p.hedging {
		safe = append(append(safe, again...), hedgepolicy.NewBuilderWithDelay[outcome](c.Hedge).WithBudget(shared).Build())
		p.hedge = failsafe.With(safe...)
	}
	return p, nil
}

// executor returns what repeats requests of that method, nil for none.
func (p persistence) executor(method string) failsafe.Executor[outcome] {
	switch method {
	case http.MethodGet, http.MethodHead:
		if p.hedging {
			return p.hedge
		}
		return p.repeat
	case http.MethodPut, http.MethodDelete: // twice is as once, but two at a time may overtake another's
		return p.repeat
	}
	return nil
}

// attempts runs r until it succeeds or no attempt is left.
func (b *Backend) attempts(ctx, caller context.Context, r Request) outcome {
	executor := b.persist.executor(r.Method)
	if executor == nil {
		return b.attempt(ctx, caller, r)
	}
	var tries, hedges atomic.Int32
	var last atomic.Pointer[outcome]
	o, err := executor.WithContext(ctx).GetWithExecution(func(e failsafe.Execution[outcome]) (outcome, error) {
		n := int(tries.Add(1))
		if e.IsHedge() {
			hedges.Add(1)
			return b.hedged(e.Context(), caller, r), nil
		}
		o := b.attempt(e.Context(), caller, r)
		if o.again {
			o.wait = delay(n, o.wait)
			end, _ := ctx.Deadline()
			o.again = time.Until(end) > o.wait // an attempt that could only be late is not made
		}
		last.Store(&o)
		return o, nil
	})
	if n := tries.Load(); n > 1 {
		b.log.InfoContext(ctx, "a back end was asked more than once", "backend", b.name, "call", callID(ctx),
			"attempts", n, "hedges", hedges.Load(), "status", o.answer.Status)
	}
	if err != nil { // the budget is spent, or ctx ended
		if known := last.Load(); known != nil && ctx.Err() == nil {
			return *known
		}
		return outcome{err: classify(caller, err)}
	}
	return o
}

// hedged is a second attempt beside the first. It can only help: when it fails, it waits
// for the first to decide. It has a goroutine of its own, whose panic would end the process.
func (b *Backend) hedged(ctx, caller context.Context, r Request) (o outcome) {
	defer func() {
		if v := recover(); v != nil {
			b.log.ErrorContext(ctx, "a second attempt panicked", "backend", b.name, "call", callID(ctx), "err", fmt.Sprintf("%T", v))
			o.err = &broker.Error{Kind: broker.Internal, Err: errors.New("panic")}
		}
		if o.err != nil || o.again {
			<-ctx.Done()
		}
	}()
	return b.attempt(ctx, caller, r)
}

// delay is how long to wait before another attempt, when n were made: what the back end
// asked for and up to a bit more, else anything up to a bound that doubles (full jitter,
// which spreads the attempts of many over the whole time).
func delay(n int, asked time.Duration) time.Duration {
	bound := min(firstDelay<<min(n-1, maxAttempts), maxDelay)
	return asked + rand.N(bound)
}

// attempt sends r once, when slot, rate and breaker let it.
func (b *Backend) attempt(ctx, caller context.Context, r Request) outcome {
	if err := b.persist.breaker.open(); err != nil {
		return outcome{err: err}
	}
	if b.persist.each > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, b.persist.each)
		defer cancel()
	}
	select {
	case b.slots <- struct{}{}:
		defer func() { <-b.slots }()
	case <-ctx.Done():
		return outcome{err: classify(caller, ctx.Err())}
	}
	if err := ctx.Err(); err != nil { // select takes either case when both are ready
		return outcome{err: classify(caller, err)}
	}
	if err := b.pace(ctx, caller); err != nil {
		return outcome{err: err}
	}
	if err := b.persist.breaker.admit(); err != nil {
		return outcome{err: err}
	}
	verdict := failure // of a panic
	defer func() { b.persist.breaker.record(verdict) }()
	o := b.exchange(ctx, caller, r)
	verdict = judged(ctx, o)
	return o
}

// pace waits for the back end's rate, as far as the time allows.
func (b *Backend) pace(ctx, caller context.Context) error {
	if b.persist.rate == nil {
		return nil
	}
	if err := b.persist.rate.Wait(ctx); err != nil {
		if ctx.Err() != nil {
			return classify(caller, ctx.Err())
		}
		after := time.Duration(float64(time.Second) / float64(b.persist.rate.Limit()))
		return &broker.Error{Kind: broker.RateLimited, Detail: "the back end's rate is used up", After: max(after, time.Millisecond)}
	}
	return nil
}
