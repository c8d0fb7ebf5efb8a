package token

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	// MaxDocument is the most bytes of a key set or discovery document that are read. Large
	// providers publish some 20 KiB.
	MaxDocument = 256 << 10
	// maxKeys of one set. Providers publish two to ten; more is a mistake.
	maxKeys = 100
	// minRSA and maxRSA bound an RSA key, in bits: RFC 7518 §3.3; and a check with 8192 bits
	// takes half a millisecond, which anyone can make us do.
	minRSA = 2048
	maxRSA = 8192
)

// key is a public key that may be used, for one algorithm.
type key struct {
	alg string
	raw any // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

// keySet is the keys of one issuer. It does not change. The nil set has none.
type keySet struct {
	keys   map[header]*key // by algorithm and kid; nil: two keys have the place, so neither is used
	kids   map[string]bool // of keys that can be used
	digest [sha256.Size]byte
	passed []error // why keys were passed over
}

// find returns the key that a token's header names, nil if there is none. known is false if
// the kid is: another fetch may bring it then.
func (s *keySet) find(h header) (k *key, known bool) {
	if s == nil {
		return nil, false
	}
	return s.keys[h], s.kids[h.kid]
}

// writtenKey is what is read of a JWK (RFC 7517). Certificates in it are not looked at: the
// issuer vouches for its keys by being asked.
type writtenKey struct {
	Kty    string         `json:"kty"`
	Use    string         `json:"use,omitempty"`
	KeyOps []string       `json:"key_ops,omitempty"`
	Alg    string         `json:"alg,omitempty"`
	Kid    string         `json:"kid,omitempty"`
	N      string         `json:"n,omitempty"`
	E      string         `json:"e,omitempty"`
	Crv    string         `json:"crv,omitempty"`
	X      string         `json:"x,omitempty"`
	Y      string         `json:"y,omitempty"`
	D      jsontext.Value `json:"d,omitempty"`
}

// parseSet reads a JWK set. A key that cannot be used, or must not be, is passed over, as
// RFC 7517 §5 asks for; a text that is no set is an error.
func parseSet(text []byte) (*keySet, error) {
	if len(text) > MaxDocument {
		return nil, fmt.Errorf("more than %d bytes", MaxDocument)
	}
	var written struct {
		Keys *[]jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(text, &written); err != nil {
		return nil, errors.New("not strict JSON with a list of keys")
	}
	if written.Keys == nil {
		return nil, errors.New("there is no list of keys")
	}
	if len(*written.Keys) > maxKeys {
		return nil, fmt.Errorf("more than %d keys", maxKeys)
	}
	s := &keySet{keys: map[header]*key{}, kids: map[string]bool{}, digest: sha256.Sum256(text)}
	for n, raw := range *written.Keys {
		kid, keys, err := parseKey(raw)
		if err != nil {
			s.passed = append(s.passed, fmt.Errorf("key %d (kid %.60q) is not used: %w", n, kid, err))
			continue
		}
		for _, k := range keys {
			place := header{k.alg, kid}
			if other, taken := s.keys[place]; taken && (other == nil || !other.equal(k)) {
				s.keys[place] = nil
				s.passed = append(s.passed, fmt.Errorf("key %d (kid %.60q) is not used: another one for %s has its kid", n, kid, k.alg))
				continue
			}
			s.keys[place] = k
			s.kids[kid] = true
		}
	}
	return s, nil
}

// parseKey returns a JWK once for each algorithm that it is for.
func parseKey(raw jsontext.Value) (kid string, keys []*key, err error) {
	var w writtenKey
	if err := json.Unmarshal(raw, &w); err != nil {
		return "", nil, errors.New("its members are not what RFC 7517 says")
	}
	switch {
	case w.D != nil:
		return w.Kid, nil, errors.New("its private half is published with it")
	case w.Use != "" && w.Use != "sig", w.KeyOps != nil && !slices.Contains(w.KeyOps, "verify"):
		return w.Kid, nil, errors.New("it is not for signatures")
	}
	// Only what makes the key is handed on, so that nothing else in it is looked at.
	plain, err := json.Marshal(writtenKey{Kty: w.Kty, N: w.N, E: w.E, Crv: w.Crv, X: w.X, Y: w.Y})
	if err != nil {
		return w.Kid, nil, errors.New("it is not UTF-8")
	}
	var k jose.JSONWebKey
	if err := k.UnmarshalJSON(plain); err != nil || !k.IsPublic() || !k.Valid() {
		return w.Kid, nil, errors.New("it is not a public key that is known here")
	}
	algs, err := fits(k.Key)
	if err != nil {
		return w.Kid, nil, err
	}
	if w.Alg != "" {
		if !slices.Contains(algs, w.Alg) {
			return w.Kid, nil, fmt.Errorf("it is for %.20q", w.Alg)
		}
		algs = []string{w.Alg}
	}
	for _, alg := range algs {
		keys = append(keys, &key{alg: alg, raw: k.Key})
	}
	return w.Kid, keys, nil
}

// fits returns the algorithms that a public key can be for.
func fits(public any) ([]string, error) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		switch bits := k.N.BitLen(); {
		case bits < minRSA || bits > maxRSA:
			return nil, fmt.Errorf("an RSA key has %d to %d bits, not %d", minRSA, maxRSA, bits)
		case k.E < 3 || k.E%2 == 0 || k.N.Bit(0) == 0:
			return nil, errors.New("it is not an RSA key")
		case roca(k.N):
			return nil, errors.New("it is a weak RSA key (CVE-2017-15361)")
		}
		return []string{RS256, PS256}, nil
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return []string{ES256}, nil
		}
	case ed25519.PublicKey:
		return []string{EdDSA}, nil
	}
	return nil, errors.New("no algorithm here is for such a key")
}

func (k *key) equal(other *key) bool {
	switch a := k.raw.(type) {
	case *rsa.PublicKey:
		b, ok := other.raw.(*rsa.PublicKey)
		return ok && a.Equal(b)
	case *ecdsa.PublicKey:
		b, ok := other.raw.(*ecdsa.PublicKey)
		return ok && a.Equal(b)
	case ed25519.PublicKey:
		b, ok := other.raw.(ed25519.PublicKey)
		return ok && a.Equal(b)
	}
	return false
}

// verify reports whether the key signed the token, and that what was signed is what was read.
func (k *key) verify(token string, p parsed) bool {
	if p.header.alg != k.alg { // the set was asked for both; this is what must never be
		return false
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(k.alg)})
	if err != nil {
		return false
	}
	payload, err := signed.Verify(k.raw)
	return err == nil && bytes.Equal(payload, p.payload) && (k.alg != PS256 || saltFits(k.raw, token))
}

// saltFits checks what go-jose does not: that the salt of a PS256 signature is as long as the
// hash (RFC 7518 §3.5). Other lengths would be other spellings of the same signature.
func saltFits(public any, token string) bool {
	end := strings.LastIndexByte(token, '.')
	signature, ok := decode(token[end+1:])
	rsaKey, isRSA := public.(*rsa.PublicKey)
	if !ok || !isRSA {
		return false
	}
	sum := sha256.Sum256([]byte(token[:end]))
	return rsa.VerifyPSS(rsaKey, crypto.SHA256, sum[:], signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
}
