package credential

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
)

// Key is a private key that signs assertions.
type Key struct {
	Secret string // name of a secret with the key in PEM: PKCS #8, PKCS #1 or SEC 1
	Alg    string // RS256, PS256, ES256 or EdDSA
	ID     string // the assertion's kid; "" for none
}

const (
	// assertionLife is how long an assertion is good: it is used at once. Salesforce takes at
	// most three minutes.
	assertionLife = 2 * time.Minute
	// minRSA is the size of the smallest RSA key, in bits: RFC 7518 §3.3.
	minRSA = 2048
)

// claims are those of RFC 7523 §3.
type claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Expires  int64  `json:"exp"`
	Issued   int64  `json:"iat"`
	ID       string `json:"jti"`
}

// sign returns a JWT with a life of assertionLife and an id of its own.
func (k Key) sign(p Parts, issuer, subject, audience string) ([]byte, *failure) {
	key, err := k.open(p)
	if err != nil {
		return nil, &failure{words: "the signing key cannot be used", cause: err}
	}
	options := new(jose.SignerOptions).WithType("JWT")
	if k.ID != "" {
		options = options.WithHeader("kid", k.ID)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(k.Alg), Key: key}, options)
	if err != nil {
		return nil, &failure{words: "the signing key does not fit " + k.Alg}
	}
	id := make([]byte, 16)
	rand.Read(id) // never fails, by its documentation
	now := p.Now()
	payload, err := json.Marshal(claims{issuer, subject, audience, now.Add(assertionLife).Unix(), now.Unix(), hex.EncodeToString(id)})
	if err != nil {
		return nil, &failure{words: "the assertion's claims are not UTF-8"}
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return nil, &failure{words: "signing the assertion failed"}
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		return nil, &failure{words: "writing the assertion failed"}
	}
	return []byte(text), nil
}

// open returns the private key, once it fits the algorithm. The error repeats nothing of it.
func (k Key) open(p Parts) (crypto.Signer, error) {
	text, err := p.open(k.Secret)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	key, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("the secret %s: %w", k.Secret, err)
	}
	fits := false
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() < minRSA {
			return nil, fmt.Errorf("the secret %s: an RSA key has at least %d bits", k.Secret, minRSA)
		}
		fits = k.Alg == "RS256" || k.Alg == "PS256"
	case *ecdsa.PrivateKey:
		fits = k.Alg == "ES256" && key.Curve == elliptic.P256()
	case ed25519.PrivateKey:
		fits = k.Alg == "EdDSA"
	}
	if !fits {
		return nil, fmt.Errorf("the secret %s: the key is not one for %s", k.Secret, k.Alg)
	}
	return key, nil
}

var errKey = errors.New("not one private key in PEM, without a passphrase")

func parseKey(text []byte) (crypto.Signer, error) {
	block, rest := pem.Decode(text)
	if block == nil || len(block.Headers) > 0 {
		return nil, errKey
	}
	defer clear(block.Bytes)
	if more, _ := pem.Decode(rest); more != nil {
		clear(more.Bytes)
		return nil, errKey
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, errKey
	}
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil, errKey
	}
	return signer, nil
}
