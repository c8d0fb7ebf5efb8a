package egress_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pointsman/host/broker"
	"pointsman/host/egress"
	"pointsman/pdk/wire"
)

// long is a time that no test waits for: it fails by its deadline instead.
const long = 20 * time.Second

// script answers the first request with the first of its steps, and so on; the last stays.
func script(t testing.TB, steps ...http.HandlerFunc) (addr string, asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(asked.Add(1))
		steps[min(n, len(steps))-1](w, r)
	}))
	srv.Config.ErrorLog = discard()
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String(), asked
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = c.Close()
	}
}

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func TestRetries(t *testing.T) {
	tests := []struct {
		name, method string
		steps        []http.HandlerFunc
		retries      egress.Retries
		wantAsked    int32
		wantStatus   int
		wantKind     broker.Kind // when there is no status
	}{
		{"none unless configured", "GET", []http.HandlerFunc{status(503), status(200)}, egress.Retries{}, 1, 503, 0},
		{"a POST is never repeated", "POST", []http.HandlerFunc{status(503), status(200)}, egress.Retries{Attempts: 3}, 1, 503, 0},
		{"a PATCH is never repeated", "PATCH", []http.HandlerFunc{hangUp, status(200)}, egress.Retries{Attempts: 3}, 1, 0, broker.Upstream},
		{"a mistake is not repeated", "GET", []http.HandlerFunc{status(400), status(200)}, egress.Retries{Attempts: 3}, 1, 400, 0},
		{"500 is not repeated", "GET", []http.HandlerFunc{status(500), status(200)}, egress.Retries{Attempts: 3}, 1, 500, 0},
		{"401 is not repeated without another credential", "GET", []http.HandlerFunc{status(401), status(200)}, egress.Retries{Attempts: 3}, 1, 401, 0},
		{"429 without a time is not repeated", "GET", []http.HandlerFunc{status(429), status(200)}, egress.Retries{Attempts: 3}, 1, 429, 0},
		{"a wait past the deadline is not waited", "GET", []http.HandlerFunc{status(503, "Retry-After", "3600"), status(200)}, egress.Retries{Attempts: 3}, 1, 503, 0},
		{"a redirect is not repeated", "GET", []http.HandlerFunc{status(302, "Location", "/x"), status(200)}, egress.Retries{Attempts: 3}, 1, 0, broker.Upstream},
		{"too large is not repeated", "GET", []http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 2<<20)) }, status(200)}, egress.Retries{Attempts: 3}, 1, 0, broker.Upstream},
		{"503, then well", "GET", []http.HandlerFunc{status(503), status(200)}, egress.Retries{Attempts: 3}, 2, 200, 0},
		{"502, 504, then well", "HEAD", []http.HandlerFunc{status(502), status(504), status(200)}, egress.Retries{Attempts: 3}, 3, 200, 0},
		{"broken off, then well", "PUT", []http.HandlerFunc{hangUp, status(204)}, egress.Retries{Attempts: 2}, 2, 204, 0},
		{"DELETE is repeated", "DELETE", []http.HandlerFunc{hangUp, status(404)}, egress.Retries{Attempts: 2}, 2, 404, 0},
		{"429 that asks for no wait is not repeated", "GET", []http.HandlerFunc{status(429, "Retry-After", "0"), status(200)}, egress.Retries{Attempts: 3}, 1, 429, 0},
		{"429 with a second", "GET", []http.HandlerFunc{status(429, "Retry-After", "1"), status(200)}, egress.Retries{Attempts: 3}, 2, 200, 0},
		{"never well: the last answer is told", "GET", []http.HandlerFunc{hangUp, status(503)}, egress.Retries{Attempts: 3}, 3, 503, 0},
		{"never there: the last failure is told", "GET", []http.HandlerFunc{hangUp}, egress.Retries{Attempts: 3}, 3, 0, broker.Upstream},
		{"an attempt has its own time", "GET", []http.HandlerFunc{hang, status(200)}, egress.Retries{Attempts: 2, Time: 300 * time.Millisecond}, 2, 200, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			addr, asked := script(t, tt.steps...)
			b := backend(t, addr, func(c *egress.Config) { c.Retries, c.Time = tt.retries, long })
			a, err := b.Do(context.Background(), egress.Request{Method: tt.method, Path: "/x"})
			if asked.Load() != tt.wantAsked {
				t.Errorf("asked %d times, want %d", asked.Load(), tt.wantAsked)
			}
			if tt.wantStatus == 0 {
				wantKind(t, err, tt.wantKind)
			} else if err != nil || a.Status != tt.wantStatus {
				t.Errorf("got %d, %v, want %d", a.Status, err, tt.wantStatus)
			}
		})
	}
}

