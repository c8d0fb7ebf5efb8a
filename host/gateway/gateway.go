// Package gateway owns the proof that a request came through the gateway in front: a client
// certificate, a signature over the request, or a secret that it sends.
//
// It is one of two locks. The other, who the consumer is, is evaluated beside it, whatever
// this one says; and what the gateway says of the consumer counts only for a request whose
// Proof this package made.
package gateway

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"pointsman/host/broker"
	"pointsman/host/clientcert"
)

// Header is where a signature or secret is.
const Header = "Pointsman-Gateway"

const (
	// minSecret is the shortest secret, in bytes: 128 bits, if they are random.
	minSecret = 16
	// DefaultSkew and MaxSkew are how far clocks may be apart.
	DefaultSkew = 30 * time.Second
	MaxSkew     = 5 * time.Minute
	// DefaultSeen is the most signatures that are remembered: with a skew of 30 s, those of
	// 8,000 requests a second, in some 100 MiB.
	DefaultSeen = 1 << 20
)

// Config is how the gateway proves itself: by exactly one of MTLS, Signed and Static.
type Config struct {
	MTLS   *MTLS
	Signed *Signed
	Static *Static
	Now    func() time.Time // nil: time.Now
}

// MTLS is a client certificate.
type MTLS struct {
	Roots []byte   // PEM
	Names []string // SANs (DNS names or URIs), one of which the certificate has
}

// Signed is a signature over each request; see Signer.
type Signed struct {
	Secrets [][]byte      // any of which signs: two while one is rotated; copied
	Skew    time.Duration // 0: DefaultSkew
	Seen    int           // the most signatures that are remembered; 0: DefaultSeen
}

// Static is a secret that is sent.
type Static struct {
	Secrets [][]byte // any of which is sent; copied
}

// Request is what a proof is made of.
type Request struct {
	Method string
	Target string // path and query as in the request line: http.Request.RequestURI
	Header http.Header
	Length int64               // of the body; -1: not known
	Peer   []*x509.Certificate // of the connection: http.Request.TLS.PeerCertificates
}

// FromHTTP is the Request of a server's request.
func FromHTTP(r *http.Request) Request {
	out := Request{Method: r.Method, Target: r.RequestURI, Header: r.Header, Length: r.ContentLength}
	if r.TLS != nil && r.TLS.HandshakeComplete {
		out.Peer = r.TLS.PeerCertificates
	}
	return out
}

// Gateway checks proofs. All methods may be called concurrently. The zero and the nil Gateway
// take no proof at all.
type Gateway struct {
	trust   *clientcert.Trust
	names   []string
	signed  bool
	secrets atomic.Pointer[[][]byte]
	blind   [sha256.Size]byte // static: what lengths are hidden with
	skew    time.Duration
	seen    *seen
	now     func() time.Time
}

// New returns a Gateway. Signatures that previous, that of the live release or nil, has seen
// are known to it too.
func New(c Config, previous *Gateway) (*Gateway, error) {
	g := &Gateway{now: c.Now}
	if g.now == nil {
		g.now = time.Now
	}
	switch {
	case c.MTLS != nil && c.Signed == nil && c.Static == nil:
		if len(c.MTLS.Names) == 0 || slices.Contains(c.MTLS.Names, "") {
			return nil, errors.New("gateway: a name is needed: any certificate of the authority would open this door")
		}
		var err error
		if g.trust, err = clientcert.NewTrust(c.MTLS.Roots, c.Now); err != nil {
			return nil, fmt.Errorf("gateway: %w", err)
		}
		g.names = slices.Clone(c.MTLS.Names)
		return g, nil
	case c.Signed != nil && c.MTLS == nil && c.Static == nil:
		if c.Signed.Skew < 0 || c.Signed.Skew > MaxSkew || c.Signed.Seen < 0 {
			return nil, fmt.Errorf("gateway: skew is not from 0 to %s", MaxSkew)
		}
		g.signed, g.skew, g.seen = true, c.Signed.Skew, newSeen(c.Signed.Seen)
		if g.skew == 0 {
			g.skew = DefaultSkew
		}
		if previous != nil && previous.seen != nil {
			g.seen = previous.seen
		}
		g.seen.widen(g.skew, c.Signed.Seen)
		return g, g.SetSecrets(c.Signed.Secrets)
	case c.Static != nil && c.MTLS == nil && c.Signed == nil:
		randomize(g.blind[:])
		return g, g.SetSecrets(c.Static.Secrets)
	}
	return nil, errors.New("gateway: exactly one of mtls, signed and static is needed")
}

