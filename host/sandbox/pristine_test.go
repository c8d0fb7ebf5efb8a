package sandbox_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/sandbox"
)

// number is the answer of the guest "residue".
func number(t testing.TB, m sandbox.Module, export string) uint64 {
	t.Helper()
	out, err := m.Call(context.Background(), export, nil)
	if err != nil || len(out) != 8 {
		t.Fatalf("%s: got %v, %v", export, out, err)
	}
	return binary.LittleEndian.Uint64(out)
}

func TestCounterAnswersOne(t *testing.T) { onEngines(t, testCounterAnswersOne) }

func testCounterAnswersOne(t *testing.T) {
	m := load(t, "residue", sandbox.Limits{})
	calls := 300 // each of which the portable engine makes an instance for
	if strings.HasSuffix(t.Name(), "/snapshot") {
		calls = 1_000_000
		if testing.Short() {
			calls = 100_000
		}
	}
	for n := range calls {
		if got := number(t, m, "count"); got != 1<<32|1<<16|1 {
			t.Fatalf("call %d: got %#x", n, got)
		}
	}
}

func TestNothingIsLeft(t *testing.T) { onEngines(t, testNothingIsLeft) }

func testNothingIsLeft(t *testing.T) {
	var l logLines
	m := compile(t, sandbox.Options{Logger: &l}, testModule(t, "residue"), []sandbox.Import{okHTTP}, sandbox.Limits{Memory: 4 << 20})
	for range 20 {
		number(t, m, "dirty")
		if got := number(t, m, "scan"); got != 0 {
			t.Fatalf("%d places hold what the call before left", got)
		}
		for _, export := range []string{"peek", "poke", "reply"} {
			number(t, m, "dirty")
			if _, err := m.Call(context.Background(), export, nil); kind(err) != sandbox.ABI {
				t.Errorf("%s: got %v", export, err)
			}
		}
	}
	if i := slices.IndexFunc(l.lines, func(line string) bool { return line != `info:\xa5\xa5\xa5\xa5\xa5` }); i >= 0 {
		t.Errorf("a line of log is not of one call: %q", l.lines[i])
	}
}

func TestNothingIsLeftAmongMany(t *testing.T) { onEngines(t, testNothingIsLeftAmongMany) }

func testNothingIsLeftAmongMany(t *testing.T) {
	m := load(t, "residue", sandbox.Limits{Memory: 2 << 20})
	var wg sync.WaitGroup
	for g := range 12 {
		wg.Go(func() {
			for n := range 40 {
				switch export := []string{"count", "dirty", "scan", "peek"}[(g+n)%4]; export {
				case "peek": // ends the guest, and with it the instance
					if _, err := m.Call(context.Background(), export, nil); kind(err) != sandbox.ABI {
						t.Errorf("peek: got %v", err)
					}
				default:
					out, err := m.Call(context.Background(), export, nil)
					want := map[string]uint64{"count": 1<<32 | 1<<16 | 1}[export]
					if err != nil || binary.LittleEndian.Uint64(out) != want {
						t.Errorf("%s: got %x, %v", export, out, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

// A restorable guest needs one instance however often it is called, and also when it says
// that it failed; one that breaks off costs its instance.
func TestInstancesAreUsedAgain(t *testing.T) {
	m := snapshotOf(t, testModule(t, "echo"), 0)
	for range 100 {
		if _, err := m.Call(context.Background(), "echo", []byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Call(context.Background(), "code7", []byte("x")); !errors.As(err, new(*sandbox.GuestError)) {
			t.Fatal(err)
		}
	}
	if n := sandbox.Made(m); n != 1 {
		t.Errorf("%d instances for calls one after the other", n)
	}
	if _, err := m.Call(context.Background(), "nothing", nil); kind(err) != sandbox.Output {
		t.Fatal(err)
	}
	if _, err := m.Call(context.Background(), "echo", nil); err != nil {
		t.Fatal(err)
	}
	if n := sandbox.Made(m); n != 2 {
		t.Errorf("%d instances after one broke off", n)
	}
}

// A call on a waiting instance allocates its record and its output, and nothing else, also
// when limits are counted and the last host function is kept.
func TestAllocationsOfACall(t *testing.T) {
	m := snapshotOf(t, testModule(t, "bulk"), 0)
	in := []byte("hello")
	call := func() {
		if _, err := m.Call(context.Background(), "echo", in); err != nil {
			t.Fatal(err)
		}
	}
	call()
	if n := testing.AllocsPerRun(500, call); n > 2 {
		t.Errorf("%v allocations", n)
	}
}

// The initializer runs once for the image and not for each call; what it left is there.
func TestInitializerRunsOnce(t *testing.T) {
	m := snapshotOf(t, testModule(t, "init"), 0)
	for range 3 {
		out, err := m.Call(context.Background(), "answer", nil)
		if d := cmp.Diff([]byte{1, 0, 1}, out); err != nil || d != "" {
			t.Errorf("%v %s", err, d)
		}
	}
	if n := sandbox.Made(m); n != 1 {
		t.Errorf("%d instances", n)
	}
}

// Both engines answer the same, byte for byte, and break off with the same kind, whatever
// is passed to a host function.
func FuzzEnginesAgree(f *testing.F) {
	for op := range byte(probes) {
		f.Add(op, uint64(16), uint64(8))
		f.Add(op, uint64(36), uint64(1))
		f.Add(op, uint64(29), uint64(7))
		f.Add(op, uint64(1<<32+16), uint64(1<<64-1))
	}
	op := sandbox.Import{Capability: "test", Op: "op", Do: okHTTP.Do}
	module := testModule(f, "probe")
	snapshot := snapshotOf(f, module, 0, op)
	portable := compile(f, sandbox.Options{}, module, []sandbox.Import{op}, sandbox.Limits{})
	f.Fuzz(func(t *testing.T, op byte, a, b uint64) {
		op %= probes
		want, wantErr := probe(portable, op, a, b)
		got, err := probe(snapshot, op, a, b)
		if kind(err) != kind(wantErr) || !bytes.Equal(got, want) {
			t.Errorf("op %d (%d, %d): got %x, %v, want %x, %v", op, a, b, got, err, want, wantErr)
		}
	})
}
