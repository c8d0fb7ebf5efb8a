package sandbox_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pointsman/host/sandbox"
	"pointsman/host/wasm"
	"pointsman/pdk/wire"
)

// everyOp is lent to the guest that can call every host function: also Extism's own http
// functions are offered for it.
var everyOp = sandbox.Import{Capability: "http", Op: "url", Do: func(_ context.Context, request []byte) []byte {
	if len(request)%3 == 0 {
		return wire.Failed(wire.Error{Code: wire.Denied, Message: "no"})
	}
	return wire.Done(append([]byte{2, 0, 0, 0, '{', '}'}, request...))
}}

// every returns a guest that exports a function "f0", "f1" ... for each of the functions.
// Each copies its input of at most 80 bytes to address 0, calls its function with the
// parameters found there, 8 bytes each, and answers what that returned. It is written in
// bytes, so that no function that the host offers is left out.
func every(functions []wasm.Import) []byte {
	u := func(b []byte, n int) []byte { return binary.AppendUvarint(b, uint64(n)) } // LEB128
	blob := func(b, content []byte) []byte { return append(u(b, len(content)), content...) }
	count := func(n int, items []byte) []byte { return append(u(nil, n), items...) }
	section := func(b []byte, id byte, content []byte) []byte { return blob(append(b, id), content) }
	values := func(b []byte, ts []wasm.ValueType) []byte {
		b = u(b, len(ts))
		for _, t := range ts {
			b = append(b, byte(t))
		}
		return b
	}
	n := len(functions)
	index := func(name string) int {
		return slices.IndexFunc(functions, func(f wasm.Import) bool { return f.Module == wire.RuntimeModule && f.Name == name })
	}
	var types, imports, kinds, exports, code []byte
	for i, f := range functions {
		types = values(values(append(types, 0x60), f.Type.Params), f.Type.Results)
		imports = u(append(blob(blob(imports, []byte(f.Module)), []byte(f.Name)), 0), i)
		kinds = u(kinds, n)
		exports = u(append(blob(exports, fmt.Appendf(nil, "f%d", i)), 0), n+i)
		const (
			end, call, drop  = 0x0b, 0x10, 0x1a
			load64, store64  = 0x29, 0x37
			const32, const64 = 0x41, 0x42
			wrap, extend     = 0xa7, 0xad
		)
		at := func(b []byte, address int) []byte { // below 128, as two bytes of signed LEB128
			return append(b, const32, 0x80|byte(address), 0)
		}
		body := []byte{0, const64, 0, const64, 0x80, 0x08} // 0, 1024
		body = append(u(append(body, call), index("input_read")), drop)
		if len(f.Type.Results) > 0 {
			body = at(body, 16)
		}
		for p, t := range f.Type.Params {
			body = append(at(body, p*8), load64, 0, 0)
			if t == wasm.I32 {
				body = append(body, wrap)
			}
		}
		body = u(append(body, call), i)
		if len(f.Type.Results) > 0 {
			if f.Type.Results[0] == wasm.I32 {
				body = append(body, extend)
			}
			body = append(body, store64, 0, 0)
		}
		body = append(body, const64, 16, const64, 8, call)
		body = append(u(body, index("output_write")), end)
		code = blob(code, body)
	}
	types = append(types, 0x60, 0, 0)
	m := []byte("\x00asm\x01\x00\x00\x00")
	m = section(m, 1, count(n+1, types))
	m = section(m, 2, count(n, imports))
	m = section(m, 3, count(n, kinds))
	m = section(m, 5, []byte{1, 0, 1})
	m = section(m, 7, count(n, exports))
	return section(m, 10, count(n, code))
}

// numbers are offsets and lengths at the edges: of the input, of memory, of 32, 63 and 64 bits.
var numbers = []uint64{0, 1, 16, 65535, 65536, 1<<32 - 1, 1 << 32, 1<<32 + 16, 1<<63 - 1, 1<<64 - 8, 1<<64 - 1}

