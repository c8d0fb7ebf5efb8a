package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pointsman/cmd/backends/sim"
)

// flakyManifests is a broker with one back end that uses everything a back end can have.
const flakyManifests = `
apiVersion: pointsman/v1
kind: Backend
metadata: {name: flaky}
spec:
  http:
    url: TARGET/api
    private: [127.0.0.0/8]
    auth: {secret: flaky-token, as: bearer}
    tls:
      ca: ca.pem
      pins: [PIN]
      minVersion: "1.3"
      clientCertificate: {secret: flaky-client}
    methods: [GET]
    headers: {request: [X-Probe], answer: [X-Cost]}
    limits: {time: 10s, rate: 1000/s}
    retries: {attempts: 3}
    breaker: {requests: 6, open: 5m}
    hedge: {after: 9s}
    check: GET /health
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: prober}
spec:
  module: {path: prober.wasm}
  grants: {http: [{backend: flaky, as: target, allow: ["GET /allowed"], headers: [X-Probe], view: all}], log: {}}
  limits: {memory: 64MiB, time: 15s}
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: probe}
spec:
  path: GET /v1/probe
  scopes: [probe]
  deadline: 20s
  steps: {fetch: {call: prober.fetch, with: {backend: target, method: GET, path: /allowed}, required: true}}
  answer: "${fetch}"
  view: all
---
apiVersion: pointsman/v1
kind: Consumer
metadata: {name: reader}
spec: {auth: {apiKey: {}}, scopes: [probe]}
`

const flakyToken = "flaky-token-canary-0123456789"

// flaky is a back end that wants a client certificate and fails as often as it is told.
type flaky struct {
	origin, pin string
	asked, fail atomic.Int32
	peer        atomic.Value // string: the client's name
}

func startFlaky(t *testing.T, ca *sim.CA) *flaky {
	t.Helper()
	leaf, err := ca.Leaf("localhost")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(leaf.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(parsed.RawSubjectPublicKeyInfo)
	f := &flaky{pin: "sha256/" + base64.StdEncoding.EncodeToString(sum[:])}
	srv := httptest.NewUnstartedServer(f)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{leaf}, ClientAuth: tls.RequireAnyClientCert}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	f.origin = "https://localhost:" + srv.URL[strings.LastIndex(srv.URL, ":")+1:]
	return f
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.asked.Add(1)
	f.peer.Store(r.TLS.PeerCertificates[0].Subject.CommonName)
	if f.fail.Add(-1) >= 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("X-Cost", "7")
	w.Header().Set("Set-Cookie", "session="+flakyToken)
	fmt.Fprintf(w, `{"path":%q,"you sent":%q,"encoded":%q}`, r.URL.Path, r.Header.Get("Authorization"), base64.StdEncoding.EncodeToString([]byte(flakyToken)))
}

// pemOf is a certificate and its key as an admin seals them.
func pemOf(t *testing.T, c tls.Certificate) string {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
}

// TestBackend runs the broker against a back end that fails now and then, wants a client
// certificate and sends the credential back: three attempts are one use on record, nobody
// gets the credential, an open breaker sends nothing, and a check says how it is.
func TestBackend(t *testing.T) {
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	client, err := ca.Leaf("the-broker")
	if err != nil {
		t.Fatal(err)
	}
	f := startFlaky(t, ca)
	manifests := strings.NewReplacer("TARGET", f.origin, "PIN", f.pin).Replace(flakyManifests)
	r := startBroker(t, ca, setup{
		manifests: manifests, modules: buildPlugins(t), consumers: []string{"reader"},
		secrets: map[string]string{"flaky-token": flakyToken, "flaky-client": pemOf(t, client)},
	})

	f.fail.Store(2)
	got := r.get("reader", "/v1/probe")
	if got.status != http.StatusOK || !strings.Contains(got.body, `\"path\":\"/api/allowed\"`) || f.asked.Load() != 3 {
		t.Fatalf("%v after %d requests, want an answer after 3", got, f.asked.Load())
	}
	if !strings.Contains(got.body, `{"name":"x-cost","value":"7"}`) || strings.Contains(got.body, "cookie") || strings.Count(got.body, "[redacted]") != 2 {
		t.Errorf("the plugin got %s, want X-Cost and two redactions", got.body)
	}
	shown, err := x509.ParseCertificate(client.Certificate[0])
	if err != nil || f.peer.Load() != shown.Subject.CommonName {
		t.Errorf("the back end saw the client %q, want %v (%v)", f.peer.Load(), shown.Subject, err)
	}
	if n := strings.Count(r.record(t, "audit.jsonl"), `"resource":"flaky GET /allowed"`); n != 1 {
		t.Errorf("%d records of the use, want 1 for all its attempts", n)
	}
	if log := r.output.String(); !strings.Contains(log, "a back end was asked more than once") || !strings.Contains(log, "attempts=3") {
		t.Errorf("the log does not tell of three attempts:\n%s", log)
	}

	t.Run("check", func(t *testing.T) { checkFlaky(t, r, f, manifests) })

	f.fail.Store(1000) // the breaker needs 6 attempts, half of which fail: it has seen 2 of 3
	for range 2 {
		if got := r.get("reader", "/v1/probe"); got.status != http.StatusOK {
			t.Errorf("%v, want a plugin's report", got)
		}
	}
	before := f.asked.Load()
	got = r.get("reader", "/v1/probe")
	if !strings.Contains(got.body, "left alone") || f.asked.Load() != before {
		t.Errorf("%v, and %d more requests; want that nothing is sent", got, f.asked.Load()-before)
	}
	secretKey, _ := pem.Decode([]byte(pemOf(t, client)[strings.Index(pemOf(t, client), "-----BEGIN PRIVATE"):]))
	for name, text := range r.everything() {
		for what, secret := range map[string][]byte{
			"the token": []byte(flakyToken), "the token in base64": []byte(base64.StdEncoding.EncodeToString([]byte(flakyToken))),
			"the client's key": []byte(base64.StdEncoding.EncodeToString(secretKey.Bytes)[:60]), "the client's raw key": secretKey.Bytes,
		} {
			if bytes.Contains(text, secret) {
				t.Errorf("%s holds %s", name, what)
			}
		}
	}
}

