package deploy_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pointsman/host/broker"
	"pointsman/host/manifest"
	"pointsman/host/sandbox"
)

const canary = "canary-62aa-said-a-guest"

// deepest is the innermost error of ours in err's chain.
func deepest(err error) *broker.Error {
	var last *broker.Error
	for e, ok := errors.AsType[*broker.Error](err); ok; e, ok = errors.AsType[*broker.Error](e.Err) {
		last = e
		if e.Err == nil {
			break
		}
	}
	return last
}

// TestFailuresOfGuests: what a guest says decides the kind of a failure, and is told nobody.
func TestFailuresOfGuests(t *testing.T) {
	said := func(code string) string { return "{code: " + code + ", message: " + canary + "}" }
	tests := []struct {
		name, call, with string
		sawTimeout       bool
		want             broker.Kind
		wantAfter        time.Duration
	}{
		{"there is no such record", "echo.code7", said("not_found"), false, broker.NotFound, 0},
		{"denied", "echo.code7", said("denied"), false, broker.Denied, 0},
		{"the back end is busy", "echo.code7", "{code: rate_limited, message: x, after_ms: 1500}", false, broker.Unavailable, 1500 * time.Millisecond},
		{"a wait that overflows", "echo.code7", "{code: rate_limited, message: x, after_ms: 9223372036854775807}", false, broker.Unavailable, time.Hour},
		{"a wait into the past", "echo.code7", "{code: rate_limited, message: x, after_ms: -5}", false, broker.Unavailable, 0},
		{"transient", "echo.code7", said("transient"), false, broker.Upstream, 0},
		{"transient, and the host saw that it was slow", "echo.code7", said("transient"), true, broker.UpstreamTimeout, 0},
		{"permanent, whatever the host saw", "echo.code7", said("permanent"), true, broker.Upstream, 0},
		{"configuration", "echo.code7", said("config"), false, broker.Upstream, 0},
		{"credential", "echo.code7", said("auth"), false, broker.Upstream, 0},
		{"a code that is none", "echo.code7", said("internal"), false, broker.Upstream, 0},
		{"a code in capitals", "echo.code7", said("NOT_FOUND"), false, broker.Upstream, 0},
		{"names in capitals", "echo.code7", "{Code: not_found, Message: x}", false, broker.Upstream, 0},
		{"a code of another type", "echo.code7", "{code: 7, message: x}", false, broker.Upstream, 0},
		{"only a text", "echo.code7", canary, false, broker.Upstream, 0},
		{"an error without a code", "echo.fail", said("not_found"), false, broker.NotFound, 0},
		{"no output", "output.never", "{}", false, broker.Upstream, 0},
		{"output that is not JSON", "output.empty", "{}", false, broker.Upstream, 0},
		{"output beyond its memory", "output.beyond", "{}", false, broker.Upstream, 0},
		{"a trap", "traps.unreachable", "{}", false, broker.Upstream, 0},
		{"an exit, with success", "traps.exit0", "{}", false, broker.Upstream, 0},
		{"recursion", "runaway.recurse", "{}", false, broker.Upstream, 0},
		{"its time is up", "runaway.spin", "{}", false, broker.UpstreamTimeout, 0},
	}
	var docs strings.Builder
	for _, p := range []string{"echo", "output", "traps", "runaway"} {
		docs.WriteString(pluginDoc(p, "{module: {path: "+p+".wasm}, limits: {time: 1s}}"))
	}
	paths := map[string]string{}
	for i, tt := range tests {
		letter := string(rune('a' + i))
		paths[tt.name] = "/" + letter
		docs.WriteString(routeDoc("r"+letter, "GET /"+letter, tt.call, tt.with))
	}
	s := newSite(t)
	s.apply(source(t, docs.String()))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.engine.calling = func(ctx context.Context, _ string) {
				if call, _ := broker.CallFrom(ctx); tt.sawTimeout {
					call.Witness.SawTimeout()
				}
			}
			answer, err := s.serve(paths[tt.name])
			if kind := broker.KindOf(err); err == nil || kind != tt.want || answer != "" {
				t.Fatalf("got %s, %v, want a failure as %v", answer, err, tt.want)
			}
			for e, ok := errors.AsType[*broker.Error](err); ok; e, ok = errors.AsType[*broker.Error](e.Err) {
				if e.Detail != "" {
					t.Errorf("Detail is %q, want nothing of a guest's", e.Detail)
				}
			}
			if got := deepest(err).After; got != tt.wantAfter {
				t.Errorf("after %v, want %v", got, tt.wantAfter)
			}
		})
	}
}