// TestEachAttemptIsWhole: an attempt has the whole body, its own credential, and goes
// through the guarded dialer.
func TestEachAttemptIsWhole(t *testing.T) {
	var mu sync.Mutex
	var got []string
	addr, _ := script(t, func(w http.ResponseWriter, r *http.Request) {
		body := new(bytes.Buffer)
		_, _ = body.ReadFrom(r.Body)
		mu.Lock()
		got = append(got, fmt.Sprintf("%s %s %s", r.Header.Get("Authorization"), r.Header.Get("X-Turn"), body))
		mu.Unlock()
		hangUp(w, r)
	})
	_, port, _ := net.SplitHostPort(addr)
	place := &turns{}
	b := backend(t, addr, func(c *egress.Config) {
		c.URL, c.Resolver = "http://crm.example:"+port, answers(func(n int32) string {
			if n == 3 {
				return "10.0.0.1" // not listed
			}
			return "127.0.0.1"
		})
		c.Retries, c.Time, c.Placement = egress.Retries{Attempts: 4}, long, place
	})
	_, err := b.Do(context.Background(), egress.Request{Method: "PUT", Path: "/x", Body: []byte("body")})
	wantKind(t, err, broker.Denied)
	mu.Lock()
	defer mu.Unlock()
	want := []string{"Bearer token-1-of-the-test body body", "Bearer token-2-of-the-test body body"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got %q, want %q", got, want)
	}
	if place.placed.Load() != place.wiped.Load() || place.placed.Load() != 3 {
		t.Errorf("placed %d times and wiped %d times, want 3: the third found an address that is not allowed", place.placed.Load(), place.wiped.Load())
	}
}

// turns is a Placement with another credential each time.
type turns struct {
	placed, wiped, refused atomic.Int32
	again                  int32 // how often a refusal is worth another attempt
	move                   func(*http.Request)
}

func (p *turns) Place(_ context.Context, req *http.Request, body []byte) (egress.Used, error) {
	token := fmt.Sprintf("token-%d-of-the-test", p.placed.Add(1))
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("X-Turn", string(body)) // stands for a signature over it
	if p.move != nil {
		p.move(req)
	}
	return turn{p, []byte(token)}, nil
}

func (p *turns) Owns(where, name string) bool {
	return where == "header" && strings.EqualFold(name, "authorization")
}
func (p *turns) Current() egress.Used     { return nil }
func (p *turns) Refused(egress.Used) bool { return p.refused.Add(1) <= p.again }

type turn struct {
	p     *turns
	token []byte
}

func (u turn) Forms() [][]byte { return [][]byte{u.token} }
func (u turn) Wipe()           { clear(u.token); u.p.wiped.Add(1) }

