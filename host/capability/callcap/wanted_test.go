package callcap_test

import (
	"encoding/json"
	"testing"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/capability/callcap"
	"pointsman/host/grant"
)

// TestRefusalsNameWhatIsWanted: what is recorded of a refused call is a word of the plugin's
// author, never one that only the request has.
func TestRefusalsNameWhatIsWanted(t *testing.T) {
	tests := []struct {
		name, function, input string
		wanted                []string
		want                  string
	}{
		{"a function that nobody named", "canary.get", `{}`, []string{"crm.get", "crm.find"}, ""},
		{"a function of a plugin that is named", "crm.canary", `{}`, []string{"crm.get", "crm.find"}, ""},
		{"a function that is wanted", "crm.find", `{"id":"canary"}`, []string{"crm.get", "crm.find"}, "crm.find"},
		{"an author who says nothing", "crm.find", `{}`, nil, ""},
		{"an input that is none", "crm.get", `canary`, []string{"crm.get"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ops, err := (&callcap.Call{Callee: &callee{}}).Bind(capability.Scope{
				Plugin: "p", Grant: json.RawMessage(`[{"function":"crm.get"}]`), Wants: grant.Wants{Declared: true, Call: tt.wanted},
			})
			if err != nil {
				t.Fatal(err)
			}
			planned, err := ops["function"](frame(t, tt.function, tt.input))
			if err == nil || planned.Resource != tt.want {
				t.Errorf("recorded as %q, %v, want a refusal that is recorded as %q", planned.Resource, err, tt.want)
			}
			if broker.KindOf(err) != broker.Denied && planned.Resource != "" {
				t.Errorf("%v is no matter of grants and is recorded as %q", err, planned.Resource)
			}
		})
	}
}
