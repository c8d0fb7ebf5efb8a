package httpcap_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"testing"

	"pointsman/host/capability"
	"pointsman/host/capability/httpcap"
	"pointsman/host/egress"
	"pointsman/host/view"
	"pointsman/pdk/wire"
)

// ask binds a grant with that view and clear, asks for GET /x, and returns the plan and what
// the plugin gets.
func ask(t *testing.T, answer, more string) (capability.Planned, wire.HTTPReply, string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"digest"`)
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(s.Close)
	b, err := egress.New(egress.Config{Name: "acme", URL: s.URL, Insecure: true, Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	labels, err := view.ParseLabels(map[string][]string{"pii.contact": {"email"}, "loyalty.balance": {"points"}})
	if err != nil {
		t.Fatal(err)
	}
	h := &httpcap.HTTP{Backends: map[string]*egress.Backend{"acme": b}, Labels: map[string]view.Labels{"acme": labels}}
	ops, err := h.Bind(capability.Scope{Plugin: "p", Grant: json.RawMessage(`[{"backend":"acme","allow":["GET /x"]` + more + `}]`)})
	if err != nil {
		t.Fatal(err)
	}
	planned, err := ops["request"](frame(t, wire.HTTPRequest{Backend: "acme", Method: "GET", Path: "/x"}, ""))
	if err != nil {
		t.Fatal(err)
	}
	reply, err := planned.Do(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	head, body, err := wire.SplitFrame(reply)
	if err != nil {
		t.Fatal(err)
	}
	var parsed wire.HTTPReply
	if err := json.Unmarshal(head, &parsed); err != nil {
		t.Fatal(err)
	}
	return planned, parsed, string(body)
}

// TestView: of an answer a plugin gets what its grant shows, and the labels of that are noted.
func TestView(t *testing.T) {
	const document = `{"id": 12345678901234567890, "email": "canary@x.example", "points": 7, "tier": "gold"}`
	tests := []struct {
		name, answer, grant string
		want, yields        string
	}{
		{"no view", document, ``, ``, ""},
		{"an empty view", document, `,"view":[]`, ``, ""},
		{"some fields", document, `,"view":["tier","id"]`, `{"id":12345678901234567890,"tier":"gold"}`, ""},
		{"a labelled field", document, `,"view":["id","email"]`, `{"id":12345678901234567890,"email":"canary@x.example"}`, "pii.contact"},
		{"everything", document, `,"view":"all"`, document, "loyalty.balance, pii.contact"},
		{"a page", "<html>canary", `,"view":["id"]`, ``, ""},
		{"a page, and everything", "<html>canary", `,"view":"all"`, `<html>canary`, "loyalty.balance, pii.contact"},
		{"a name twice", `{"id":1,"id":"canary"}`, `,"view":["id"]`, ``, ""},
		{"another shape", `[{"id":1}]`, `,"view":["id"]`, `null`, ""},
		{"labels that are cleared", document, `,"view":["tier"],"clear":["pii.contact"]`, `{"tier":"gold"}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			planned, reply, body := ask(t, tt.answer, tt.grant)
			if body != tt.want || reply.Status != http.StatusTeapot {
				t.Errorf("the plugin gets %d %s, want %s", reply.Status, body, tt.want)
			}
			if got := planned.Yields.String(); got != tt.yields {
				t.Errorf("it yields %q, want %q", got, tt.yields)
			}
			if planned.Inward || planned.Clear.Has("pii.contact") != (tt.name == "labels that are cleared") || planned.Clear.Has("loyalty.balance") {
				t.Errorf("it is cleared for %q (inward: %v)", planned.Clear, planned.Inward)
			}
		})
	}
}

// TestHeaderTellsNothing: the header of an answer that is not shown whole holds no digest of
// it, nor how long it was.
func TestHeaderTellsNothing(t *testing.T) {
	_, reply, _ := ask(t, `{"email":"canary@x.example"}`, `,"view":["id"]`)
	hidden := func(f wire.Field) bool { return f.Name == "content-length" || f.Name == "etag" }
	if slices.ContainsFunc(reply.Header, hidden) {
		t.Errorf("the plugin gets %v", reply.Header)
	}
	if _, reply, _ = ask(t, `{}`, `,"view":"all"`); !slices.ContainsFunc(reply.Header, hidden) {
		t.Errorf("a plugin that sees everything gets no ETag: %v", reply.Header)
	}
}