// TestRefusedCredentialIsTriedAfresh: once, whatever the method, and both are redacted.
func TestRefusedCredentialIsTriedAfresh(t *testing.T) {
	for name, tt := range map[string]struct {
		again                int32
		method               string
		wantAsked, wantWiped int32
		wantStatus           int
	}{
		"a fresh one may help":     {1, "POST", 2, 2, 200},
		"once and not for ever":    {9, "GET", 2, 2, 200},
		"a fresh one is the same":  {0, "GET", 1, 1, 401},
		"also for what changes it": {1, "DELETE", 2, 2, 200},
	} {
		t.Run(name, func(t *testing.T) {
			addr, asked := script(t, status(401), func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, "token-1-of-the-test and "+r.Header.Get("Authorization"))
			})
			p := &turns{again: tt.again}
			a, err := backend(t, addr, func(c *egress.Config) { c.Placement = p }).Do(context.Background(), egress.Request{Method: tt.method, Path: "/x"})
			if err != nil || a.Status != tt.wantStatus || asked.Load() != tt.wantAsked || p.wiped.Load() != tt.wantWiped {
				t.Errorf("got %d, %v, asked %d times, wiped %d; want %d, %d, %d", a.Status, err, asked.Load(), p.wiped.Load(), tt.wantStatus, tt.wantAsked, tt.wantWiped)
			}
			if bytes.Contains(a.Body, []byte("of-the-test")) {
				t.Errorf("a credential is in the answer: %s", a.Body)
			}
		})
	}
	addr, asked := script(t, status(401))
	a, err := backend(t, addr, func(c *egress.Config) { c.Placement = &turns{again: 9} }).Do(context.Background(), egress.Request{Method: "GET", Path: "/x"})
	if err != nil || a.Status != 401 || asked.Load() != 2 {
		t.Errorf("a credential that is never good: %d, %v after %d requests, want 401 after 2", a.Status, err, asked.Load())
	}
}

// TestPlacementCannotMoveTheRequest: not even the host's own code sends it elsewhere.
func TestPlacementCannotMoveTheRequest(t *testing.T) {
	addr := rawServer(t, func(net.Conn, string) { t.Error("something was sent") })
	for name, move := range map[string]func(*http.Request){
		"host":         func(r *http.Request) { r.URL.Host = "evil.example" },
		"Host header":  func(r *http.Request) { r.Host = "evil.example" },
		"scheme":       func(r *http.Request) { r.URL.Scheme = "https" },
		"method":       func(r *http.Request) { r.Method = "DELETE" },
		"path":         func(r *http.Request) { r.URL.Opaque = "/y" },
		"two segments": func(r *http.Request) { r.URL.Opaque = "/a/b" + r.URL.Opaque },
		"dots":         func(r *http.Request) { r.URL.Opaque = "/.." + r.URL.Opaque },
		"authority":    func(r *http.Request) { r.URL.Opaque = "//evil.example" + r.URL.Opaque },
	} {
		t.Run(name, func(t *testing.T) {
			p := &turns{move: move}
			_, err := get(t, backend(t, addr, func(c *egress.Config) { c.Placement = p }))
			wantKind(t, err, broker.Internal)
			if p.wiped.Load() != 1 {
				t.Error("the credential was not wiped")
			}
		})
	}
}

// TestRetryBudget: when many fail at once, few are repeated.
func TestRetryBudget(t *testing.T) {
	const callers = 40
	var asked atomic.Int32
	all := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == callers {
			close(all)
		}
		<-all // the first attempts fail together
		w.WriteHeader(503)
	}))
	defer srv.Close()
	b := backend(t, srv.Listener.Addr().String(), func(c *egress.Config) {
		c.Retries, c.Time = egress.Retries{Attempts: 2, Budget: 5}, long
	})
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			if a, err := get(t, b); err != nil || a.Status != 503 {
				t.Errorf("got %d, %v, want the 503", a.Status, err)
			}
		})
	}
	wg.Wait()
	if n := asked.Load(); n >= 2*callers {
		t.Errorf("%d requests by %d callers, want that not everyone's is repeated", n, callers)
	}
}

