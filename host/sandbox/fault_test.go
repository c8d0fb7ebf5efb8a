package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"pointsman/host/sandbox"
	"pointsman/pdk/wire"
)

func TestGuestsThatBreakOff(t *testing.T) { onEngines(t, testGuestsThatBreakOff) }

func testGuestsThatBreakOff(t *testing.T) {
	small := sandbox.Limits{Input: 1 << 10, Output: 1 << 10}
	tests := []struct {
		module, export string
		input          string
		limits         sandbox.Limits
		want           sandbox.FaultKind
		detail         string // part of it
	}{
		{"traps", "unreachable", "", sandbox.Limits{}, sandbox.Trap, "unreachable [inner < outer"},
		{"traps", "divide", "", sandbox.Limits{}, sandbox.Trap, "integer divide by zero"},
		{"traps", "outside", "", sandbox.Limits{}, sandbox.Trap, "out of bounds memory access"},
		{"traps", "notable", "", sandbox.Limits{}, sandbox.Trap, "invalid table access"},
		{"traps", "nosuch", "", sandbox.Limits{}, sandbox.Trap, "invalid table access"},
		{"traps", "othertype", "", sandbox.Limits{}, sandbox.Trap, "indirect call type mismatch"},
		{"traps", "exit0", "", sandbox.Limits{}, sandbox.Exit, "with code 0"},
		{"traps", "exit1", "", sandbox.Limits{}, sandbox.Exit, "with code 1"},

		{"output", "never", "", sandbox.Limits{}, sandbox.Output, "none was set"},
		{"output", "beyond", "", sandbox.Limits{}, sandbox.Output, "outside of any block"},
		{"output", "nowhere", "", sandbox.Limits{}, sandbox.Output, "outside of any block"},
		{"output", "low32", "", sandbox.Limits{}, sandbox.Output, "outside of any block"},
		{"output", "longlow32", "", sandbox.Limits{}, sandbox.Output, "of at most"},
		{"output", "wraps", "", sandbox.Limits{}, sandbox.Output, "of at most"},
		{"output", "huge", "", sandbox.Limits{}, sandbox.Output, "2097152 bytes, of at most 1048576"},
		{"echo", "nothing", "", sandbox.Limits{}, sandbox.Output, "none was set"},
		{"echo", "echo", strings.Repeat("x", 1025), sandbox.Limits{Output: 1 << 10}, sandbox.Output, "1025 bytes, of at most 1024"},
		{"init", "silent", "", sandbox.Limits{}, sandbox.Output, "none was set"},

		{"echo", "echo", strings.Repeat("x", 1025), small, sandbox.Input, "1025 bytes, of at most 1024"},
		{"echo", "echo", strings.Repeat("x", 1<<20+1), sandbox.Limits{}, sandbox.Input, "of at most"},

		{"echo", "missing", "", sandbox.Limits{}, sandbox.Export, "no such export"},
		{"echo", "takes", "", sandbox.Limits{}, sandbox.Export, "no such export"},
		{"echo", "malloc", "", sandbox.Limits{}, sandbox.Export, "no such export"},
		{"echo", "_start", "", sandbox.Limits{}, sandbox.Export, "no such export"},
		{"echo", "memory", "", sandbox.Limits{}, sandbox.Export, "no such export"},
		{"init", "_initialize", "", sandbox.Limits{}, sandbox.Export, "no such export"},
		{"echo", "", "", sandbox.Limits{}, sandbox.Export, "no such export"},

		{"http_own", "twice", "", sandbox.Limits{}, sandbox.ABI, "no reply to read"},
		{"http_own", "none", "", sandbox.Limits{}, sandbox.ABI, "no reply to read"},
		{"http_own", "short", "", sandbox.Limits{}, sandbox.ABI, "room for 11 bytes of 12"},

		{"bulk", "narrow", "two", sandbox.Limits{}, sandbox.ABI, "room for 1 bytes of 3"},
		{"bulk", "beyond", "two", sandbox.Limits{}, sandbox.ABI, "outside of memory"},
		{"bulk", "high", "two", sandbox.Limits{}, sandbox.ABI, "outside of memory"},
		{"bulk", "wraps", "two", sandbox.Limits{}, sandbox.ABI, "outside of memory"},
		{"bulk", "writebeyond", "", sandbox.Limits{}, sandbox.Output, "outside of memory"},
		{"bulk", "writehigh", "", sandbox.Limits{}, sandbox.Output, "outside of memory"},
		{"bulk", "writewraps", "", sandbox.Limits{}, sandbox.Output, "outside of memory"},
		{"bulk", "writelong", "", sandbox.Limits{}, sandbox.Output, "of at most"},
		{"bulk", "echo", strings.Repeat("x", 1024), sandbox.Limits{Output: 1 << 9}, sandbox.Output, "1024 bytes, of at most 512"},
		{"bulk", "errorbeyond", "", sandbox.Limits{}, sandbox.ABI, "outside of memory"},
		{"bulk", "errorlong", "", sandbox.Limits{}, sandbox.ABI, "outside of memory"},
		{"warm", "pointsman_warm", "", sandbox.Limits{}, sandbox.Export, "no such export"},

		{"kernel_circle", "walk", "", sandbox.Limits{}, sandbox.ABI, "not within a block"},
		{"runaway", "recurse", "", sandbox.Limits{}, sandbox.Depth, "[recurse x"},
		{"runaway", "mutual", "", sandbox.Limits{}, sandbox.Depth, "ping < pong"},
	}
	for _, tt := range tests {
		t.Run(tt.module+"/"+tt.export, func(t *testing.T) {
			m := load(t, tt.module, tt.limits)
			for range 2 { // the second call must not see the first
				out, err := m.Call(context.Background(), tt.export, []byte(tt.input))
				if out != nil || kind(err) != tt.want {
					t.Fatalf("got output %q, error %v, want %s", out, err, tt.want)
				}
				if f := new(sandbox.Fault); errors.As(err, &f) && (f.Export != tt.export || !strings.Contains(f.Detail, tt.detail)) {
					t.Errorf("got export %q, detail %q, want %q", f.Export, f.Detail, tt.detail)
				}
			}
		})
	}
}

