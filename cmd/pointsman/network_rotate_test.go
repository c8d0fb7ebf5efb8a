package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"pointsman/cmd/backends/sim"
)

// rotateManifests is a broker with one back end whose secret is replaced while it runs.
const rotateManifests = `
apiVersion: pointsman/v1
kind: Backend
metadata: {name: parrot}
spec:
  http:
    url: TARGET
    private: [127.0.0.0/8]
    auth: {secret: parrot-token, as: bearer}
    tls: {ca: ca.pem}
    headers: {answer: [X-Echo]}
    limits: {time: 25s}
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: prober}
spec:
  module: {path: prober.wasm}
  grants: {http: [{backend: parrot, as: target, allow: ["GET /allowed", "GET /allowed/{id}"], view: all}], log: {}}
  limits: {memory: 64MiB, time: 28s}
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: now}
spec:
  path: GET /v1/now
  scopes: [probe]
  deadline: 30s
  steps: {fetch: {call: prober.fetch, with: {backend: target, method: GET, path: /allowed}, required: true}}
  answer: "${fetch}"
  view: all
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: later}
spec:
  path: GET /v1/later
  scopes: [probe]
  deadline: 30s
  steps: {fetch: {call: prober.fetch, with: {backend: target, method: GET, path: /allowed/later}, required: true}}
  answer: "${fetch}"
  view: all
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: strict}
spec:
  path: GET /v1/strict
  scopes: [probe]
  deadline: 30s
  steps: {fetch: {call: prober.fetch, with: {backend: target, method: GET, path: /allowed, strict: true}, required: true}}
  answer: "${fetch}"
  view: all
---
apiVersion: pointsman/v1
kind: Consumer
metadata: {name: reader}
spec: {auth: {apiKey: {}}, scopes: [probe]}
`

// The first is replaced by the second.
const (
	oldToken = "parrot-old/4f8a+canary.0123456789"
	newToken = "parrot-new/9c2e+canary.abcdefghij"
)

// spelt are the ways in which the parrot says a credential.
func spelt(token string) map[string]string {
	quoted, _ := json.Marshal(token) // a string always marshals
	forms := map[string]string{
		"as it is": token, "percent": url.QueryEscape(token), "hex": hex.EncodeToString([]byte(token)),
		"HEX": strings.ToUpper(hex.EncodeToString([]byte(token))), "PHP": strings.ReplaceAll(string(quoted), "/", `\/`),
	}
	for shift := range 3 {
		forms[fmt.Sprint("base64 at ", shift)] = base64.StdEncoding.EncodeToString([]byte("abc"[:shift] + token + "de"))
		forms[fmt.Sprint("base64url at ", shift)] = base64.RawURLEncoding.EncodeToString([]byte("abc"[:shift] + token))
	}
	return forms
}

// parrot says every credential that it was ever sent, in every way, with each answer.
type parrot struct {
	mu      sync.Mutex
	heard   map[string]int // guarded by mu: how often each was sent
	arrived chan struct{}  // gets one when a request for /allowed/later is there
	later   chan struct{}  // lets it be answered
}

func (p *parrot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.heard[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]++
	p.mu.Unlock()
	if r.URL.Path == "/allowed/later" {
		p.arrived <- struct{}{}
		<-p.later
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for token := range p.heard {
		w.Header().Add("X-Echo", token)
		for _, form := range spelt(token) {
			fmt.Fprintf(w, "so I heard: %s.\n", form)
		}
	}
}

func (p *parrot) times(token string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard[token]
}

// TestReplacedSecret replaces a secret under a running broker whose back end remembers what
// it was sent. Within the overlap the old value is in no answer, whether the request was
// placed before or after; taken away, it is unavailable and nothing is sent.
func TestReplacedSecret(t *testing.T) {
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	p := &parrot{heard: map[string]int{}, arrived: make(chan struct{}, 1), later: make(chan struct{})}
	r := startBroker(t, ca, setup{
		manifests: strings.ReplaceAll(rotateManifests, "TARGET", listen(t, p, ca)),
		modules:   buildPlugins(t), consumers: []string{"reader"}, secrets: map[string]string{"parrot-token": oldToken},
	})
	silent := func(what, text string, tokens ...string) {
		t.Helper()
		for _, token := range tokens {
			for how, form := range spelt(token) {
				core := strings.Trim(form, `"=`)
				if strings.HasPrefix(how, "base64") {
					core = core[4 : len(core)-4] // what its neighbours do not change
				}
				if strings.Contains(text, core) || strings.Contains(text, strings.ReplaceAll(core, `\`, `\\`)) {
					t.Errorf("%s: %s is in it, %s: %.1000s", what, token[:10], how, text)
				}
			}
		}
	}
	answered := func(what string, got reply, without ...string) {
		t.Helper()
		silent(what, got.String(), without...)
		if got.status != http.StatusOK || !strings.Contains(got.body, "so I heard") || !strings.Contains(got.body, "[redacted]") {
			t.Errorf("%s: %v, want the back end's answer, redacted", what, got)
		}
	}
	answered("before", r.get("reader", "/v1/now"), oldToken)

	running := make(chan reply, 1)
	go func() { running <- r.get("reader", "/v1/later") }()
	select {
	case <-p.arrived:
	case <-time.After(time.Minute):
		t.Fatal("the request did not arrive")
	}
	r.mustRun(newToken, "secret", "rotate", "parrot-token", "--data", r.data())
	for range 3 { // a request after the change, whose answer repeats what came before it
		answered("after", r.get("reader", "/v1/now"), oldToken, newToken)
	}
	if p.times(oldToken) != 2 || p.times(newToken) != 3 {
		t.Errorf("the old one was sent %d times, the new one %d times, want 2 and 3", p.times(oldToken), p.times(newToken))
	}
	// The answer to a request that was placed before the change repeats the new value, too.
	close(p.later)
	answered("placed before, answered after", <-running, oldToken, newToken)

	r.mustRun("", "secret", "revoke", "parrot-token", "--data", r.data())
	sent := p.times(oldToken) + p.times(newToken)
	got := r.get("reader", "/v1/strict")
	silent("revoked", got.String(), oldToken, newToken)
	if got.status != http.StatusBadGateway || got.header.Get("Content-Type") != "application/problem+json" || !strings.HasPrefix(got.header.Get("Pointsman-Sources"), "fetch;s=error") {
		t.Errorf("revoked: %v, want the problem of a required source that failed", got)
	}
	got = r.get("reader", "/v1/now")
	silent("revoked, as the plugin reports it", got.String(), oldToken, newToken)
	if !strings.Contains(got.body, `{"error":"transient: the back end's credential is not available"}`) {
		t.Errorf("revoked: the plugin was told %v", got)
	}
	if again := p.times(oldToken) + p.times(newToken); again != sent {
		t.Errorf("%d requests were sent without a secret", again-sent)
	}
	for name, text := range r.everything() {
		silent(name, string(text), oldToken, newToken)
	}
}
