package capability_test

import (
	"context"
	"testing"

	"pointsman/host/audit"
	"pointsman/host/broker"
)

// TestRefusalsNameLabels: the record of a use that was refused for want of clearance says which
// labels lack, and no other record says any.
func TestRefusalsNameLabels(t *testing.T) {
	seen, clear := broker.NewLabels("pii.contact", "pii.identity", "loyalty.balance"), broker.NewLabels("loyalty.balance")
	for _, recorded := range []bool{true, false} {
		w := newWorld(t, &power{unrecorded: !recorded, op: labelled(clear, broker.Labels{}, false, nil)})
		call := fullCall(9)
		call.Seen = new(broker.Seen)
		w.door(broker.WithCall(context.Background(), call), nil)
		call.Seen.Add(seen)
		w.door(broker.WithCall(context.Background(), call), nil)
		for _, u := range w.uses {
			want := ""
			if u.Decision == audit.Denied {
				want = "pii.contact, pii.identity"
			}
			if u.Labels != want {
				t.Errorf("a use that was %s has the labels %q, want %q", u.Decision, u.Labels, want)
			}
		}
		if len(w.uses) == 0 || w.uses[len(w.uses)-1].Decision != audit.Denied {
			t.Errorf("recorded: %v: %+v, want a refusal at the end", recorded, w.uses)
		}
	}
}
