// Package consumer owns the proof of who calls: API keys, and what the consumer they
// belong to may do, how often, and of how many people it may be told.
//
// [Keys] is state on disk, shared with the command line that mints and revokes. A
// [Directory] is part of a release. A caller is let in when a key of the one belongs to a
// consumer of the other.
package consumer

import (
	"crypto/subtle"
	"errors"
	"time"

	"golang.org/x/time/rate"

	"pointsman/host/broker"
)

// Definition is one consumer of a release.
type Definition struct {
	ID     broker.PrincipalID
	Sector broker.Sector
	Scopes []string
	APIKey bool // it may authenticate by API key; nobody gets in without
	Rate   Rate // of requests; the zero Rate sets no limit
	// Subjects is of how many different subjects it may be told in a time, MaxSubjects at
	// most; the zero Rate sets no limit. Unlike Rate it gives nothing back before the time is
	// over.
	Subjects Rate
}

// Rate is a number of requests in a time. A consumer that was idle may use Count at once.
type Rate struct {
	Count int
	Per   time.Duration
}

// limited reports whether r sets a limit.
func (r Rate) limited() bool { return r.Count > 0 && r.Per > 0 }

// Directory is the consumers of one release. It does not change, apart from what counts
// in it; all methods may be called concurrently. The zero Directory knows nobody.
type Directory struct{ entries map[broker.PrincipalID]entry }

type entry struct {
	principal broker.Principal
	apiKey    bool
	rate      Rate
	limiter   *rate.Limiter // nil: no limit
	subjects  *subjects     // nil: no limit
	limit     int           // of subjects
}

// NewDirectory returns the directory of consumers. Of a consumer whose rate is the same in
// previous the limiter is carried over, so that a deployment gives nobody a fresh
// allowance; while the old release drains, both count together. The subjects that a consumer
// was told of are carried over also when their number changes, not when the time does.
// previous is the directory of the live release, or nil.
func NewDirectory(consumers []Definition, previous *Directory) *Directory {
	d := &Directory{make(map[broker.PrincipalID]entry, len(consumers))}
	for _, c := range consumers {
		e := entry{
			principal: broker.Principal{ID: c.ID, Sector: c.Sector, Scopes: broker.NewScopes(c.Scopes...)},
			apiKey:    c.APIKey,
			rate:      c.Rate,
		}
		if c.Rate.limited() {
			if old, ok := previous.find(c.ID); ok && old.rate == c.Rate {
				e.limiter = old.limiter
			} else {
				e.limiter = rate.NewLimiter(rate.Limit(float64(c.Rate.Count)/c.Rate.Per.Seconds()), c.Rate.Count)
			}
		}
		if c.Subjects.limited() {
			e.limit = c.Subjects.Count
			if old, ok := previous.find(c.ID); ok && old.subjects != nil && old.subjects.per == c.Subjects.Per {
				e.subjects = old.subjects
			} else {
				e.subjects = newSubjects(c.Subjects.Per)
			}
		}
		d.entries[c.ID] = e
	}
	return d
}

// find works on a nil Directory too.
func (d *Directory) find(id broker.PrincipalID) (entry, bool) {
	if d == nil {
		return entry{}, false
	}
	e, ok := d.entries[id]
	return e, ok
}

// Allow counts one request of consumer id at now, a time of the host's clock that carries
// a monotonic reading. If it is one too many, it is not counted, and after says when the
// next one would pass. A consumer that is not in the directory is never allowed, and after
// is 0.
func (d *Directory) Allow(id broker.PrincipalID, now time.Time) (ok bool, after time.Duration) {
	e, found := d.find(id)
	switch {
	case !found:
		return false, 0
	case e.limiter == nil || e.limiter.AllowN(now, 1):
		return true, 0
	}
	missing := 1 - e.limiter.TokensAt(now)
	// Another request may have taken what came in since, or time may have brought it:
	// what is told is a hint, and never 0.
	return false, max(time.Duration(missing/float64(e.limiter.Limit())*float64(time.Second)), time.Millisecond)
}

// keyPurpose separates the keyed hashes of API keys from all others.
const keyPurpose = "consumer-key/v1"

// Authenticate returns the principal that presented belongs to: an API key of a consumer
// that is in d and may use one.
//
// Every refusal is the same error, of kind Unauthenticated, after the same work: one look
// at the key file, one keyed hash over the same number of bytes, one comparison in
// constant time. A key file that cannot be read or does not hold is of kind Unavailable,
// for every key alike.
func (k *Keys) Authenticate(d *Directory, presented string) (broker.Principal, error) {
	book := k.current()
	if book.err != nil {
		return broker.Principal{}, &broker.Error{Kind: broker.Unavailable, Err: book.err}
	}
	id, formed := parseKey(presented)
	if !formed {
		presented = standIn
	}
	rec, known := book.keys[id]
	same := subtle.ConstantTimeCompare(k.hash(rec.consumer, presented), rec.mac[:]) == 1
	e, listed := d.find(rec.consumer)
	if formed && known && same && listed && e.apiKey {
		return e.principal, nil
	}
	return broker.Principal{}, &broker.Error{Kind: broker.Unauthenticated, Detail: "no valid credential", Err: errCredential}
}

var errCredential = errors.New("consumer: no valid API key")

// standIn is hashed when what was presented is not a key. It is none itself: its
// checksum is wrong.
const standIn = "pmk_00000000_0000000000000000000000000000000000000000000_000000"

// maxName is the most bytes of a consumer's name (host/manifest: 63 characters).
const maxName = 63

// hash is what is stored of a key. It covers the consumer's name, in a field of fixed
// size, so that a record that was moved to another consumer does not match.
func (k *Keys) hash(name broker.PrincipalID, key string) []byte {
	var data [1 + maxName + keyLen]byte
	data[0] = byte(len(name))
	copy(data[1:1+maxName], name)
	copy(data[1+maxName:], key)
	return k.mac(keyPurpose, data[:])
}
