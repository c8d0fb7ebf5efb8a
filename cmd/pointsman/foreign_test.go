package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pointsman/cmd/backends/sim"
)

const foreignManifests = `
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: vowels}
spec: {module: {path: count_vowels.wasm}}
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: hello}
spec: {module: {path: hello.wasm}}
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: vowels}
spec:
  path: GET /v1/vowels
  params: {text: {in: query, required: true}}
  scopes: [text]
  deadline: 5s
  steps: {count: {call: vowels.count_vowels, with: "${params.text}", required: true}}
  answer: "${count}"
  view: all
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: settings}
spec: {module: {path: config.wasm}, config: {thing: as-deployed}}
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: settings}
spec:
  path: GET /v1/settings
  scopes: [text]
  deadline: 5s
  steps: {thing: {call: settings.run_test, required: true}}
  answer: "${thing}"
  view: all
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: program}
spec: {module: {path: count_vowels_std.wasm}, config: {thing: as-deployed}}
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: program}
spec:
  path: GET /v1/program
  params: {text: {in: query, required: true}}
  scopes: [text]
  deadline: 5s
  steps: {count: {call: program._start, with: "${params.text}", required: true}}
  answer: "${count}"
  view: all
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: hello}
spec:
  path: GET /v1/hello
  scopes: [text]
  deadline: 5s
  steps: {hello: {call: hello.run_test, required: true}}
  answer: "${hello}"
  view: all
---
apiVersion: pointsman/v1
kind: Consumer
metadata: {name: reader}
spec: {auth: {apiKey: {}}, scopes: [text]}
`

// TestForeignPlugin runs plugins that others built with Extism's own PDKs, unchanged, as
// transforms: the modules that come with Extism's Go SDK.
func TestForeignPlugin(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/extism/go-sdk").Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := t.TempDir()
	for _, name := range []string{"count_vowels.wasm", "count_vowels_std.wasm", "hello.wasm", "config.wasm"} {
		module, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "wasm", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(modules, name), module, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	r := startBroker(t, ca, setup{manifests: foreignManifests, modules: modules, consumers: []string{"reader"}})
	for range 3 { // its total would grow if anything were carried from call to call
		got := r.get("reader", "/v1/vowels", "text", "Hello, World!")
		if want := `{"count":3,"total":3,"vowels":"aeiouAEIOU"}`; got.status != http.StatusOK || got.body != want {
			t.Errorf("count_vowels: %v, want %s", got, want)
		}
	}
	// A program that has a main function and nothing else.
	for range 3 {
		if got := r.get("reader", "/v1/program", "text", "Hello, World!"); got.body != `{"count": 3, "config": "as-deployed", "a": "this is var a"}` {
			t.Errorf("count_vowels_std: %v\n%s", got, r.output)
		}
	}
	if got := r.get("reader", "/v1/settings"); got.body != `{"config": "as-deployed"}` {
		t.Errorf("config: %v, want what the manifest says\n%s", got, r.output)
	}
	// What is not JSON is never relayed.
	if got := r.get("reader", "/v1/hello"); got.status != http.StatusBadGateway {
		t.Errorf("hello, which answers text: %v, want 502", got)
	}
}
