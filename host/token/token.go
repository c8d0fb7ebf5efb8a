// Package token owns bearer tokens that issuers sign for consumers (JWT, RFC 7519): which
// of them hold, whose consumer one is, and the keys that say so.
//
// A token is taken apart and judged here, strictly (RFC 8725); the signature itself is
// checked by go-jose. The key decides the algorithm: it is found by issuer and kid, and what
// the token's header says must be what the key is for.
package token

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"pointsman/host/broker"
)

// Verdict is what a token that holds says.
type Verdict struct {
	Principal broker.Principal
	Issuer    string    // Issuer.Name
	Expires   time.Time // the token's exp
}

// Verifier verifies the tokens of one release. All methods may be called concurrently. The
// zero and the nil Verifier refuse every token.
type Verifier struct {
	issuers map[string]*issuer // by iss
	cache   *cache
	now     func() time.Time
	warn    func(string, error)

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	mu     sync.Mutex
	closed bool // guarded by mu
	tasks  sync.WaitGroup
}

type issuer struct {
	Issuer
	source    *source
	consumers directory
}

// New returns a Verifier, and takes over from previous, that of the live release or nil, the
// keys of issuers that are reached the same way, and when they were fetched: deploying often
// does not fetch often. Nothing is fetched before Start or the first token; the caller calls
// Close.
//
// The error says what of c contradicts itself: an issuer that is there twice, consumers of
// whom one's tokens are always the other's too.
func New(c Config, previous *Verifier) (*Verifier, error) {
	v := &Verifier{issuers: make(map[string]*issuer, len(c.Issuers)), cache: newCache(), now: c.Now, warn: c.Warn}
	if v.now == nil {
		v.now = time.Now
	}
	if v.warn == nil {
		v.warn = func(string, error) {}
	}
	byName := make(map[string]*issuer, len(c.Issuers))
	for _, def := range c.Issuers {
		if err := def.check(); err != nil {
			return nil, fmt.Errorf("token: issuer %s: %w", def.Name, err)
		}
		if def.Skew == 0 {
			def.Skew = DefaultSkew
		}
		if len(def.Algorithms) == 0 {
			def.Algorithms = Algorithms()
		}
		i := &issuer{Issuer: def, source: newSource(def)}
		if previous != nil {
			if old := previous.issuers[def.URL]; old != nil && old.source.same(i.source) {
				i.source = old.source
			}
		}
		if byName[def.Name] != nil || v.issuers[def.URL] != nil {
			return nil, fmt.Errorf("token: issuer %s (%s) is there twice", def.Name, def.URL)
		}
		byName[def.Name], v.issuers[def.URL] = i, i
	}
	for _, def := range c.Consumers {
		i := byName[def.Issuer]
		if i == nil {
			return nil, fmt.Errorf("token: consumer %s: no issuer %q", def.Principal.ID, def.Issuer)
		}
		if err := i.consumers.add(def); err != nil {
			return nil, fmt.Errorf("token: %w", err)
		}
	}
	for _, i := range byName {
		if err := i.consumers.check(); err != nil {
			return nil, fmt.Errorf("token: %w", err)
		}
	}
	v.ctx, v.cancel = context.WithCancel(context.Background())
	return v, nil
}

// Start fetches the keys of every issuer, now if there are none, and goes on to fetch them
// anew ahead of time until Close. It does not wait for them. It is called once.
func (v *Verifier) Start() {
	for _, i := range v.issuers {
		v.spawn(func() { v.keep(i) })
	}
}

// Close ends what Start began, and waits for it. Tokens are still verified after it, with
// the keys that are there.
func (v *Verifier) Close() {
	if v == nil || v.cancel == nil {
		return
	}
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	v.cancel()
	v.tasks.Wait()
}

// spawn runs f in a goroutine that Close waits for; it returns false after Close.
func (v *Verifier) spawn(f func()) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return false
	}
	v.tasks.Go(f)
	return true
}

// Verify returns whose token this is. It waits for keys to be fetched if there are none, or
// if the token names one that is not known and the last fetch was long enough ago; ctx bounds
// that.
//
// Every refusal has kind Unauthenticated and the same Detail; ReasonOf tells them apart, for
// logs. An issuer none of whose keys are at hand, because it did not answer for MaxAge or
// ever, is of kind Unavailable for every token in its name.
func (v *Verifier) Verify(ctx context.Context, token string) (Verdict, error) {
	if v == nil || len(v.issuers) == 0 {
		return Verdict{}, refuse(Malformed)
	}
	if len(token) > MaxToken {
		return Verdict{}, refuse(Oversized)
	}
	now := v.now()
	sum := v.cache.sum(token)
	if hit, ok := v.cache.get(sum, now); ok {
		return hit, nil
	}
	p, err := parse(token)
	if err != nil {
		return Verdict{}, err
	}
	i := v.issuers[p.claims.issuer]
	if i == nil {
		return Verdict{}, refuse(WrongIssuer)
	}
	if err := i.judge(p, now); err != nil {
		return Verdict{}, err
	}
	set, key, err := v.key(ctx, i, p.header)
	if err != nil {
		return Verdict{}, err
	}
	if !key.verify(token, p) {
		return Verdict{}, refuse(BadSignature)
	}
	principal, err := i.consumers.find(p.claims, i.Scopes)
	if err != nil {
		return Verdict{}, err
	}
	verdict := Verdict{Principal: principal, Issuer: i.Name, Expires: p.claims.expires}
	v.cache.put(sum, verdict, i.source, set, now)
	return verdict, nil
}

// judge checks what a token says of itself, apart from its signature.
func (i *issuer) judge(p parsed, now time.Time) error {
	c := p.claims
	switch {
	case !slices.Contains(i.Algorithms, p.header.alg):
		return refuse(WrongAlgorithm)
	case !slices.ContainsFunc(i.Audience, func(a string) bool { return slices.Contains(c.audience, a) }):
		return refuse(WrongAudience)
	case !now.Before(c.expires.Add(i.Skew)):
		return refuse(Expired)
	case c.notBefore.After(now.Add(i.Skew)), c.issued.After(now.Add(i.Skew)):
		return refuse(NotYet)
	}
	return nil
}

// key returns the key that h names, and the set that it is in.
func (v *Verifier) key(ctx context.Context, i *issuer, h header) (*keySet, *key, error) {
	set := i.source.current()
	k, known := set.find(h)
	if set == nil || !known {
		if err := v.await(ctx, i); err != nil {
			return nil, nil, err
		}
		set = i.source.current()
		k, _ = set.find(h)
	}
	switch {
	case set == nil:
		return nil, nil, &broker.Error{Kind: broker.Unavailable, Err: Refusal{NoKeys}}
	case k == nil:
		return nil, nil, refuse(UnknownKey)
	}
	return set, k, nil
}
