package gateway

import (
	"sync"
	"time"
)

// seen remembers signatures for at least as long as they could be sent again: twice the
// skew. It has two halves, each of which takes what comes in that time; the older one is
// forgotten as a whole. A restart forgets all.
type seen struct {
	mu         sync.Mutex
	young, old map[[16]byte]struct{} // guarded by mu
	since      time.Time             // guarded by mu; when young began
	window     time.Duration         // guarded by mu
	most       int                   // guarded by mu; of both halves
}

func newSeen(most int) *seen {
	if most == 0 {
		most = DefaultSeen
	}
	return &seen{young: map[[16]byte]struct{}{}, most: most}
}

// widen sets how long and how many signatures are remembered. The time never gets shorter:
// requests of a release with a larger skew may still come.
func (s *seen) widen(skew time.Duration, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.window = max(s.window, 2*skew)
	if most > 0 {
		s.most = most
	}
}

// first remembers a signature. It returns why not, if it has been here or there is no room.
func (s *seen) first(id [16]byte, now time.Time) Reason {
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := now.Sub(s.since); age >= s.window {
		if s.old = s.young; age >= 2*s.window {
			s.old = nil
		}
		s.young, s.since = map[[16]byte]struct{}{}, now
	}
	if _, again := s.young[id]; again {
		return Replayed
	}
	if _, again := s.old[id]; again {
		return Replayed
	}
	if len(s.young)+len(s.old) >= s.most {
		return Full
	}
	s.young[id] = struct{}{}
	return ""
}
