// Package egress owns the way out: the only HTTP client, which reaches one origin per
// Backend and nothing else, and takes nothing of a request on trust.
package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"pointsman/host/broker"
	"pointsman/pdk/wire"
)

// Defaults and ceilings. SECURITY-RULES §3 is the source where no other is named.
const (
	defaultTime       = 2 * time.Second // one exchange: a route has a second or so (DESIGN §5)
	defaultBytes      = 1 << 20         // bytes of a decoded body: the sandbox's default input limit
	defaultConcurrent = 64              // exchanges with one back end at the same time

	maxBytes       = 8 << 20  // bytes of a decoded body, §3.6
	maxHeaderBytes = 64 << 10 // bytes of an answer's header, §3.3
	maxRatio       = 100      // decoded to encoded bytes, §3.6
	idleTime       = time.Minute
	keepAlive      = 15 * time.Second // TCP probes, net.Dialer's default
	userAgent      = "pointsman"
)

// Credential is an opened secret. secret.Value is one.
type Credential interface {
	// Expose returns a copy of the bytes, which egress wipes after use.
	Expose() []byte
}

// Auth says which credential a back end wants and where it goes. Nobody but the admin
// chooses either.
type Auth struct {
	// Credential is asked for each exchange, so that a new value is used at once and none
	// is kept.
	Credential func() (Credential, error)
	As         string // bearer, header, basic (the credential is "user:password") or query
	Name       string // of the header or query parameter; empty for bearer and basic
}

// Config describes one back end. The zero value of a limit means its default.
type Config struct {
	Name       string // for errors and logs of the operator; never sent to anyone
	URL        string // origin and optional base path
	Auth       *Auth  // nil: no credential
	Private    []netip.Prefix
	Insecure   bool           // plain HTTP is meant; it does not weaken TLS
	RootCAs    *x509.CertPool // nil: the system's
	Time       time.Duration  // of one exchange, waiting for a free slot included; 0 means 2 s
	Bytes      int64          // of a decoded body; 0 means 1 MiB, at most 8 MiB
	Concurrent int            // exchanges at the same time; 0 means 64
	Resolver   *net.Resolver  // nil: Go's own, without the system's libraries
}

// Backend is a client for one back end. Safe for concurrent use.
type Backend struct {
	name      string
	origin    origin
	auth      *placement
	time      time.Duration
	bytes     int64
	slots     chan struct{}
	transport *http.Transport
	closed    atomic.Bool
}

// New checks c and returns a client for it. It has no side effects: nothing is resolved
// or dialled before the first exchange.
func New(c Config) (*Backend, error) {
	b, err := newBackend(c)
	if err != nil {
		return nil, fmt.Errorf("backend %s: %w", c.Name, err)
	}
	return b, nil
}

func newBackend(c Config) (*Backend, error) {
	guard, err := newGuard(c.Private)
	if err != nil {
		return nil, err
	}
	o, err := parseOrigin(c.URL, c.Insecure)
	if err != nil {
		return nil, err
	}
	if addr, err := netip.ParseAddr(o.host); err == nil {
		if err := guard.judge(addr); err != nil {
			return nil, fmt.Errorf("url: %w", err)
		}
	}
	auth, err := newPlacement(c.Auth)
	if err != nil {
		return nil, err
	}
	if c.Time < 0 || c.Concurrent < 0 || c.Bytes < 0 || c.Bytes > maxBytes {
		return nil, fmt.Errorf("limits: none can be negative, and bytes at most %d", maxBytes)
	}
	b := &Backend{
		name: c.Name, origin: o, auth: auth,
		time:  or(c.Time, defaultTime),
		bytes: or(c.Bytes, defaultBytes),
		slots: make(chan struct{}, or(c.Concurrent, defaultConcurrent)),
	}
	b.transport = newTransport(c, guard, b.time, cap(b.slots))
	return b, nil
}

func newTransport(c Config, guard *guard, limit time.Duration, conns int) *http.Transport {
	resolver := c.Resolver
	if resolver == nil {
		resolver = &net.Resolver{PreferGo: true}
	}
	dialer := &net.Dialer{Timeout: limit, KeepAlive: keepAlive, Resolver: resolver, ControlContext: guard.control}
	return &http.Transport{
		Proxy: nil, // whatever the environment says
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &conn{Conn: c}, nil
		},
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.RootCAs},
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

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Name is the admin's name for the back end.
func (b *Backend) Name() string { return b.name }

// Request is what a plugin asks. Its parts are sent as they are checked: the path byte for
// byte, query and header values as plain text that is encoded here.
type Request struct {
	Method string
	Path   string // from "/", below the base path of the back end; see CheckPath
	Query  []wire.Field
	Header []wire.Field
	Body   []byte // not kept after Do
}

// Answer is what a back end said, after limits and redaction.
type Answer struct {
	Status int          // 200 to 599, but no redirect
	Header []wire.Field // names in lower case; only those that are passed on
	Body   []byte       // decoded
}

// Do sends r, once it has passed Check, and returns the answer. Redirects are not
// followed: they, and every answer that is not whole or within its limits, are errors.
//
// The error is a *broker.Error: Denied when r or the address it would go to is not
// allowed, UpstreamTimeout, Canceled when ctx was, Unavailable when there is no credential
// to send, Upstream for the rest. Its Detail names no host and repeats nothing that the
// back end said; its Err, for the log, holds no path, query, header or body.
func (b *Backend) Do(ctx context.Context, r Request) (Answer, error) {
	if err := b.Check(r); err != nil {
		return Answer{}, err
	}
	if b.closed.Load() {
		return Answer{}, &broker.Error{Kind: broker.Unavailable, Detail: "the back end is being taken out of service"}
	}
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, b.time)
	defer cancel()
	select {
	case b.slots <- struct{}{}:
		defer func() { <-b.slots }()
	case <-ctx.Done():
		return Answer{}, classify(caller, ctx.Err())
	}
	if err := ctx.Err(); err != nil { // select takes either case when both are ready
		return Answer{}, classify(caller, err)
	}
	return b.exchange(ctx, caller, r)
}

func (b *Backend) exchange(ctx, caller context.Context, r Request) (Answer, error) {
	req := b.request(ctx, r)
	used, err := b.auth.place(req)
	if err != nil {
		return Answer{}, err
	}
	defer used.wipe()
	resp, err := b.transport.RoundTrip(req)
	if err != nil {
		return Answer{}, classify(caller, err)
	}
	defer resp.Body.Close() // what it could report, the read before it has
	if err := checkHead(resp); err != nil {
		return Answer{}, err
	}
	body, err := readBody(resp, b.bytes)
	if err != nil {
		return Answer{}, classify(caller, err)
	}
	a := Answer{Status: resp.StatusCode, Header: replyHeader(resp.Header, b.origin), Body: body}
	if err := used.redact(&a); err != nil {
		return Answer{}, err
	}
	return a, nil
}

// Close closes idle connections and refuses new exchanges. Running ones end by themselves.
func (b *Backend) Close() {
	b.closed.Store(true)
	b.transport.CloseIdleConnections()
}
