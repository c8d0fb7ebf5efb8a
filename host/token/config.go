package token

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pointsman/host/broker"
)

// The algorithms that a signature may have.
const (
	RS256 = "RS256"
	PS256 = "PS256"
	ES256 = "ES256"
	EdDSA = "EdDSA" // Ed25519
)

// Algorithms returns every algorithm that a signature may have.
func Algorithms() []string { return []string{RS256, PS256, ES256, EdDSA} }

const (
	// MaxToken is the most bytes of a token, checked before anything of it is read. Servers
	// take header lines of 8 KiB.
	MaxToken = 8 << 10
	// DefaultSkew and MaxSkew are how far clocks may be apart. Machines with NTP are within a
	// second; RFC 7519 §4.1.4 calls "a few minutes" usual at most.
	DefaultSkew = 30 * time.Second
	MaxSkew     = 5 * time.Minute
)

// Issuer signs tokens.
type Issuer struct {
	Name       string        // what Consumer.Issuer says
	URL        string        // the exact value of iss; also where discovery is
	JWKS       string        // URL of the keys; "": discovery names it
	Audience   []string      // one of them must be in aud; never empty
	Algorithms []string      // a choice of Algorithms(); empty: all of them
	Skew       time.Duration // 0: DefaultSkew
	Scopes     *ScopeRule    // nil: tokens do not say what the consumer may do
	Insecure   bool          // URLs with http:// are meant
	// Fetch returns the body of a GET that was answered with 200, and an error for anything
	// else. It must bound bytes (MaxDocument is enough), redirects (none) and addresses; ctx
	// bounds its time. It is called once at a time.
	Fetch func(ctx context.Context, url string) ([]byte, error)
	// Reach names what Fetch depends on, such as the roots that it trusts. Keys are carried
	// over to another release only if it is the same.
	Reach string
}

// ScopeRule says how a token names scopes.
type ScopeRule struct {
	Claim string            // a text with spaces between the names, or a list of texts
	Map   map[string]string // name in the token: scope here; nil: names are scopes as they are
}

// Consumer is whose tokens are those that have all of Claims.
type Consumer struct {
	Principal broker.Principal  // with the most scopes that it can have
	Issuer    string            // Issuer.Name
	Claims    map[string]string // claim: the exact text; never empty
}

// Config is what a Verifier is made of.
type Config struct {
	Issuers   []Issuer
	Consumers []Consumer
	Now       func() time.Time               // against which a token's times are checked; nil: time.Now
	Warn      func(issuer string, err error) // called when keys could not be fetched; may be nil
}

func (d Issuer) check() error {
	switch {
	case d.Name == "" || d.URL == "" || d.Fetch == nil:
		return errors.New("name, URL and Fetch are needed")
	case len(d.Audience) == 0 || slices.Contains(d.Audience, ""):
		return errors.New("an audience is needed: without one, tokens for others would open this door")
	case d.Skew < 0 || d.Skew > MaxSkew:
		return fmt.Errorf("skew is not from 0 to %s", MaxSkew)
	case d.Scopes != nil && d.Scopes.Claim == "":
		return errors.New("scopes need a claim")
	}
	for _, a := range d.Algorithms {
		if !slices.Contains(Algorithms(), a) {
			return fmt.Errorf("algorithm %.20q is not one of %v", a, Algorithms())
		}
	}
	if d.JWKS != "" {
		return checkURL(d.JWKS, d.Insecure)
	}
	return checkURL(d.URL, d.Insecure)
}
