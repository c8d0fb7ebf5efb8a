package admission

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"pointsman/host/broker"
)

// The numbers of a breaker.
//
// It opens when in 10 s at least 20 calls ended and 80 % of them broke off. 20 is what a
// consumer with a page of parallel requests makes at once: fewer say nothing. 10 s is the
// longest that one call takes by default (host/sandbox), so that runaways that end at their
// deadline are in one window. 80 % leaves a plugin open that serves one in five: an answer
// in parts is better than none. Open for 5 s: a plugin that spins for its 10 s on every call
// then takes its slots two thirds of the time, one that traps at once takes next to nothing.
const (
	breakerWindow = 10 * time.Second
	breakerLeast  = 20
	breakerRate   = 0.8
	breakerOpen   = 5 * time.Second
	// Of one consumer, one call in so long counts for everybody's breaker. So in a window
	// there are at most six of one consumer, 30 % of the least that opens it.
	breakerSample = 2 * time.Second
	// Everybody's breaker closes when 2 of 5 calls in a row do not break off, which is less
	// than 80 % of faults.
	breakerGood, breakerTries = 2, 5
)

// Breaker keeps calls from a plugin that breaks off again and again. It is two: one for
// each consumer, and one for all.
//
// A guest breaks off on what it is given, and that is often a consumer's choice. If every
// fault counted for all, twenty crafted requests would close a plugin for everybody, for as
// long as somebody goes on sending them. So a consumer's faults close the plugin for this
// consumer; everybody's breaker sees one call of each consumer every two seconds, and opens
// when 80 % of at least twenty such calls broke off. One consumer cannot bring that about,
// nor can three. Four or more can only where the calls of all others that are seen, and are
// fine, are less than a quarter of theirs.
//
// A deployment begins with a closed breaker. Safe for concurrent use.
//
// The windows are of the wall clock: failsafe-go takes no other.
type Breaker struct {
	plugin string
	log    *slog.Logger

	mu        sync.Mutex
	all       circuit                            // guarded by mu
	consumers map[broker.PrincipalID]*ownCircuit // guarded by mu; no more than the release has
}

// circuit is one breaker. failsafe-go keeps the state and the statistics; which calls probe
// a half-open one is decided here, because its permits cannot be given back by a call that
// says nothing of the plugin.
type circuit struct {
	circuitbreaker.CircuitBreaker[any]
	era int // counts changes of state: a call that began in another says nothing of this one
}

type ownCircuit struct {
	circuit
	probing bool      // a call runs that will close it or open it again
	trying  bool      // a call runs that is a try of everybody's
	sampled time.Time // when its last call ended that everybody's has seen
}

// due reports whether everybody's breaker may see another call of the consumer.
func (o *ownCircuit) due() bool {
	return o.sampled.IsZero() || time.Since(o.sampled) >= breakerSample
}

// NewBreaker returns a closed breaker of a plugin, which tells log when it opens and closes.
func NewBreaker(plugin string, log *slog.Logger) *Breaker {
	b := &Breaker{plugin: plugin, log: log, consumers: map[broker.PrincipalID]*ownCircuit{}}
	b.build(&b.all, "", breakerGood, breakerTries)
	return b
}

// build fills in c, which closes when good of so many tries are fine.
func (b *Breaker) build(c *circuit, consumer broker.PrincipalID, good, tries uint) {
	closed := true // since it was last told
	c.CircuitBreaker = circuitbreaker.NewBuilder[any]().
		WithFailureRateThreshold(breakerRate, breakerLeast, breakerWindow).
		WithDelay(breakerOpen).
		WithSuccessThresholdRatio(good, tries).
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) { // under mu
			c.era++
			// Half-open and open again are told by nobody: they come every five seconds.
			switch {
			case e.NewState == circuitbreaker.OpenState && closed:
				closed = false
				b.log.Warn("a plugin's breaker opened", "plugin", b.plugin, "consumer", forWhom(consumer),
					"calls", e.Metrics().Executions(), "faults", e.Metrics().Failures())
			case e.NewState == circuitbreaker.ClosedState:
				closed = true
				b.log.Info("a plugin's breaker closed", "plugin", b.plugin, "consumer", forWhom(consumer))
			}
		}).
		Build()
}

// forWhom is a consumer's name in the log. No consumer is called "*".
func forWhom(consumer broker.PrincipalID) broker.PrincipalID {
	if consumer == "" {
		return "*"
	}
	return consumer
}

// check returns an error while the plugin is closed for the consumer.
func (b *Breaker) check(consumer broker.PrincipalID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.all.check(""); err != nil {
		return err
	}
	if own := b.consumers[consumer]; own != nil {
		return own.check(consumer)
	}
	return nil
}

func (c *circuit) check(consumer broker.PrincipalID) error {
	if after := c.RemainingDelay(); after > 0 {
		return c.refuse(consumer, after)
	}
	return nil
}

func (c *circuit) refuse(consumer broker.PrincipalID, after time.Duration) error {
	return unavailable("the plugin is not in service", fmt.Errorf("%w for %s", ErrOpen, forWhom(consumer)), after)
}

// ready opens c half when its time has come, and returns an error before.
func (c *circuit) ready(consumer broker.PrincipalID) error {
	if err := c.check(consumer); err != nil {
		return err
	}
	if c.IsOpen() {
		c.HalfOpen()
	}
	return nil
}

// begin admits a call. done must be called once, with what its end says.
func (b *Breaker) begin(consumer broker.PrincipalID) (done func(Verdict), err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	own := b.of(consumer)
	if err := b.all.ready(""); err != nil {
		return nil, err
	}
	if err := own.ready(consumer); err != nil {
		return nil, err
	}
	probe, try := own.IsHalfOpen(), b.all.IsHalfOpen()
	switch {
	case probe && own.probing:
		return nil, own.refuse(consumer, leastAfter)
	case try && (own.trying || !own.due()): // the tries are not one consumer's
		return nil, b.all.refuse("", breakerSample)
	}
	own.probing, own.trying = own.probing || probe, own.trying || try
	ownEra, allEra := own.era, b.all.era
	return func(v Verdict) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if probe {
			own.probing = false
		}
		if try {
			own.trying = false
		}
		if own.era == ownEra {
			own.record(v)
		}
		if b.all.era == allEra && v != Nothing && own.due() {
			own.sampled = time.Now()
			b.all.record(v)
		}
	}, nil
}

// of is the consumer's own.
func (b *Breaker) of(consumer broker.PrincipalID) *ownCircuit {
	own := b.consumers[consumer]
	if own == nil {
		own = new(ownCircuit)
		b.build(&own.circuit, consumer, 1, 1)
		b.consumers[consumer] = own
	}
	return own
}

func (c *circuit) record(v Verdict) {
	switch v {
	case Fine:
		c.RecordSuccess()
	case Broken:
		c.RecordFailure()
	}
}
