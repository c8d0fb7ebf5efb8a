package sandbox_test

import (
	"context"
	"strings"
	"testing"

	"pointsman/host/sandbox"
)

// A guest learns whether its preparation is for all calls, and cannot tell in a call.
func TestKept(t *testing.T) { onEngines(t, testKept) }

func testKept(t *testing.T) {
	m := load(t, "kept", sandbox.Limits{})
	want := "\x00\x00"
	if strings.HasSuffix(t.Name(), "/snapshot") {
		want = "\x01\x00"
	}
	for range 3 {
		if out, err := m.Call(context.Background(), "answer", nil); err != nil || string(out) != want {
			t.Fatalf("got %q, %v, want %q", out, err, want)
		}
	}
}
