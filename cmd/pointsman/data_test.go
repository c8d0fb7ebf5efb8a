package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"pointsman/cmd/backends/sim"
)

// dataManifests are a broker in which data is labelled. The traveller reads the source and is
// lent every way out, each cleared for something else.
const dataManifests = `
apiVersion: pointsman/v1
kind: Backend
metadata: {name: source}
spec:
  http:
    url: SOURCE
    tls: {ca: ca.pem}
    private: [127.0.0.0/8]
    labels: {pii.contact: [email], pii.identity: [name]}
---
apiVersion: pointsman/v1
kind: Backend
metadata: {name: sink}
spec: {http: {url: SINK, tls: {ca: ca.pem}, private: [127.0.0.0/8]}}
---
apiVersion: pointsman/v1
kind: Domain
metadata: {name: customer}
spec: {backends: [source, sink], epoch: EPOCH, accept: [ACCEPT]}
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: traveller} # may see everything, and tell it its route
spec:
  module: {path: traveller.wasm}
  grants:
    http:
      - {backend: source, allow: ["GET /record"], view: [id, email, name]}
      - {backend: sink, allow: ["POST /take"]}
    kv: {}
    log: {}
    pointer: [{open: customer}, {mint: customer}]
  clear: [pii.contact, pii.identity]
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: postman} # may take what a contact is to the sink, and no name
spec:
  module: {path: traveller.wasm}
  grants:
    http:
      - {backend: source, allow: ["GET /record"], view: [id, email]}
      - {backend: sink, allow: ["POST /take"], clear: [pii.contact]}
    kv: {clear: [pii.contact]}
    log: {clear: [pii.contact]}
    pointer: [{open: customer}, {mint: customer}]
  clear: [pii.contact]
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: keeper} # its answers may carry nothing that it reads
spec:
  module: {path: traveller.wasm}
  grants:
    http: [{backend: source, allow: ["GET /record"], view: all}]
    kv: {}
    log: {}
    pointer: [{mint: customer}, {open: customer}]
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: cleaner} # an admin says that it takes names out
spec:
  module: {path: traveller.wasm}
  grants:
    http: [{backend: source, allow: ["GET /record"], view: [id, name]}]
    kv: {}
    log: {}
    pointer: [{mint: customer}, {open: customer}]
  declassify: [pii.identity]
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: dump}
spec:
  module: {path: dump.wasm}
  grants: {http: [{backend: source, allow: ["GET /record"], view: [id, tier]}]}
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: blind}
spec:
  module: {path: dump.wasm}
  grants: {http: [{backend: source, allow: ["GET /record"]}]}
ROUTES
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: profile}
spec:
  path: GET /v1/profiles/{customer}
  params: {customer: {in: path, pointer: customer, label: pii.identity}}
  scopes: [profile]
  deadline: 5s
  steps:
    read: {call: traveller.carry, with: {to: nothing}, required: true}
    seen: {call: traveller.pointers, with: {customer: "${params.customer}"}, required: true}
  answer: {id: "${read.read.id}", email: "${read.read.email}", name: "${read.read.name}", extra: "${read.extra}", seen: "${seen}", others: ["${seen.handed}", null]}
  view: [id, seen, others]
  views: {contact: [email], identity: [name]}
  clear: [pii.contact, pii.identity]
  pointers: {customer: [id, "others[]"]}
  subject: customer
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: first}
spec:
  path: GET /v1/first
  scopes: [profile]
  deadline: 5s
  steps: {read: {call: traveller.carry, with: {to: nothing}, required: true}}
  answer: {id: "${read.read.id}"}
  view: all
  clear: [pii.contact, pii.identity]
  pointers: {customer: [id]}
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: about}
spec:
  path: GET /v1/about/{subject}
  params: {subject: {in: path, pattern: "[a-z]", maxLength: 1}}
  scopes: [profile]
  deadline: 5s
  steps: {read: {call: traveller.carry, with: {to: nothing}, required: true}}
  answer: {id: "${read.read.id}"}
  view: [id]
  clear: [pii.contact, pii.identity]
  subject: subject
---
apiVersion: pointsman/v1
kind: Consumer
metadata: {name: clerk}
spec: {auth: {apiKey: {}}, scopes: [profile], subjects: 3/day}
---
apiVersion: pointsman/v1
kind: Consumer
metadata: {name: shop}
spec: {auth: {apiKey: {}}, scopes: [profile, contact, data]}
---
apiVersion: pointsman/v1
kind: Consumer
metadata: {name: desk}
spec: {auth: {apiKey: {}}, scopes: [profile, identity, contact], sector: desk}
---
apiVersion: pointsman/v1
kind: Consumer
metadata: {name: kiosk}
spec: {auth: {apiKey: {}}, scopes: [profile], sector: shop}
`

