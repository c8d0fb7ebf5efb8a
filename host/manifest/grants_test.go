package manifest_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/manifest"
)

// Grants reach the capabilities as canonical JSON, and whoever plans reads them decoded.
func TestGrants(t *testing.T) {
	plugin := loadValid(t).Plugins[0]
	want := map[string]string{
		"http":    `[{"allow":["GET /v2/contacts","GET /v2/contacts/{id}"],"as":"crm","backend":"acme-crm","clear":["pii.contact"],"headers":["Square-Version"],"query":["email"],"view":["address.city","id","tier"]}]`,
		"sql":     `[{"as":"store","backend":"customer-store","statements":["by-number","forget"],"view":["name","number"]}]`,
		"kv":      `{"keys":10000,"quota":1048576,"ttl":"24h"}`,
		"call":    `[{"function":"merge.check"},{"clear":["pii.contact","pii.identity"],"function":"merge.compose","view":"all"}]`,
		"pointer": `[{"mint":"customer"},{"open":"customer"}]`,
		"log":     `{}`,
	}
	got := map[string]string{}
	for capability, raw := range plugin.Grants {
		got[capability] = string(raw)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("grants (-want +got):\n%s", diff)
	}
	decoded := []any{plugin.SQLGrants, plugin.KVGrant, plugin.CallGrants, plugin.PointerGrants, plugin.LogGrant, plugin.Input, plugin.Output, plugin.Clear, plugin.Declassify}
	if diff := cmp.Diff([]any{
		[]manifest.SQLGrant{{Backend: "customer-store", As: "store", Statements: []string{"by-number", "forget"}, View: manifest.Paths{List: []string{"name", "number"}}}},
		&manifest.KVGrant{Quota: manifest.DefaultQuota, Keys: manifest.DefaultKeys, TTL: manifest.DefaultTTL},
		[]manifest.CallGrant{{Plugin: "merge", Function: "check"}, {Plugin: "merge", Function: "compose", View: manifest.Paths{All: true}, Clear: []string{"pii.contact", "pii.identity"}}},
		[]manifest.PointerGrant{{Mint: "customer"}, {Open: "customer"}},
		&manifest.LogGrant{},
		manifest.Paths{List: []string{"email", "id"}}, manifest.Paths{All: true}, []string{"pii.contact", "pii.identity"}, []string{"pii.identity"},
	}, decoded); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
	var sql []manifest.SQLGrant
	if err := json.Unmarshal(plugin.Grants["sql"], &sql); err != nil || !cmp.Equal(sql, plugin.SQLGrants) {
		t.Errorf("the two forms of a sql grant differ: %v, %v", sql, err)
	}
	other := loadValid(t).Plugins[1]
	if diff := cmp.Diff(&manifest.KVGrant{Quota: 64 << 10, Keys: 100, TTL: 90 * time.Minute, Clear: []string{"pii.contact"}}, other.KVGrant); diff != "" {
		t.Errorf("kv (-want +got):\n%s", diff)
	}
	if raw := string(other.Grants["kv"]); raw != `{"clear":["pii.contact"],"keys":100,"quota":65536,"ttl":"90m"}` {
		t.Errorf("kv is %s", raw)
	}
	if raw := string(other.Grants["log"]); raw != `{"clear":["pii.identity"]}` {
		t.Errorf("log is %s", raw)
	}
}

func TestSQLBackend(t *testing.T) {
	set := loadValid(t)
	want := &manifest.SQLBackend{
		Driver: manifest.DriverPostgres, Address: "10.1.2.3:5432", Database: "customers", User: "pointsman", Password: "customer-db",
		TLS: &manifest.TLS{CA: "tls/acme-ca.pem", MinVersion: "1.3"}, Private: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, ReadRole: "reader",
		Limits: manifest.SQLLimits{Time: 2 * time.Second, Rows: 500, Bytes: 1 << 20, Cell: 64 << 10, Connections: 8},
		Statements: map[string]*manifest.Statement{
			"by-number": {
				SQL: "SELECT number, name, email FROM customers WHERE number = $1 AND since < $2 ORDER BY {order}",
				Params: []manifest.StatementParam{
					{Name: "number", Type: manifest.TypeText, MaxLength: 40}, {Name: "before", Type: manifest.TypeTimestamp, Optional: true}},
				Choices: map[string]map[string]string{"order": {"newest": "updated DESC", "name": "name, number"}}, Rows: 10,
				Labels: map[string][]string{"pii.contact": {"email"}, "pii.identity": {"name"}},
			},
			"forget": {SQL: "DELETE FROM customers WHERE number = $1", Params: []manifest.StatementParam{{Name: "number", Type: manifest.TypeText}}, Write: true},
		},
	}
	if diff := cmp.Diff(want, set.Backends[1].SQL, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("sql (-want +got):\n%s", diff)
	}
	if b := set.Backends[1]; b.HTTP != nil {
		t.Error("a database is an HTTP origin, too")
	}
	domains := []*manifest.Domain{
		{Name: "basket", Pos: set.Domains[0].Pos, Backends: []string{"shop"}, Epoch: manifest.DefaultEpoch, Ephemeral: 10 * time.Minute},
		{Name: "customer", Pos: set.Domains[1].Pos, Backends: []string{"acme-crm", "customer-store"}, Epoch: 3, Accept: []int{1, 2}},
	}
	if diff := cmp.Diff(domains, set.Domains); diff != "" {
		t.Errorf("domains (-want +got):\n%s", diff)
	}
}

