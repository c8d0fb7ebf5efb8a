package sandbox_test

import (
	"context"
	"testing"

	"pointsman/host/sandbox"
)

// A start function runs before everything else. That it has the limits of a call and no powers
// is with the other initializers, see TestInitializersThatBreakOff.
func TestStartFunction(t *testing.T) { onEngines(t, testStartFunction) }

func testStartFunction(t *testing.T) {
	m := load(t, "start", sandbox.Limits{})
	for range 3 {
		if out, err := m.Call(context.Background(), "run", nil); err != nil || string(out) != "5" {
			t.Errorf("got %q, %v, want 5", out, err)
		}
	}
}
