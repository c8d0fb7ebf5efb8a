package main

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pointsman/cmd/backends/sim"
)

// callManifests are a plugin that has no http and one that has, which lets itself be called.
const callManifests = `
apiVersion: pointsman/v1
kind: Backend
metadata: {name: target}
spec: {http: {url: TARGET, tls: {ca: ca.pem}, private: [127.0.0.0/8], labels: {pii.contact: [email]}}}
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: prober}
spec:
  module: {path: prober.wasm}
  grants:
    http: [{backend: target, allow: ["GET /allowed/{id}", "GET /allowed"], view: [path, email]}]
    log: {}
  callableBy: [asker, silent]
  clear: [pii.contact]
  limits: {time: 1s}
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: clerk}
spec:
  module: {path: prober.wasm}
  grants: {http: [{backend: target, allow: ["GET /allowed"]}], log: {}}
  callableBy: [asker]
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: asker}
spec:
  module: {path: asker.wasm}
  grants:
    call:
      - {function: prober.fetch, view: [status, error]}
      - {function: prober.crash, view: all}
      - {function: prober.spin, view: all}
      - {function: clerk.say, view: all}
  clear: [pii.contact]
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: silent}
spec:
  module: {path: asker.wasm}
  grants: {call: [{function: prober.fetch, view: all}]}
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: ask}
spec:
  path: GET /v1/ask
  params: {function: {in: query, required: true}, backend: {in: query, default: target}, method: {in: query, default: GET}, path: {in: query, default: /allowed}}
  scopes: [ask]
  deadline: 5s
  steps:
    ask:
      call: asker.ask
      with: {calls: [{function: "${params.function}", input: {backend: "${params.backend}", method: "${params.method}", path: "${params.path}"}}]}
      required: true
  answer: "${ask}"
  view: all
  clear: [pii.contact]
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: leak}
spec:
  path: GET /v1/leak
  scopes: [ask]
  deadline: 5s
  steps:
    ask:
      call: asker.ask
      with: {calls: [
        {function: clerk.say, input: before},
        {function: prober.fetch, input: {backend: target, method: GET, path: /allowed}},
        {function: clerk.say, input: after}]}
      required: true
  answer: "${ask}"
  view: all
  clear: [pii.contact]
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: silent}
spec:
  path: GET /v1/silent
  scopes: [ask]
  deadline: 5s
  steps:
    ask: {call: silent.ask, with: {calls: [{function: prober.fetch, input: {backend: target, method: GET, path: /allowed}}]}, required: true}
  answer: "${ask}"
  view: all
  clear: [pii.contact]
---
apiVersion: pointsman/v1
kind: Consumer
metadata: {name: shop}
spec: {auth: {apiKey: {}}, scopes: [ask]}
`

const callCanary = "canary-51d0b2-street"

// contact is a back end that knows more than anybody is granted.
func contact(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Write([]byte(`{"path":"` + r.URL.Path + `","email":"a@b.example","street":"` + callCanary + `"}`))
}

// told is what a guest reports of one call.
type told struct {
	Output json.RawMessage
	Error  string
}

func (r *running) asked(t *testing.T, path string, query ...string) []told {
	t.Helper()
	got := r.get("shop", path, query...)
	var answers []told
	if err := json.Unmarshal([]byte(got.body), &answers); err != nil || got.status != http.StatusOK {
		t.Fatalf("got %v", got)
	}
	return answers
}

// TestCalls runs one broker and what calls between plugins must not do.
func TestCalls(t *testing.T) {
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	tg := &target{}
	tg.answer(contact)
	r := startBroker(t, ca, setup{
		manifests: strings.ReplaceAll(callManifests, "TARGET", listen(t, tg, ca)), modules: buildPlugins(t), consumers: []string{"shop"},
	})
	t.Run("reach", func(t *testing.T) { testCalledReach(t, r, tg) })
	t.Run("view", func(t *testing.T) { testCalledView(t, r, tg) })
	t.Run("ungranted", func(t *testing.T) { testUngrantedCalls(t, r, tg) })
	t.Run("failures", func(t *testing.T) { testCalledFails(t, r) })
	t.Run("labels", func(t *testing.T) { testCalledLabels(t, r) })
	for name, text := range r.everything() {
		if strings.Contains(string(text), callCanary) {
			t.Errorf("%s holds what nobody is granted to see", name)
		}
	}
}

