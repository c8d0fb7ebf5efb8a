package grant_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/grant"
)

var wants = grant.Wants{Declared: true, HTTP: []grant.HTTP{{
	Backend: "crm",
	Allow:   []string{"GET /contacts/{id}", "GET /query"},
	Query:   []string{"q"},
	Headers: []string{"Crm-Version"},
}}}

func TestApproveRefuses(t *testing.T) {
	httpImport := []grant.Import{{Module: "pointsman:http", Name: "request"}}
	tests := []struct {
		name    string
		imports []grant.Import
		wants   grant.Wants
		grants  map[string]string
		want    []string // each must be in the error
	}{
		{"imports what is not granted", httpImport, wants, nil, []string{`capability "http"`, "pointsman:http.request", "grants.http"}},
		{"imports it by Extism's door", []grant.Import{{Module: "extism:host/user", Name: "pointsman_sql_query"}}, wants, nil, []string{`capability "sql"`, "extism:host/user.pointsman_sql_query"}},
		{"imports Extism's own http", []grant.Import{{Module: "extism:host/env", Name: "http_request"}}, grant.Wants{}, nil, []string{`capability "http"`, "extism:host/env.http_request"}},
		{"granted but this host has no such power", nil, grant.Wants{}, map[string]string{"sql": `[]`}, []string{`capability "sql" is granted but not offered`, "http, log"}},
		{"another back end", httpImport, wants, map[string]string{"http": `[{"backend":"erp","allow":["GET /contacts/{id}"]}]`}, []string{`does not want a back end "erp"`, "crm"}},
		{"another method", httpImport, wants, map[string]string{"http": `[{"backend":"crm","allow":["DELETE /contacts/{id}"]}]`}, []string{`"DELETE /contacts/{id}" is granted but the plugin does not want it`}},
		{"another query name", httpImport, wants, map[string]string{"http": `[{"backend":"crm","allow":["GET /query"],"query":["q","admin"]}]`}, []string{`.query: "admin"`}},
		{"another header", httpImport, wants, map[string]string{"http": `[{"backend":"crm","allow":["GET /query"],"headers":["X-Debug"]}]`}, []string{`.headers: "X-Debug"`}},
		{"two back ends by one name", httpImport, grant.Wants{}, map[string]string{"http": `[{"backend":"a","as":"crm","allow":["GET /x"]},{"backend":"crm","allow":["GET /x"]}]`}, []string{`two back ends as "crm"`}},
		{"log that is not wanted", nil, wants, map[string]string{"log": `{}`}, []string{`"log" is granted but the plugin does not want it`}},
		{"all faults at once", httpImport, wants, map[string]string{"log": `{}`, "http": `[{"backend":"crm","allow":["PUT /a","PUT /b"]}]`}, []string{`"PUT /a"`, `"PUT /b"`, `"log"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, err := grant.Approve(ask(tt.imports, tt.wants, tt.grants))
			if err == nil {
				t.Fatalf("approved %v, want a refusal", g.Capabilities())
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if n := len(g.Capabilities()); n != 0 {
				t.Errorf("the refused grant lends %d capabilities, want none", n)
			}
		})
	}
}

func TestApprove(t *testing.T) {
	g, err := grant.Approve(ask([]grant.Import{{Module: "pointsman:http", Name: "request"}, {Module: "pointsman:rt", Name: "reply_read"}, {Module: "extism:host/env", Name: "alloc"}}, wants,
		map[string]string{"http": `[{"backend":"acme-crm","as":"crm","allow":["GET /query"],"query":["q"],"headers":["crm-version"]}]`}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"http"}, g.Capabilities()); diff != "" {
		t.Error(diff)
	}
	raw, ok := g.Scope("http")
	want := `[{"backend":"acme-crm","as":"crm","allow":["GET /query"],"query":["q"],"headers":["crm-version"]}]`
	if !ok || string(raw) != want {
		t.Errorf("scope %s, want %s", raw, want)
	}
	if _, ok := g.Scope("log"); ok {
		t.Error("log is lent, want only what the manifest grants")
	}
}

// TestApproveReadsStrictly: what two programs could read in two ways is not approved,
// whatever the layer before let through.
func TestApproveReadsStrictly(t *testing.T) {
	tests := []struct{ name, capability, grant string }{
		{"a name twice", "http", `[{"backend":"crm","backend":"erp","allow":["GET /query"]}]`},
		{"a name in another case", "http", `[{"backend":"crm","allow":["GET /query"],"Allow":["DELETE /query"]}]`},
		{"an unknown name", "http", `[{"backend":"crm","allow":["GET /query"],"deny":["GET /query"]}]`},
		{"a second value", "http", `[{"backend":"crm","allow":["GET /query"]}] []`},
		{"not UTF-8", "http", "[{\"backend\":\"crm\xff\",\"allow\":[\"GET /query\"]}]"},
		{"another type", "http", `{"backend":"crm","allow":["GET /query"]}`},
		{"nothing", "http", ``},
		{"settings of the log", "log", `{"level":"debug"}`},
		{"the log as a word", "log", `true`},
		{"the log as null", "log", `null`},
		{"a power that this package does not know", "teleport", `{}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, err := grant.Approve(grant.Ask{
				Plugin: "p", Offered: []string{"http", "log", "teleport"},
				Grants: map[string]json.RawMessage{tt.capability: json.RawMessage(tt.grant)},
			})
			if err == nil || len(g.Capabilities()) != 0 {
				t.Errorf("approved %v, %v, want a refusal", g.Capabilities(), err)
			}
		})
	}
}

