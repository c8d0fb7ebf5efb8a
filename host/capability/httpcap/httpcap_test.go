package httpcap_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/capability/capabilitytest"
	"pointsman/host/capability/httpcap"
	"pointsman/host/egress"
	"pointsman/pdk/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const grant = `[{"backend":"acme","view":"all","as":"crm","allow":["GET /v2/contacts/{id}","POST /v2/contacts"],"query":["q"],"headers":["Square-Version","Content-Type"]}]`

// server is a back end that echoes what it is asked.
type server struct {
	*httptest.Server
	hits atomic.Int32
}

func newServer(t testing.TB) *server {
	s := new(server)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.hits.Add(1)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Date", "")
		if r.URL.Query().Get("q") == "missing" {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.RequestURI, r.Header.Get("Square-Version"), body)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) count() int { return int(s.hits.Load()) }

func (s *server) http(t testing.TB) *httpcap.HTTP {
	t.Helper()
	b, err := egress.New(egress.Config{Name: "acme", URL: s.URL, Insecure: true, Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return &httpcap.HTTP{Backends: map[string]*egress.Backend{"acme": b}}
}

func TestCapability(t *testing.T) {
	s := newServer(t)
	capabilitytest.Run(t, s.http(t), capabilitytest.Case{
		Name: "get", Grant: grant, Op: "request", Effects: s.count, Canaries: []string{"canary-1", "canary-2", "canary-3"},
		Request: frame(t, wire.HTTPRequest{Backend: "crm", Method: "GET", Path: "/v2/contacts/canary-1", Query: fields("q", "canary-2"), Header: fields("square-version", "canary-3")}, ""),
	}, capabilitytest.Case{
		Name: "post", Grant: grant, Op: "request", Effects: s.count, Canaries: []string{"canary-1"},
		Request: frame(t, wire.HTTPRequest{Backend: "crm", Method: "POST", Path: "/v2/contacts"}, "canary-1"),
	})
}

func TestBindRefuses(t *testing.T) {
	h := newServer(t).http(t)
	for name, grant := range map[string]string{
		"no such backend":          `[{"backend":"erp","view":"all","allow":["GET /x"]}]`,
		"name twice":               `[{"backend":"acme","view":"all","allow":["GET /x"]},{"backend":"acme","view":"all","allow":["GET /y"]}]`,
		"nothing allowed":          `[{"backend":"acme","view":"all","allow":[]}]`,
		"no allow":                 `[{"backend":"acme"}]`,
		"bad rule":                 `[{"backend":"acme","view":"all","allow":["GET /x/*"]}]`,
		"tunnel":                   `[{"backend":"acme","view":"all","allow":["CONNECT /x"]}]`,
		"authorization":            `[{"backend":"acme","view":"all","allow":["GET /x"],"headers":["authorization"]}]`,
		"host":                     `[{"backend":"acme","view":"all","allow":["GET /x"],"headers":["HOST"]}]`,
		"empty query name":         `[{"backend":"acme","view":"all","allow":["GET /x"],"query":[""]}]`,
		"what this does not offer": `[{"backend":"acme","allow":["GET /x"],"views":["id"]}]`,
		"a view in another word":   `[{"backend":"acme","allow":["GET /x"],"view":"everything"}]`,
		"a view that is no list":   `[{"backend":"acme","allow":["GET /x"],"view":{"id":true}}]`,
		"a path that is none":      `[{"backend":"acme","allow":["GET /x"],"view":["a..b"]}]`,
		"key in capitals":          `[{"Backend":"acme","allow":["GET /x"]}]`,
		"key twice":                `[{"backend":"acme","view":"all","allow":["GET /x"],"allow":["POST /x"]}]`,
	} {
		if _, err := h.Bind(capability.Scope{Plugin: "p", Grant: json.RawMessage(grant)}); err == nil {
			t.Errorf("%s: bound, want a refusal", name)
		}
	}
	if ops, err := h.Bind(capability.Scope{Plugin: "p", Grant: json.RawMessage("[]")}); err != nil || len(ops) > 0 {
		t.Errorf("empty grant: %d operations, %v, want none", len(ops), err)
	}
}

func TestRefusalsTeach(t *testing.T) {
	s := newServer(t)
	op := bind(t, s)
	ask := func(edit func(*wire.HTTPRequest)) wire.HTTPRequest {
		r := wire.HTTPRequest{Backend: "crm", Method: "GET", Path: "/v2/contacts/canary"}
		edit(&r)
		return r
	}
	const rules = "GET /v2/contacts/{id}, POST /v2/contacts"
	tests := []struct {
		name string
		ask  wire.HTTPRequest
		body string
		want string
	}{
		{"another backend", ask(func(r *wire.HTTPRequest) { r.Backend = "canary" }), "", "the plugin asked for a backend that it was not granted; granted: crm"},
		{"the admin's name", ask(func(r *wire.HTTPRequest) { r.Backend = "acme" }), "", "the plugin asked for a backend that it was not granted; granted: crm"},
		{"a host", ask(func(r *wire.HTTPRequest) { r.Backend = "canary.example:443" }), "", "the plugin asked for a backend that it was not granted; granted: crm"},
		{"another method", ask(func(r *wire.HTTPRequest) { r.Method = "DELETE" }), "", `plugin asked for DELETE on backend "crm"; granted: ` + rules},
		{"HEAD", ask(func(r *wire.HTTPRequest) { r.Method = "HEAD" }), "", `plugin asked for HEAD on backend "crm"; granted: ` + rules},
		{"a method of its own", ask(func(r *wire.HTTPRequest) { r.Method = "canary" }), "", `plugin asked for a method that can never be granted on backend "crm"; granted: ` + rules},
		{"a longer path", ask(func(r *wire.HTTPRequest) { r.Path += "/notes" }), "", `plugin asked for GET with a path of 4 segments on backend "crm"; granted: ` + rules},
		{"another path", ask(func(r *wire.HTTPRequest) { r.Path = "/admin" }), "", `plugin asked for GET with a path of 1 segments on backend "crm"; granted: ` + rules},
		{"dots", ask(func(r *wire.HTTPRequest) { r.Path = "/v2/contacts/../canary" }), "", `plugin asked backend "crm": the path must not have a dot segment`},
		{"encoded slash", ask(func(r *wire.HTTPRequest) { r.Path = "/v2/contacts/a%2fcanary" }), "", `plugin asked backend "crm": the path must not hold an escaped / \ % ? # or ;`},
		{"query in the path", ask(func(r *wire.HTTPRequest) { r.Path += "?q=1" }), "", `plugin asked backend "crm": the path holds a byte that must be percent-encoded, or a semicolon`},
		{"another query parameter", ask(func(r *wire.HTTPRequest) { r.Query = fields("canary", "1") }), "", `query parameter 1 of GET /v2/contacts/{id} on backend "crm" is not granted; granted: q`},
		{"query parameter in capitals", ask(func(r *wire.HTTPRequest) { r.Query = fields("Q", "1") }), "", `query parameter 1 of GET /v2/contacts/{id} on backend "crm" is not granted; granted: q`},
		{"another header", ask(func(r *wire.HTTPRequest) { r.Header = fields("X-Canary", "canary") }), "", `header 1 of GET /v2/contacts/{id} on backend "crm" is not granted; granted: square-version, content-type`},
		{"authorization", ask(func(r *wire.HTTPRequest) { r.Header = fields("Authorization", "canary") }), "", `header 1 of GET /v2/contacts/{id} on backend "crm" is not granted; granted: square-version, content-type`},
		{"header with a line end", ask(func(r *wire.HTTPRequest) { r.Header = fields("square-version", "canary\r\nx: y") }), "", "the value of header 1 holds something other than printable ASCII, or begins or ends in a space"},
		{"body of a GET", ask(func(*wire.HTTPRequest) {}), "canary", "a GET request carries no body"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := op(frame(t, tt.ask, tt.body))
			e, ok := errors.AsType[*broker.Error](err)
			if !ok || e.Kind != broker.Denied {
				t.Fatalf("got %v, want a denial", err)
			}
			if diff := cmp.Diff(tt.want, e.Detail); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("%q repeats what the plugin sent", err)
			}
		})
	}
	if s.count() > 0 {
		t.Error("something was sent")
	}
}

