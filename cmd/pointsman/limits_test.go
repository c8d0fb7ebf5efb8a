package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pointsman/cmd/backends/sim"
)

// limitsManifests is a broker of small plugins: echo answers, runaway does not end, traps
// breaks off when it is asked for much. RUNAWAY stands for the limits of runaway.
const limitsManifests = `
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: runaway}
spec: {module: {path: runaway.wasm}, limits: RUNAWAY}
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: echo}
spec: {module: {path: echo.wasm}}
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: traps}
spec: {module: {path: echo.wasm}, limits: {output: 40}}
`

// limitsRoute is a route that both consumers may use.
func limitsRoute(name, deadline, call, with string) string {
	return fmt.Sprintf(`---
apiVersion: pointsman/v1
kind: Route
metadata: {name: %[1]s}
spec:
  path: GET /v1/%[1]s
  params: {text: {in: query, default: ok}}
  scopes: [use]
  deadline: %[2]s
  steps: {s: {call: %[3]s, with: %[4]s, required: true}}
  answer: "${s}"
  view: all
`, name, deadline, call, with)
}

func limitsConsumers(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "---\napiVersion: pointsman/v1\nkind: Consumer\nmetadata: {name: %s}\nspec: {auth: {apiKey: {}}, scopes: [use]}\n", name)
	}
	return b.String()
}

// startLimited starts a broker on the modules of testdata/wasm.
func startLimited(t *testing.T, documents string, consumers []string, flags ...string) *running {
	t.Helper()
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	r := newBroker(t, ca, setup{
		manifests: documents + limitsConsumers(consumers...), modules: "../../testdata/wasm", consumers: consumers,
	})
	r.cmd.Args = append(r.cmd.Args, flags...)
	r.start()
	return r
}

// wantUnavailable checks a 503 as a consumer is to see it: a problem, and when to come again.
func (r *running) wantUnavailable(got reply) {
	r.t.Helper()
	var problem struct{ Type, Code, Detail string }
	err := json.Unmarshal([]byte(got.body), &problem)
	after, aerr := strconv.Atoi(got.header.Get("Retry-After"))
	if got.status != http.StatusServiceUnavailable || got.header.Get("Content-Type") != "application/problem+json" || err != nil ||
		problem.Code != "unavailable" || problem.Type != "urn:pointsman:problem:unavailable" || problem.Detail != "" ||
		aerr != nil || after < 1 || after > 30 {
		r.t.Errorf("got %v, want 503 as a problem, with Retry-After", got)
	}
}

// TestSlowRouteLeavesRoom: a route whose calls never end holds what slots it may; the other
// route of the plugin, another consumer and another plugin are served, and who finds the
// queue full is told so at once.
func TestSlowRouteLeavesRoom(t *testing.T) {
	r := startLimited(t, strings.Replace(limitsManifests, "RUNAWAY", "{concurrency: 4, time: 20s}", 1)+
		limitsRoute("slow", "20s", "runaway.spin", "{}")+limitsRoute("brief", "200ms", "runaway.spin", "{}")+
		limitsRoute("say", "10s", "echo.echo", `{said: "${params.text}"}`), []string{"shop", "till"})
	ctx, cancel := context.WithCancel(t.Context())
	full := make(chan reply, 100)
	var group sync.WaitGroup
	const held, queued, more = 2, 8, 5 // half of what a route may hold; the consumer's half of the queue
	for range held + queued + more {
		group.Go(func() {
			if got, err := r.ask(ctx, "shop", "/v1/slow"); err == nil {
				full <- got
			}
		})
	}
	for range more {
		select {
		case got := <-full:
			r.wantUnavailable(got)
		case <-time.After(15 * time.Second): // a request that waits instead has 20 s
			t.Fatalf("no refusal while %d calls run and %d wait\n%s", held, queued, r.output)
		}
	}
	// brief ends at its own deadline, for which it has to run: else it is 503.
	if got := r.get("till", "/v1/brief"); got.status != http.StatusGatewayTimeout {
		t.Errorf("the other route of the plugin: %v, want it to run", got)
	}
	if got := r.get("shop", "/v1/say"); got.status != http.StatusOK || got.body != `{"said":"ok"}` {
		t.Errorf("another plugin: %v", got)
	}
	cancel()
	group.Wait()
}

// ask is get with a context, for requests that end early.
func (r *running) ask(ctx context.Context, consumer, path string) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.origin+path, nil)
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Authorization", "Bearer "+r.keys[consumer])
	res, err := r.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(body)}, err
}