func TestBreaker(t *testing.T) {
	var sick atomic.Bool
	sick.Store(true)
	addr, asked := script(t, func(w http.ResponseWriter, _ *http.Request) {
		if sick.Load() {
			w.WriteHeader(503)
		}
	})
	var log lockedBuffer
	b := backend(t, addr, func(c *egress.Config) {
		c.Breaker = egress.Breaker{Percent: 50, Requests: 4, Within: time.Minute, Open: 300 * time.Millisecond}
		c.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	for range 4 {
		if a, err := get(t, b); err != nil || a.Status != 503 {
			t.Fatalf("got %d, %v, want the 503s that open it", a.Status, err)
		}
	}
	_, err := get(t, b)
	wantKind(t, err, broker.Unavailable)
	if e, _ := errors.AsType[*broker.Error](err); e == nil || e.After <= 0 || e.After > 300*time.Millisecond {
		t.Errorf("%v does not say when to come again", err)
	}
	if asked.Load() != 4 {
		t.Errorf("asked %d times, want 4: an open breaker sends nothing", asked.Load())
	}
	sick.Store(false)
	deadline := time.Now().Add(long)
	for {
		if a, err := get(t, b); err == nil && a.Status == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the breaker never closed")
		}
		time.Sleep(20 * time.Millisecond)
	}
	for range 5 {
		if _, err := get(t, b); err != nil {
			t.Errorf("after it closed: %v", err)
		}
	}
	for _, want := range []string{"to=open", "to=half-open", "to=closed", "backend=crm"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %s:\n%s", want, log.String())
		}
	}
}

// TestBreakerStaysOpenWhileTheTrialFails, and what a caller that leaves during a trial does
// not leave behind: a permit that nobody gives back.
func TestBreakerStaysOpenWhileTheTrialFails(t *testing.T) {
	addr, asked := script(t, status(503), hang)
	b := backend(t, addr, func(c *egress.Config) {
		c.Breaker = egress.Breaker{Percent: 100, Requests: 1, Within: time.Minute, Open: 50 * time.Millisecond}
		c.Time = long
	})
	if a, err := get(t, b); err != nil || a.Status != 503 {
		t.Fatalf("got %d, %v", a.Status, err)
	}
	for want := int32(2); want <= 3; want++ { // each trial is one whose caller leaves
		deadline := time.Now().Add(long)
		for asked.Load() < want {
			if time.Now().After(deadline) {
				t.Fatalf("no trial after %d", want-1)
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = b.Do(ctx, egress.Request{Method: "GET", Path: "/x"})
			}()
			for end := time.Now().Add(time.Second); asked.Load() < want && time.Now().Before(end); {
				select {
				case <-done:
					end = time.Time{}
				case <-time.After(5 * time.Millisecond):
				}
			}
			cancel()
			<-done
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// TestWhatDoesNotOpenTheBreaker: no plugin can take a back end from the others by asking
// for what it refuses or cannot bear.
func TestWhatDoesNotOpenTheBreaker(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"400": status(400), "404": status(404), "401": status(401), "429": status(429), "500": status(500), "redirect": status(302, "Location", "/"),
		"too large": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 2<<20)) },
		"brotli": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			fmt.Fprint(w, "x")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, asked := script(t, answer)
			b := backend(t, addr, func(c *egress.Config) { c.Breaker = egress.Breaker{Percent: 1, Requests: 1} })
			for range 5 {
				_, _ = get(t, b) // an answer or a refusal of it
				_, err := b.Do(context.Background(), egress.Request{Method: "GET", Path: "/../x"})
				wantKind(t, err, broker.Denied)
			}
			if asked.Load() != 5 {
				t.Errorf("asked %d times, want 5", asked.Load())
			}
		})
	}
}

// TestCallersThatLeaveDoNotOpenTheBreaker: cancellation tells nothing of the back end.
func TestCallersThatLeaveDoNotOpenTheBreaker(t *testing.T) {
	addr, asked := script(t, hang)
	b := backend(t, addr, func(c *egress.Config) {
		c.Breaker, c.Time = egress.Breaker{Percent: 1, Requests: 1}, long
	})
	for n := int32(1); n <= 3; n++ {
		ctx, cancel := context.WithCancel(context.Background())
		done := asking(ctx, b)
		for end := time.Now().Add(long); asked.Load() < n && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		cancel()
		wantKind(t, <-done, broker.Canceled)
	}
	if asked.Load() != 3 {
		t.Errorf("asked %d times, want 3", asked.Load())
	}
}

