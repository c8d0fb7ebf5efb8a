package main

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pointsman/cmd/backends/sim"
)

// probeManifests is a broker for the prober plugin; TARGET stands for the back end's
// origin, CLOSED for one that nobody listens on.
const probeManifests = `
apiVersion: pointsman/v1
kind: Backend
metadata: {name: target}
spec:
  http:
    url: TARGET
    tls: {ca: ca.pem}
    private: [127.0.0.0/8]
    auth: {secret: target-token, as: bearer}
    limits: {time: 1s, bytes: 64KiB}
---
apiVersion: pointsman/v1
kind: Backend
metadata: {name: other}
spec:
  http: {url: TARGET, tls: {ca: ca.pem}, private: [127.0.0.0/8]}
---
apiVersion: pointsman/v1
kind: Backend
metadata: {name: inside}
spec:
  http: {url: TARGET, tls: {ca: ca.pem}} # private addresses are not listed
---
apiVersion: pointsman/v1
kind: Backend
metadata: {name: down}
spec:
  http: {url: CLOSED, tls: {ca: ca.pem}, private: [127.0.0.0/8]}
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: prober}
spec:
  module: {path: prober.wasm}
  grants:
    http: [{backend: target, allow: ["GET /allowed/{id}", "GET /allowed"], query: [q], headers: [X-Probe], view: all}]
    log: {}
  limits: {memory: 64MiB, time: 2s}
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: insider}
spec:
  module: {path: prober.wasm}
  grants:
    http: [{backend: inside, as: target, allow: ["GET /allowed"], view: all}]
    log: {}
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: faller}
spec:
  module: {path: prober.wasm}
  grants:
    http: [{backend: down, as: target, allow: ["GET /allowed"], view: all}]
    log: {}
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: echo}
spec: {module: {path: profile.wasm}, limits: {time: 2s}}
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: probe}
spec:
  path: GET /v1/probe
  params: {backend: {in: query, required: true}, method: {in: query, required: true}, path: {in: query, required: true}}
  scopes: [probe]
  deadline: 5s
  steps:
    fetch: {call: prober.fetch, with: {backend: "${params.backend}", method: "${params.method}", path: "${params.path}"}, required: true}
  answer: "${fetch}"
  view: all
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: probe-header}
spec:
  path: GET /v1/probe-header
  params: {name: {in: query, required: true}, value: {in: query, required: true}}
  scopes: [probe]
  steps:
    fetch:
      call: prober.fetch
      with: {backend: target, method: GET, path: /allowed, header: [{name: "${params.name}", value: "${params.value}"}]}
      required: true
  answer: "${fetch}"
  view: all
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: strict}
spec:
  path: GET /v1/strict
  scopes: [probe]
  deadline: 4s
  steps:
    fetch: {call: prober.fetch, with: {backend: target, method: GET, path: /allowed, strict: true}, required: true}
  answer: "${fetch}"
  view: all
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: lenient}
spec:
  path: GET /v1/lenient
  scopes: [probe]
  deadline: 4s
  steps:
    fetch: {call: prober.fetch, with: {backend: target, method: GET, path: /allowed, strict: true}, onError: omit}
    base: {call: prober.say, with: {fixed: true}, required: true}
  answer: {base: "${base}", fetch: "${fetch}"}
  view: all
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: inside}
spec:
  path: GET /v1/inside
  scopes: [probe]
  steps: {fetch: {call: insider.fetch, with: {backend: target, method: GET, path: /allowed, strict: true}, required: true}}
  answer: "${fetch}"
  view: all
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: down}
spec:
  path: GET /v1/down
  scopes: [probe]
  steps: {fetch: {call: faller.fetch, with: {backend: target, method: GET, path: /allowed, strict: true}, required: true}}
  answer: "${fetch}"
  view: all
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: inside-optional}
spec:
  path: GET /v1/inside-optional
  scopes: [probe]
  steps: {fetch: {call: insider.fetch, with: {backend: target, method: GET, path: /allowed, strict: true}}}
  answer: {fetch: "${fetch}"}
  view: all
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: down-optional}
spec:
  path: GET /v1/down-optional
  scopes: [probe]
  steps: {fetch: {call: faller.fetch, with: {backend: target, method: GET, path: /allowed, strict: true}}}
  answer: {fetch: "${fetch}"}
  view: all
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: say}
spec:
  path: GET /v1/say/{word}
  params: {word: {in: path, pattern: "[a-z]{1,10}"}}
  scopes: [say]
  steps: {say: {call: prober.say, with: {word: "${params.word}"}, required: true}}
  answer: "${say}"
  view: all
RUNAWAYS
---
apiVersion: pointsman/v1
kind: Consumer
metadata: {name: prober}
spec: {auth: {apiKey: {}}, scopes: [probe, say, run]}
---
apiVersion: pointsman/v1
kind: Consumer
metadata: {name: sayer}
spec: {auth: {apiKey: {}}, scopes: [say]}
`

