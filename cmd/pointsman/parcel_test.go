package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pointsman/cmd/backends/sim"
)

// parcelManifests are a broker in which a plugin moves a labelled record of which it may read
// the tier alone.
const parcelManifests = `
apiVersion: pointsman/v1
kind: Backend
metadata: {name: source}
spec: {http: {url: SOURCE, tls: {ca: ca.pem}, private: [127.0.0.0/8], labels: {pii.contact: [email]}, limits: {time: 1s}}}
---
apiVersion: pointsman/v1
kind: Backend
metadata: {name: sink}
spec: {http: {url: SINK, tls: {ca: ca.pem}, private: [127.0.0.0/8]}}
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: mover}
spec:
  module: {path: mover.wasm}
  grants:
    http:
      - {backend: source, allow: ["GET /record", "GET /fails", "GET /late", "GET /torn"], view: [tier]}
      - {backend: sink, allow: ["POST /take"]}
    parcel: {view: [given.tier]}
  clear: [pii.contact]
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: uncleared} # may move what it takes, and hand nothing of a contact on
spec:
  module: {path: mover.wasm}
  grants:
    http:
      - {backend: source, allow: ["GET /record", "GET /fails", "GET /late", "GET /torn"]}
      - {backend: sink, allow: ["POST /take"]}
    parcel: {}
ROUTES---
apiVersion: pointsman/v1
kind: Consumer
metadata: {name: shop}
spec: {auth: {apiKey: {}}, scopes: [data]}
`

// parcelRoutes has GET /v1/NAME for each with of a step that calls mover.take, or what call says.
func parcelRoutes() string {
	var b strings.Builder
	route := func(name, steps, answer string) {
		fmt.Fprintf(&b, "---\napiVersion: pointsman/v1\nkind: Route\nmetadata: {name: %s}\nspec:\n  path: GET /v1/%s\n  scopes: [data]\n  deadline: 4s\n  steps:\n%s\n  answer: %s\n  view: all\n  clear: [pii.contact]\n", name, name, steps, answer)
	}
	for _, do := range []string{"move", "drop", "email", "read", "rename", "build", "send", "has", "guess", "many", "number"} {
		route(do, "    x: {call: mover.take, with: {do: "+do+"}, required: true}", `"${x}"`)
	}
	for _, path := range []string{"fails", "late", "torn"} {
		for _, do := range []string{"move", "wait", "drop"} {
			route(path+"-"+do, "    x: {call: mover.take, with: {path: /"+path+", do: "+do+"}, deadline: 3s}", `{x: "${x}", ok: true}`)
		}
	}
	route("uncleared", "    x: {call: uncleared.take, with: {do: move}, required: true}", `"${x}"`)
	// A parcel goes on to the next step while the back end still thinks.
	route("chain", "    x: {call: mover.take, with: {do: move}, required: true}\n    y: {call: mover.hand, with: {do: move, given: \"${x}\"}, required: true}", `"${y.document.document}"`)
	route("chain-read", "    x: {call: mover.take, with: {do: move}, required: true}\n    y: {call: mover.hand, with: {do: read, given: \"${x.document}\"}, required: true}", `"${y}"`)
	route("chain-failed", "    x: {call: mover.take, with: {path: /fails, do: move}}\n    y: {call: mover.hand, with: {do: move, given: \"${x}\"}, required: true}", `{y: "${y.document}", x: "${x}"}`)
	// The number of one call's parcel in another call of the same plugin, in the same request.
	route("stolen", "    x: {call: mover.take, with: {do: number}, required: true}\n    y: {call: mover.hand, with: {do: other, other: \"${x.number}\"}}", `{number: "${x.number}", y: "${y}"}`)
	return b.String()
}

const parcelCanary = "canary-ann@x.example"

func startParcels(t *testing.T) (*running, *sink) {
	t.Helper()
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	into := &sink{}
	from := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/fails":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/late":
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Second):
			}
		case "/torn":
			fmt.Fprint(w, `{"email":"`+parcelCanary)
			return
		}
		fmt.Fprint(w, `{"id":12345678901234567890,"email":"`+parcelCanary+`","tier":"gold"}`)
	}), ca)
	to := listen(t, into, ca)
	text := strings.NewReplacer("SOURCE", from, "SINK", to, "ROUTES", parcelRoutes()).Replace(parcelManifests)
	return startBroker(t, ca, setup{manifests: text, modules: buildPlugins(t), consumers: []string{"shop"}}), into
}

// moved is what mover answers.
type moved struct {
	Document json.RawMessage
	Told     json.RawMessage
	Number   uint64
	Code     string
}

