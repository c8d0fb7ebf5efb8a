// Package clientcert owns client certificates: which of them hold, the names that they
// prove, and whose they are.
//
// A certificate comes from the TLS connection itself, or from a gateway that ended it (RFC
// 9440). Who hands in the second sort has checked first that the gateway proved itself on
// that very request: anyone can write a header.
package clientcert

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// maxChain is the most certificates that are looked at: a leaf and its intermediates.
	// Public chains have two or three.
	maxChain = 10
	// maxBytes of all of them. Go's TLS takes 256 KiB of handshake; a chain has some 6 KiB.
	maxBytes = 64 << 10
	// minRSA is the size of the smallest RSA key of a leaf, in bits: CA/Browser Forum Baseline
	// Requirements §6.1.5.
	minRSA = 2048
	// holds is how long a chain that was checked is not checked again, if it does not end
	// before.
	holds = time.Minute
	// cacheHalf is the most chains in one half of the memory of a Trust.
	cacheHalf = 1024
)

// Chain is a certificate and its intermediates, in DER, the client's own first. Nothing of
// it is proved.
type Chain [][]byte

// FromTLS is the chain that the peer of a connection showed. The handshake proved that it
// has the key.
func FromTLS(certificates []*x509.Certificate) Chain {
	c := make(Chain, len(certificates))
	for i, cert := range certificates {
		c[i] = cert.Raw
	}
	return c
}

// Trust is the roots of one certificate authority. There is no revocation: a certificate
// holds until it ends or the roots change. All methods may be called concurrently. The zero
// Trust trusts nobody.
type Trust struct {
	roots *x509.CertPool
	now   func() time.Time

	mu         sync.Mutex
	young, old map[[sha256.Size]byte]proved // guarded by mu
}

// proved are the names of a chain that held, and until when that is believed.
type proved struct {
	names []string
	until time.Time
}

// NewTrust reads roots in PEM; text between them is passed over, and a block that is no
// certificate of an authority is an error. now is the clock that
// certificates are checked by; nil: time.Now.
func NewTrust(roots []byte, now func() time.Time) (*Trust, error) {
	t := &Trust{roots: x509.NewCertPool(), now: now}
	if now == nil {
		t.now = time.Now
	}
	n := 0
	for rest := roots; ; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		switch {
		case block.Type != "CERTIFICATE":
			return nil, fmt.Errorf("clientcert: there is a %.40q among the roots", block.Type)
		case err != nil:
			return nil, fmt.Errorf("clientcert: root %d: %w", n+1, err)
		case !cert.IsCA:
			return nil, fmt.Errorf("clientcert: root %d is no certificate authority's", n+1)
		}
		t.roots.AddCert(cert)
	}
	if n == 0 {
		return nil, errors.New("clientcert: there is no certificate in PEM")
	}
	return t, nil
}

var errChain = errors.New("clientcert: the certificate does not hold")

// Names returns the DNS names and URIs (SANs) of a certificate that one of the roots vouches
// for, as a client's. The common name is not a name. The caller does not change the slice.
func (t *Trust) Names(c Chain) ([]string, error) {
	if t == nil || t.roots == nil || len(c) == 0 || len(c) > maxChain {
		return nil, errChain
	}
	h := sha256.New()
	size := 0
	for _, der := range c {
		size += len(der)
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(der))))
		h.Write(der)
	}
	if size > maxBytes {
		return nil, errChain
	}
	var id [sha256.Size]byte
	h.Sum(id[:0])
	now := t.now()
	if names, ok := t.known(id, now); ok {
		return names, nil
	}
	p, err := t.prove(c, now)
	if err != nil {
		return nil, err
	}
	t.remember(id, p)
	return p.names, nil
}

func (t *Trust) prove(c Chain, now time.Time) (proved, error) {
	var leaf *x509.Certificate
	between := x509.NewCertPool()
	for i, der := range c {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return proved{}, fmt.Errorf("%w: %w", errChain, err)
		}
		if i == 0 {
			leaf = cert
			continue
		}
		between.AddCert(cert)
	}
	if key, ok := leaf.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < minRSA || leaf.IsCA {
		return proved{}, errChain
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: t.roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return proved{}, fmt.Errorf("%w: %w", errChain, err)
	}
	p := proved{names: slices.Clone(leaf.DNSNames), until: now.Add(holds)}
	for _, u := range leaf.URIs {
		p.names = append(p.names, u.String())
	}
	ends := time.Time{} // of the chain that lasts longest
	for _, chain := range chains {
		end := slices.MinFunc(chain, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) }).NotAfter
		if end.After(ends) {
			ends = end
		}
	}
	if ends.Before(p.until) {
		p.until = ends
	}
	return p, nil
}

func (t *Trust) known(id [sha256.Size]byte, now time.Time) ([]string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.young[id]
	if !ok {
		p, ok = t.old[id]
	}
	return p.names, ok && now.Before(p.until)
}

func (t *Trust) remember(id [sha256.Size]byte, p proved) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.young) >= cacheHalf || t.young == nil {
		t.young, t.old = map[[sha256.Size]byte]proved{}, t.young
	}
	t.young[id] = p
}