// What leaves: paths that are not written, that are none, that are some and that are all are
// four things, in Go, in the canonical form and in JSON.
func TestPaths(t *testing.T) {
	set := loadValid(t)
	profile, search, merge := set.Routes[0], set.Routes[1], set.Plugins[2]
	if got := merge.Input; !got.Written() || got.All || len(got.List) != 0 {
		t.Errorf("input: [] is %+v", got)
	}
	if got := merge.Output; got.Written() {
		t.Errorf("an output that is not written is %+v", got)
	}
	want := manifest.Paths{List: []string{`"a.b".c`, "address.city", "name", "orders[].customer", "orders[].id"}}
	if diff := cmp.Diff(want, profile.View); diff != "" {
		t.Errorf("view (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]manifest.Paths{"profile.full": {List: []string{"emails", "phones[]"}}, "profile.all": {All: true}}, profile.Views); diff != "" {
		t.Errorf("views (-want +got):\n%s", diff)
	}
	if !search.View.All || search.Subject != "answer.customers[].id" || profile.Subject != "customer" {
		t.Errorf("route %+v", search)
	}
	if diff := cmp.Diff(map[string][]string{"customer": {"orders[].customer"}}, profile.Pointers); diff != "" {
		t.Errorf("pointers (-want +got):\n%s", diff)
	}
	if p := profile.Params["customer"]; p.Pointer != "customer" || p.Label != "pii.identity" {
		t.Errorf("param %+v", p)
	}
	if c := set.Consumers[0]; c.Subjects == nil || c.Subjects.Count != 3000 || c.Subjects.Per != time.Hour {
		t.Errorf("subjects %+v", c.Subjects)
	}
	if c := set.Consumers[2]; c.Subjects == nil || c.Subjects.String() != "50000/day" {
		t.Errorf("subjects %+v", c.Subjects)
	}
	for _, p := range []manifest.Paths{{All: true}, {List: []string{}}, {List: []string{"a", `"b c".d[]`}}} {
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back manifest.Paths
		if err := json.Unmarshal(text, &back); err != nil || !cmp.Equal(p, back) || !back.Written() {
			t.Errorf("%+v is written %s and read %+v, %v", p, text, back, err)
		}
	}
	for _, text := range []string{`"All"`, `null`, `{}`, `[1]`, `true`} {
		var p manifest.Paths
		if err := json.Unmarshal([]byte(text), &p); err == nil && p.Written() {
			t.Errorf("%s is read %+v", text, p)
		}
	}
}

// A pointer is longer than other parameters, and needs no pattern of its own.
func TestPointerParam(t *testing.T) {
	set, faults := manifest.Load(fstest.MapFS{"a.yaml": {Data: []byte(head + `kind: Route
spec: {path: "GET /{id}", params: {id: {in: path, pointer: d}}, scopes: [a], steps: {s: {call: p.f, with: "${params.id}"}}, answer: "${s}", view: []}
---
apiVersion: pointsman/v1
kind: Domain
metadata: {name: d}
spec: {backends: [b]}
---
apiVersion: pointsman/v1
kind: Backend
metadata: {name: b}
spec: {http: {url: https://a.example}}
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: p}
spec: {module: {path: p.wasm}}
`)}})
	if faults.HasErrors() {
		t.Fatal(render(faults))
	}
	if p := set.Routes[0].Params["id"]; p.MaxLength != manifest.DefaultPointerLength || p.Regexp() != nil || !p.Required {
		t.Errorf("param %+v", p)
	}
	if v := set.Routes[0].View; !v.Written() || len(v.List) != 0 {
		t.Errorf("view: [] is %+v", v)
	}
}

// No fault of a database repeats what may be a password in the wrong place.
func TestSQLFaultsRepeatNoSecret(t *testing.T) {
	for _, sql := range []string{
		"password: hunter2", "password: [hunter2]", "password: {secret: 'hunter2 x'}", "password: {secret: [hunter2]}",
		"address: 'u:hunter2@db.example:5432'", "address: 'postgres://u:hunter2@db/x'", "address: 'db.example:5432?password=hunter2'", "address: 'hunter2 x'",
	} {
		text := "driver: postgres, database: a, user: b, statements: {s: {sql: SELECT 1}}, " + sql
		if !strings.Contains(sql, "address") {
			text += ", address: 'db.example:5432'"
		}
		faults := faultsOf(head + "kind: Backend\nspec: {sql: {" + text + "}}\n")
		if len(faults) == 0 {
			t.Errorf("%s is taken", sql)
		}
		for _, f := range faults {
			if strings.Contains(f.Error(), "hunter2") {
				t.Errorf("a fault repeats a secret: %s", f)
			}
		}
	}
}
