package credential

import (
	"context"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"pointsman/host/broker"
)

// refusalFloor is the age below which a refused value is not replaced: the next would be
// refused too, and answers of 401 are not to make a flood of fetches.
const refusalFloor = 10 * time.Second

// source keeps one session fresh. Safe for concurrent use.
type source struct {
	parts Parts
	spot  Spot
	life  time.Duration // the longest that a session lasts; 0: as its giver says
	// obtain fetches. It is not called twice at a time.
	obtain func(ctx context.Context) (*grant, *failure)
	// inputs digests all secrets that obtain makes use of.
	inputs func() [sha256.Size]byte

	ctx    context.Context // of fetches; ends with close
	cancel context.CancelFunc
	group  sync.WaitGroup // of fetches

	mu      sync.Mutex
	closed  bool       // guarded by mu
	live    *session   // guarded by mu; nil: none
	former  []*session // guarded by mu; newest first, with until as the end of being looked for
	flight  *flight    // guarded by mu; nil: none
	number  uint64     // guarded by mu; of the last session
	backoff backoff    // guarded by mu
}

// flight is one fetch, and who waits for it.
type flight struct {
	done chan struct{} // closed when the others are set
	got  *session
	err  error
}

func newSource(p Parts, spot Spot, life time.Duration) *source {
	s := &source{parts: p, spot: spot, life: life}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// get returns a session that is good. It waits for the fetch that all share, until ctx
// ends. The error is a *broker.Error.
func (s *source) get(ctx context.Context) (*session, error) {
	live, f, err := s.look()
	if f == nil {
		return live, err
	}
	select {
	case <-f.done:
		return f.got, f.err
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, &broker.Error{Kind: broker.Canceled, Detail: "the request was canceled", Err: context.Canceled}
		}
		return nil, &broker.Error{Kind: broker.UpstreamTimeout, Detail: "the back end's credential did not come in time", Err: ctx.Err()}
	}
}

// look returns the session to use, or the flight to wait for, or why there is neither.
func (s *source) look() (*session, *flight, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.parts.Now()
	if s.closed {
		return nil, nil, missing(errors.New("it is being taken out of service"))
	}
	if s.live != nil && now.Before(s.live.until) {
		if !now.Before(s.live.early) && s.flight == nil && !s.backoff.holds(now, nil) {
			s.start(now)
		}
		return s.live, nil, nil
	}
	if s.flight == nil {
		if s.backoff.holds(now, s.inputs) {
			return nil, nil, s.backoff.refusal(now)
		}
		s.start(now)
	}
	return nil, s.flight, nil
}

// start begins a flight. The caller holds mu.
func (s *source) start(now time.Time) {
	f := &flight{done: make(chan struct{})}
	s.flight = f
	s.group.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, FetchTime)
		defer cancel()
		inputs := s.inputs()
		g, failed := s.try(ctx)
		s.land(f, now, inputs, g, failed)
	})
}

// try is obtain, for which a bug over a stranger's answer is one more failure.
func (s *source) try(ctx context.Context) (g *grant, failed *failure) {
	defer func() {
		if v := recover(); v != nil {
			g, failed = nil, &failure{words: "reading the answer panicked"}
		}
	}()
	g, failed = s.obtain(ctx)
	if failed == nil {
		if err := s.spot.fits(g.value); err != nil {
			return nil, &failure{words: "what was given cannot be placed", cause: err}
		}
	}
	return g, failed
}

// land settles a flight that began at began.
func (s *source) land(f *flight, began time.Time, inputs [sha256.Size]byte, g *grant, failed *failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(f.done)
	now := s.parts.Now()
	s.flight = nil
	switch {
	case s.closed:
		f.err = missing(errors.New("it is being taken out of service"))
	case failed != nil:
		s.backoff.failed(now, failed, inputs, rand.Float64())
		s.parts.Log.Warn("a credential could not be fetched", "err", failed.Error(), "wait", s.backoff.until.Sub(now).Round(time.Second).String())
		f.err = s.backoff.refusal(now)
	default:
		s.backoff = backoff{}
		s.retire(now)
		s.number++
		f.got = newSession(g, s.spot, began, s.life, rand.Float64())
		f.got.number = s.number
		f.got.forms = slices.Concat(f.got.own, s.formerForms())
		s.live = f.got
	}
}

// forms are what a request placed now would have to be searched for.
func (s *source) forms() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live != nil {
		return s.live.forms
	}
	return s.formerForms()
}

// formerForms are those of the former sessions. The caller holds mu.
func (s *source) formerForms() (forms [][]byte) {
	for _, old := range s.former {
		forms = append(forms, old.own...)
	}
	return forms
}

// retire moves the live session to the former ones, and forgets those long past. The
// caller holds mu.
func (s *source) retire(now time.Time) {
	var kept []*session
	if s.live != nil {
		kept = append(kept, &session{own: s.live.own, until: now.Add(keepFormer)})
		s.live = nil
	}
	for _, old := range s.former {
		if now.Before(old.until) && len(kept) < maxFormer {
			kept = append(kept, old)
		}
	}
	s.former = kept
}

// refuse is told that the session was refused, and reports whether another may help.
func (s *source) refuse(refused *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.parts.Now()
	switch {
	case s.closed:
		return false
	case s.live == nil || s.live.number != refused.number:
		return true // it was replaced since, or is about to be
	case now.Sub(s.live.began) < refusalFloor:
		return false
	}
	s.retire(now)
	return true
}

func (s *source) close() {
	s.mu.Lock()
	s.closed, s.live, s.former = true, nil, nil
	s.mu.Unlock()
	s.cancel()
	s.group.Wait()
}
