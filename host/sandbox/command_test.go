package sandbox_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"pointsman/host/sandbox"
	"pointsman/host/wasm"
)

// A program is called by its main function when it has none for callers.
func TestCallableOfPrograms(t *testing.T) {
	function := func(name string, params ...wasm.ValueType) wasm.Export {
		return wasm.Export{Name: name, Kind: wasm.FuncExport, Type: wasm.FuncType{Params: params}}
	}
	tests := []struct {
		name    string
		exports []wasm.Export
		want    []string
	}{
		{"main alone", []wasm.Export{function("_start")}, []string{"_start"}},
		{"main with its allocator", []wasm.Export{function("_start"), function("malloc", wasm.I32)}, []string{"_start"}},
		{"main beside functions", []wasm.Export{function("_start"), function("run")}, []string{"run"}},
		{"a library that calls something so", []wasm.Export{function("_start"), function("_initialize")}, nil},
		{"with parameters", []wasm.Export{function("_start", wasm.I32)}, nil},
		{"no function", []wasm.Export{{Name: "_start", Kind: wasm.FuncExport + 1}}, nil},
	}
	for _, tt := range tests {
		if got := sandbox.Callable(tt.exports); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A program that leaves main by proc_exit(0) has come to its end, and what it left is not
// there in the next call. With another code it has failed; so has a function that exits.
func TestPrograms(t *testing.T) { onEngines(t, testPrograms) }

func testPrograms(t *testing.T) {
	tests := []struct{ name, module, export, in, out, err string }{
		{"returns", "program", "_start", "0", "1", ""},
		{"exits", "program", "_start", "1", "1", ""},
		{"exits with 7", "program", "_start", "2", "", "exit: with code 7"},
		{"exits without output", "program", "_start", "3", "", "output: none was set"},
		{"exits after an error", "program", "_start", "4", "", `failed with code 0: "1"`},
		{"a function exits", "program_function", "run", "1", "", "exit: with code 0"},
	}
	for _, tt := range tests {
		m := load(t, tt.module, sandbox.Limits{})
		for range 3 {
			out, err := m.Call(context.Background(), tt.export, []byte(tt.in))
			if string(out) != tt.out || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: got %q, %v, want %q, %q", tt.name, out, err, tt.out, tt.err)
			}
		}
	}
}

// A module whose hs_init is not Haskell's is refused, since engines would disagree about it.
func TestHaskellInitOfAnotherKind(t *testing.T) {
	onEngines(t, func(t *testing.T) {
		m, err := newEngine(t, sandbox.Options{}).Compile(context.Background(), testModule(t, "refused_hs_init"), sandbox.Terms{})
		if m != nil || err == nil || !strings.Contains(err.Error(), "hs_init") {
			t.Errorf("got %v, want a refusal", err)
		}
	})
}
