package broker_test

import (
	"slices"
	"strconv"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"pointsman/host/broker"
)

func TestLabels(t *testing.T) {
	var none broker.Labels
	ab, bc := broker.NewLabels("b", "a", "b"), broker.NewLabels("c", "b")
	tests := []struct {
		name string
		got  broker.Labels
		want string
	}{
		{"none", none, ""},
		{"sorted, each once", ab, "a, b"},
		{"union", ab.Union(bc), "a, b, c"},
		{"union with none", none.Union(ab).Union(none), "a, b"},
		{"minus", ab.Minus(bc), "a"},
		{"minus none", ab.Minus(none), "a, b"},
		{"none minus", none.Minus(ab), ""},
		{"minus itself", ab.Minus(ab), ""},
		{"the operands are as they were", ab, "a, b"},
	}
	for _, tt := range tests {
		if got := tt.got.String(); got != tt.want || tt.got.Empty() != (tt.want == "") {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	ab.Names()[0] = "z"
	if !ab.Has("a") || ab.Has("z") || none.Has("") {
		t.Errorf("Has is wrong for %v", ab)
	}
}

// TestSeenOnlyGrows: whatever is noted at once, nothing of it is lost.
func TestSeenOnlyGrows(t *testing.T) {
	s := new(broker.Seen)
	var group sync.WaitGroup
	const n = 50
	for i := range n {
		group.Go(func() { s.Add(broker.NewLabels(strconv.Itoa(i))) })
	}
	group.Wait()
	if got := s.Labels().Names(); len(got) != n {
		t.Errorf("%d labels of %d are left", len(got), n)
	}
}

// TestNilSeen: nothing that has a label can be handed over without being noted.
func TestNilSeen(t *testing.T) {
	var s *broker.Seen
	s.Add(broker.Labels{})
	if !s.Labels().Empty() {
		t.Error("a nil Seen saw something")
	}
	defer func() {
		if recover() == nil {
			t.Error("a nil Seen forgot a label")
		}
	}()
	s.Add(broker.NewLabels("a"))
}

func TestLabelsAreSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOf(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}))
		l, m := names.Draw(t, "l"), names.Draw(t, "m")
		union, minus := broker.NewLabels(l...).Union(broker.NewLabels(m...)), broker.NewLabels(l...).Minus(broker.NewLabels(m...))
		for _, x := range []string{"a", "b", "c", "d", "e"} {
			inL, inM := slices.Contains(l, x), slices.Contains(m, x)
			if union.Has(x) != (inL || inM) || minus.Has(x) != (inL && !inM) {
				t.Fatalf("%q of %v and %v: union %v, minus %v", x, l, m, union, minus)
			}
		}
	})
}

// TestLoggable: what a plugin says after it has seen something is not logged unless somebody
// allows it; a call that has seen nothing says what it likes.
func TestLoggable(t *testing.T) {
	seen := new(broker.Seen)
	call := broker.Call{Seen: seen}
	if got := call.Loggable("words"); got != "words" {
		t.Errorf("before it has seen anything: %q", got)
	}
	seen.Add(broker.NewLabels("pii.contact"))
	if got := call.Loggable("canary"); got != "[withheld: the plugin has seen data labelled pii.contact]" {
		t.Errorf("after it: %q", got)
	}
	call.LogClear = broker.NewLabels("pii.contact")
	if got := call.Loggable("words"); got != "words" {
		t.Errorf("with clearance: %q", got)
	}
	if got := (broker.Call{}).Loggable("words"); got != "words" {
		t.Errorf("of no call: %q", got)
	}
}