// testCalledReach: who has no http asks another plugin to fetch what it likes. The other's
// own grant holds; the back end hears nothing.
func testCalledReach(t *testing.T, r *running, tg *target) {
	for name, query := range map[string][]string{
		"another path":      {"path", "/private"},
		"dots":              {"path", "/allowed/../private"},
		"a URL":             {"path", "https://evil.example/allowed"},
		"a network path":    {"path", "//evil.example/allowed"},
		"another method":    {"method", "POST"},
		"another back end":  {"backend", "crm"},
		"a host":            {"backend", "evil.example:443"},
		"cloud metadata":    {"backend", "169.254.169.254", "path", "/latest/meta-data"},
		"the broker itself": {"backend", "localhost", "path", "/v1/ask"},
	} {
		t.Run(name, func(t *testing.T) {
			before := tg.hits.Load()
			got := r.asked(t, "/v1/ask", append(query, "function", "prober.fetch")...)
			if len(got) != 1 || !strings.Contains(string(got[0].Output), `"error":"denied: `) {
				t.Errorf("got %+v, want a denial", got)
			}
			if n := tg.hits.Load() - before; n != 0 {
				t.Errorf("the back end got %d requests, want none", n)
			}
		})
	}
}

// testCalledView: what is granted works, and shows no more than the caller's view of the
// callee's output.
func testCalledView(t *testing.T, r *running, tg *target) {
	before := tg.hits.Load()
	got := r.get("shop", "/v1/ask", "function", "prober.fetch", "path", "/allowed/42")
	if got.status != http.StatusOK || got.body != `[{"output":{"status":200}}]` || tg.hits.Load() != before+1 {
		t.Errorf("got %v after %d requests", got, tg.hits.Load()-before)
	}
	id := got.header.Get("Request-Id")
	var uses []string
	for line := range strings.Lines(r.file("data/audit.jsonl")) {
		var u struct{ Request, Plugin, Function, Capability, Resource, Decision, Principal string }
		if json.Unmarshal([]byte(line), &u) == nil && u.Request == id && id != "" {
			uses = append(uses, strings.Join([]string{u.Principal, u.Plugin, u.Function, u.Capability, u.Resource, u.Decision}, " "))
		}
	}
	want := []string{"shop asker ask call prober.fetch allowed", "shop prober fetch http target GET /allowed/{id} allowed"}
	for _, w := range want {
		if !slices.Contains(uses, w) {
			t.Errorf("on record for request %q is %q, want %q", id, uses, w)
		}
	}
}

// testUngrantedCalls: functions that the grant does not list, whether or not they exist.
func testUngrantedCalls(t *testing.T, r *running, tg *target) {
	before := tg.hits.Load()
	for _, function := range []string{"prober.say", "clerk.fetch", "asker.ask", "silent.ask", "nobody.say", "prober", "prober.fetch ", "PROBER.fetch", "prober.fetch.say", "../prober.fetch"} {
		got := r.asked(t, "/v1/ask", "function", function)
		if len(got) != 1 || got[0].Error != "denied: the plugin asked for a function that it was not granted; granted: clerk.say, prober.crash, prober.fetch, prober.spin" {
			t.Errorf("%q: got %+v, want a denial", function, got)
		}
	}
	if tg.hits.Load() != before {
		t.Error("something was fetched")
	}
	if !strings.Contains(r.file("data/audit.jsonl"), `the plugin asked for a function that it was not granted`) {
		t.Error("no refusal is on record")
	}
}

// testCalledFails: a code and names.
func testCalledFails(t *testing.T, r *running) {
	for function, want := range map[string]string{
		"prober.crash": "permanent: prober.crash failed: permanent",
		"prober.spin":  "transient: prober.spin failed: transient",
	} {
		got := r.asked(t, "/v1/ask", "function", function)
		if len(got) != 1 || got[0].Error != want || got[0].Output != nil {
			t.Errorf("%s: got %+v, want %s", function, got, want)
		}
	}
}

