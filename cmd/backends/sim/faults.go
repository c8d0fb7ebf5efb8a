package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// FaultKind says in which way a request goes wrong.
type FaultKind string

const (
	NoFault    FaultKind = ""           // answers normally, after Latency
	BadStatus  FaultKind = "status"     // Status with the vendor's error body, and Retry-After if RetryAfter is set
	RateLimit  FaultKind = "rate-limit" // 429 with the vendor's error body; Retry-After: RetryAfter, or 1
	Reset      FaultKind = "reset"      // TCP reset before any byte of the answer
	ResetBody  FaultKind = "reset-body" // headers and half of the body, then a TCP reset
	HalfBody   FaultKind = "half"       // Content-Length for all of the body, half of it, then an orderly close
	Garbage    FaultKind = "garbage"    // 200 and the right content type, but the body is not JSON
	WrongType  FaultKind = "wrong-type" // 200 with an HTML page, as from a captive portal or a maintenance proxy
	Oversized  FaultKind = "oversized"  // 200 with a JSON body of Bytes bytes and no Content-Length
	Redirected FaultKind = "redirect"   // 302 to Location
	Drip       FaultKind = "drip"       // the right answer, Bytes bytes every Interval
)

// kinds lists every FaultKind, for checking and for telling a user.
var kinds = []FaultKind{NoFault, BadStatus, RateLimit, Reset, ResetBody, HalfBody, Garbage, WrongType, Oversized, Redirected, Drip}

// Fault is one way of misbehaving. The zero Fault does nothing.
type Fault struct {
	Kind       FaultKind `json:"kind,omitempty"`
	Latency    Duration  `json:"latency,omitempty"`    // waited before anything else happens, with every kind
	Path       string    `json:"path,omitempty"`       // only requests whose path starts so; all when empty
	Count      int       `json:"count,omitempty"`      // only that many requests; 0 until it is cleared
	Status     int       `json:"status,omitempty"`     // BadStatus: default 503
	RetryAfter int       `json:"retryAfter,omitempty"` // BadStatus and RateLimit: seconds
	Bytes      int       `json:"bytes,omitempty"`      // Oversized: default 64 MiB. Drip: default 1
	Interval   Duration  `json:"interval,omitempty"`   // Drip: default 100ms
	Location   string    `json:"location,omitempty"`   // Redirected: the URL
}

// Duration is a time.Duration that is "250ms" in JSON.
type Duration time.Duration

// MarshalJSON writes the form of time.Duration.String.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON reads what time.ParseDuration reads. Negative durations are refused.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return errors.New(`a duration is a string such as "250ms"`)
	}
	t, err := time.ParseDuration(s)
	if err == nil && t < 0 {
		err = errors.New("a duration cannot be negative")
	}
	*d = Duration(t)
	return err
}

// Validate says what is wrong with a fault that came from outside.
func (f Fault) Validate() error {
	switch {
	case !slices.Contains(kinds, f.Kind):
		return fmt.Errorf("no fault kind %q; there are %q", f.Kind, kinds[1:])
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status %d is not from 200 to 599", f.Status)
	case f.Kind == Redirected && f.Location == "":
		return errors.New("a redirect needs a location")
	case f.Count < 0, f.RetryAfter < 0, f.Bytes < 0:
		return errors.New("a number cannot be negative")
	}
	return nil
}

// Faults is the switch of one server. The zero Faults are off. All methods may be called while requests are served.
type Faults struct {
	on     atomic.Bool // false spares every healthy request the lock
	mu     sync.Mutex
	faults []Fault // guarded by mu; Count is what remains
}

// Set replaces all faults. A request meets the first one that applies to it. A fault that Validate refuses is a
// programming error and panics.
func (f *Faults) Set(faults ...Fault) {
	for _, fault := range faults {
		if err := fault.Validate(); err != nil {
			panic("sim: " + err.Error())
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = slices.Clone(faults)
	f.on.Store(len(faults) > 0)
}

// Clear makes the server behave again.
func (f *Faults) Clear() { f.Set() }

// List returns the faults still to come, with Count lowered by the requests already hit.
func (f *Faults) List() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.faults)
}

