package egress

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"pointsman/host/broker"
)

// TLS says whom to trust, and as whom to appear. The zero value trusts the system's roots
// for the name in the URL and presents nothing.
type TLS struct {
	RootCAs *x509.CertPool // nil: the system's
	// Pins are the SHA-256 of public keys, as SubjectPublicKeyInfo (RFC 7469 §2.4); one of
	// them must be in the chain that was verified. They come on top of the roots.
	Pins [][sha256.Size]byte
	// MinVersion is tls.VersionTLS12 or tls.VersionTLS13; 0 means TLS 1.2.
	MinVersion uint16
	// ServerName is the name in the certificate, and the one that is asked for (SNI), when
	// it is not the URL's host. The Host header stays the URL's.
	ServerName string
	// ClientCertificate is asked for each new connection, and once a second while there is
	// traffic, so that a new certificate is taken up; nil: none.
	ClientCertificate func() (*tls.Certificate, error)
}

func (t TLS) check(o origin) error {
	if t.MinVersion != 0 && t.MinVersion != tls.VersionTLS12 && t.MinVersion != tls.VersionTLS13 {
		return errors.New("tls: the least version must be TLS 1.2 or 1.3")
	}
	if t.ServerName != "" {
		if err := checkHost(t.ServerName); err != nil {
			return errors.New("tls: serverName is not a host name in lower case")
		}
	}
	if o.scheme != "https" && (t.RootCAs != nil || t.Pins != nil || t.MinVersion != 0 || t.ServerName != "" || t.ClientCertificate != nil) {
		return errors.New("tls: the url is plain HTTP")
	}
	return nil
}

// errPin is the refusal of a chain without a pinned key.
var errPin = errors.New("tls: no certificate of the chain has a pinned key")

// config is what connections are made with.
func (t TLS) config(o origin) *tls.Config {
	c := &tls.Config{MinVersion: or(t.MinVersion, tls.VersionTLS12), RootCAs: t.RootCAs, ServerName: or(t.ServerName, o.host)}
	if len(t.Pins) > 0 {
		c.VerifyConnection = func(s tls.ConnectionState) error { // after the roots were found good
			if !pinned(s.VerifiedChains, t.Pins) {
				return errPin
			}
			return nil
		}
	}
	if t.ClientCertificate != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert, err := t.ClientCertificate()
			if err != nil {
				return nil, errClientCertificate
			}
			return cert, nil
		}
	}
	return c
}

// errClientCertificate stands for why there is none, which may tell of the secret.
var errClientCertificate = errors.New("the client certificate is not available")

func pinned(chains [][]*x509.Certificate, pins [][sha256.Size]byte) bool {
	for _, chain := range chains {
		for _, cert := range chain {
			sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
			for _, pin := range pins {
				if sum == pin {
					return true
				}
			}
		}
	}
	return false
}

// ParsePin reads "sha256/" and standard base64, as RFC 7469 and curl write pins.
func ParsePin(s string) (pin [sha256.Size]byte, err error) {
	text, ok := strings.CutPrefix(s, "sha256/")
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if !ok || err != nil || len(raw) != sha256.Size || strings.ContainsAny(s, "\r\n") { // which Go's decoder skips
		return pin, errors.New(`a pin is "sha256/" and the base64 of 32 bytes`)
	}
	return [sha256.Size]byte(raw), nil
}

// newDialer returns the one way to make a connection: to addresses that the guard lets pass.
func newDialer(c Config, guard *guard, limit time.Duration) *net.Dialer {
	resolver := c.Resolver
	if resolver == nil {
		resolver = &net.Resolver{PreferGo: true}
	}
	return &net.Dialer{Timeout: limit, KeepAlive: keepAlive, Resolver: resolver, ControlContext: guard.control}
}

func newTransport(dialer *net.Dialer, config *tls.Config, limit time.Duration, conns int) *http.Transport {
	return &http.Transport{
		Proxy: nil, // whatever the environment says
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &conn{Conn: c}, nil
		},
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    limit,
		ResponseHeaderTimeout:  limit,
		ExpectContinueTimeout:  limit,
		IdleConnTimeout:        idleTime,
		MaxIdleConns:           conns,
		MaxIdleConnsPerHost:    conns,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true, // decoded here, where decoded bytes are counted
		// HTTP/1.1 only: one request at a time on a connection, so that no answer can be
		// taken for that of another consumer's request by a fault in multiplexing.
		ForceAttemptHTTP2: false,
	}
}

// certificateCheck is how often a client certificate is compared with the one in use:
// seldom enough to cost nothing, soon enough for a rotation.
const certificateCheck = time.Second

// wires holds the transport of a back end. A connection is bound to the client certificate
// that it was made with, so a new certificate means a new transport.
type wires struct {
	fresh       func() *http.Transport
	certificate func() (*tls.Certificate, error) // nil: none

	mu      sync.Mutex
	current *http.Transport // guarded by mu
	leaf    []byte          // guarded by mu: of the certificate in use
	checked time.Time       // guarded by mu
}

func newWires(fresh func() *http.Transport, certificate func() (*tls.Certificate, error)) *wires {
	return &wires{fresh: fresh, certificate: certificate, current: fresh()}
}

// take returns the transport to use. The error is a *broker.Error of kind Unavailable.
func (w *wires) take() (*http.Transport, error) {
	if w.certificate == nil {
		return w.current, nil // never replaced
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.leaf != nil && time.Since(w.checked) < certificateCheck {
		return w.current, nil
	}
	cert, err := w.certificate()
	if err != nil || cert == nil || len(cert.Certificate) == 0 {
		return nil, &broker.Error{Kind: broker.Unavailable, Detail: "the back end's client certificate is not available", Err: err}
	}
	if w.leaf != nil && !bytes.Equal(w.leaf, cert.Certificate[0]) {
		w.current.CloseIdleConnections() // those in use become idle and end by themselves
		w.current = w.fresh()
	}
	w.leaf, w.checked = cert.Certificate[0], time.Now()
	return w.current, nil
}

func (w *wires) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.current.CloseIdleConnections()
}

// ParseClientCertificate reads PEM: the certificate, those between it and the root, and
// the private key, in any order. The error repeats nothing of it.
func ParseClientCertificate(pem []byte) (*tls.Certificate, error) {
	cert, err := tls.X509KeyPair(pem, pem)
	if err != nil {
		return nil, errors.New("not a PEM certificate with its private key")
	}
	return &cert, nil
}
