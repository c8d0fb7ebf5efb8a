package token

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pointsman/host/broker"
)

const (
	// MaxAge is how long keys are used that could not be fetched anew: past the outages that
	// identity providers have had, short of a day. A key that leaked and was withdrawn works
	// no longer than that, even for who can keep us from the issuer.
	MaxAge = 12 * time.Hour
	// RefreshEvery is how often keys are fetched while nobody asks for others: how long a key
	// that was withdrawn still works.
	RefreshEvery = 5 * time.Minute
	// floor is the least time between two rounds of fetching from one issuer, and perMinute
	// the most fetches in any minute, discovery included: what strangers can make us do to it
	// by naming keys that do not exist.
	floor     = 30 * time.Second
	perMinute = 2
	// fetchTime bounds one fetch. A person gives up after some seconds.
	fetchTime = 5 * time.Second
	// discoveryAge is how long the URL of the keys is believed. It changes about never; when
	// it does, the next failed fetch asks anew.
	discoveryAge = time.Hour
)

// source is where the keys of one issuer come from and what came. Releases that reach the
// issuer the same way share it, and with it the time of the last fetch.
type source struct {
	url, jwks, reach string
	insecure         bool

	got atomic.Pointer[fetched] // the last good set; nil: none yet

	mu      sync.Mutex
	flight  chan struct{} // guarded by mu; closed when the round that is under way ends; nil: none is
	starts  []time.Time   // guarded by mu; of the last fetches, perMinute at most
	round   time.Time     // guarded by mu; start of the last round
	failed  error         // guarded by mu; why the last round failed
	found   string        // guarded by mu; URL of the keys that discovery named
	foundAt time.Time     // guarded by mu
}

type fetched struct {
	set *keySet
	at  time.Time // with a monotonic reading
}

func newSource(d Issuer) *source {
	return &source{url: d.URL, jwks: d.JWKS, reach: d.Reach, insecure: d.Insecure}
}

func (s *source) same(o *source) bool {
	return s.url == o.url && s.jwks == o.jwks && s.reach == o.reach && s.insecure == o.insecure
}

// current returns the keys, nil if there are none or they are older than MaxAge.
func (s *source) current() *keySet {
	f := s.got.Load()
	if f == nil || time.Since(f.at) > MaxAge {
		return nil
	}
	return f.set
}

// cost is how many fetches a round takes. mu is held.
func (s *source) cost(now time.Time) int {
	if s.jwks != "" || s.found != "" && now.Sub(s.foundAt) < discoveryAge {
		return 1
	}
	return 2
}

// earliest is when the next round may begin. mu is held.
func (s *source) earliest(now time.Time) time.Time {
	if len(s.starts) == 0 {
		return now
	}
	at := s.round.Add(floor)
	if n := len(s.starts) + s.cost(now) - perMinute; n > 0 { // so many must be a minute old
		if full := s.starts[min(n, len(s.starts))-1].Add(time.Minute); full.After(at) {
			at = full
		}
	}
	return at
}

// join returns what is closed when the round under way ends. If none is, it begins one, if
// the last was long enough ago; else it returns nil, and when one may begin.
func (s *source) join(v *Verifier, i *issuer) (flight <-chan struct{}, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight != nil {
		return s.flight, time.Time{}
	}
	now := time.Now()
	if at := s.earliest(now); at.After(now) {
		return nil, at
	}
	done := make(chan struct{})
	if !v.spawn(func() { s.fly(v, i, done) }) {
		return nil, now.Add(floor)
	}
	s.flight, s.round = done, now
	return done, time.Time{}
}

// fly is one round of fetching.
func (s *source) fly(v *Verifier, i *issuer, done chan struct{}) {
	set, err := s.fetch(v.ctx, i)
	s.mu.Lock()
	if err != nil {
		s.found = "" // perhaps they have moved
	}
	s.failed = err
	s.flight = nil
	s.mu.Unlock()
	if err == nil {
		if old := s.got.Load(); old != nil && old.set.digest == set.digest {
			set = old.set // so that verdicts by it go on
		} else {
			for _, err := range set.passed {
				v.warn(i.Name, err)
			}
		}
		s.got.Store(&fetched{set, time.Now()})
	} else if v.ctx.Err() == nil {
		v.warn(i.Name, err)
	}
	close(done)
}

// fetch gets the key set, and before it the URL of the set if need be.
func (s *source) fetch(ctx context.Context, i *issuer) (*keySet, error) {
	where := s.jwks
	if where == "" {
		var err error
		if where, err = s.discover(ctx, i); err != nil {
			return nil, err
		}
	}
	text, err := s.get(ctx, i, where)
	if err != nil {
		return nil, fmt.Errorf("token: fetch the keys of %s: %w", i.Name, err)
	}
	set, err := parseSet(text)
	if err != nil {
		return nil, fmt.Errorf("token: the keys of %s: %w", i.Name, err)
	}
	return set, nil
}

// get is one fetch. It is counted when it begins.
func (s *source) get(ctx context.Context, i *issuer, url string) ([]byte, error) {
	s.mu.Lock()
	s.starts = append(s.starts, time.Now())
	s.starts = slices.Delete(s.starts, 0, max(0, len(s.starts)-perMinute))
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	return i.Fetch(ctx, url)
}

// await waits for a round of fetching, if one is under way or may begin.
func (v *Verifier) await(ctx context.Context, i *issuer) error {
	flight, _ := i.source.join(v, i)
	if flight == nil {
		return nil
	}
	select {
	case <-flight:
		return nil
	case <-ctx.Done():
		return &broker.Error{Kind: broker.Unavailable, Err: context.Cause(ctx)}
	}
}

// keep fetches the keys of one issuer ahead of time until Close.
func (v *Verifier) keep(i *issuer) {
	timer := time.NewTimer(i.source.due())
	defer timer.Stop()
	for {
		select {
		case <-v.ctx.Done():
			return
		case <-timer.C:
		}
		if flight, _ := i.source.join(v, i); flight != nil {
			<-flight // bounded by fetchTime, and ends with Close
		}
		timer.Reset(i.source.due())
	}
}

// due is how long to wait before keys are fetched anew: RefreshEvery after a good round, a
// minute after one that failed, and no longer than it must be while there are none.
func (s *source) due() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, at := time.Now(), time.Time{}
	switch f := s.got.Load(); {
	case f == nil:
	case s.failed != nil:
		at = s.round.Add(time.Minute)
	default:
		at = f.at.Add(RefreshEvery)
	}
	if e := s.earliest(now); e.After(at) {
		at = e
	}
	return max(at.Sub(now), 0)
}
