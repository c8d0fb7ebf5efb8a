package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pointsman/cmd/backends/sim"
	"pointsman/testdata/guests"
)

// languageBackend is the one back end that plugins written for any host of Extism are lent.
// TARGET stands for its origin.
const languageBackend = `
apiVersion: pointsman/v1
kind: Backend
metadata: {name: target}
spec:
  http: {url: TARGET/api, tls: {ca: ca.pem}, private: [127.0.0.0/8], auth: {secret: target-token, as: bearer}, limits: {time: 1s}}
---
apiVersion: pointsman/v1
kind: Consumer
metadata: {name: reader}
spec: {auth: {apiKey: {}}, scopes: [read]}
`

const languagePlugin = `---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: NAME}
spec:
  module: {path: NAME.wasm}
  grants: {http: [{backend: target, allow: ["GET /v1/{id}"], query: [q], view: all}]}
  config: {greeting: '"hi"'}
`

const languageRoute = `---
apiVersion: pointsman/v1
kind: Route
metadata: {name: NAME-ROUTE}
spec:
  path: GET /v1/NAME/FUNCTION
  params: {url: {in: query, required: true}}
  scopes: [read]
  deadline: 10s
  steps: {it: {call: NAME.FUNCTION, with: {url: "${params.url}"}}}
  answer: {it: "${it}"}
  view: all
`

// published are plugins that come with Extism's Go SDK, compiled with its published PDKs.
func published(t *testing.T, name string) []byte {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/extism/go-sdk").Output()
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "wasm", name))
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// TestLanguages deploys a plugin of each language, written for any host of Extism, and has it
// ask a back end through Extism's own http_request: by the back end's URL, and by others.
func TestLanguages(t *testing.T) {
	if testing.Short() {
		t.Skip("compilers of other languages take seconds")
	}
	modules, names := t.TempDir(), []string{}
	put := func(name string, module []byte) {
		if err := os.WriteFile(filepath.Join(modules, name+".wasm"), module, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range guests.Names() {
		t.Run("build "+name, func(t *testing.T) {
			put(name, guests.Build(t, name))
			names = append(names, name)
		})
	}
	put("http-headers", published(t, "http_headers.wasm"))
	put("http", published(t, "http.wasm"))

	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	tg := &target{}
	origin := listen(t, tg, ca)
	text := strings.Replace(languageBackend, "TARGET", origin, 1)
	functions := []string{"echo", "count", "config", "log", "fail", "trap", "fetch"}
	deploy := func(name string, functions ...string) {
		text += strings.ReplaceAll(languagePlugin, "NAME", name)
		for _, function := range functions {
			text += strings.NewReplacer("NAME", name, "FUNCTION", function, "ROUTE", strings.ReplaceAll(function, "_", "-")).Replace(languageRoute)
		}
	}
	for _, name := range names {
		deploy(name, functions...)
	}
	deploy("http-headers", "http_get")
	deploy("http", "run_test")
	r := startBroker(t, ca, setup{
		manifests: text, modules: modules, consumers: []string{"reader"}, secrets: map[string]string{"target-token": targetToken},
	})
	for _, name := range names {
		t.Run(name, func(t *testing.T) { testLanguage(t, r, tg, "/v1/"+name+"/", origin) })
	}

	t.Run("http_headers.wasm", func(t *testing.T) {
		got := r.get("reader", "/v1/http-headers/http_get", "url", origin+"/api/v1/x")
		if got.body != `{"it":{"content-type":"application/json"}}` && !strings.Contains(got.body, `"content-type":"application/json"`) {
			t.Errorf("got %v", got)
		}
	})
	t.Run("http.wasm", func(t *testing.T) { // it asks a host of the Internet, which was not granted
		got := r.get("reader", "/v1/http/run_test", "url", "unused")
		if s := sources(got); s != "denied" {
			t.Errorf("got %v, want it denied", got)
		}
	})
	for name, text := range r.everything() { // the token went to the back end and nowhere else
		if strings.Contains(string(text), targetToken) {
			t.Errorf("%s holds the credential", name)
		}
	}
}

// sources is the word for how the step went.
func sources(got reply) string {
	m := regexp.MustCompile(`\bit;s=([a-z]+)`).FindStringSubmatch(got.header.Get("Pointsman-Sources"))
	if m == nil {
		return "no word in " + got.header.Get("Pointsman-Sources")
	}
	return m[1]
}

func testLanguage(t *testing.T, r *running, tg *target, at, origin string) {
	ask := func(function, url string) reply { return r.get("reader", at+function, "url", url) }
	for range 2 {
		for function, want := range map[string]string{
			"echo": `{"it":{"url":"x"}}`, "count": `{"it":1}`, "config": `{"it":"hi"}`, "log": `{"it":true}`,
		} {
			if got := ask(function, "x"); got.status != http.StatusOK || got.body != want {
				t.Errorf("%s: %v, want %s\n%s", function, got, want, r.output)
			}
		}
	}
	for function, want := range map[string]string{"fail": "error", "trap": "error"} {
		if got := ask(function, "x"); sources(got) != want || strings.Contains(got.body, "x") {
			t.Errorf("%s: %v, want %s", function, got, want)
		}
	}
	before := tg.hits.Load()
	got := ask("fetch", origin+"/api/v1/42?q=a+b")
	if !strings.Contains(got.body, `"status":200`) || !strings.Contains(got.body, `"body":{"path":"/api/v1/42"}`) || tg.hits.Load() != before+1 {
		t.Errorf("fetch: %v with %d requests\n%s", got, tg.hits.Load()-before, r.output)
	}

	refused := []struct{ name, url string }{
		{"another host", "https://evil.example/api/v1/42"},
		{"the port alone is another", "https://localhost:1/api/v1/42"},
		{"plain HTTP", strings.Replace(origin, "https:", "http:", 1) + "/api/v1/42"},
		{"a user", strings.Replace(origin, "https://", "https://target@", 1) + "/api/v1/42"},
		{"the host as the user", origin + "@evil.example/api/v1/42"},
		{"outside of the base path", origin + "/v1/42"},
		{"dots", origin + "/api/v1/../v1/42"},
		{"another path", origin + "/api/v1/42/43"},
		{"another parameter", origin + "/api/v1/42?p=1"},
		{"no URL", "nonsense"},
	}
	before = tg.hits.Load()
	denials := strings.Count(r.file("data/audit.jsonl"), `"decision":"denied"`)
	for _, tt := range refused {
		if got := ask("fetch", tt.url); sources(got) != "denied" || got.body != `{}` && got.body != `{"it":null}` {
			t.Errorf("%s: %v, want it denied", tt.name, got)
		}
	}
	if n := tg.hits.Load() - before; n != 0 {
		t.Errorf("the back end got %d requests, want none", n)
	}
	if n := strings.Count(r.file("data/audit.jsonl"), `"decision":"denied"`) - denials; n != len(refused) {
		t.Errorf("%d denials were recorded, want %d", n, len(refused))
	}

	// A back end that is too slow is that for a plugin of any language.
	tg.answer(func(w http.ResponseWriter, req *http.Request) { <-req.Context().Done() })
	got = ask("fetch", origin+"/api/v1/42")
	tg.handler.Store(nil)
	if sources(got) != "timeout" {
		t.Errorf("a slow back end: %v, want a timeout", got)
	}
}