// carryRoutes has a route for each plugin and way out, GET /v1/PLUGIN/TO, cleared for all.
func carryRoutes() string {
	var b strings.Builder
	route := func(plugin, call, name, with, clearance string) {
		b.WriteString("---\napiVersion: pointsman/v1\nkind: Route\nmetadata: {name: " + plugin + "-" + name + "}\nspec:\n  path: GET /v1/" + plugin + "/" + name +
			"\n  scopes: [data]\n  deadline: 5s\n  steps: {x: {call: " + plugin + "." + call + ", with: " + with + ", required: true}}\n  answer: \"${x}\"\n  view: all\n" + clearance)
	}
	const all = "  clear: [pii.contact, pii.identity]\n"
	for _, plugin := range []string{"traveller", "postman", "keeper", "cleaner"} {
		for _, to := range []string{"sink", "kv", "log", "print", "failure", "nothing"} {
			route(plugin, "carry", to, "{to: "+to+"}", all)
		}
		route(plugin, "carry", "kept", "{to: sink, read: kv}", all)
	}
	route("traveller", "carry", "uncleared", "{to: nothing}", "  clear: [pii.contact]\n")
	route("dump", "dump", "memory", "{}", "")
	route("blind", "dump", "memory", "{}", "")
	return b.String()
}

const (
	recordID    = "C-000123"
	recordEmail = "canary-ann@x.example"
	recordName  = "Canary Ann"
	recordNotes = "canary-of-the-notes"
)

// labelledRecord answers one record; sink keeps what it is sent.
func labelledRecord(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Write([]byte(`{"id":"` + recordID + `","email":"` + recordEmail + `","name":"` + recordName + `","notes":"` + recordNotes + `","tier":"gold","points":12345678901234567890}`))
}

type sink struct {
	mu   sync.Mutex
	took []string // guarded by mu
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took = append(s.took, string(body))
	w.Write([]byte(`{}`))
}

func (s *sink) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.took, "\n")
}

func startData(t *testing.T) (*running, *sink, func(epoch int, accept string) string) {
	t.Helper()
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	into := &sink{}
	from, to := listen(t, http.HandlerFunc(labelledRecord), ca), listen(t, into, ca)
	text := func(epoch int, accept string) string {
		return strings.NewReplacer("SOURCE", from, "SINK", to, "ROUTES\n", carryRoutes(), "EPOCH", strconv.Itoa(epoch), "ACCEPT", accept).Replace(dataManifests)
	}
	modules := t.TempDir()
	for _, name := range []string{filepath.Join(buildPlugins(t), "traveller.wasm"), "../../testdata/wasm/dump.wasm"} {
		module, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(modules, filepath.Base(name)), module, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return startBroker(t, ca, setup{manifests: text(1, ""), modules: modules, consumers: []string{"shop", "desk", "kiosk", "clerk"}}), into, text
}

// TestData runs one broker in which data is labelled, and everything that must not leave.
func TestData(t *testing.T) {
	r, into, text := startData(t)
	t.Run("clearance", func(t *testing.T) { testClearance(t, r, into) })
	t.Run("memory", func(t *testing.T) { testMemory(t, r) })
	t.Run("scopes", func(t *testing.T) { testScopes(t, r) })
	t.Run("subjects", func(t *testing.T) { testSubjects(t, r) })
	t.Run("pointers", func(t *testing.T) { testPointers(t, r, text) })
}

// testClearance: what a plugin may read, and the back end that it may call, do not make that
// it may take the one to the other.
func testClearance(t *testing.T, r *running, into *sink) {
	const label = "the plugin has seen data labelled "
	tests := []struct {
		path   string
		status int
		told   string // in what the plugin was told, or the audit says
	}{
		{"/v1/traveller/sink", 200, label + "pii.contact, pii.identity"},
		{"/v1/traveller/kv", 200, label + "pii.contact, pii.identity"},
		{"/v1/traveller/log", 200, ""},
		{"/v1/traveller/print", 200, ""},
		{"/v1/traveller/failure", 502, ""},
		{"/v1/traveller/uncleared", 502, "route traveller-uncleared would answer data labelled pii.identity"},
		{"/v1/keeper/nothing", 502, "plugin keeper has seen data labelled pii.contact, pii.identity, which its output"},
		{"/v1/keeper/log", 502, "plugin keeper has seen"},
		{"/v1/postman/sink", 200, ""},
		{"/v1/postman/kv", 200, ""},
		{"/v1/postman/log", 200, ""},
		{"/v1/postman/kept", 200, ""}, // what was kept has its labels still, and may go where they may
		{"/v1/cleaner/nothing", 200, ""},
		{"/v1/traveller/nothing", 200, ""},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			before := len(r.file("data/audit.jsonl"))
			got := r.get("shop", tt.path)
			if got.status != tt.status {
				t.Fatalf("got %v, want %d", got, tt.status)
			}
			record := r.file("data/audit.jsonl")[before:]
			if told := strings.Contains(got.body, `"error":"denied: `+label); told != strings.HasPrefix(tt.told, label) {
				t.Errorf("the plugin was told %s", got.body)
			}
			if tt.told != "" && !strings.Contains(record, tt.told) {
				t.Errorf("the record lacks %q:\n%s", tt.told, record)
			}
			if tt.status != 200 && strings.Contains(got.String(), "anary") {
				t.Errorf("a refusal holds data: %v", got)
			}
		})
	}
	took := into.all()
	if strings.Contains(took, recordName) || strings.Contains(took, recordNotes) {
		t.Errorf("the sink got what nobody is cleared for: %s", took)
	}
	if n := strings.Count(took, recordEmail); n != 2 {
		t.Errorf("the sink got the address %d times, want twice: %s", n, took)
	}
	log := r.output.String()
	if strings.Contains(log, recordName) || strings.Count(log, recordEmail) != 1 {
		t.Errorf("the log holds what the plugin was not cleared for, or not what it was")
	}
	if n := strings.Count(log, "[withheld: the plugin has seen data labelled pii.contact, pii.identity]"); n != 2 {
		t.Errorf("%d of what plugins said is withheld, want 2: what one printed and what one failed with", n)
	}
	record := r.file("data/audit.jsonl")
	if !strings.Contains(record, `"op":"declassify"`) || strings.Contains(record, "anary") {
		t.Error("the record does not say what was declassified, or holds data")
	}
	if got := r.get("shop", "/v1/postman/nothing"); strings.Contains(got.body, recordName) || !strings.Contains(got.body, recordEmail) {
		t.Errorf("a plugin saw a field outside of its view: %v", got)
	}
}

