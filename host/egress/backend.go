// Package egress owns the way out: the only HTTP client, which reaches one origin per
// Backend and nothing else, and takes nothing of a request on trust.
package egress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
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

// Config describes one back end. The zero value of a limit means its default.
type Config struct {
	Name     string // for errors and logs of the operator; never sent to anyone
	URL      string // origin and optional base path
	Private  []netip.Prefix
	Insecure bool // plain HTTP is meant; it does not weaken TLS
	TLS      TLS

	Placement Placement // puts the credential into each request, and is closed with the back end if it has a Close; nil: none

	Methods        []string // ceiling of what any plugin may be granted; empty: every method
	RequestHeaders []string // ceiling of what any plugin may set; empty: whatever a grant says
	AnswerHeaders  []string // shown to plugins beside those that always are; see HiddenHeader

	Time       time.Duration // of one use, with all its attempts and the waiting for a free slot; 0 means 2 s
	Bytes      int64         // of a decoded body; 0 means 1 MiB, at most 8 MiB
	Ratio      int64         // decoded to encoded bytes; 0 means 100, which is the most
	Concurrent int           // exchanges at the same time; 0 means 64
	Rate       Rate          // of attempts; the zero Rate is no limit
	Retries    Retries
	Breaker    Breaker
	Hedge      time.Duration // after it, a GET or HEAD is asked a second time; 0: never

	Check    string        // what Probe may ask, such as "GET /health"; empty: nothing
	Resolver *net.Resolver // nil: Go's own, without the system's libraries
	Log      *slog.Logger  // of repeated attempts and breakers; nil: nothing is logged
}

// Backend is a client for one back end. Safe for concurrent use.
type Backend struct {
	name      string
	origin    origin
	placement Placement // nil: no credential
	ceiling   ceiling
	answer    []string // headers to be shown beside the usual, in lower case
	time      time.Duration
	bytes     int64
	ratio     int64
	slots     chan struct{}
	persist   persistence
	dialer    *net.Dialer
	guard     *guard
	tls       TLS
	wires     *wires
	redactors sync.Pool // of *redactor, wiped
	check     Rule
	log       *slog.Logger
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
	if err := c.TLS.check(o); err != nil {
		return nil, err
	}
	if c.Time < 0 || c.Concurrent < 0 || c.Bytes < 0 || c.Bytes > maxBytes || c.Ratio < 0 || c.Ratio > maxRatio {
		return nil, fmt.Errorf("limits: none can be negative, bytes at most %d, and ratio at most %d", maxBytes, maxRatio)
	}
	b := &Backend{
		name: c.Name, origin: o, placement: c.Placement, guard: guard, tls: c.TLS,
		time:  or(c.Time, defaultTime),
		bytes: or(c.Bytes, defaultBytes),
		ratio: or(c.Ratio, maxRatio),
		slots: make(chan struct{}, or(c.Concurrent, defaultConcurrent)),
		log:   or(c.Log, slog.New(slog.DiscardHandler)),
	}
	if b.ceiling, err = newCeiling(c.Methods, c.RequestHeaders); err != nil {
		return nil, err
	}
	if b.answer, err = answerHeaders(c.AnswerHeaders); err != nil {
		return nil, err
	}
	if b.persist, err = newPersistence(c, b.time, b.breakerTurned); err != nil {
		return nil, err
	}
	if b.check, err = parseCheck(c.Check); err != nil {
		return nil, err
	}
	b.dialer = newDialer(c, guard, b.time)
	b.wires = newWires(func() *http.Transport {
		return newTransport(b.dialer, c.TLS.config(o), b.time, cap(b.slots))
	}, c.TLS.ClientCertificate)
	return b, nil
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
	// RawQuery is the query as it stands in a URL, without its question mark, instead of
	// Query; it is sent as it is. See ParseQuery for what is refused.
	RawQuery string
	Header   []wire.Field
	Body     []byte // not changed before Do returns, and not kept
}

// Answer is what a back end said, after limits and redaction. Of its status line only the
// number is kept, of its trailers nothing.
type Answer struct {
	Status int           // 200 to 599, but no redirect
	Header []wire.Field  // names in lower case; only those that are passed on
	Body   []byte        // decoded
	After  time.Duration // what Retry-After asks to wait; 0: it does not
}

// Do sends r, once it has passed Check, and returns the answer. Redirects are not
// followed: they, and every answer that is not whole or within its limits, are errors.
// Where the back end is configured for it, a request that may be repeated is; all its
// attempts count as one use.
//
// The error is a *broker.Error: Denied when r or the address it would go to is not
// allowed, UpstreamTimeout, Canceled when ctx was, Unavailable when there is no credential
// to send or the breaker is open, RateLimited when the back end's rate leaves no room,
// Upstream for the rest. Its Detail names no host and repeats nothing that the back end
// said; its Err, for the log, holds no path, query, header or body.
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
	o := b.attempts(ctx, caller, r)
	return o.answer, o.err
}

// Close closes idle connections and the Placement, if it can be, and refuses new exchanges.
// Running ones end by themselves, if without a credential that they did not have yet.
func (b *Backend) Close() {
	if b.closed.Swap(true) {
		return
	}
	b.wires.close()
	if p, ok := b.placement.(interface{ Close() }); ok {
		p.Close()
	}
}

// ceiling is what an admin says that no grant can go past. The zero ceiling lets pass.
type ceiling struct {
	methods []string
	headers []string // in lower case
}

func newCeiling(methods, headers []string) (ceiling, error) {
	c := ceiling{methods: methods}
	for _, m := range methods {
		if !knownMethod(m) {
			return c, errors.New("methods: GET, HEAD, POST, PUT, PATCH and DELETE are all that there are")
		}
	}
	for _, h := range headers {
		h = strings.ToLower(h)
		if !headerName(h) || HostHeader(h) {
			return c, errors.New("headers: one can be set only by the host, or by nobody")
		}
		c.headers = append(c.headers, h)
	}
	return c, nil
}

func (c ceiling) method(m string) bool { return c.methods == nil || slices.Contains(c.methods, m) }

func (c ceiling) header(lower string) bool {
	return c.headers == nil || slices.Contains(c.headers, lower)
}

// parseCheck reads what Probe may ask. The zero Rule is nothing.
func parseCheck(s string) (Rule, error) {
	if s == "" {
		return Rule{}, nil
	}
	r, err := ParseRule(s)
	if err != nil {
		return Rule{}, fmt.Errorf("check: %w", err)
	}
	if r.method != http.MethodGet && r.method != http.MethodHead || slices.Contains(r.segments, "") {
		return Rule{}, errors.New("check: it must be GET or HEAD and a path without {templates}, because it must change nothing")
	}
	return r, nil
}