// SetSecrets replaces the secrets, at once: what the old ones made is refused from then on,
// unless they are among the new. It fails for a Gateway with certificates.
func (g *Gateway) SetSecrets(secrets [][]byte) error {
	if g.trust != nil || len(secrets) == 0 || len(secrets) > 4 {
		return errors.New("gateway: one to four secrets are needed")
	}
	own := make([][]byte, len(secrets))
	for i, s := range secrets {
		if len(s) < minSecret {
			return fmt.Errorf("gateway: a secret has at least %d bytes", minSecret)
		}
		own[i] = slices.Clone(s)
	}
	g.secrets.Store(&own)
	return nil
}

// Reason is why a proof was refused. It is for logs and metrics, never for whoever sent it.
type Reason string

// The reasons.
const (
	Missing     Reason = "missing"     // no proof, more than one, or none that can be read
	Certificate Reason = "certificate" // it does not hold, or has another name
	Signature   Reason = "signature"   // or secret: not by a key that is known
	Time        Reason = "time"        // made too long ago, or yet to be made
	Replayed    Reason = "replayed"    // seen before
	Body        Reason = "body"        // its digest is another's
	Full        Reason = "full"        // no more signatures can be remembered: kind Unavailable
)

// Refusal is the cause of every error of Verify and of a Proof's body.
type Refusal struct{ Reason Reason }

func (r Refusal) Error() string { return "gateway: refused: " + string(r.Reason) }

// ReasonOf returns why a proof was refused, and "" if err is no such error.
func ReasonOf(err error) Reason {
	var r Refusal
	errors.As(err, &r)
	return r.Reason
}

func refuse(r Reason) error {
	if r == Full {
		return &broker.Error{Kind: broker.Unavailable, Err: Refusal{r}}
	}
	return &broker.Error{Kind: broker.Unauthenticated, Detail: "no valid credential", Err: Refusal{r}}
}

// Verify returns the proof that r came through the gateway. Every refusal has kind
// Unauthenticated and the same Detail, but for one that is of kind Unavailable: so many
// requests were signed lately that another one could not be told from a replayed one.
//
// Secrets and signatures are compared in constant time, and with each secret, whatever the
// header holds.
func (g *Gateway) Verify(r Request) (Proof, error) {
	switch {
	case g == nil, hops(r.Header):
		return Proof{}, refuse(Missing)
	case g.trust != nil:
		return g.certificate(r)
	case g.signed:
		return g.signature(r)
	case g.secrets.Load() != nil:
		return g.static(r)
	}
	return Proof{}, refuse(Missing)
}

func (g *Gateway) certificate(r Request) (Proof, error) {
	if len(r.Peer) == 0 {
		return Proof{}, refuse(Missing)
	}
	names, err := g.trust.Names(clientcert.FromTLS(r.Peer))
	if err != nil || !slices.ContainsFunc(names, func(n string) bool { return slices.Contains(g.names, n) }) {
		return Proof{}, refuse(Certificate)
	}
	return Proof{verified: true}, nil
}

// hops reports whether the request calls a header that counts here one of its own hop
// (RFC 9110 §7.6.1), as who wants a proxy to lose it does.
func hops(h http.Header) bool {
	for _, line := range h.Values("Connection") {
		for name := range strings.SplitSeq(line, ",") {
			name = strings.Trim(name, " \t")
			if strings.EqualFold(name, Header) || slices.ContainsFunc(covered, func(c string) bool { return strings.EqualFold(name, c) }) {
				return true
			}
		}
	}
	return false
}

// single returns the one value of the header, and whether there is one.
func single(h http.Header) (string, bool) {
	values := h.Values(Header)
	if len(values) != 1 || values[0] == "" || len(values[0]) > maxHeader {
		return "", false
	}
	return values[0], true
}