// testMemory: what a plugin's view does not show is nowhere in its memory.
func testMemory(t *testing.T, r *running) {
	for path, want := range map[string]string{"/v1/dump/memory": `{"id":"` + recordID + `","tier":"gold"}`, "/v1/blind/memory": ``} {
		got := r.get("shop", path)
		var digits string
		if err := json.Unmarshal([]byte(got.body), &digits); err != nil {
			t.Fatalf("%s: %v", path, got)
		}
		memory, err := hex.DecodeString(digits)
		if err != nil || len(memory) != 64<<10 {
			t.Fatalf("%s: %d bytes, %v", path, len(memory), err)
		}
		for _, hidden := range []string{recordEmail, recordName, recordNotes, "anary", "12345678901234567890"} {
			if strings.Contains(string(memory), hidden) {
				t.Errorf("%s: the guest's memory holds %q", path, hidden)
			}
		}
		if !strings.Contains(string(memory), `"status":200`) || !strings.Contains(string(memory), want) || want == "" && strings.Contains(string(memory), recordID) {
			t.Errorf("%s: the guest's memory does not hold what it may see", path)
		}
	}
}

// pointerOf is the record's pointer for a consumer.
func pointerOf(t *testing.T, r *running, consumer string) string {
	t.Helper()
	got := r.get(consumer, "/v1/first")
	var answer struct{ ID string }
	if err := json.Unmarshal([]byte(got.body), &answer); err != nil || !strings.HasPrefix(answer.ID, "ptr_customer_") {
		t.Fatalf("got %v", got)
	}
	return answer.ID
}

// testScopes: one route, and each consumer gets the fields of its scopes, pointers of its
// sector, and nothing that nobody declared.
func testScopes(t *testing.T, r *running) {
	for consumer, want := range map[string][2]bool{"kiosk": {false, false}, "shop": {true, false}, "desk": {true, true}} {
		pointer := pointerOf(t, r, consumer)
		got := r.get(consumer, "/v1/profiles/"+pointer)
		if got.status != 200 {
			t.Fatalf("%s: %v", consumer, got)
		}
		if strings.Contains(got.body, recordEmail) != want[0] || strings.Contains(got.body, recordName) != want[1] {
			t.Errorf("%s got %s", consumer, got.body)
		}
		if strings.Contains(got.body, "canary-extra") || strings.Contains(got.body, `"id":"`+recordID) || strings.Contains(got.body, recordNotes) {
			t.Errorf("%s got what the route does not declare: %s", consumer, got.body)
		}
		var answer struct {
			ID     string
			Seen   struct{ Handed, Opened, Minted, Error string }
			Others []*string
		}
		if err := json.Unmarshal([]byte(got.body), &answer); err != nil {
			t.Fatal(err)
		}
		if answer.ID != pointer || len(answer.Others) != 2 || *answer.Others[0] != pointer || answer.Others[1] != nil {
			t.Errorf("%s: ids in the answer are %+v, want the pointer", consumer, answer)
		}
		// The plugin may open the domain, so it was handed the id, which is no pointer.
		if answer.Seen.Handed != recordID || answer.Seen.Opened != "" || !strings.HasPrefix(answer.Seen.Error, "not_found") {
			t.Errorf("%s: the plugin saw %+v", consumer, answer.Seen)
		}
	}
}