// TestCallNamesTheUse: every call carries who asks, for what, and one budget for the request.
func TestCallNamesTheUse(t *testing.T) {
	s := newSite(t)
	s.apply(source(t, pluginDoc("echo", "{module: {path: echo.wasm}}")+`---
apiVersion: pointsman/v1
kind: Route
metadata: {name: two}
spec:
  path: GET /two
  scopes: [read]
  steps: {a: {call: echo.echo, with: {a: 1}}, b: {call: echo.copy, with: "${a}"}}
  answer: "${b}"
  view: all
`))
	var mu sync.Mutex
	var calls []broker.Call
	s.engine.calling = func(ctx context.Context, _ string) {
		mu.Lock()
		defer mu.Unlock()
		call, _ := broker.CallFrom(ctx)
		calls = append(calls, call)
	}
	if got, err := s.serve("/two"); err != nil || got != `{"a":1}` {
		t.Fatalf("got %s, %v", got, err)
	}
	if len(calls) != 2 || calls[0].Budget != calls[1].Budget || calls[0].Witness == calls[1].Witness {
		t.Fatalf("got %+v, want two calls with one budget and two witnesses", calls)
	}
	for i, want := range []broker.Call{{Step: "a", Function: "echo"}, {Step: "b", Function: "copy"}} {
		got := calls[i]
		if got.Step != want.Step || got.Function != want.Function || got.Plugin != "echo" || got.Route != "two" ||
			got.Release != 1 || got.Principal.ID != "shop" || got.Request != "01HZZZZZZZZZZZZZZZZZZZZZZZ" {
			t.Errorf("call %d is %+v", i, got)
		}
	}
	allowed := 0
	for ok := true; ok; allowed++ {
		ok, _ = calls[0].Budget.Take()
	}
	if allowed-1 != 32 {
		t.Errorf("the budget of a request is %d, want 32", allowed-1)
	}
}

// TestSlots: no more than so many sandboxes of one plugin run at once. Who waits for one
// ends with its own deadline; another plugin does not notice.
func TestSlots(t *testing.T) {
	s := newSite(t)
	s.apply(source(t, echoing("hello")+pluginDoc("other", "{module: {path: echo.wasm}}")+routeDoc("other", "GET /other", "other.copy", "{other: true}")))
	var running, most atomic.Int64
	free := make(chan struct{})
	s.engine.calling = func(_ context.Context, export string) {
		if export != "echo" {
			return
		}
		n := running.Add(1)
		defer running.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		<-free
	}
	r, release := s.deployer.Acquire()
	defer release()
	var served, holding sync.WaitGroup
	for range manifest.DefaultConcurrency {
		holding.Go(func() {
			if got, err := serveOn(context.Background(), r, "/say"); err != nil || got != `{"said":"hello"}` {
				t.Errorf("who has a slot gets %s, %v", got, err)
			}
		})
	}
	within(t, "all slots are taken", func() bool { return running.Load() == manifest.DefaultConcurrency })
	for range 5 {
		served.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			_, err := serveOn(ctx, r, "/say")
			if e := deepest(err); e == nil || e.Kind != broker.Unavailable || e.Detail != "no sandbox became free in time" || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who waits gets %v, want unavailable at its deadline", err)
			}
		})
	}
	served.Go(func() {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(20*time.Millisecond, cancel)
		if _, err := serveOn(ctx, r, "/say"); broker.KindOf(err) != broker.Canceled {
			t.Errorf("who goes away gets %v, want canceled", err)
		}
	})
	served.Wait()
	if got, err := serveOn(context.Background(), r, "/other"); err != nil || got != `{"other":true}` {
		t.Errorf("another plugin answers %s, %v", got, err)
	}
	close(free)
	holding.Wait()
	if got, err := serveOn(context.Background(), r, "/say"); err != nil || got != `{"said":"hello"}` {
		t.Errorf("afterwards: %s, %v, want a free slot", got, err)
	}
	if n := most.Load(); n != manifest.DefaultConcurrency {
		t.Errorf("%d ran at once, want %d", n, manifest.DefaultConcurrency)
	}
}

// TestReleaseThatHadToGo: a request that outlives its release is told to try again.
func TestReleaseThatHadToGo(t *testing.T) {
	s := newSite(t)
	s.apply(source(t, echoing("one")))
	r, release := s.deployer.Acquire()
	defer release()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.deployer.Close(ended); err == nil {
		t.Error("Close says nothing of the request inside")
	}
	_, err := serveOn(context.Background(), r, "/say")
	if broker.KindOf(err) != broker.Unavailable || !errors.Is(err, sandbox.ErrClosed) {
		t.Errorf("got %v, want unavailable", err)
	}
}
