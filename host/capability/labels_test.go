package capability_test

import (
	"context"
	"errors"
	"testing"

	"pointsman/host/audit"
	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/pdk/wire"
)

// labelled is an operation that is cleared for clear and hands over data with yields.
func labelled(clear, yields broker.Labels, inward bool, err error) func([]byte) (capability.Planned, error) {
	return func([]byte) (capability.Planned, error) {
		return capability.Planned{
			Resource: "crm GET /contacts/{id}", Clear: clear, Yields: yields, Inward: inward,
			Do: func(context.Context) ([]byte, error) { return []byte("data"), err },
		}, nil
	}
}

func code(t *testing.T, reply []byte) wire.Code {
	t.Helper()
	_, err := wire.ParseReply(reply)
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return e.Code
	}
	if err != nil {
		t.Fatal(err)
	}
	return ""
}

// TestClearance: what a call has seen goes nowhere that is not cleared for it.
func TestClearance(t *testing.T) {
	contact, identity := broker.NewLabels("pii.contact"), broker.NewLabels("pii.identity")
	tests := []struct {
		name        string
		seen, clear broker.Labels
		inward      bool
		refused     bool
	}{
		{"seen and not cleared", contact, broker.Labels{}, false, true},
		{"cleared for another", contact, identity, false, true},
		{"cleared for one of two", contact.Union(identity), identity, false, true},
		{"cleared for all", contact.Union(identity), identity.Union(contact), false, false},
		{"cleared for more", contact, identity.Union(contact), false, false},
		{"nothing seen", broker.Labels{}, broker.Labels{}, false, false},
		{"nothing leaves", contact, broker.Labels{}, true, false},
	}
	for _, recorded := range []bool{true, false} {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				p := &power{unrecorded: !recorded, op: labelled(tt.clear, broker.Labels{}, tt.inward, nil)}
				w := newWorld(t, p)
				call := fullCall(9)
				call.Seen = new(broker.Seen)
				call.Seen.Add(tt.seen)
				for range 2 {
					got := code(t, w.door(broker.WithCall(context.Background(), call), nil))
					if (got == wire.Denied) != tt.refused {
						t.Fatalf("got %q, want refused: %v", got, tt.refused)
					}
				}
				denied := 0
				for _, u := range w.uses {
					if u.Decision == audit.Denied {
						denied++
						if want := "the plugin has seen data labelled"; len(u.Reason) < len(want) || u.Reason[:len(want)] != want {
							t.Errorf("the record's reason is %q", u.Reason)
						}
					}
				}
				want := 0
				if tt.refused {
					if want = 2; !recorded {
						want = 1 // a storm of log lines is no storm of records
					}
				}
				if denied != want {
					t.Errorf("%d refusals are recorded, want %d", denied, want)
				}
			})
		}
	}
}

// TestYieldsAreNoted: what was handed over counts against the very next use.
func TestYieldsAreNoted(t *testing.T) {
	contact := broker.NewLabels("pii.contact")
	for _, recorded := range []bool{true, false} {
		w := newWorld(t, &power{unrecorded: !recorded, op: labelled(broker.Labels{}, contact, false, nil)})
		call := fullCall(9)
		call.Seen = new(broker.Seen)
		ctx := broker.WithCall(context.Background(), call)
		if got := code(t, w.door(ctx, nil)); got != "" {
			t.Fatalf("the first use: %s", got)
		}
		if got := call.Seen.Labels(); !got.Has("pii.contact") {
			t.Errorf("the call has seen %v", got)
		}
		if got := code(t, w.door(ctx, nil)); got != wire.Denied {
			t.Errorf("the second use: %q, want denied", got)
		}
	}
}

// TestFailedUseYieldsNothing: a use that handed over nothing costs no clearance.
func TestFailedUseYieldsNothing(t *testing.T) {
	w := newWorld(t, &power{op: labelled(broker.Labels{}, broker.NewLabels("pii.contact"), false, &broker.Error{Kind: broker.Upstream})})
	call := fullCall(9)
	call.Seen = new(broker.Seen)
	if got := code(t, w.door(broker.WithCall(context.Background(), call), nil)); got != wire.Transient || !call.Seen.Labels().Empty() {
		t.Errorf("got %q, seen %v", got, call.Seen.Labels())
	}
}

// TestNobodyWatches: a call in which nothing would be noted is handed nothing.
func TestNobodyWatches(t *testing.T) {
	w := newWorld(t, &power{op: labelled(broker.Labels{}, broker.NewLabels("pii.contact"), false, nil)})
	reply := w.door(broker.WithCall(context.Background(), fullCall(9)), nil)
	if got := code(t, reply); got != wire.Permanent || len(w.faults) != 1 {
		t.Errorf("got %q, faults %v, want a fault of ours", got, w.faults)
	}
}