// runaways are functions of the prober that break off, each with a route of its own.
var runaways = []string{"spin", "recurse", "grow", "crash", "leave", "shout"}

const targetToken = "canary-9c1e77b0d4f24a6a-target-token"

// target is a back end whose handler a test can change.
type target struct {
	hits    atomic.Int64
	handler atomic.Pointer[http.HandlerFunc]
}

func (t *target) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.hits.Add(1)
	if h := t.handler.Load(); h != nil {
		(*h)(w, r)
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+targetToken {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write([]byte(`{"path":` + strconv.Quote(r.URL.Path) + `}`))
}

func (t *target) answer(h http.HandlerFunc) { t.handler.Store(&h) }

func startProbe(t *testing.T) (*running, *target) {
	t.Helper()
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	tg := &target{}
	origin := listen(t, tg, ca)
	closed, err := sim.Listen(tg, ca, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := strings.Replace(closed.URL(), "127.0.0.1", "localhost", 1)
	closed.Close()
	var routes strings.Builder
	for _, name := range runaways {
		routes.WriteString("---\napiVersion: pointsman/v1\nkind: Route\nmetadata: {name: " + name + "}\nspec:\n  path: GET /v1/run/" + name +
			"\n  scopes: [run]\n  deadline: 4s\n  steps: {x: {call: prober." + name + ", required: true}}\n  answer: \"${x}\"\n  view: all\n")
	}
	text := strings.NewReplacer("TARGET", origin, "CLOSED", nobody, "RUNAWAYS\n", routes.String()).Replace(probeManifests)
	r := startBroker(t, ca, setup{
		manifests: text, modules: buildPlugins(t), consumers: []string{"prober", "sayer"},
		secrets: map[string]string{"target-token": targetToken},
	})
	return r, tg
}

// listen serves h over TLS as localhost and returns its origin.
func listen(t *testing.T, h http.Handler, ca *sim.CA) string {
	t.Helper()
	l, err := sim.Listen(h, ca, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return strings.Replace(l.URL(), "127.0.0.1", "localhost", 1)
}

// TestRefusals runs one broker and everything that it must refuse.
func TestRefusals(t *testing.T) {
	r, tg := startProbe(t)
	t.Run("reach", func(t *testing.T) { testReach(t, r, tg) })
	t.Run("headers", func(t *testing.T) { testHeaders(t, r, tg) })
	t.Run("back end", func(t *testing.T) { testBackend(t, r, tg) })
	t.Run("runaway", func(t *testing.T) { testRunaway(t, r) })
	t.Run("consumer", func(t *testing.T) { testConsumer(t, r) })
	t.Run("secret", func(t *testing.T) { testSecretStaysIn(t, r, tg) })
}

// testReach: a plugin asks for what it was not granted; the back end hears nothing of it.
func testReach(t *testing.T, r *running, tg *target) {
	tests := []struct{ name, backend, method, path string }{
		{"a back end that is not there", "nowhere", "GET", "/allowed"},
		{"a back end of another plugin", "other", "GET", "/allowed"},
		{"another method", "target", "POST", "/allowed"},
		{"a method in another case", "target", "get", "/allowed"},
		{"a method that reflects", "target", "TRACE", "/allowed"},
		{"a method that tunnels", "target", "CONNECT", "/allowed"},
		{"a path outside", "target", "GET", "/private"},
		{"a path below", "target", "GET", "/allowed/1/2"},
		{"a prefix of a segment", "target", "GET", "/allowedx"},
		{"another case", "target", "GET", "/Allowed"},
		{"dot segments", "target", "GET", "/allowed/../private"},
		{"a dot segment as the id", "target", "GET", "/allowed/.."},
		{"encoded dots", "target", "GET", "/allowed/%2e%2e"},
		{"encoded dots and slash", "target", "GET", "/allowed/%2e%2e%2fprivate"},
		{"an encoded slash", "target", "GET", "/allowed%2f1"},
		{"an encoded backslash", "target", "GET", "/allowed/%5c"},
		{"a double encoding", "target", "GET", "/allowed/%252e%252e"},
		{"two slashes", "target", "GET", "//allowed"},
		{"an empty segment", "target", "GET", "/allowed//1"},
		{"a slash at the end", "target", "GET", "/allowed/"},
		{"a semicolon", "target", "GET", "/allowed/1;x=1"},
		{"an absolute URL", "target", "GET", "https://evil.example/allowed"},
		{"a network path", "target", "GET", "//evil.example/allowed"},
		{"user information", "target", "GET", "@evil.example/allowed"},
		{"a query in the path", "target", "GET", "/allowed?q=1"},
		{"a fragment", "target", "GET", "/allowed#x"},
		{"a NUL", "target", "GET", "/allowed/%00"},
		{"a line break", "target", "GET", "/allowed/%0d%0aX-Evil:1"},
		{"no path", "target", "GET", ""},
		{"a relative path", "target", "GET", "allowed"},
		{"overlong UTF-8", "target", "GET", "/allowed/%c0%af"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := tg.hits.Load()
			got := r.get("prober", "/v1/probe", "backend", tt.backend, "method", tt.method, "path", tt.path)
			if got.status != http.StatusOK || !strings.Contains(got.body, `"error":"denied: `) {
				t.Errorf("the plugin was told %v, want a denial", got)
			}
			if n := tg.hits.Load() - before; n != 0 {
				t.Errorf("the back end got %d requests, want none", n)
			}
		})
	}
	got := r.get("prober", "/v1/probe", "backend", "target", "method", "GET", "path", "/allowed/42")
	if want := `{"status":200,`; !strings.HasPrefix(got.body, want) || !strings.Contains(got.body, `/allowed/42`) {
		t.Errorf("what is granted: %v, want %s…", got, want)
	}
	audit := r.file("data/audit.jsonl")
	if n := strings.Count(audit, `"decision":"denied"`); n < len(tests) {
		t.Errorf("the audit log has %d denials, want at least %d", n, len(tests))
	}
}

func testHeaders(t *testing.T, r *running, tg *target) {
	for _, header := range []string{"Authorization", "Host", "Cookie", "X-Other", "X-Forwarded-For", "Connection", "Content-Length",
		"Transfer-Encoding", "Accept-Encoding", "Range", "X-HTTP-Method-Override", "X-Probe ", "X-Probe:", `x-probe\r\nx-evil`, `x-probe\x00`} {
		before := tg.hits.Load()
		got := r.get("prober", "/v1/probe-header", "name", header, "value", "v")
		if !strings.Contains(got.body, `"error":"denied: `) || tg.hits.Load() != before {
			t.Errorf("header %q: %v with %d requests, want a denial and none", header, got, tg.hits.Load()-before)
		}
	}
	for _, value := range []string{`a\r\nX-Evil: 1`, `a\nb`, `a\x00b`, `a\x7fb`} {
		before := tg.hits.Load()
		got := r.get("prober", "/v1/probe-header", "name", "X-Probe", "value", value)
		if !strings.Contains(got.body, `"error":"denied: `) || tg.hits.Load() != before {
			t.Errorf("value %q: %v with %d requests, want a denial and none", value, got, tg.hits.Load()-before)
		}
	}
	if got := r.get("prober", "/v1/probe-header", "name", "X-Probe", "value", "fine"); !strings.Contains(got.body, `"status":200`) {
		t.Errorf("what is granted: %v", got)
	}
}

// testBackend: a back end that does not do its part makes a required step 502 or 504 and an
// optional one absent from the answer, never a 500.
func testBackend(t *testing.T, r *running, tg *target) {
	defer tg.handler.Store(nil)
	tests := []struct {
		name       string
		answer     http.HandlerFunc
		wantStatus int
		wantSource string
	}{
		{"redirects", func(w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, "https://evil.example/canary-redirect", http.StatusFound)
		}, http.StatusBadGateway, "error"},
		{"redirects to itself", func(w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, "/allowed/1", http.StatusTemporaryRedirect)
		}, http.StatusBadGateway, "error"},
		{"is slow", func(w http.ResponseWriter, q *http.Request) { wait(q, 5*time.Second) }, http.StatusGatewayTimeout, "timeout"},
		{"sends a byte now and then", drip, http.StatusGatewayTimeout, "timeout"},
		{"resets", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, http.StatusBadGateway, "error"},
		{"breaks off in the middle", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.Write([]byte(`{"half":`))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, http.StatusBadGateway, "error"},
		{"is too large", func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 1<<20)) }, http.StatusBadGateway, "error"},
		{"has a header too large", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Big", strings.Repeat("x", 1<<20)) }, http.StatusBadGateway, "error"},
		{"fails", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "canary-upstream stack trace", http.StatusInternalServerError)
		}, http.StatusBadGateway, "error"},
		{"refuses the credential", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, http.StatusBadGateway, "error"},
		{"has an encoding that nobody asked for", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			w.Write([]byte("garbage"))
		}, http.StatusBadGateway, "error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tg.answer(tt.answer)
			required := r.get("prober", "/v1/strict")
			if required.status != tt.wantStatus || required.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("required: %v, want a problem with status %d", required, tt.wantStatus)
			}
			optional := r.get("prober", "/v1/lenient")
			if want := `{"base":{"fixed":true},"fetch":null}`; optional.status != http.StatusOK || optional.body != want {
				t.Errorf("optional: %v, want %s", optional, want)
			}
			if sources := optional.header.Get("Pointsman-Sources"); !strings.Contains(sources, "fetch;s="+tt.wantSource) || optional.header.Get("Pointsman-Complete") != "?0" {
				t.Errorf("optional: sources %q, complete %q, want fetch;s=%s and ?0", sources, optional.header.Get("Pointsman-Complete"), tt.wantSource)
			}
			for _, canary := range []string{"canary", "evil.example", "localhost", "127.0.0.1", targetToken} {
				if strings.Contains(required.String()+optional.String(), canary) {
					t.Errorf("%q of the back end is in an answer: %v %v", canary, required, optional)
				}
			}
		})
	}
	t.Run("resolves to a private address that is not listed", func(t *testing.T) {
		before := tg.hits.Load()
		if got := r.get("prober", "/v1/inside"); got.status != http.StatusBadGateway || tg.hits.Load() != before {
			t.Errorf("%v with %d requests, want 502 and none", got, tg.hits.Load()-before)
		}
	})
	t.Run("is down", func(t *testing.T) {
		if got := r.get("prober", "/v1/down"); got.status != http.StatusBadGateway {
			t.Errorf("%v, want 502", got)
		}
	})
	for path, what := range map[string]string{"/v1/inside-optional": "resolves to a private address, optional", "/v1/down-optional": "is down, optional"} {
		t.Run(what, func(t *testing.T) {
			got := r.get("prober", path)
			if got.status != http.StatusOK || got.body != `{"fetch":null}` || !strings.Contains(got.header.Get("Pointsman-Sources"), "fetch;s=") ||
				strings.Contains(got.header.Get("Pointsman-Sources"), "s=ok") {
				t.Errorf("%v, want null and the reason", got)
			}
		})
	}
}