// TestParcels: documents that a plugin moves without reading them, and all that it tries to
// read, take or send of them nevertheless.
func TestParcels(t *testing.T) {
	r, into := startParcels(t)
	ask := func(t *testing.T, route string, status int) (m moved, body string) {
		t.Helper()
		a := r.get("shop", "/v1/"+route)
		if a.status != status {
			t.Fatalf("%s answered %d %s, want %d", route, a.status, a.body, status)
		}
		if status == http.StatusOK {
			if err := json.Unmarshal([]byte(a.body), &m); err != nil {
				t.Fatal(err)
			}
		}
		return m, a.body
	}
	t.Run("refusals", func(t *testing.T) {
		for route, code := range map[string]string{"send": "denied", "has": "denied", "many": "denied"} {
			if m, body := ask(t, route, http.StatusOK); m.Code != code || strings.Contains(body, parcelCanary) {
				t.Errorf("%s answered %s, want the code %s", route, body, code)
			}
		}
		for _, route := range []string{"read", "build", "rename"} { // what may be read is the tier alone
			m, body := ask(t, route, http.StatusOK)
			if strings.Contains(body, parcelCanary) {
				t.Errorf("%s read what it may not: %s", route, body)
			}
			if route == "read" && string(m.Told) != `{"tier":"gold"}` {
				t.Errorf("it read %s", m.Told)
			}
		}
		if m, _ := ask(t, "guess", http.StatusOK); m.Number != 0 {
			t.Errorf("the number %d was guessed", m.Number)
		}
		if took := into.all(); took != "" {
			t.Errorf("the sink was sent %s", took)
		}
		ask(t, "uncleared", http.StatusBadGateway) // its output is not cleared for what it moves
		a := r.get("shop", "/v1/stolen")
		if a.status != http.StatusOK || strings.Contains(a.body, parcelCanary) || !strings.Contains(a.body, `"y":null`) {
			t.Errorf("the number of another call: %d %s", a.status, a.body)
		}
	})
	t.Run("moves", func(t *testing.T) {
		const record = `{"id":12345678901234567890,"email":"` + parcelCanary + `","tier":"gold"}`
		if m, _ := ask(t, "move", http.StatusOK); string(m.Document) != record {
			t.Errorf("moved %s", m.Document)
		}
		if m, _ := ask(t, "email", http.StatusOK); string(m.Document) != `"`+parcelCanary+`"` {
			t.Errorf("selected %s", m.Document)
		}
		if _, body := ask(t, "chain", http.StatusOK); body != record {
			t.Errorf("the second step handed on %s", body)
		}
		if m, body := ask(t, "chain-read", http.StatusOK); string(m.Told) != `{"tier":"gold"}` {
			t.Errorf("of a parcel in its input the plugin read %s", body)
		}
	})
	// A promise that fails, is late, is torn: the step comes to what it comes to when the
	// plugin waits. One that is never asked for fails nobody.
	t.Run("outcomes", func(t *testing.T) {
		for path, outcome := range map[string]string{"fails": "error", "late": "timeout", "torn": "error"} {
			a := r.get("shop", "/v1/"+path+"-move")
			if a.status != http.StatusOK || a.body != `{"x":null,"ok":true}` || !strings.Contains(a.header.Get("Pointsman-Sources"), "x;s="+outcome) {
				t.Errorf("%s, moved: %d %s, sources %s", path, a.status, a.body, a.header.Get("Pointsman-Sources"))
			}
			if a := r.get("shop", "/v1/"+path+"-wait"); a.status != http.StatusOK || !strings.Contains(a.body, `"code":"transient"`) {
				t.Errorf("%s, waited for: %d %s", path, a.status, a.body)
			}
			if a := r.get("shop", "/v1/"+path+"-drop"); a.status != http.StatusOK || !strings.Contains(a.body, `"document":null`) {
				t.Errorf("%s, dropped: %d %s", path, a.status, a.body)
			}
		}
		if a := r.get("shop", "/v1/chain-failed"); a.status != http.StatusOK || !strings.Contains(a.body, `"document":null`) && !strings.Contains(a.body, `{"y":null`) {
			t.Errorf("after a step that failed: %d %s", a.status, a.body)
		}
	})
	t.Run("record", func(t *testing.T) {
		log := r.file("data/audit.jsonl")
		if n := strings.Count(log, `"op":"fetch"`); n < 15 {
			t.Errorf("%d uses of fetch are recorded", n)
		}
		for name, text := range r.everything() {
			if strings.Contains(string(text), parcelCanary) {
				t.Errorf("%s holds what was moved", name)
			}
		}
	})
}