// checkFlaky runs pointsman backend check in all its outcomes.
func checkFlaky(t *testing.T, r *running, f *flaky, manifests string) {
	stopped := httptest.NewServer(http.NotFoundHandler())
	stopped.Close()
	tests := []struct {
		name, backend string
		edit          *strings.Replacer
		fail          int32
		wantCode      int
		want          string
	}{
		{"no such back end", "other", nil, 0, exitRefused, `there is no backend "other"`},
		{"manifests that are not valid", "flaky", strings.NewReplacer("methods: [GET]", "methods: [get]"), 0, exitRefused, `did you mean \"GET\"`},
		{"no such secret", "flaky", strings.NewReplacer("secret: flaky-token", "secret: gone"), 0, exitRefused, "pointsman secret set gone"},
		{"a client certificate that is none", "flaky", strings.NewReplacer("secret: flaky-client", "secret: flaky-token"), 0, exitRefused, "not a PEM certificate"},
		{"an address that is not listed", "flaky", strings.NewReplacer("    private: [127.0.0.0/8]\n", ""), 0, exitRefused, "list it under private"},
		{"nobody listens", "flaky", strings.NewReplacer(f.origin, strings.Replace(stopped.URL, "http://127.0.0.1", "https://localhost", 1)), 0, exitUnreachable, "connection refused"},
		{"another key", "flaky", strings.NewReplacer(f.pin, "sha256/"+strings.Repeat("A", 43)+"="), 0, exitFailed, "tls.pins"},
		{"not well", "flaky", nil, 1, exitFailed, "answered 503"},
		{"well", "flaky", nil, 0, exitOK, "GET /health was answered 200"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := manifests
			if tt.edit != nil {
				text = tt.edit.Replace(text)
			}
			dir := t.TempDir()
			for name, content := range map[string]string{"all.yaml": text, "ca.pem": string(r.ca.PEM())} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			f.fail.Store(tt.fail)
			for _, extra := range [][]string{nil, {"--json"}} {
				if len(extra) > 0 {
					f.fail.Store(tt.fail)
				}
				cmd := exec.Command(self(t), append([]string{"backend", "check", tt.backend, "--manifests", dir, "--data", r.data()}, extra...)...)
				cmd.Env = asPointsman()
				out, err := cmd.CombinedOutput()
				code := 0
				if exit, ok := errors.AsType[*exec.ExitError](err); ok {
					code = exit.ExitCode()
				} else if err != nil {
					t.Fatal(err)
				}
				want := tt.want
				if len(extra) == 0 {
					want = strings.ReplaceAll(want, `\"`, `"`)
				} else if !strings.Contains(want, `\"`) {
					want = strings.ReplaceAll(want, `"`, `\"`)
				}
				if code != tt.wantCode || !strings.Contains(string(out), want) {
					t.Errorf("%v: exit code %d, want %d and %q in:\n%s", extra, code, tt.wantCode, want, out)
				}
				if strings.Contains(string(out), flakyToken) {
					t.Errorf("%v prints the credential: %s", extra, out)
				}
				if len(extra) > 0 && !json.Valid(out) {
					t.Errorf("not JSON: %s", out)
				}
			}
		})
	}
	f.fail.Store(0)
	if n := strings.Count(r.record(t, "admin/audit.jsonl"), `"action":"backend.check","object":"flaky"`); n != 2*(len(tests)-1) {
		t.Errorf("%d checks on record, want %d: a check uses a credential", n, 2*(len(tests)-1))
	}
}

// record is one of the broker's audit logs. Groups of uses are written within 100 ms.
func (r *running) record(t *testing.T, name string) string {
	t.Helper()
	time.Sleep(300 * time.Millisecond)
	text, err := os.ReadFile(filepath.Join(r.data(), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