// testRunaway: a plugin that breaks off fails its request in time; others do not notice.
func testRunaway(t *testing.T, r *running) {
	want := map[string]int{"spin": http.StatusGatewayTimeout, "shout": http.StatusOK}
	for _, name := range runaways {
		t.Run(name, func(t *testing.T) {
			stop := make(chan struct{})
			control := make(chan error, 1)
			go func() { control <- keepAsking(r, stop) }()
			began := time.Now()
			got := r.get("prober", "/v1/run/"+name)
			took := time.Since(began)
			close(stop)
			if err := <-control; err != nil {
				t.Errorf("another route noticed: %v", err)
			}
			status := want[name]
			if status == 0 {
				status = http.StatusBadGateway
			}
			if name == "grow" && got.status == http.StatusGatewayTimeout {
				status = got.status // a guest may end by its memory or by its time
			}
			if got.status != status {
				t.Errorf("%v, want status %d", got, status)
			}
			if took > 30*time.Second { // its deadline is 2 s; the rest is for a machine that is busy
				t.Errorf("it took %v to end", took)
			}
			if strings.Contains(got.String(), "canary-7f3a") {
				t.Errorf("the plugin's panic is in the answer: %v", got)
			}
			if next := r.get("prober", "/v1/say/after"); next.body != `{"word":"after"}` {
				t.Errorf("the next request: %v", next)
			}
		})
	}
}