// TestConsumerGoesAway: the guest of a consumer that went away stops, over HTTP/1.1 and 2.
// The plugin has one slot and its guest spins for 30 s: that another request of the plugin is
// served before shows that the guest has stopped.
func TestConsumerGoesAway(t *testing.T) {
	r := startLimited(t, strings.Replace(limitsManifests, "RUNAWAY", "{concurrency: 1, time: 30s}", 1)+
		limitsRoute("slow", "30s", "runaway.spin", "{}")+limitsRoute("brief", "100ms", "runaway.spin", "{}"), []string{"shop"})
	for _, version := range []string{"HTTP/1.1", "HTTP/2"} {
		t.Run(version, func(t *testing.T) {
			transport := r.client.Transport.(*http.Transport).Clone()
			transport.ForceAttemptHTTP2 = version == "HTTP/2"
			if version == "HTTP/1.1" {
				transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
			}
			defer transport.CloseIdleConnections()
			away := &running{t: t, origin: r.origin, keys: r.keys, client: &http.Client{Transport: transport}}
			ctx, cancel := context.WithCancel(t.Context())
			gone := make(chan error, 1)
			go func() {
				_, err := away.ask(ctx, "shop", "/v1/slow")
				gone <- err
			}()
			// The slot is taken when a brief request waits for it in vain.
			for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
				if got := r.get("shop", "/v1/brief"); got.status == http.StatusServiceUnavailable {
					break
				}
				if time.Since(began) > 10*time.Second {
					t.Fatalf("the slow request does not run\n%s", r.output)
				}
			}
			cancel()
			<-gone
			left := time.Now()
			for r.get("shop", "/v1/brief").status != http.StatusGatewayTimeout { // it ran, and its time was up
				if time.Since(left) > 20*time.Second { // the guest's own time is 30 s
					t.Fatal("the guest runs on")
				}
			}
			took := time.Since(left)
			t.Logf("served again after %v, of which the request that shows it takes 100 ms", took)
			if took > 3*time.Second { // 100 ms are promised; host/sandbox measures the stop itself, see BenchmarkBarStop
				t.Errorf("the slot was free only %v after the consumer left", took)
			}
		})
	}
}

// TestMemoryBudget: a release whose plugins reserve more than the server gives is refused,
// with what to change, and the live one serves on.
func TestMemoryBudget(t *testing.T) {
	with := func(limits string) string {
		return strings.Replace(limitsManifests, "RUNAWAY", limits, 1) + limitsRoute("say", "10s", "echo.echo", `{said: "${params.text}"}`)
	}
	r := startLimited(t, with("{memory: 64MiB}"), []string{"shop"}, "--sandbox-memory", "204MiB")
	for _, tt := range []struct{ limits, want string }{
		{"{memory: 128MiB}", "codes=PM4007"},
		{"{reserved: 2}", "the plugins reserve 272MiB of memory, and the server has 204MiB for sandboxes; the most is reserved by runaway 136MiB, echo 68MiB, traps 68MiB"},
	} {
		r.write("manifests/all.yaml", []byte(with(tt.limits)+limitsConsumers("shop")))
		r.reload(tt.want)
		if got := r.get("shop", "/v1/say", "text", "still"); got.body != `{"said":"still"}` {
			t.Errorf("after a refusal: %v, want the live release", got)
		}
	}
	r.write("manifests/all.yaml", []byte(with("{memory: 32MiB, reserved: 1}")+limitsConsumers("shop")))
	r.reload(`release is live" release=2`)
	if got := r.get("shop", "/v1/say", "text", "two"); got.body != `{"said":"two"}` {
		t.Errorf("after a reload: %v", got)
	}
}

// TestMemoryAtRunTime: with the budget of one call of each plugin, calls at once take turns,
// and who waits too long is told to come again.
func TestMemoryAtRunTime(t *testing.T) {
	r := startLimited(t, strings.Replace(limitsManifests, "RUNAWAY", "{time: 20s}", 1)+
		limitsRoute("slow", "20s", "runaway.spin", "{}")+limitsRoute("brief", "300ms", "runaway.spin", "{}")+
		limitsRoute("say", "10s", "echo.echo", `{said: "${params.text}"}`), []string{"shop"}, "--sandbox-memory", "204MiB")
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = r.ask(ctx, "shop", "/v1/slow")
	}()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		got := r.get("shop", "/v1/brief")
		if got.status == http.StatusServiceUnavailable {
			r.wantUnavailable(got)
			break
		}
		if time.Since(began) > 10*time.Second {
			t.Fatalf("a second sandbox of %v runs\n%s", got, r.output)
		}
	}
	for range 3 {
		if got := r.get("shop", "/v1/say"); got.status != http.StatusOK {
			t.Errorf("a plugin with memory of its own: %v", got)
		}
	}
	cancel()
	<-gone
}

// TestBreakerInService: a plugin that breaks off again and again is closed for the consumer
// that it does it for, and for no other; it is open again when it works.
func TestBreakerInService(t *testing.T) {
	r := startLimited(t, strings.Replace(limitsManifests, "RUNAWAY", "{}", 1)+
		limitsRoute("say", "10s", "echo.echo", `{said: "${params.text}"}`)+limitsRoute("short", "10s", "traps.echo", `{said: "${params.text}"}`),
		[]string{"shop", "till"})
	long := strings.Repeat("x", 50) // past the 40 bytes that this plugin may answer
	for i := range 20 {
		if got := r.get("shop", "/v1/short", "text", long); got.status != http.StatusBadGateway {
			t.Fatalf("request %d: %v, want 502", i, got)
		}
	}
	r.wantUnavailable(r.get("shop", "/v1/short", "text", "fine"))
	for consumer, path := range map[string]string{"till": "/v1/short", "shop": "/v1/say"} {
		if got := r.get(consumer, path); got.status != http.StatusOK {
			t.Errorf("%s of %s: %v, want it served", path, consumer, got)
		}
	}
	began := time.Now()
	for r.get("shop", "/v1/short", "text", "fine").status != http.StatusOK { // the breaker is open for 5 s
		if time.Since(began) > 30*time.Second {
			t.Fatalf("it does not close\n%s", r.output)
		}
		time.Sleep(200 * time.Millisecond)
	}
	r.await(`"a plugin's breaker closed" plugin=traps consumer=shop`)
	if n := strings.Count(r.output.String(), "breaker opened"); n != 1 {
		t.Errorf("the log tells %d times that it opened\n%s", n, r.output)
	}
}
