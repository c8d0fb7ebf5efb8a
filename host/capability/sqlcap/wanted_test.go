package sqlcap_test

import (
	"encoding/json"
	"strings"
	"testing"

	"pointsman/host/capability"
	granted "pointsman/host/grant"
	"pointsman/pdk/wire"
)

// TestRefusalsNameWhatIsWanted: what is recorded of a refused statement are words of the admin
// and of the plugin's author, never one that only the request has.
func TestRefusalsNameWhatIsWanted(t *testing.T) {
	const canary = "canary-4711"
	c, _ := store(t)
	ops, err := c.Bind(capability.Scope{
		Plugin: "p", Grant: json.RawMessage(`[{"backend":"customer-store","as":"store","statements":["by-number"]}]`),
		Wants: granted.Wants{Declared: true, SQL: []granted.SQL{
			{Backend: "store", Statements: []string{"by-number", "by-mail"}},
			{Backend: "orders", Statements: []string{"open"}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		q    wire.SQLQuery
		want string
	}{
		{"a database that nobody named", wire.SQLQuery{Backend: canary, Statement: "open"}, ""},
		{"a statement that nobody named", wire.SQLQuery{Backend: "store", Statement: canary}, "customer-store"},
		{"a statement of the admin's", wire.SQLQuery{Backend: "store", Statement: "other"}, "customer-store other"},
		{"a statement of the author's", wire.SQLQuery{Backend: "store", Statement: "by-mail"}, "customer-store by-mail"},
		{"a database that is wanted", wire.SQLQuery{Backend: "orders", Statement: "open"}, "orders? open"},
		{"a statement of it that is not", wire.SQLQuery{Backend: "orders", Statement: canary}, "orders?"},
		{"a statement of the admin's, of a database that is not granted", wire.SQLQuery{Backend: "orders", Statement: "other"}, "orders?"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.q.Args = map[string]json.RawMessage{"number": json.RawMessage(`"` + canary + `"`)}
			request, err := json.Marshal(tt.q)
			if err != nil {
				t.Fatal(err)
			}
			planned, err := ops["query"](request)
			if err == nil {
				t.Fatal("it was allowed")
			}
			if planned.Resource != tt.want || strings.Contains(planned.Resource, canary) {
				t.Errorf("recorded as %q, want %q", planned.Resource, tt.want)
			}
		})
	}
}
