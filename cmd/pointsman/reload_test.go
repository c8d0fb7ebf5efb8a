package main

import (
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pointsman/cmd/backends/sim"
)

// sayManifests is a broker that answers with what it was asked, in a field named FIELD.
const sayManifests = `
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: prober}
spec: {module: {path: prober.wasm}, grants: {http: [], log: {}}}
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: say}
spec:
  path: GET /v1/say
  scopes: [say]
  deadline: 10s
  steps: {say: {call: prober.say, with: {FIELD: true}, required: true}}
  answer: "${say}"
  view: all
---
apiVersion: pointsman/v1
kind: Consumer
metadata: {name: sayer}
spec: {auth: {apiKey: {}}, scopes: [say]}
`

// TestReload replaces the release under load: no request fails, none mixes two releases,
// and a folder that is wrong changes nothing.
func TestReload(t *testing.T) {
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(sayManifests, "grants: {http: [], log: {}}", `grants: {http: [{backend: none, as: target, allow: ["GET /allowed"], view: all}], log: {}}`) + `
---
apiVersion: pointsman/v1
kind: Backend
metadata: {name: none}
spec: {http: {url: "https://crm.acme.example"}}
`
	release := func(field string) []byte { return []byte(strings.ReplaceAll(text, "FIELD", field)) }
	r := startBroker(t, ca, setup{manifests: string(release("one")), modules: buildPlugins(t), consumers: []string{"sayer"}})

	stop := make(chan struct{})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				got := r.get("sayer", "/v1/say")
				if got.status != http.StatusOK || got.body != `{"one":true}` && got.body != `{"two":true}` {
					t.Errorf("during a reload: %v", got)
					return
				}
			}
		})
	}
	r.write("manifests/all.yaml", release("two"))
	r.reload(`release is live" release=2`)
	if got := r.get("sayer", "/v1/say"); got.body != `{"two":true}` {
		t.Errorf("after a reload: %v, want the new release", got)
	}
	for i, wrong := range []struct{ text, fault string }{
		{"kind: Nonsense", "all.yaml:1:7"},
		{strings.Replace(string(release("three")), "scopes: [say]", "scopes: [say]\n  deadlin: 1s", 1), `unknown key \"deadlin\"`},
		{strings.Replace(string(release("three")), `http: [{backend: none, as: target, allow: ["GET /allowed"], view: all}], `, "", 1), `capability \"http\" is needed by import pointsman:http.request`},
	} {
		r.write("manifests/all.yaml", []byte(wrong.text))
		r.reload(wrong.fault)
		if n := strings.Count(r.output.String(), "manifests were not deployed; the live release serves on"); n != i+1 {
			t.Errorf("after %q: %d refusals in the log, want %d", wrong.fault, n, i+1)
		}
		if got := r.get("sayer", "/v1/say"); got.body != `{"two":true}` {
			t.Errorf("after a reload that was refused (%s): %v, want the live release", wrong.fault, got)
		}
	}
	close(stop)
	group.Wait()
	r.await(`release drained" release=1`)
}

// reload tells the broker to read its folder again and waits until its log says want.
func (r *running) reload(want string) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		r.t.Fatal(err)
	}
	r.await(want)
}

// await waits until the broker's output holds want.
func (r *running) await(want string) {
	r.t.Helper()
	for began := time.Now(); !strings.Contains(r.output.String(), want); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			r.t.Fatalf("the broker does not say %q\n%s", want, r.output)
		}
	}
}