// take returns the fault that this request meets and counts it.
func (f *Faults) take(r *http.Request) (Fault, bool) {
	if !f.on.Load() {
		return Fault{}, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.faults, func(fault Fault) bool { return strings.HasPrefix(r.URL.Path, fault.Path) })
	if i < 0 {
		return Fault{}, false
	}
	fault := f.faults[i]
	if fault.Count == 1 {
		f.faults = slices.Delete(slices.Clone(f.faults), i, i+1)
		f.on.Store(len(f.faults) > 0)
	} else if fault.Count > 1 {
		f.faults[i].Count--
	}
	return fault, true
}

// before does what happens before the vendor sees the request. It returns false when the request is finished.
func (f Fault) before(w http.ResponseWriter, r *http.Request, v vendor) bool {
	if !sleep(r.Context(), time.Duration(f.Latency)) {
		return false
	}
	header := w.Header()
	fail := func(status int) {
		if f.RetryAfter > 0 {
			header.Set("Retry-After", strconv.Itoa(f.RetryAfter))
		}
		if l, ok := v.(interface{ limited(http.Header) }); ok && status == http.StatusTooManyRequests {
			l.limited(header)
		}
		answer := v.failure(status)
		header.Set("Content-Length", strconv.Itoa(len(answer)))
		w.WriteHeader(status)
		w.Write(answer)
	}
	switch f.Kind {
	case BadStatus:
		if f.Status == 0 {
			f.Status = http.StatusServiceUnavailable
		}
		fail(f.Status)
	case RateLimit:
		f.RetryAfter = max(f.RetryAfter, 1)
		fail(http.StatusTooManyRequests)
	case Reset:
		reset(w)
	case Garbage:
		w.Write([]byte("{\"id\":\x00\xff\xfe}}]<<not json"))
	case WrongType:
		header.Set("Content-Type", "text/html; charset=utf-8")
		w.Write([]byte("<!DOCTYPE html><title>Maintenance</title><p>We will be back soon.</p>"))
	case Oversized:
		oversize(w, f.Bytes)
	case Redirected:
		header.Set("Location", f.Location)
		header.Set("Content-Length", "0")
		w.WriteHeader(http.StatusFound)
	default:
		return true
	}
	return false
}

// write sends the vendor's answer in the fault's manner.
func (f Fault) write(w http.ResponseWriter, r *http.Request, status int, answer []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	w.WriteHeader(status)
	switch f.Kind {
	case HalfBody:
		w.Write(answer[:len(answer)/2]) // net/http closes the connection when less was written than announced
	case ResetBody:
		w.Write(answer[:len(answer)/2])
		http.NewResponseController(w).Flush()
		reset(w)
	case Drip:
		f.drip(w, r, answer)
	default:
		w.Write(answer)
	}
}

func (f Fault) drip(w http.ResponseWriter, r *http.Request, answer []byte) {
	size, interval := max(f.Bytes, 1), time.Duration(f.Interval)
	if interval == 0 {
		interval = 100 * time.Millisecond
	}
	for part := range slices.Chunk(answer, size) {
		if _, err := w.Write(part); err != nil {
			return
		}
		if http.NewResponseController(w).Flush() != nil || !sleep(r.Context(), interval) {
			return
		}
	}
}

// oversize writes a JSON object of n bytes without announcing its length.
func oversize(w http.ResponseWriter, n int) {
	if n == 0 {
		n = 64 << 20
	}
	const head, tail = `{"padding":"`, `"}`
	block := []byte(strings.Repeat("x", 32<<10))
	if _, err := w.Write([]byte(head)); err != nil {
		return
	}
	for left := n - len(head) - len(tail); left > 0; left -= len(block) {
		if _, err := w.Write(block[:min(left, len(block))]); err != nil {
			return
		}
	}
	w.Write([]byte(tail))
}

// sleep waits and returns false if the client went away first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