func TestHedge(t *testing.T) {
	for method, want := range map[string]int32{"GET": 2, "HEAD": 2, "PUT": 1, "DELETE": 1, "POST": 1} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			addr, asked := script(t, hang, status(204))
			var log lockedBuffer
			b := backend(t, addr, func(c *egress.Config) {
				c.Hedge, c.Time, c.Log = 50*time.Millisecond, 2*time.Second, slog.New(slog.NewTextHandler(&log, nil))
			})
			ctx := broker.WithCall(context.Background(), broker.Call{Request: "the-request"})
			a, err := b.Do(ctx, egress.Request{Method: method, Path: "/x"})
			if want == 2 && (err != nil || a.Status != 204) {
				t.Errorf("got %d, %v, want the second's answer", a.Status, err)
			}
			if want == 1 {
				wantKind(t, err, broker.UpstreamTimeout)
			}
			if asked.Load() != want {
				t.Errorf("asked %d times, want %d", asked.Load(), want)
			}
			if logged := strings.Contains(log.String(), "call=the-request attempts=2 hedges=1"); logged != (want == 2) {
				t.Errorf("the log says %q", log.String())
			}
		})
	}
}

// TestHedgeCanOnlyHelp: a second attempt that fails does not decide over the first.
func TestHedgeCanOnlyHelp(t *testing.T) {
	for name, second := range map[string]http.HandlerFunc{"broken off": hangUp, "503": status(503)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failed := make(chan struct{})
			addr, asked := script(t,
				func(w http.ResponseWriter, _ *http.Request) {
					<-failed
					time.Sleep(100 * time.Millisecond)
					w.WriteHeader(204)
				},
				func(w http.ResponseWriter, r *http.Request) { second(w, r); close(failed) })
			b := backend(t, addr, func(c *egress.Config) { c.Hedge, c.Time = 50*time.Millisecond, long })
			if a, err := get(t, b); err != nil || a.Status != 204 || asked.Load() != 2 {
				t.Errorf("got %d, %v after %d requests, want the first's answer after 2", a.Status, err, asked.Load())
			}
		})
	}
}

// TestHedgeThatPanics does not end the process: it runs on a goroutine of its own.
func TestHedgeThatPanics(t *testing.T) {
	addr, _ := script(t, func(w http.ResponseWriter, _ *http.Request) { time.Sleep(300 * time.Millisecond); w.WriteHeader(204) })
	n := new(atomic.Int32)
	b := backend(t, addr, func(c *egress.Config) {
		c.Hedge, c.Time = 20*time.Millisecond, long
		c.Placement = &turns{move: func(*http.Request) {
			if n.Add(1) == 2 {
				panic("a bug")
			}
		}}
	})
	if a, err := get(t, b); err != nil || a.Status != 204 || n.Load() != 2 {
		t.Errorf("got %d, %v, placed %d times", a.Status, err, n.Load())
	}
}

func TestRate(t *testing.T) {
	addr, asked := script(t, status(204))
	b := backend(t, addr, func(c *egress.Config) { c.Rate = egress.Rate{Count: 1, Per: time.Hour} })
	if _, err := get(t, b); err != nil {
		t.Fatal(err)
	}
	_, err := get(t, b)
	wantKind(t, err, broker.RateLimited)
	if e, _ := errors.AsType[*broker.Error](err); e == nil || e.After < time.Minute {
		t.Errorf("%v does not say when to come again", err)
	}
	if asked.Load() != 1 {
		t.Errorf("asked %d times, want 1", asked.Load())
	}
	addr, asked = script(t, status(503))
	b = backend(t, addr, func(c *egress.Config) {
		c.Rate, c.Retries = egress.Rate{Count: 1, Per: time.Hour}, egress.Retries{Attempts: 3}
	})
	_, err = get(t, b)
	wantKind(t, err, broker.RateLimited)
	if asked.Load() != 1 {
		t.Errorf("asked %d times, want 1: attempts count against the rate", asked.Load())
	}
	addr, asked = script(t, status(204))
	b = backend(t, addr, func(c *egress.Config) { c.Rate = egress.Rate{Count: 50, Per: time.Second} })
	for range 10 {
		if _, err := get(t, b); err != nil {
			t.Errorf("within the rate, with time to wait: %v", err)
		}
	}
	if asked.Load() != 10 {
		t.Errorf("asked %d times, want 10", asked.Load())
	}
}