// testCalledLabels: what a called plugin has seen its caller has seen, though it is shown
// none of it: it may not hand on anything where it is not cleared for that.
func testCalledLabels(t *testing.T, r *running) {
	got := r.asked(t, "/v1/leak")
	if len(got) != 3 || string(got[0].Output) != `"before"` || string(got[1].Output) != `{"status":200}` ||
		!strings.HasPrefix(got[2].Error, "denied: ") || !strings.Contains(got[2].Error, "pii.contact") {
		t.Errorf("got %+v, want the last call refused for its label", got)
	}
	if got := r.get("shop", "/v1/silent"); got.status == http.StatusOK || strings.Contains(got.body, "b.example") {
		t.Errorf("got %v of a plugin that is not cleared for what it was told", got)
	}
	if !strings.Contains(r.file("data/audit.jsonl"), "plugin silent has seen data labelled pii.contact") {
		t.Error("no refusal is on record")
	}
}

// TestCallsThatDoNotValidate: what a deployment is refused for.
func TestCallsThatDoNotValidate(t *testing.T) {
	modules := buildPlugins(t)
	base := strings.ReplaceAll(callManifests, "TARGET", "https://crm.acme.example")
	tests := []struct{ name, old, new, want string }{
		{"a callee that does not say so", "callableBy: [asker, silent]", "callableBy: [silent]", "plugin prober does not say callableBy: [asker]"},
		{"a function that the callee does not declare", "{function: prober.fetch, view: all}", "{function: prober.deeper, view: all}", `plugin silent: plugin prober has no function "deeper"`},
		{"a function that the plugin does not want", "{function: clerk.say, view: all}", "{function: clerk.spin, view: all}", `"clerk.spin" is granted but the plugin does not want it`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(base, tt.old, tt.new, 1)
			if text == base {
				t.Fatal("nothing was changed")
			}
			r := &running{t: t, dir: t.TempDir(), output: &output{}}
			r.write("manifests/all.yaml", []byte(text))
			ca, err := sim.NewCA()
			if err != nil {
				t.Fatal(err)
			}
			r.write("manifests/ca.pem", ca.PEM())
			validate := exec.Command(self(t), "validate", r.dir+"/manifests", "--modules", modules)
			validate.Env = asPointsman()
			if got, err := validate.CombinedOutput(); err == nil || !strings.Contains(string(got), tt.want) {
				t.Errorf("got %v: %s, want %s", err, got, tt.want)
			}
		})
	}
}

// TestCallsExample deploys the manifests of docs/CALLS.md and asks as the page says.
func TestCallsExample(t *testing.T) {
	page, err := os.ReadFile("../../docs/CALLS.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(language string) string {
		m := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(page)
		if m == nil {
			t.Fatalf("the page has no %s", language)
		}
		return string(m[1])
	}
	source, err := os.ReadFile("../../testdata/plugins/asker/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(flat(string(source)), flat(block("go"))) {
		t.Errorf("the page's call is not the plugin's:\n%s", block("go"))
	}
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	tg := &target{}
	tg.answer(contact)
	manifests := strings.Replace(block("yaml"), "https://crm.acme.example", listen(t, tg, ca)+"\n    tls: {ca: ca.pem}\n    private: [127.0.0.0/8]", 1)
	r := startBroker(t, ca, setup{manifests: manifests, modules: buildPlugins(t), consumers: []string{"shop"}})
	if got := r.get("shop", "/v1/known/42"); got.body != `{"known":true}` || !strings.Contains(string(page), got.body) || tg.hits.Load() != 1 {
		t.Errorf("got %v after %d requests", got, tg.hits.Load())
	}
	tg.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	if got := r.get("shop", "/v1/known/43"); got.body != `{"known":false}` {
		t.Errorf("got %v, want that there is none", got)
	}
}

// flat is text without its indentation.
func flat(text string) string { return strings.Join(strings.Fields(text), " ") }
