package grant_test

import (
	"encoding/json"
	"strings"
	"testing"

	"pointsman/host/grant"
)

var offered = []string{"call", "http", "kv", "log", "pointer", "sql"}

func approve(wants grant.Wants, capability, text string) (grant.Grant, error) {
	return grant.Approve(grant.Ask{Plugin: "p", Wants: wants, Offered: offered, Grants: map[string]json.RawMessage{capability: json.RawMessage(text)}})
}

// What the author does not want is not lent, and neither is what nobody can read in one way.
func TestApproveRefusesPowers(t *testing.T) {
	some := grant.Wants{
		Declared: true,
		SQL:      []grant.SQL{{Backend: "store", Statements: []string{"by-number", "by-name"}}},
		Call:     []string{"merge.compose"},
		Pointer:  []grant.Pointer{{Open: "customer"}, {Mint: "order"}},
	}
	const kv = `{"quota":1048576,"keys":10000,"ttl":"24h"}`
	tests := []struct {
		name, capability, text string
		wants                  grant.Wants
		want                   []string // each must be in the error
	}{
		{"no database is wanted", "sql", `[{"backend":"store","statements":["by-number"]}]`, grant.Wants{Declared: true}, []string{`does not want a back end "store"`, "none"}},
		{"another database", "sql", `[{"backend":"other","statements":["by-number"]}]`, some, []string{`does not want a back end "other"`, "store"}},
		{"a wanted database under another name", "sql", `[{"backend":"store","as":"db","statements":["by-number"]}]`, some, []string{`does not want a back end "db"`}},
		{"other statements", "sql", `[{"backend":"acme","as":"store","statements":["by-number","forget","drop"]}]`, some, []string{`grants.sql[0].statements: "forget"`, `"drop"`, "by-number, by-name"}},
		{"two databases by one name", "sql", `[{"backend":"a","as":"store","statements":["by-number"]},{"backend":"store","statements":["by-number"]}]`, grant.Wants{}, []string{`two back ends as "store"`}},
		{"sql text", "sql", `[{"backend":"store","statements":["by-number"],"sql":"DROP TABLE x"}]`, grant.Wants{}, []string{"grants.sql"}},
		{"a view of another word", "sql", `[{"backend":"store","statements":["by-number"],"view":"All"}]`, grant.Wants{}, []string{`the word "all"`}},
		{"a view of null", "http", `[{"backend":"crm","allow":["GET /a"],"view":null}]`, grant.Wants{}, []string{`the word "all"`}},
		{"a view of numbers", "http", `[{"backend":"crm","allow":["GET /a"],"view":[1]}]`, grant.Wants{}, []string{`the word "all"`}},
		{"a view as a mapping", "call", `[{"function":"merge.compose","view":{"all":true}}]`, grant.Wants{}, []string{`the word "all"`}},
		{"kv that is not wanted", "kv", kv, some, []string{`"kv" is granted but the plugin does not want it`}},
		{"kv of nothing", "kv", `{"quota":0,"keys":10,"ttl":"1h"}`, grant.Wants{}, []string{"positive"}},
		{"kv of less", "kv", `{"quota":10,"keys":-1,"ttl":"1h"}`, grant.Wants{}, []string{"positive"}},
		{"kv for ever", "kv", `{"quota":10,"keys":1,"ttl":"0s"}`, grant.Wants{}, []string{"ttl"}},
		{"kv without a time", "kv", `{"quota":10,"keys":1}`, grant.Wants{}, []string{"ttl"}},
		{"kv as null", "kv", `null`, grant.Wants{}, []string{"grants.kv"}},
		{"kv of another plugin", "kv", `{"quota":10,"keys":1,"ttl":"1h","namespace":"other"}`, grant.Wants{}, []string{"grants.kv"}},
		{"all faults of kv", "kv", `{"quota":0,"keys":1,"ttl":"x"}`, some, []string{"positive", "ttl", "does not want"}},
		{"another function", "call", `[{"function":"merge.compose"},{"function":"merge.drop"},{"function":"crm.compose"}]`, some, []string{`"merge.drop"`, `"crm.compose"`, "merge.compose"}},
		{"no function", "call", `[{"function":"merge"}]`, grant.Wants{}, []string{`"merge" is not plugin.function`}},
		{"a function of a function", "call", `[{"function":"merge.a.b"}]`, grant.Wants{}, []string{"is not plugin.function"}},
		{"every function", "call", `[{"function":"merge."}]`, grant.Wants{}, []string{"is not plugin.function"}},
		{"a function twice", "call", `[{"function":"merge.compose"},{"function":"merge.compose","view":"all"}]`, some, []string{"granted twice"}},
		{"another domain", "pointer", `[{"open":"order"},{"mint":"customer"}]`, some, []string{`"open order"`, `"mint customer"`, "open customer, mint order"}},
		{"a domain to open and mint in one", "pointer", `[{"open":"customer","mint":"customer"}]`, grant.Wants{}, []string{"opens a domain or mints"}},
		{"no domain", "pointer", `[{}]`, grant.Wants{}, []string{"opens a domain or mints"}},
		{"a domain twice", "pointer", `[{"open":"customer"},{"open":"customer"}]`, some, []string{"granted twice"}},
		{"no list", "pointer", `null`, grant.Wants{}, []string{"expected a list"}},
		{"log with a clearance that is not wanted", "log", `{"clear":["pii.contact"]}`, some, []string{`"log" is granted but the plugin does not want it`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, err := approve(tt.wants, tt.capability, tt.text)
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

// What is approved reaches the capability in one spelling, with view and clearance.
func TestApprovePowers(t *testing.T) {
	wants := grant.Wants{
		Declared: true, KV: true, Log: true,
		HTTP:    []grant.HTTP{{Backend: "crm", Allow: []string{"GET /a"}}},
		SQL:     []grant.SQL{{Backend: "store", Statements: []string{"by-number", "by-name"}}},
		Call:    []string{"merge.compose", "merge.check"},
		Pointer: []grant.Pointer{{Open: "customer"}, {Mint: "customer"}},
	}
	tests := []struct{ capability, text, want string }{
		{"http", `[{"clear":["pii.contact"],"view":["id","orders[].id"],"allow":["GET /a"],"as":"crm","backend":"acme"}]`,
			`[{"backend":"acme","as":"crm","allow":["GET /a"],"view":["id","orders[].id"],"clear":["pii.contact"]}]`},
		{"http", `[{"backend":"crm","allow":["GET /a"],"view":[]}]`, `[{"backend":"crm","as":"crm","allow":["GET /a"]}]`},
		{"sql", `[{"backend":"customer-store","as":"store","statements":["by-number"],"view":"all","clear":[]}]`,
			`[{"backend":"customer-store","as":"store","statements":["by-number"],"view":"all"}]`},
		{"sql", ` [ {"statements":["by-number"], "backend":"store", "view":["number"]} ] `, `[{"backend":"store","as":"store","statements":["by-number"],"view":["number"]}]`},
		{"kv", `{"ttl":"24h","keys":10000,"quota":1048576,"clear":["pii.contact"]}`, `{"quota":1048576,"keys":10000,"ttl":"24h","clear":["pii.contact"]}`},
		{"call", `[{"view":["name"],"function":"merge.compose","clear":["a","b"]},{"function":"merge.check"}]`,
			`[{"function":"merge.compose","view":["name"],"clear":["a","b"]},{"function":"merge.check"}]`},
		{"pointer", `[{"open":"customer"},{"mint":"customer"}]`, `[{"open":"customer"},{"mint":"customer"}]`},
		{"log", `{}`, `{}`},
		{"log", `{"clear":["pii.contact"]}`, `{"clear":["pii.contact"]}`},
	}
	for _, tt := range tests {
		t.Run(tt.capability+" "+tt.text, func(t *testing.T) {
			g, err := approve(wants, tt.capability, tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if raw, _ := g.Scope(tt.capability); string(raw) != tt.want {
				t.Errorf("scope\n got %s\nwant %s", raw, tt.want)
			}
			undeclared, err := approve(grant.Wants{}, tt.capability, tt.text)
			if err != nil || undeclared.Digest() != g.Digest() {
				t.Errorf("without wants: %v, or another digest", err)
			}
		})
	}
}

// FuzzApprove: what is approved is canonical: approving it again changes nothing; and it is
// the JSON that was granted but for what is canonical.
func FuzzApprove(f *testing.F) {
	for _, capability := range offered {
		f.Add(capability, `{}`)
		f.Add(capability, `[]`)
	}
	f.Add("http", `[{"backend":"crm","as":"x","allow":["GET /a"],"query":["q"],"headers":["A"],"view":["a","b[].c"],"clear":["pii.contact"]}]`)
	f.Add("sql", `[{"backend":"store","statements":["a"],"view":"all"}]`)
	f.Add("kv", `{"quota":1048576,"keys":10000,"ttl":"24h"}`)
	f.Add("call", `[{"function":"a.b","view":"all"}]`)
	f.Add("pointer", `[{"open":"a"},{"mint":"a"}]`)
	f.Add("log", `{"clear":["a"]}`)
	f.Fuzz(func(t *testing.T, capability, text string) {
		g, err := approve(grant.Wants{}, capability, text)
		if err != nil {
			return
		}
		raw, ok := g.Scope(capability)
		if !ok || !json.Valid(raw) {
			t.Fatalf("%s: scope %q", text, raw)
		}
		again, err := approve(grant.Wants{}, capability, string(raw))
		if err != nil || again.Digest() != g.Digest() {
			t.Errorf("%s: approved as %s, which is then %v", text, raw, err)
		}
		if g, err := approve(grant.Wants{Declared: true}, capability, text); err == nil && string(raw) != "[]" {
			t.Errorf("%s: lent %v to a plugin that wants nothing", text, g.Capabilities())
		}
	})
}
