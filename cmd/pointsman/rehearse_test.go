package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pointsman/cmd/backends/sim"
	"pointsman/host/rehearse"
)

const learnedManifests = `
---
apiVersion: pointsman/v1
kind: Backend
metadata: {name: hubspot}
spec: {http: {url: TARGET, tls: {ca: ca.pem}, private: [127.0.0.0/8]}}
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: find}
spec:
  path: GET /v1/find
  params: {customer: {in: query, required: true}}
  scopes: [find]
  deadline: 5s
  steps: {it: {call: hubspot.find, with: {customer: "${params.customer}"}, required: true}}
  answer: "${it}"
  view: all
---
apiVersion: pointsman/v1
kind: Consumer
metadata: {name: shop}
spec: {auth: {apiKey: {}}, scopes: [find]}
`

// TestLearnedGrantsAreEnough: a broker with what a rehearsal printed, and nothing else, gives
// the answer that was recorded; with a field less it does not.
func TestLearnedGrantsAreEnough(t *testing.T) {
	file := "../../plugins/hubspot/testdata/find.txtar"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := rehearse.Parse(file, text)
	if err != nil {
		t.Fatal(err)
	}
	code, learned, errs := command("plugin", "run", filepath.Join(buildPlugins(t), "hubspot.wasm"), "--exchanges", file, "--rehearse")
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	tg := &target{}
	tg.answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(recorded.Exchanges[0].Reply)
	})
	origin := listen(t, tg, ca)
	find := func(manifests string) string {
		t.Helper()
		r := startBroker(t, ca, setup{
			manifests: manifests + strings.Replace(learnedManifests, "TARGET", origin, 1), modules: buildPlugins(t), consumers: []string{"shop"},
		})
		got := r.get("shop", "/v1/find", "customer", "C-100042")
		if got.status != http.StatusOK {
			t.Fatalf("got %v with\n%s", got, manifests)
		}
		return got.body
	}
	want := flat(string(recorded.Response))
	same := func(got string) bool {
		return strings.ReplaceAll(flat(got), " ", "") == strings.ReplaceAll(want, " ", "")
	}
	if got := find(learned); !same(got) {
		t.Errorf("got %s, want %s, with\n%s", got, want, learned)
	}
	less := strings.Replace(learned, `"results[].properties.email",`, "", 1)
	if less == learned {
		t.Fatalf("it learned nothing of email:\n%s", learned)
	}
	if got := find(less); same(got) {
		t.Errorf("without email it is the same: %s", got)
	}
}