// keepAsking calls a harmless route until stop is closed and returns the first failure.
func keepAsking(r *running, stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		case <-time.After(50 * time.Millisecond):
		}
		got := r.get("sayer", "/v1/say/hello")
		if got.status != http.StatusOK || got.body != `{"word":"hello"}` {
			return &unexpected{got}
		}
	}
}

type unexpected struct{ reply reply }

func (u *unexpected) Error() string { return u.reply.String() }

func testConsumer(t *testing.T, r *running) {
	valid := r.keys["prober"]
	for name, key := range map[string]string{
		"no key": "", "not a key": "hello", "one character changed": flip(valid), "cut off": valid[:len(valid)-1],
		"with more": valid + "x", "upper case": strings.ToUpper(valid),
	} {
		for _, path := range []string{"/v1/say/hello", "/v1/nothing", "/"} {
			got := r.get(key, path)
			if got.status != http.StatusUnauthorized {
				t.Errorf("%s at %s: %v, want 401", name, path, got)
			}
			if body, want := stripInstance(got), stripInstance(r.get("", "/v1/say/hello")); body != want {
				t.Errorf("%s at %s: the 401 differs: %s, want %s", name, path, body, want)
			}
		}
	}
	unknown := r.get("sayer", "/v1/nothing")
	foreign := r.get("sayer", "/v1/probe", "backend", "target", "method", "GET", "path", "/allowed")
	if unknown.status != http.StatusNotFound || foreign.status != http.StatusNotFound || stripInstance(unknown) != stripInstance(foreign) {
		t.Errorf("a route of another consumer is not like one that is not there:\n%v\n%v", foreign, unknown)
	}
	if got := r.get("sayer", "/v1/say/hello"); got.status != http.StatusOK {
		t.Errorf("what is allowed: %v", got)
	}
	if got := r.get("sayer", "/v1/say/HELLO"); got.status != http.StatusBadRequest || !strings.Contains(got.body, "word") {
		t.Errorf("a parameter that does not match: %v, want 400 naming it", got)
	}
	if got := r.get("sayer", "/v1/say/hello", "extra", "1"); got.status != http.StatusBadRequest || !strings.Contains(got.body, "extra") {
		t.Errorf("a parameter that is not declared: %v, want 400 naming it", got)
	}
}

