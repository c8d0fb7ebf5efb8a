package pointercap_test

import (
	"encoding/json"
	"testing"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/capability/pointercap"
	"pointsman/host/grant"
	"pointsman/pdk/wire"
)

// TestRefusalsNameWhatIsWanted: what is recorded of a refused domain is a word of the admin or
// of the plugin's author, never one that only the request has.
func TestRefusalsNameWhatIsWanted(t *testing.T) {
	ops, err := (&pointercap.Pointer{Pointers: newWorld(t)}).Bind(capability.Scope{
		Plugin: "p", Grant: json.RawMessage(`[{"open":"customer"},{"mint":"customer"}]`),
		Wants: grant.Wants{Declared: true, Pointer: []grant.Pointer{{Open: "customer"}, {Open: "order"}, {Mint: "invoice"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, domain, open, mint string }{
		{"a domain that nobody named", "canary", "", ""},
		{"a domain of the admin's", "supplier", "supplier", "supplier"},
		{"one that its author wants to open", "order", "order", ""},
		{"one that its author wants to mint for", "invoice", "", "invoice"},
		{"none", "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opened, err := ops["open"](text(t, wire.PointerOpen{Domain: tt.domain, Pointer: "canary"}))
			if broker.KindOf(err) != broker.Denied || opened.Resource != tt.open {
				t.Errorf("open is recorded as %q, %v, want a refusal that is recorded as %q", opened.Resource, err, tt.open)
			}
			minted, err := ops["mint"](text(t, wire.PointerMint{Domain: tt.domain, ID: "canary"}))
			if broker.KindOf(err) != broker.Denied || minted.Resource != tt.mint {
				t.Errorf("mint is recorded as %q, %v, want a refusal that is recorded as %q", minted.Resource, err, tt.mint)
			}
		})
	}
}
