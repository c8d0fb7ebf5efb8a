package sandbox_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"pointsman/host/sandbox"
)

// A fault says which of the guest's functions it happened in, wherever one was running, and
// which host function the guest called last.
func TestFaultsSayWhere(t *testing.T) { onEngines(t, testFaultsSayWhere) }

func testFaultsSayWhere(t *testing.T) {
	const asked, env = "pointsman:http.request", "extism:host/env."
	tests := []struct {
		module, export string
		limits         sandbox.Limits
		want           sandbox.FaultKind
		function       string // in Detail; "" where none of the guest's runs
		hostCall       string
	}{
		{"last_call", "trap", sandbox.Limits{}, sandbox.Trap, "dies < ", asked},
		{"last_call", "trap_first", sandbox.Limits{}, sandbox.Trap, "dies < ", ""},
		{"last_call", "trap_after_load", sandbox.Limits{}, sandbox.Trap, "dies < ", env + "alloc"},
		{"last_call", "spin", sandbox.Limits{Time: 50 * time.Millisecond}, sandbox.Timeout, "spins < ", env + "alloc"},
		{"last_call", "asks", sandbox.Limits{Time: 50 * time.Millisecond, HostCalls: 1 << 30, HostBytes: 1 << 40}, sandbox.Timeout, "asks < ", asked},
		{"last_call", "spin", sandbox.Limits{Fuel: 1_000_000}, sandbox.Fuel, "spins < ", env + "alloc"},
		{"last_call", "asks", sandbox.Limits{HostCalls: 3}, sandbox.Calls, "asks < ", asked},
		{"last_call", "asks", sandbox.Limits{HostBytes: 3}, sandbox.Calls, "asks < ", asked},
		{"last_call", "recurse", sandbox.Limits{}, sandbox.Depth, "recurses x", env + "free"},
		{"last_call", "abi", sandbox.Limits{}, sandbox.ABI, "gets < ", env + "var_get"},
		{"last_call", "abi_load", sandbox.Limits{}, sandbox.ABI, "loads < ", env + "free"},
		{"last_call", "output", sandbox.Limits{}, sandbox.Output, "sets < ", env + "output_set"},
		{"last_call", "output_none", sandbox.Limits{}, sandbox.Output, "", env + "alloc"},
		{"last_call", "exit", sandbox.Limits{}, sandbox.Exit, "exits < ", "wasi_snapshot_preview1.proc_exit"},
		{"last_call", "none", sandbox.Limits{}, sandbox.Export, "", ""},
		{"last_call", "trap", sandbox.Limits{Input: 1}, sandbox.Input, "", ""},
		{"reseed_trap", "f", sandbox.Limits{}, sandbox.Trap, "anew < during reseeding", env + "input_length"},
		{"reseed", "silent", sandbox.Limits{}, sandbox.Output, "", ""}, // what reseeding called is no part of it
	}
	for _, tt := range tests {
		t.Run(string(tt.want)+"/"+tt.export, func(t *testing.T) {
			m := load(t, tt.module, tt.limits)
			for range 2 {
				_, err := m.Call(context.Background(), tt.export, []byte("in"))
				var f *sandbox.Fault
				if !errors.As(err, &f) || f.Kind != tt.want || f.Export != tt.export {
					t.Fatalf("got %v, want %s", err, tt.want)
				}
				if f.HostCall != tt.hostCall {
					t.Errorf("last host function %q, want %q", f.HostCall, tt.hostCall)
				}
				if !strings.Contains(f.Detail, tt.function) || tt.function == "" && strings.Contains(f.Detail, "[") {
					t.Errorf("detail %q, want %q", f.Detail, tt.function)
				}
			}
		})
	}
	t.Run("stopped", func(t *testing.T) {
		m := load(t, "last_call", sandbox.Limits{Time: long})
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(20*time.Millisecond, cancel)
		_, err := m.Call(ctx, "spin", nil)
		var f *sandbox.Fault
		if !errors.As(err, &f) || f.Kind != sandbox.Stopped || !strings.Contains(f.Detail, "spins < ") || f.HostCall != env+"alloc" {
			t.Errorf("got %#v", err)
		}
	})
	t.Run("error", func(t *testing.T) {
		_, err := load(t, "last_call", sandbox.Limits{}).Call(context.Background(), "error", nil)
		var e *sandbox.GuestError
		if !errors.As(err, &e) || *e != (sandbox.GuestError{Export: "error", Code: 3, HostCall: env + "error_set"}) {
			t.Errorf("got %#v", err)
		}
	})
}