func TestGuestErrors(t *testing.T) { onEngines(t, testGuestErrors) }

func testGuestErrors(t *testing.T) {
	const last = "extism:host/env.error_set"
	tests := []struct {
		export, input string
		want          sandbox.GuestError
	}{
		{"code7", "what went wrong", sandbox.GuestError{Export: "code7", Code: 7, Text: "what went wrong", HostCall: last}},
		{"code7", "", sandbox.GuestError{Export: "code7", Code: 7, HostCall: last}},
		{"fail", "no code", sandbox.GuestError{Export: "fail", Text: "no code", HostCall: last}},
		{"code7", strings.Repeat("é", 5<<10), sandbox.GuestError{Export: "code7", Code: 7, Text: strings.Repeat("é", 4<<10), HostCall: last}},
	}
	m := load(t, "echo", sandbox.Limits{})
	for _, tt := range tests {
		out, err := m.Call(context.Background(), tt.export, []byte(tt.input))
		got := new(sandbox.GuestError)
		if !errors.As(err, &got) || *got != tt.want || out != nil {
			t.Errorf("%s: got %q, %v, want %v", tt.export, out, err, &tt.want)
		}
	}
}

// A guest chooses the names of its functions.
func TestNamesInDetailsAreEscaped(t *testing.T) { onEngines(t, testNamesInDetailsAreEscaped) }

func testNamesInDetailsAreEscaped(t *testing.T) {
	evil := bytes.ReplaceAll(testModule(t, "traps"), []byte("inner"), []byte("\x1b[2J\n"))
	m := compile(t, sandbox.Options{}, evil, nil, sandbox.Limits{})
	_, err := m.Call(context.Background(), "unreachable", nil)
	if kind(err) != sandbox.Trap || strings.ContainsAny(err.Error(), "\x1b\n") {
		t.Errorf("got %q", err)
	}
}

func TestPanicOfAnOperation(t *testing.T) { onEngines(t, testPanicOfAnOperation) }

func testPanicOfAnOperation(t *testing.T) {
	panics := sandbox.Import{Capability: "http", Op: "request", Do: func(context.Context, []byte) []byte {
		var none []byte
		if len(none) == 0 {
			panic("the secret is swordfish")
		}
		return none
	}}
	for _, name := range []string{"http_own", "http_user"} {
		m := compile(t, sandbox.Options{}, testModule(t, name), []sandbox.Import{panics}, sandbox.Limits{})
		_, err := m.Call(context.Background(), "request", nil)
		if kind(err) != sandbox.ABI {
			t.Fatalf("%s: got %v", name, err)
		}
		if text := err.Error(); strings.Contains(text, "swordfish") || !strings.Contains(text, "fault_test.go:") || strings.Contains(text, "goroutine") {
			t.Errorf("%s: got %q, want the place and not the value", name, text)
		}
	}
}

func TestEndOfContext(t *testing.T) { onEngines(t, testEndOfContext) }

func testEndOfContext(t *testing.T) {
	m := load(t, "runaway", sandbox.Limits{Time: 10 * time.Second})
	cancelled := func() (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(20*time.Millisecond, cancel)
		return ctx, cancel
	}
	deadline := func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(context.Background(), 20*time.Millisecond)
	}
	before := func() (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		return ctx, cancel
	}
	tests := []struct {
		name    string
		context func() (context.Context, context.CancelFunc)
		want    sandbox.FaultKind
	}{
		{"the caller goes", cancelled, sandbox.Stopped},
		{"the caller's deadline", deadline, sandbox.Timeout},
		{"the caller has gone before", before, sandbox.Stopped},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := tt.context()
			defer cancel()
			if _, err := m.Call(ctx, "spin", nil); kind(err) != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// An operation that heeds its context ends with the call, and the guest with it.
func TestOperationEndsWithItsCall(t *testing.T) { onEngines(t, testOperationEndsWithItsCall) }

func testOperationEndsWithItsCall(t *testing.T) {
	waits := sandbox.Import{Capability: "http", Op: "request", Do: func(ctx context.Context, _ []byte) []byte {
		<-ctx.Done()
		return wire.Done(nil)
	}}
	m := compile(t, sandbox.Options{}, testModule(t, "http_own"), []sandbox.Import{waits}, sandbox.Limits{Time: 20 * time.Millisecond})
	if _, err := m.Call(context.Background(), "request", nil); kind(err) != sandbox.Timeout {
		t.Errorf("got %v", err)
	}
}
