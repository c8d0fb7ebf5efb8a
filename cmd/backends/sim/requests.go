package sim

import (
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// defaultKept is how many requests a server remembers unless told otherwise: enough for any test, a few MB at most.
	defaultKept = 1000
	// maxKeptBody is how many bytes of a request's body are remembered: twenty times the largest search a connector sends.
	maxKeptBody = 64 << 10
)

// Recorded is one request as it was received.
type Recorded struct {
	Method string      `json:"method"`
	Target string      `json:"target"` // the request target byte for byte: escaped path and query
	Path   string      `json:"path"`   // decoded
	Host   string      `json:"host"`
	Header http.Header `json:"header"`
	Body   []byte      `json:"body,omitempty"` // the first 64 KiB; base64 in JSON
}

// Query returns the parsed query of the target. Parts that do not parse are left out.
func (r Recorded) Query() url.Values {
	u, err := url.ParseRequestURI(r.Target)
	if err != nil {
		return nil
	}
	return u.Query()
}

// requestLog keeps the last requests in a ring.
type requestLog struct {
	on   atomic.Bool // false spares benchmarks the lock
	mu   sync.Mutex
	ring []Recorded // guarded by mu
	next int        // guarded by mu; where the next request goes
	full bool       // guarded by mu; the ring has wrapped
}

func (l *requestLog) keep(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring, l.next, l.full = make([]Recorded, max(n, 0)), 0, false
	l.on.Store(n > 0)
}

func (l *requestLog) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.ring)
	l.next, l.full = 0, false
}

func (l *requestLog) add(r *http.Request, body []byte) {
	if !l.on.Load() {
		return
	}
	target := r.RequestURI
	if target == "" { // a request that came through no listener
		target = r.URL.RequestURI()
	}
	rec := Recorded{
		Method: r.Method, Target: target, Path: r.URL.Path, Host: r.Host,
		Header: r.Header.Clone(), Body: body[:min(len(body), maxKeptBody)],
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ring) == 0 {
		return
	}
	l.ring[l.next] = rec
	if l.next++; l.next == len(l.ring) {
		l.next, l.full = 0, true
	}
}

func (l *requestLog) list() []Recorded {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.full {
		return slices.Clone(l.ring[:l.next])
	}
	return slices.Concat(l.ring[l.next:], l.ring[:l.next])
}
