// Package credential owns the credentials that the host puts into requests to back ends:
// how each is got, kept fresh, placed and forgotten.
//
// Everything here that has the methods Place, Owns and Refused is a Placement of
// host/egress. It belongs to one back end: a plugin cannot name, see, move or ask for what
// it places. Values got from others live in memory only, and end with the process.
package credential

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"pointsman/host/broker"
)

// Secret is an opened secret. secret.Value is one.
type Secret interface {
	// Expose returns a copy of the bytes, which the caller wipes.
	Expose() []byte
}

// former is a Secret that replaced others a short while ago.
type former interface {
	// Former returns copies of what it replaced, which the caller wipes. They are only to be
	// taken out of answers.
	Former() [][]byte
}

// Used is what was put into one request. It is an alias, so that host/egress, which stands
// on the same layer, knows the same type; its Placement says what the methods promise.
type Used = interface {
	Forms() [][]byte
	Wipe()
}

// Parts is what credentials are made with. Its functions may be called concurrently.
type Parts struct {
	// Secret opens a secret by name. It is asked at every use, so that a rotated value is
	// taken up at once.
	Secret func(name string) (Secret, error)
	// Fetch reaches the token endpoint or login; nil where there is none.
	Fetch Fetch
	// Now is the clock; nil means time.Now, whose readings are monotonic.
	Now func() time.Time
	// Log is told what an operator would act on; nil drops it.
	Log *slog.Logger
}

func (p Parts) filled() Parts {
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	return p
}

// Fetch sends one POST to the endpoint that it was made for and returns the answer,
// whatever its status. It follows no redirect, bounds size and time, and its error tells
// nothing of what was sent.
type Fetch func(ctx context.Context, r Request) (Answer, error)

// Request is a POST. Body belongs to the caller, who wipes it when Fetch has returned.
type Request struct {
	ContentType string
	Body        []byte
}

// Answer is what the endpoint said.
type Answer struct {
	Status int
	After  time.Duration // of Retry-After; 0 when it has none
	Body   []byte        // the receiver's; at most MaxAnswer bytes are looked at
}

// Bounds of Fetch, for who wires it.
const (
	// MaxAnswer is the longest answer that is looked at, in bytes: eight times the longest
	// token that is taken.
	MaxAnswer = 64 << 10
	// FetchTime is how long one fetch may take: a login that hashes a password takes a second
	// or two. It goes on when the request that began it has ended: others wait for it.
	FetchTime = 10 * time.Second
)

// maxCredential is the longest credential, in bytes: what common servers take for a header
// line. Access tokens that carry claims come to 4 KiB.
const maxCredential = 8 << 10

// open returns the bytes of a secret, which the caller wipes. The error names the secret
// and tells nothing of its value.
func (p Parts) open(name string) ([]byte, error) {
	plain, old, err := p.openAll(name)
	wipe(old...)
	return plain, err
}

// openAll is open, and returns what the secret replaced a short while ago, too: it is to be
// taken out of answers and never sent. All is the caller's to wipe.
func (p Parts) openAll(name string) (plain []byte, old [][]byte, err error) {
	s, err := p.Secret(name)
	if err != nil {
		return nil, nil, fmt.Errorf("the secret %s: %w", name, err)
	}
	plain = s.Expose()
	switch {
	case len(plain) == 0:
		return nil, nil, errors.New("the secret " + name + " is empty")
	case len(plain) > maxSecret:
		clear(plain)
		return nil, nil, errors.New("the secret " + name + " is too long")
	}
	if f, ok := s.(former); ok {
		old = f.Former()
	}
	return plain, old, nil
}

// maxSecret is the longest secret, in bytes: a certificate chain and an RSA key of 4096
// bits in PEM come to half of it.
const maxSecret = 32 << 10

// used is what one request was placed with. The forms belong to it.
type used [][]byte

// Forms implements Used.
func (u used) Forms() [][]byte { return u }

// Wipe implements Used.
func (u used) Wipe() { wipe(u...) }

// Words for whoever asked; the cause goes into Err, for the log.
const (
	detailMissing = "the back end's credential is not available"
	detailUnfit   = "the back end's credential cannot be used"
)

func missing(err error) error {
	return &broker.Error{Kind: broker.Unavailable, Detail: detailMissing, Err: err}
}

func unfit(err error) error {
	return &broker.Error{Kind: broker.Unavailable, Detail: detailUnfit, Err: err}
}

// wipe clears each of them.
func wipe(all ...[]byte) {
	for _, b := range all {
		clear(b)
	}
}