func TestDecodeRefuses(t *testing.T) {
	op := bind(t, newServer(t))
	const good = `"backend":"crm","method":"GET","path":"/v2/contacts/1"`
	for name, head := range map[string]string{
		"name twice": `{` + good + `,"method":"GET"}`, "name in capitals": `{"backend":"crm","view":"all","METHOD":"GET","path":"/v2/contacts/1"}`, "both": `{` + good + `,"METHOD":"DELETE"}`,
		"unknown name": `{` + good + `,"follow_redirects":true}`, "trailing object": `{` + good + `}{}`, "trailing comma": `{` + good + `,}`, "comment": `{` + good + `/**/}`,
		"byte order mark": "\ufeff{" + good + `}`, "not UTF-8": "{" + good + ",\"query\":[{\"name\":\"q\",\"value\":\"\xff\"}]}", "lone surrogate": `{` + good + `,"query":[{"name":"q","value":"\ud800"}]}`,
		"number for a name": `{"backend":1,"method":"GET","path":"/v2/contacts/1"}`, "list": `[` + good + `]`, "null fields": `{` + good + `,"query":[{"name":"q","value":"1","extra":1}]}`,
		"host": `{` + good + `,"host":"x"}`, "deep": strings.Repeat("[", 65) + strings.Repeat("]", 65), "deep query": `{` + good + `,"query":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}`,
		"large": `{` + good + `,"query":[{"name":"q","value":"` + strings.Repeat("a", 65<<10) + `"}]}`, "no method": `{"backend":"crm","view":"all","path":"/v2/contacts/1"}`, "nothing": `{}`, "null": `null`,
	} {
		if _, err := op(raw(head, "")); err == nil {
			t.Errorf("%s: planned, want a refusal", name)
		}
	}
	if _, err := op(raw(`{`+good+`}`, "")); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func TestJSONVectors(t *testing.T) {
	text, err := os.ReadFile("../../../../shared/vectors/json-hostile.jsonl")
	if err != nil {
		t.Skip("vectors/json-hostile.jsonl not present")
	}
	op := bind(t, newServer(t))
	for line := range strings.Lines(string(text)) {
		var v struct{ ID, Doc, Gen, Expect string }
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		switch v.ID { // those that are too large to be written out
		case "deep-10k":
			v.Doc = strings.Repeat("[", 10001) + strings.Repeat("]", 10001)
		case "wide-1M-keys":
			var b strings.Builder
			for i := range 1000000 {
				fmt.Fprintf(&b, `,"k%d":0`, i)
			}
			v.Doc = "{" + b.String()[1:] + "}"
		case "big-string":
			v.Doc = `{"a":"` + strings.Repeat("a", 32<<20) + `"}`
		}
		if v.Doc == "" {
			t.Errorf("%s: no document", v.ID)
		}
		_, err := op(raw(v.Doc, ""))
		if kind := broker.KindOf(err); err == nil || kind != broker.Invalid && kind != broker.TooLarge {
			t.Errorf("%s: %v, want it refused as invalid (%s)", v.ID, err, v.Expect)
		}
	}
}

func TestRequest(t *testing.T) {
	tests := []struct {
		name     string
		ask      wire.HTTPRequest
		body     string
		resource string
		status   int
		want     string
	}{
		{"get", wire.HTTPRequest{Backend: "crm", Method: "GET", Path: "/v2/contacts/42", Query: fields("q", "a b")}, "", "acme GET /v2/contacts/{id}", 200, "GET /v2/contacts/42?q=a%20b  "},
		{"header", wire.HTTPRequest{Backend: "crm", Method: "GET", Path: "/v2/contacts/42", Header: fields("SQUARE-version", "v1")}, "", "acme GET /v2/contacts/{id}", 200, "GET /v2/contacts/42 v1 "},
		{"post", wire.HTTPRequest{Backend: "crm", Method: "POST", Path: "/v2/contacts", Header: fields("Content-Type", "text/plain")}, "hello", "acme POST /v2/contacts", 200, "POST /v2/contacts  hello"},
		{"the plugin judges the status", wire.HTTPRequest{Backend: "crm", Method: "GET", Path: "/v2/contacts/42", Query: fields("q", "missing")}, "", "acme GET /v2/contacts/{id}", 404, "GET /v2/contacts/42?q=missing  "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			request := frame(t, tt.ask, tt.body)
			planned, err := bind(t, newServer(t))(request)
			if err != nil {
				t.Fatal(err)
			}
			clear(request) // what was checked is what is sent, whatever becomes of the guest's bytes
			if planned.Resource != tt.resource {
				t.Errorf("resource %q, want %q", planned.Resource, tt.resource)
			}
			reply, err := planned.Do(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			head, body, err := wire.SplitFrame(reply)
			if err != nil {
				t.Fatal(err)
			}
			var got wire.HTTPReply
			if err := json.Unmarshal(head, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wire.HTTPReply{Status: tt.status, Header: fields("content-type", "text/plain")}, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if string(body) != tt.want {
				t.Errorf("body %q, want %q", body, tt.want)
			}
		})
	}
}

func TestFailureOfTheBackEnd(t *testing.T) {
	s := newServer(t)
	op := bind(t, s)
	s.Close()
	planned, err := op(frame(t, wire.HTTPRequest{Backend: "crm", Method: "GET", Path: "/v2/contacts/42"}, ""))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := planned.Do(context.Background()); broker.KindOf(err) != broker.Upstream {
		t.Errorf("got %v, want an upstream failure", err)
	}
}

// FuzzRequest: whatever is planned stays within the grant, read with another decoder, and
// the server gets what was read.
func FuzzRequest(f *testing.F) {
	var got atomic.Pointer[http.Request]
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got.Store(r) }))
	f.Cleanup(srv.Close)
	op := bind(f, &server{Server: srv})
	f.Add(frame(f, wire.HTTPRequest{Backend: "crm", Method: "GET", Path: "/v2/contacts/42", Query: fields("q", "a b"), Header: fields("square-version", "1")}, ""))
	f.Add(frame(f, wire.HTTPRequest{Backend: "crm", Method: "POST", Path: "/v2/contacts"}, "body"))
	f.Add(frame(f, wire.HTTPRequest{Backend: "crm", Method: "GET", Path: "/v2/contacts/%2e%2e"}, ""))
	f.Add(raw(`{"backend":"crm","view":"all","method":"GET","METHOD":"DELETE","path":"/v2/contacts/1"}`, ""))
	f.Fuzz(func(t *testing.T, request []byte) {
		planned, err := op(request)
		if err != nil {
			if _, ok := errors.AsType[*broker.Error](err); !ok {
				t.Errorf("refused with %T", err)
			}
			return
		}
		head, body, err := wire.SplitFrame(request)
		if err != nil {
			t.Fatal("planned what is no frame")
		}
		var asked wire.HTTPRequest
		if err := json.Unmarshal(head, &asked); err != nil {
			t.Fatalf("planned what another decoder refuses: %v", err)
		}
		rest, isContact := strings.CutPrefix(asked.Path, "/v2/contacts/")
		get := asked.Method == "GET" && isContact && rest != "" && !strings.Contains(rest, "/") && len(body) == 0 && planned.Resource == "acme GET /v2/contacts/{id}"
		post := asked.Method == "POST" && asked.Path == "/v2/contacts" && planned.Resource == "acme POST /v2/contacts"
		if asked.Backend != "crm" || !get && !post {
			t.Fatalf("planned %q outside the grant: %+v", planned.Resource, asked)
		}
		for _, q := range asked.Query {
			if q.Name != "q" {
				t.Errorf("query parameter %q", q.Name)
			}
		}
		for _, h := range asked.Header {
			if !slices.Contains([]string{"square-version", "content-type"}, strings.ToLower(h.Name)) {
				t.Errorf("header %q", h.Name)
			}
		}
		if _, err := planned.Do(context.Background()); err != nil {
			t.Fatal(err)
		}
		if r := got.Load(); r.Method != asked.Method || strings.SplitN(r.RequestURI, "?", 2)[0] != asked.Path {
			t.Errorf("sent %s %s, checked %s %s", r.Method, r.RequestURI, asked.Method, asked.Path)
		}
	})
}

func bind(t testing.TB, s *server) capability.Op {
	t.Helper()
	ops, err := s.http(t).Bind(capability.Scope{Plugin: "p", Grant: json.RawMessage(grant)})
	if err != nil {
		t.Fatal(err)
	}
	return ops["request"]
}

func frame(t testing.TB, head any, body string) []byte {
	t.Helper()
	b, err := wire.Frame(head, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// raw is a frame whose head may be anything.
func raw(head, body string) []byte {
	n := len(head)
	return append([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}, head+body...)
}

func fields(name, value string) []wire.Field { return []wire.Field{{Name: name, Value: value}} }