func TestDigestNamesTheGrant(t *testing.T) {
	digest := func(http string) string {
		g, err := grant.Approve(ask(nil, grant.Wants{}, map[string]string{"http": http}))
		if err != nil {
			t.Fatal(err)
		}
		return g.Digest()
	}
	plain := digest(`[{"backend":"crm","allow":["GET /query"]}]`)
	if got := digest(` [ {"allow":["GET /query"], "as":"crm", "backend":"crm"} ] `); got != plain {
		t.Error("the same grant, written otherwise, has another digest")
	}
	if got := digest(`[{"backend":"crm","allow":["GET /queries"]}]`); got == plain {
		t.Error("another grant has the same digest")
	}
	if (grant.Grant{}).Digest() == plain {
		t.Error("the zero grant has the digest of one that lends")
	}
}

func TestZeroGrantLendsNothing(t *testing.T) {
	var g grant.Grant
	if _, ok := g.Scope("http"); ok || len(g.Capabilities()) != 0 {
		t.Error("the zero grant lends something")
	}
}

func ask(imports []grant.Import, wants grant.Wants, grants map[string]string) grant.Ask {
	a := grant.Ask{Plugin: "p", Imports: imports, Wants: wants, Offered: []string{"http", "log"}, Grants: map[string]json.RawMessage{}}
	for k, v := range grants {
		a.Grants[k] = json.RawMessage(v)
	}
	return a
}

// Of Extism's own functions only the network's need a grant; those that nobody knows belong to
// no capability, so that nobody is told to grant something for them.
func TestCapabilityOf(t *testing.T) {
	for _, tt := range []struct{ module, name, want string }{
		{"extism:host/env", "http_request", "http"},
		{"extism:host/env", "http_status_code", "http"},
		{"extism:host/env", "http_headers", "http"},
		{"extism:host/env", "http_stream", ""},
		{"extism:host/env", "alloc", ""},
		{"extism:host/user", "http_request", ""},
		{"extism:host/user", "pointsman_http_request", "http"},
		{"extism:host/user", "pointsman_http_url", "http"},
		{"pointsman:http", "url", "http"},
		{"pointsman:rt", "reply_read", ""},
		{"env", "http_request", ""},
	} {
		if got := grant.CapabilityOf(grant.Import{Module: tt.module, Name: tt.name}); got != tt.want {
			t.Errorf("%s.%s: %q, want %q", tt.module, tt.name, got, tt.want)
		}
	}
}
