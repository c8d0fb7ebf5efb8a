package credential

import (
	"crypto/sha256"
	"time"

	"pointsman/host/broker"
)

// Waits after a fetch that failed; each failure in a row doubles them.
const (
	// A fault that may pass by itself.
	transientWait, maxTransientWait = time.Second, 30 * time.Second
	// Who was refused is refused again, and accounts are locked after a few failures: NIST SP
	// 800-63B-4 §3.2.2 allows 100 in a row. These waits make 5 in the first half hour and 2 an
	// hour from then on.
	refusedWait, maxRefusedWait = time.Minute, 30 * time.Minute
	// maxAfter is the longest Retry-After that is obeyed.
	maxAfter = 5 * time.Minute
)

// failure is why a fetch brought nothing.
type failure struct {
	words   string        // for the log; nothing of what was sent or received
	refused bool          // whoever was asked does not know us, or does not want us
	after   time.Duration // how long it asked us to wait; 0: it did not
	cause   error         // of whoever reached it; may be nil
}

// Error implements error.
func (f *failure) Error() string {
	if f.cause != nil {
		return f.words + ": " + f.cause.Error()
	}
	return f.words
}

// backoff is the wait after failures. The zero backoff holds nothing back.
type backoff struct {
	until  time.Time
	count  int      // failures in a row
	last   *failure // nil: none
	inputs [sha256.Size]byte
}

// failed counts a failure with these inputs. jitter is from 0 to 1 and spreads the waits of
// several brokers by a tenth.
func (b *backoff) failed(now time.Time, f *failure, inputs [sha256.Size]byte, jitter float64) {
	if inputs != b.inputs {
		b.count = 0
	}
	wait, most := transientWait, maxTransientWait
	if f.refused {
		wait, most = refusedWait, maxRefusedWait
	}
	wait = min(most, wait<<min(b.count, 10))
	wait = max(wait, min(f.after, maxAfter))
	wait += time.Duration(jitter * float64(wait) / 10)
	*b = backoff{until: now.Add(wait), count: b.count + 1, last: f, inputs: inputs}
}

// holds reports whether to wait on. An admin who has replaced a secret does not wait;
// inputs tells, unless it is nil.
func (b *backoff) holds(now time.Time, inputs func() [sha256.Size]byte) bool {
	return b.last != nil && now.Before(b.until) && (inputs == nil || inputs() == b.inputs)
}

// refusal is the answer to whoever asks meanwhile.
func (b *backoff) refusal(now time.Time) error {
	return &broker.Error{Kind: broker.Unavailable, Detail: detailMissing, Err: b.last, After: max(0, b.until.Sub(now))}
}
