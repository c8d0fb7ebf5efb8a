package token_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"sync"
	"testing"
	"time"

	"pointsman/host/broker"
	"pointsman/host/token"
)

// Signatures are made here with the standard library alone, so that what is checked is not
// checked against itself.

var b64 = base64.RawURLEncoding.EncodeToString

// pair is a private key, and how it is published.
type pair struct {
	kid, alg string // alg: what it signs with
	private  crypto.Signer
}

func newPair(kid, alg string) pair {
	var key crypto.Signer
	var err error
	switch alg {
	case token.RS256, token.PS256:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case token.ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case token.EdDSA:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		panic(err)
	}
	return pair{kid, alg, key}
}

// keys are made once: an RSA key takes long.
var keys = sync.OnceValue(func() map[string]pair {
	m := map[string]pair{}
	for _, alg := range token.Algorithms() {
		m[alg] = newPair("key-"+alg, alg)
	}
	return m
})

func (p pair) jwk() map[string]any {
	m := map[string]any{"use": "sig", "kid": p.kid, "alg": p.alg}
	switch k := p.private.Public().(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", b64(k.N.Bytes()), b64(big.NewInt(int64(k.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			panic(err)
		}
		m["kty"], m["crv"], m["x"], m["y"] = "EC", "P-256", b64(point[1:33]), b64(point[33:])
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", b64(k)
	}
	return m
}

func set(jwks ...map[string]any) []byte {
	text, err := json.Marshal(map[string]any{"keys": append([]map[string]any{}, jwks...)})
	if err != nil {
		panic(err)
	}
	return text
}

func (p pair) sign(data string) []byte {
	sum := sha256.Sum256([]byte(data))
	var sig []byte
	var err error
	switch k := p.private.(type) {
	case *rsa.PrivateKey:
		if p.alg == token.PS256 {
			sig, err = rsa.SignPSS(rand.Reader, k, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			sig, err = rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
		}
	case *ecdsa.PrivateKey:
		r, s, e := ecdsa.Sign(rand.Reader, k, sum[:])
		sig, err = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), e
	case ed25519.PrivateKey:
		sig = ed25519.Sign(k, []byte(data))
	}
	if err != nil {
		panic(err)
	}
	return sig
}

// raw signs a header and a payload as they are.
func (p pair) raw(header, payload string) string {
	data := b64([]byte(header)) + "." + b64([]byte(payload))
	return data + "." + b64(p.sign(data))
}

func mac(key []byte, header, payload string) string {
	data := b64([]byte(header)) + "." + b64([]byte(payload))
	h := hmac.New(sha256.New, key)
	h.Write([]byte(data))
	return data + "." + b64(h.Sum(nil))
}

func (p pair) header() string { return fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"JWT"}`, p.alg, p.kid) }

const (
	issuerURL = "https://login.example"
	jwksURL   = "https://login.example/keys"
	audience  = "https://api.example"
)

// start is when tests begin: a second that is not round.
var start = time.Date(2026, 3, 1, 12, 0, 7, 0, time.UTC)

type object = map[string]any

// claims are those of a token that holds at now, changed by the given; nil removes.
func claims(now time.Time, changes object) string {
	c := object{"iss": issuerURL, "aud": audience, "exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "azp": "shop", "sub": "someone"}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	text, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (p pair) token(now time.Time, changes object) string {
	return p.raw(p.header(), claims(now, changes))
}

// site is an issuer's web site.
type site struct {
	mu      sync.Mutex
	pages   map[string][]byte // guarded by mu
	down    error             // guarded by mu; what every fetch fails with
	fetches []time.Time       // guarded by mu
	slow    time.Duration     // of each fetch
}

func newSite(jwks ...map[string]any) *site {
	return &site{pages: map[string][]byte{jwksURL: set(jwks...)}}
}

func (s *site) fetch(ctx context.Context, url string) ([]byte, error) {
	s.mu.Lock()
	s.fetches = append(s.fetches, time.Now())
	page, ok := s.pages[url]
	down, slow := s.down, s.slow
	s.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	switch {
	case down != nil:
		return nil, down
	case !ok:
		return nil, errors.New("404 " + url)
	}
	return page, nil
}

func (s *site) set(url string, text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages[url] = text
}

func (s *site) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = err
}

func (s *site) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.fetches)
}

// mostInAMinute is the most fetches within any 60 s.
func (s *site) mostInAMinute() (most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, from := range s.fetches {
		n := len(slices.DeleteFunc(slices.Clone(s.fetches[i:]), func(at time.Time) bool { return at.Sub(from) >= time.Minute }))
		most = max(most, n)
	}
	return most
}

func (s *site) issuer() token.Issuer {
	return token.Issuer{Name: "login", URL: issuerURL, JWKS: jwksURL, Audience: []string{audience}, Fetch: s.fetch}
}

func shop() token.Consumer {
	return token.Consumer{
		Principal: broker.Principal{ID: "shop", Sector: "shops", Scopes: broker.NewScopes("profile.read", "orders.read")},
		Issuer:    "login", Claims: map[string]string{"azp": "shop"},
	}
}

func config(s *site, now func() time.Time) token.Config {
	return token.Config{Issuers: []token.Issuer{s.issuer()}, Consumers: []token.Consumer{shop()}, Now: now}
}

func open(t testing.TB, c token.Config, previous *token.Verifier) *token.Verifier {
	t.Helper()
	v, err := token.New(c, previous)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

func at(now time.Time) func() time.Time { return func() time.Time { return now } }

// all is a verifier that knows the usual keys, at start.
func all(t testing.TB) *token.Verifier {
	var jwks []map[string]any
	for _, p := range keys() {
		jwks = append(jwks, p.jwk())
	}
	return open(t, config(newSite(jwks...), at(start)), nil)
}

// refused checks that a token is refused for a reason, in words that give nothing away.
func refused(t *testing.T, v *token.Verifier, text string, want token.Reason) {
	t.Helper()
	got, err := v.Verify(t.Context(), text)
	if token.ReasonOf(err) != want || got.Principal.ID != "" {
		t.Errorf("principal %q, error %v; want refusal %q", got.Principal.ID, err, want)
	}
	kind := broker.Unauthenticated
	if want == token.NoKeys {
		kind = broker.Unavailable
	}
	if e, ok := errors.AsType[*broker.Error](err); ok && (e.Kind != kind || kind == broker.Unauthenticated && e.Detail != "no valid credential") {
		t.Errorf("error of kind %s with detail %q", e.Kind, e.Detail)
	}
}

func taken(t *testing.T, v *token.Verifier, text string, want broker.PrincipalID) token.Verdict {
	t.Helper()
	got, err := v.Verify(t.Context(), text)
	if err != nil || got.Principal.ID != want {
		t.Errorf("principal %q, error %v; want %q", got.Principal.ID, err, want)
	}
	return got
}
