package sandbox_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"pointsman/host/sandbox"
)

// What a guest seeds in pointsman_reseed differs from call to call, also where instances
// are restored; what its initializer has seeded is the image's there.
func TestReseed(t *testing.T) { onEngines(t, testReseed) }

func testReseed(t *testing.T) {
	m := load(t, "reseed", sandbox.Limits{})
	anew, once := map[string]bool{}, map[string]bool{}
	const calls = 20
	for range calls {
		out, err := m.Call(context.Background(), "draw", []byte("x"))
		if err != nil || len(out) != 16 {
			t.Fatalf("got %x, %v", out, err)
		}
		anew[string(out[:8])], once[string(out[8:])] = true, true
	}
	wantOnce := calls // the portable engine runs the initializer for every call
	if strings.HasSuffix(t.Name(), "/snapshot") {
		wantOnce = 1
	}
	if len(anew) != calls || len(once) != wantOnce {
		t.Errorf("in %d calls %d numbers of the generator seeded anew, %d of the other, want %d", calls, len(anew), len(once), wantOnce)
	}
}

// It runs once before each call, without input and operations, and leaves no output.
func TestReseedHasNoRequest(t *testing.T) { onEngines(t, testReseedHasNoRequest) }

func testReseedHasNoRequest(t *testing.T) {
	op, calls := counted()
	m := compile(t, sandbox.Options{}, testModule(t, "reseed"), []sandbox.Import{op}, sandbox.Limits{})
	for range 3 {
		// initialized once, seeded once, an input of 0 bytes, an answer that is a failure
		if out, err := m.Call(context.Background(), "counts", []byte("input")); err != nil || !bytes.Equal(out, []byte{1, 1, 0, 1}) {
			t.Errorf("got %v, %v", out, err)
		}
		if _, err := m.Call(context.Background(), "silent", nil); kind(err) != sandbox.Output {
			t.Errorf("got %v", err)
		}
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("%d operations were done", n)
	}
	if slices.Contains(m.Exports(), "pointsman_reseed") {
		t.Error("it can be called")
	}
	if _, err := m.Call(context.Background(), "pointsman_reseed", nil); kind(err) != sandbox.Export {
		t.Errorf("got %v", err)
	}
}
