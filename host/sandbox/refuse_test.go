package sandbox_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/sandbox"
	"pointsman/host/wasm"
)

// importErrors are all the imports that err complains about.
func importErrors(err error) []sandbox.ImportError {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []sandbox.ImportError
		for _, e := range joined.Unwrap() {
			all = append(all, importErrors(e)...)
		}
		return all
	}
	var one *sandbox.ImportError
	if errors.As(err, &one) {
		return []sandbox.ImportError{*one}
	}
	return nil
}

func TestImportsNotOfferedAreRefused(t *testing.T) { onEngines(t, testImportsNotOfferedAreRefused) }

func testImportsNotOfferedAreRefused(t *testing.T) {
	tests := []struct {
		name, module string
		imports      []sandbox.Import
		want         []sandbox.ImportError
	}{
		{"Extism's own http", "refused_extism_http", nil, []sandbox.ImportError{
			{Module: "extism:host/env", Name: "http_request"},
			{Module: "extism:host/env", Name: "http_status_code"},
			{Module: "extism:host/env", Name: "http_headers"},
		}},
		{"unknown, the host's own, another signature", "refused_unknown", nil, []sandbox.ImportError{
			{Module: "env", Name: "system"},
			{Module: "pointsman:extism", Name: "alloc"},
			{Module: "pointsman:http", Name: "request"},
			{Module: "extism:host/env", Name: "free", Signature: "offered (i64), imported (i32)"},
			{Module: "main_1", Name: "f"},
		}},
		{"own door without a grant", "http_own", nil, []sandbox.ImportError{
			{Module: "pointsman:http", Name: "request"},
		}},
		{"Extism's door without a grant", "http_user", nil, []sandbox.ImportError{
			{Module: "extism:host/user", Name: "pointsman_http_request"},
		}},
		{"a grant for something else", "http_own", []sandbox.Import{{Capability: "http", Op: "stream", Do: okHTTP.Do}}, []sandbox.ImportError{
			{Module: "pointsman:http", Name: "request"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := newEngine(t, sandbox.Options{}).Compile(context.Background(), testModule(t, tt.module), sandbox.Terms{Imports: tt.imports})
			if m != nil || err == nil {
				t.Fatalf("got module %v, error %v", m, err)
			}
			if d := cmp.Diff(tt.want, importErrors(err)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestModulesAreRefused(t *testing.T) { onEngines(t, testModulesAreRefused) }

func testModulesAreRefused(t *testing.T) {
	var bad *wasm.Error
	tests := []struct {
		name   string
		module []byte
		limits sandbox.Limits
	}{
		{"not a module", []byte("#!/bin/sh"), sandbox.Limits{}},
		{"empty", nil, sandbox.Limits{}},
		{"more memory than allowed", testModule(t, "large_memory"), sandbox.Limits{Memory: 16 << 20}},
		{"data outside of its memory", testModule(t, "bad_data"), sandbox.Limits{}},
		{"cut off", testModule(t, "echo")[:200], sandbox.Limits{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newEngine(t, sandbox.Options{}).Compile(context.Background(), tt.module, sandbox.Terms{Limits: tt.limits})
			if !errors.As(err, &bad) {
				t.Errorf("got %v, want a *wasm.Error", err)
			}
		})
	}
}

func TestLimitsAndImportsThatMakeNoSenseAreRefused(t *testing.T) {
	onEngines(t, testLimitsAndImportsThatMakeNoSenseAreRefused)
}

func testLimitsAndImportsThatMakeNoSenseAreRefused(t *testing.T) {
	do := okHTTP.Do
	tests := []struct {
		name    string
		imports []sandbox.Import
		limits  sandbox.Limits
		want    string
	}{
		{"no whole page", nil, sandbox.Limits{Memory: 1000}, "memory limit"},
		{"beyond 32 bits", nil, sandbox.Limits{Memory: 5 << 30}, "memory limit"},
		{"negative time", nil, sandbox.Limits{Time: -1}, "negative"},
		{"negative output", nil, sandbox.Limits{Output: -1}, "negative"},
		{"negative operations", nil, sandbox.Limits{HostCalls: -1}, "negative"},
		{"negative bytes", nil, sandbox.Limits{HostBytes: -1}, "negative"},
		{"immense fuel", nil, sandbox.Limits{Fuel: 1 << 62}, "exceeds"},
		{"immense input", nil, sandbox.Limits{Input: 1 << 30}, "exceeds"},
		{"no function", []sandbox.Import{{Capability: "http", Op: "request"}}, sandbox.Limits{}, "incomplete"},
		{"the runtime's name", []sandbox.Import{{Capability: "rt", Op: "refuel", Do: do}}, sandbox.Limits{}, "reserved"},
		{"the kernel's name", []sandbox.Import{{Capability: "extism", Op: "alloc", Do: do}}, sandbox.Limits{}, "reserved"},
		{"twice", []sandbox.Import{okHTTP, okHTTP}, sandbox.Limits{}, "twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newEngine(t, sandbox.Options{}).Compile(context.Background(), testModule(t, "echo"), sandbox.Terms{Imports: tt.imports, Limits: tt.limits})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestCompileHeedsItsContext(t *testing.T) { onEngines(t, testCompileHeedsItsContext) }

func testCompileHeedsItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := newEngine(t, sandbox.Options{}).Compile(ctx, testModule(t, "echo"), sandbox.Terms{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