func TestConfigRefused(t *testing.T) {
	for name, edit := range map[string]func(*egress.Config){
		"ratio":                 func(c *egress.Config) { c.Ratio = 101 },
		"bytes":                 func(c *egress.Config) { c.Bytes = 8<<20 + 1 },
		"negative time":         func(c *egress.Config) { c.Time = -1 },
		"attempts":              func(c *egress.Config) { c.Retries.Attempts = 11 },
		"attempt past the time": func(c *egress.Config) { c.Retries.Time = time.Hour },
		"budget":                func(c *egress.Config) { c.Retries.Budget = 101 },
		"hedge past the time":   func(c *egress.Config) { c.Hedge = time.Hour },
		"breaker":               func(c *egress.Config) { c.Breaker.Percent = 101 },
		"breaker half":          func(c *egress.Config) { c.Breaker.Requests = 3 },
		"rate":                  func(c *egress.Config) { c.Rate.Count = 3 },
		"method":                func(c *egress.Config) { c.Methods = []string{"TRACE"} },
		"request header":        func(c *egress.Config) { c.RequestHeaders = []string{"Cookie"} },
		"answer header":         func(c *egress.Config) { c.AnswerHeaders = []string{"Set-Cookie"} },
		"check that changes":    func(c *egress.Config) { c.Check = "DELETE /x" },
		"check with a template": func(c *egress.Config) { c.Check = "GET /{x}" },
		"check of dots":         func(c *egress.Config) { c.Check = "GET /../x" },
		"old TLS":               func(c *egress.Config) { c.TLS.MinVersion = 0x0302 },
		"server name":           func(c *egress.Config) { c.TLS.ServerName = "a b" },
		"TLS of plain HTTP":     func(c *egress.Config) { c.URL, c.Insecure, c.TLS.ServerName = "http://a.example", true, "b.example" },
	} {
		c := egress.Config{Name: "x", URL: "https://crm.example"}
		edit(&c)
		if _, err := egress.New(c); err == nil {
			t.Errorf("%s: accepted, want a refusal", name)
		}
	}
}

// TestCeilings: what the admin says of the back end holds whatever a grant says.
func TestCeilings(t *testing.T) {
	addr := rawServer(t, say("HTTP/1.1 204 No Content\r\nX-Cost: 7\r\nX-Other: 8\r\nSet-Cookie: a=b\r\n\r\n"))
	b := backend(t, addr, func(c *egress.Config) {
		c.Methods, c.RequestHeaders, c.AnswerHeaders = []string{"GET"}, []string{"Accept-Language"}, []string{"X-Cost"}
	})
	_, err := b.Do(context.Background(), egress.Request{Method: "POST", Path: "/x"})
	wantKind(t, err, broker.Denied)
	_, err = b.Do(context.Background(), egress.Request{Method: "GET", Path: "/x", Header: []wire.Field{{Name: "Accept", Value: "a"}}})
	wantKind(t, err, broker.Denied)
	a, err := b.Do(context.Background(), egress.Request{Method: "GET", Path: "/x", Header: []wire.Field{{Name: "accept-language", Value: "de"}}})
	if err != nil || len(a.Header) != 1 || a.Header[0] != (wire.Field{Name: "x-cost", Value: "7"}) {
		t.Errorf("got %v, %v, want x-cost alone", a.Header, err)
	}
}

// lockedBuffer is a buffer that goroutines may share.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