// testSecretStaysIn searches everything that the broker wrote for what it must keep.
func testSecretStaysIn(t *testing.T, r *running, tg *target) {
	defer tg.handler.Store(nil)
	tg.answer(func(w http.ResponseWriter, q *http.Request) { // a back end that says what it heard
		w.Header().Set("X-Echo", q.Header.Get("Authorization"))
		w.Header().Set("Etag", `"`+q.Header.Get("Authorization")+`"`)
		w.Write([]byte("you said " + q.Header.Get("Authorization")))
	})
	got := r.get("prober", "/v1/probe", "backend", "target", "method", "GET", "path", "/allowed")
	if got.status != http.StatusOK || !strings.Contains(got.body, "you said") {
		t.Fatalf("%v, want the echo", got)
	}
	secrets := []string{targetToken}
	for _, key := range r.keys {
		secrets = append(secrets, key, strings.Split(key, "_")[2])
	}
	places := r.everything()
	places["answer"] = []byte(got.String())
	if len(places) < 5 {
		t.Fatalf("looked in %d places, which cannot be all", len(places))
	}
	for place, text := range places {
		for _, secret := range secrets {
			for _, form := range encodings(secret) {
				if strings.Contains(string(text), form) {
					t.Errorf("%s holds the secret as %q", place, form)
				}
			}
		}
	}
}