// parameters are eight bytes for each number.
func parameters(numbers ...uint64) []byte {
	var b []byte
	for _, n := range numbers {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return b
}

// answers judges what a call of a guest of every led to.
func answers(out []byte, err error) error {
	var fault *sandbox.Fault
	var said *sandbox.GuestError
	switch {
	case err == nil && len(out) == 8, errors.As(err, &said):
	case errors.As(err, &fault) && !strings.Contains(fault.Detail, "panicked") &&
		slices.Contains([]sandbox.FaultKind{sandbox.ABI, sandbox.Output, sandbox.Exit}, fault.Kind):
	default:
		return fmt.Errorf("got %q, %w", out, err)
	}
	return nil
}

// Whatever numbers a guest passes to whatever host function, it gets an answer or breaks
// off as a fault of its own doing, the same on both engines, and the next call finds
// nothing of it.
func FuzzEveryHostFunction(f *testing.F) {
	functions := sandbox.HostFunctions(everyOp)
	module := every(functions)
	snapshot := snapshotOf(f, module, 0, everyOp)
	portable := compile(f, sandbox.Options{}, module, []sandbox.Import{everyOp}, sandbox.Limits{})
	for i := range functions {
		for k := range 2 { // few, so that a short run of the fuzzer gets beyond them
			a, b := numbers[(i+5*k)%len(numbers)], numbers[(i+3*k+7)%len(numbers)]
			f.Add(uint16(i), parameters(a, b, a, b, a, b, a, b, a))
			f.Add(uint16(i), parameters(16, 8, a, b, 32, b, a, b, a)) // the input, the start of memory
		}
	}
	f.Fuzz(func(t *testing.T, i uint16, in []byte) {
		n := int(i) % len(functions)
		in = in[:min(len(in), 80)]
		export := fmt.Sprintf("f%d", n)
		want, wantErr := portable.Call(context.Background(), export, in)
		if err := answers(want, wantErr); err != nil {
			t.Errorf("%s(%x): %v", functions[n], in, err)
		}
		for range 2 {
			out, err := snapshot.Call(context.Background(), export, in)
			if kind(err) != kind(wantErr) || !bytes.Equal(out, want) {
				t.Errorf("%s(%x): got %q, %v, want %q, %v", functions[n], in, out, err, want, wantErr)
			}
		}
	})
}

// Every host function with every pair of numbers that is likely to be mistaken.
func TestEveryHostFunction(t *testing.T) {
	functions := sandbox.HostFunctions(everyOp)
	m := snapshotOf(t, every(functions), 0, everyOp)
	for i, f := range functions {
		for _, a := range numbers {
			for _, b := range numbers {
				for _, in := range [][]byte{parameters(a, b, a, b, a, b, a, b, a), parameters(1, a, b, 32, a, b, a, b, a)} {
					if err := answers(m.Call(context.Background(), fmt.Sprintf("f%d", i), in)); err != nil {
						t.Errorf("%s(%x): %v", f, in, err)
					}
				}
			}
		}
	}
}

// The guest of FuzzEveryHostFunction can call what the host is known to offer.
func TestEveryHostFunctionIsFuzzed(t *testing.T) {
	functions := sandbox.HostFunctions(everyOp)
	m := snapshotOf(t, every(functions), 0, everyOp)
	if len(m.Exports()) != len(functions) {
		t.Fatalf("%d exports for %d functions", len(m.Exports()), len(functions))
	}
	for _, name := range []string{
		"extism:host/env.alloc", "extism:host/env.error_get", "extism:host/env.log_trace", "extism:host/env.store_u64",
		"extism:host/user.pointsman_http_url", "pointsman:http.url", "pointsman:rt.reply_read", "pointsman:rt.input_read",
		"pointsman:rt.output_write", "wasi_snapshot_preview1.proc_exit", "wasi_snapshot_preview1.path_open",
	} {
		i := slices.IndexFunc(functions, func(f wasm.Import) bool { return f.String() == name })
		if i < 0 {
			t.Errorf("%s is not offered", name)
			continue
		}
		if _, err := m.Call(context.Background(), fmt.Sprintf("f%d", i), parameters(1<<32-1, 1<<32-1, 1<<32-1)); answers(make([]byte, 8), err) != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	i := slices.IndexFunc(functions, func(f wasm.Import) bool { return f.String() == "pointsman:http.url" })
	out, err := m.Call(context.Background(), fmt.Sprintf("f%d", i), parameters(0, 10))
	if err != nil || binary.LittleEndian.Uint64(out) != 17 { // of a reply of 1+6+10 bytes
		t.Errorf("got %x, %v", out, err)
	}
}