// testPointers: a pointer is of one sector, whole, and of an epoch that is accepted; everything
// else is one and the same 404.
func testPointers(t *testing.T, r *running, text func(epoch int, accept string) string) {
	shop, desk, kiosk := pointerOf(t, r, "shop"), pointerOf(t, r, "desk"), pointerOf(t, r, "kiosk")
	if shop == desk || len(shop) != len(desk) {
		t.Errorf("pointers of two sectors: %s and %s", shop, desk)
	}
	if shop != kiosk {
		t.Errorf("consumers of one sector have different pointers: %s and %s", shop, kiosk)
	}
	refused := []string{desk, strings.ToUpper(shop), shop[:len(shop)-1], shop + "A", "ptr_customer_", recordID, "x", "ptr_other_" + strings.TrimPrefix(shop, "ptr_customer_")}
	for i := len("ptr_customer_"); i < len(shop); i++ {
		flipped := []byte(shop)
		if flipped[i]++; flipped[i] == '{' || flipped[i] == '[' || flipped[i] == ':' || flipped[i] == '.' || flipped[i] == '`' {
			flipped[i] = 'A'
		}
		refused = append(refused, string(flipped))
	}
	first := ""
	for _, p := range refused {
		got := r.get("shop", "/v1/profiles/"+p)
		body := requestID.ReplaceAllString(got.body, "ID")
		if got.status != http.StatusNotFound || first != "" && body != first {
			t.Fatalf("%s: %v, want the one 404 %s", p, got, first)
		}
		first = body
	}
	if got := r.get("shop", "/v1/profiles/"+shop); got.status != 200 {
		t.Fatalf("the consumer's own: %v", got)
	}

	r.write("manifests/all.yaml", []byte(text(2, "1")))
	r.reload(`release is live" release=2`)
	if got := r.get("shop", "/v1/profiles/"+shop); got.status != 200 {
		t.Errorf("a pointer of an epoch that is accepted: %v", got)
	}
	next := pointerOf(t, r, "shop")
	if got := rewrap(t, r, "shop", shop, desk, "x"); next == shop || got != `{"pointers":["`+next+`",null,null]}` {
		t.Errorf("rewrapped: %s, want %s", got, next)
	}
	r.write("manifests/all.yaml", []byte(text(2, "")))
	r.reload(`release is live" release=3`)
	if got := r.get("shop", "/v1/profiles/"+shop); got.status != http.StatusNotFound || requestID.ReplaceAllString(got.body, "ID") != first {
		t.Errorf("a pointer of an epoch that was ended: %v", got)
	}
	if got := r.get("shop", "/v1/profiles/"+next); got.status != 200 {
		t.Errorf("a pointer of the epoch after it: %v", got)
	}
}

// rewrap asks for current pointers as a consumer.
func rewrap(t *testing.T, r *running, consumer string, pointers ...string) string {
	t.Helper()
	body, err := json.Marshal(map[string][]string{"pointers": pointers})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.origin+"/pointers:rewrap", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+r.keys[consumer])
	res, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%d %s, %v", res.StatusCode, answer, err)
	}
	return string(answer)
}

// testSubjects: a consumer is told of as many different subjects as it may be, and a subject
// that it was told of costs nothing more.
func testSubjects(t *testing.T, r *running) {
	for _, step := range []struct {
		subject string
		want    int
	}{{"a", 200}, {"b", 200}, {"a", 200}, {"c", 200}, {"d", 429}, {"b", 200}, {"e", 429}, {"c", 200}} {
		got := r.get("clerk", "/v1/about/"+step.subject)
		if got.status != step.want {
			t.Fatalf("subject %s: %v, want %d", step.subject, got, step.want)
		}
		if got.status == 429 && (strings.Contains(got.body, recordID) || !strings.Contains(got.body, `"code":"subjects-spent"`) || got.header.Get("Retry-After") == "") {
			t.Errorf("subject %s: %v", step.subject, got)
		}
	}
	if !strings.Contains(r.file("data/audit.jsonl"), `"outcome":"subjects-spent"`) {
		t.Error("the record does not say that a consumer asks for too many subjects")
	}
}
