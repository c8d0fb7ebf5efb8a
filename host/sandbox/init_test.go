package sandbox_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pointsman/host/sandbox"
)

// A module whose initialization breaks off is refused when it is compiled, and the error says
// how and where.
func TestInitializersThatBreakOff(t *testing.T) { onEngines(t, testInitializersThatBreakOff) }

func testInitializersThatBreakOff(t *testing.T) {
	little := sandbox.Limits{Time: 100 * time.Millisecond}
	tests := []struct {
		module string
		limits sandbox.Limits
		want   sandbox.FaultKind
		text   string
	}{
		{"init_trap", sandbox.Limits{}, sandbox.Trap, "its initialization broke off: trap: unreachable [ctors]"},
		{"init_spin", little, sandbox.Timeout, "its initialization broke off: timeout [ctors]"},
		{"init_spin", sandbox.Limits{Fuel: 1_000_000, Time: long}, sandbox.Fuel, "its initialization broke off: fuel: more than 1000000 units [ctors]"},
		{"start_trap", sandbox.Limits{}, sandbox.Trap, "its initialization broke off: trap: unreachable [begin]"},
		{"start_spin", little, sandbox.Timeout, "its initialization broke off: timeout [begin]"},
	}
	for _, tt := range tests {
		t.Run(tt.module+"/"+string(tt.want), func(t *testing.T) {
			m, err := newEngine(t, sandbox.Options{}).Compile(context.Background(), testModule(t, tt.module), sandbox.Terms{Limits: tt.limits})
			if m != nil || !errors.As(err, new(*sandbox.InitError)) || kind(err) != tt.want || err.Error() != tt.text {
				t.Errorf("got %v, want %s: %s", err, tt.want, tt.text)
			}
		})
	}
	for _, name := range []string{"start_http", "extism_http_init"} {
		t.Run(name, func(t *testing.T) {
			u := &urlOp{do: httpAnswer(t, 200, "")}
			_, err := newEngine(t, sandbox.Options{}).Compile(context.Background(), testModule(t, name), sandbox.Terms{Imports: u.imports()})
			said, ok := errors.AsType[*sandbox.GuestError](err)
			if !ok || !errors.As(err, new(*sandbox.InitError)) || !strings.Contains(said.Text, "not available during initialization") || len(u.got) > 0 {
				t.Errorf("got %v after %d requests, want it denied", err, len(u.got))
			}
		})
	}
}

// One that fails at times is refused then, and taken when it succeeds.
func TestInitializersThatBreakOffAtTimes(t *testing.T) {
	onEngines(t, func(t *testing.T) {
		now := time.Unix(999_999, 0)
		e := newEngine(t, sandbox.Options{Clock: func() time.Time { return now }})
		module := testModule(t, "init_clock") // fails before 1,000,000 s
		if _, err := e.Compile(context.Background(), module, sandbox.Terms{}); kind(err) != sandbox.Trap {
			t.Errorf("got %v", err)
		}
		now = now.Add(time.Second)
		m, err := e.Compile(context.Background(), module, sandbox.Terms{})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if out, err := m.Call(context.Background(), "count", nil); err != nil || !bytes.Equal(out, []byte{1}) {
				t.Errorf("got %v, %v", out, err)
			}
		}
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// When the context of a compilation ends, the error is its own and no fault of the module.
func TestInitializersHeedTheContext(t *testing.T) { onEngines(t, testInitializersHeedTheContext) }

func testInitializersHeedTheContext(t *testing.T) {
	compile := func(ctx context.Context, want error) {
		t.Helper()
		_, err := newEngine(t, sandbox.Options{}).Compile(ctx, testModule(t, "init_spin"), sandbox.Terms{Limits: sandbox.Limits{Time: long}})
		if !errors.Is(err, want) || errors.As(err, new(*sandbox.InitError)) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	compile(ctx, context.Canceled)
	ctx, cancel = context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	compile(ctx, context.DeadlineExceeded)
}

// What an initialization leaves in the kernel is made anew for each call, unpaid: it has to
// be little.
func TestInitializersLeaveLittle(t *testing.T) { onEngines(t, testInitializersLeaveLittle) }

func testInitializersLeaveLittle(t *testing.T) {
	tests := []struct {
		name                    string
		blocks, size, variables uint32
		want                    string
	}{
		{"nothing", 0, 0, 0, ""},
		{"4096 blocks", 4096, 16, 0, ""},
		{"4097 blocks", 4097, 16, 0, "left 4097 blocks and 0 variables, of at most 4096 each"},
		{"150000 blocks", 150_000, 16, 0, "left 150000 blocks"},
		{"a MiB", 1, 1 << 20, 0, ""},
		{"more than a MiB", 1, 1<<20 + 1, 0, "left blocks of 1048577 bytes, of at most 1048576"},
		{"4096 variables", 0, 0, 4096, ""},
		{"4097 variables", 0, 0, 4097, "left 0 blocks and 4097 variables, of at most 4096 each"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			numbers := []byte("left")
			for _, n := range []uint32{tt.blocks, tt.size, tt.variables} {
				numbers = binary.LittleEndian.AppendUint32(numbers, n)
			}
			module := testModule(t, "left")
			at := bytes.Index(module, append([]byte("left"), make([]byte, 12)...))
			module = slices.Concat(module[:at], numbers, module[at+len(numbers):])
			m, err := newEngine(t, sandbox.Options{}).Compile(context.Background(), module, sandbox.Terms{})
			if tt.want != "" {
				if kind(err) != sandbox.Memory || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if out, err := m.Call(context.Background(), "run", nil); err != nil || string(out) != "left" {
					t.Errorf("got %q, %v", out, err)
				}
			}
			if err := m.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
}
