package consumer

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"sync"
	"time"

	"pointsman/host/broker"
)

const (
	// MaxSubjects is the largest budget that is counted; a larger one is taken for this. At up
	// to 40 bytes for each (BenchmarkReveal) it comes to 40 MiB. Who may learn of more people
	// than that in a day has no limit that is worth the name.
	MaxSubjects = 1 << 20
	// slots is in how many parts a window is counted: a subject counts for the window's length
	// and up to a slot more, an hour of a day.
	slots = 24
)

// subjects is whom a consumer was told of. It counts exactly, in a window that slides: in no
// stretch of time as long as the window are there more than were admitted, wherever it begins.
// Safe for concurrent use.
type subjects struct {
	per time.Duration
	key [sha256.Size]byte // random, of this budget alone: hashes mean nothing elsewhere

	mu      sync.Mutex
	start   time.Time        // guarded by mu; when slot 0 began
	slot    int64            // guarded by mu; the present one
	last    map[uint64]int64 // guarded by mu; the slot in which a subject was revealed last
	counts  [slots + 1]int   // guarded by mu; how many of last are of each slot, by slot%(slots+1)
	present int              // guarded by mu; the sum of counts
}

func newSubjects(per time.Duration) *subjects {
	s := &subjects{per: per, last: map[uint64]int64{}}
	rand.Read(s.key[:]) // never fails
	return s
}

// hash is what is kept of a subject. Two of a million are the same once in 30 million budgets,
// and one of them is free then.
func (s *subjects) hash(subject string) uint64 {
	h := hmac.New(sha256.New, s.key[:])
	h.Write([]byte(subject))
	return binary.BigEndian.Uint64(h.Sum(nil))
}

// reveal counts subject at now if no more than limit are counted then.
func (s *subjects) reveal(subject string, limit int, now time.Time) (ok bool, after time.Duration) {
	hash := s.hash(subject)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(now)
	old, counted := s.last[hash]
	switch {
	case counted && old == s.slot:
		return true, 0
	case counted:
		s.counts[old%(slots+1)]--
	case s.present >= min(limit, MaxSubjects):
		return false, s.wait(now)
	default:
		s.present++
	}
	s.last[hash] = s.slot
	s.counts[s.slot%(slots+1)]++
	return true, 0
}

// length is how long a slot is, rounded up: slots of them are no shorter than the window.
func (s *subjects) length() time.Duration { return (s.per + slots - 1) / slots }

// advance makes the slot of now the present one, and forgets what was revealed last before the
// window. Time does not go back: who asks late is counted with the others.
func (s *subjects) advance(now time.Time) {
	if s.start.IsZero() {
		s.start = now
	}
	next := int64(now.Sub(s.start) / s.length())
	if next <= s.slot {
		return
	}
	// A subject of slot n may have been revealed at its end, so that it counts until slot
	// n+slots is over.
	gone := 0
	for n := s.slot - slots; n < next-slots && n <= s.slot; n++ {
		i := (n + slots + 1) % (slots + 1) // n is -slots at least
		gone += s.counts[i]
		s.counts[i] = 0
	}
	s.slot, s.present = next, s.present-gone
	switch {
	case s.present == 0:
		s.last = map[uint64]int64{} // a map that is emptied stays as large as it was
	case gone > 0:
		oldest := next - slots
		maps.DeleteFunc(s.last, func(_ uint64, slot int64) bool { return slot < oldest })
	}
}

// wait is how long it takes until the next subject is forgotten that is counted now.
func (s *subjects) wait(now time.Time) time.Duration {
	for n := s.slot - slots; n <= s.slot; n++ {
		if n >= 0 && s.counts[n%(slots+1)] > 0 {
			end := s.start.Add(time.Duration(n+slots+1) * s.length())
			return max(end.Sub(now), time.Millisecond)
		}
	}
	return s.per // a limit of none: nothing will change
}

// Reveal counts that consumer id is told of subject at now, a time of the host's clock that
// carries a monotonic reading. It is false, and the subject is not counted, if the consumer
// was told of as many others as it may within the window before; after says when one of them
// will be forgotten. A subject that was counted within the window is free, and counts for as
// long again. A consumer without such a limit may be told of anyone; one that is not in the
// directory of nobody, and after is 0.
//
// Subjects that are not the same must not be the same text: put what kind they are in front.
func (d *Directory) Reveal(id broker.PrincipalID, subject string, now time.Time) (ok bool, after time.Duration) {
	e, found := d.find(id)
	switch {
	case !found:
		return false, 0
	case e.subjects == nil:
		return true, 0
	}
	return e.subjects.reveal(subject, e.limit, now)
}
