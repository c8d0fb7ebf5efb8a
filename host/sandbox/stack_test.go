package sandbox_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"pointsman/host/sandbox"
)

// deepStack is a module of functions f0, f1 ... Each calls one that keeps 160 vectors across
// a call of itself, to that depth: 2.7 KiB of stack in a frame that counts as one unit.
func deepStack(functions int, depth uint32) []byte {
	const vectors = 160
	deep := "\x20\x00\x45\x04\x40\x41\x00\x0f\x0b" + // if !n return 0
		strings.Repeat("\x20\x00\xfd\x11", vectors) + // i32x4.splat(n), 160 times
		"\x20\x00\x41\x01\x6b\x10" + leb(uint32(functions+1)) + "\xfd\x11" + // i32x4.splat(self(n-1))
		strings.Repeat("\xfd\x50", vectors) + "\xfd\x53" // any_true of all, or'ed
	body := func(code string) string { return leb(uint32(len(code)+2)) + "\x00" + code + "\x0b" }
	call := body("\x41" + signed(depth) + "\x10" + leb(uint32(functions+1)) + "\x1a\x42\x00\x42\x01\x10\x00") // drop(deep(7900)), output_write(0, 1)
	m := wasmModule{}
	m.section(1, "\x03\x60\x00\x00\x60\x01\x7f\x01\x7f\x60\x02\x7e\x7e\x00")
	m.section(2, "\x01\x0cpointsman:rt\x0coutput_write\x00\x02")
	m.section(3, leb(uint32(functions+1))+strings.Repeat("\x00", functions)+"\x01")
	m.section(5, "\x01\x00\x01")
	exports := leb(uint32(functions))
	for n := range functions {
		name := fmt.Sprintf("f%d", n)
		exports += leb(uint32(len(name))) + name + "\x00" + leb(uint32(1+n))
	}
	m.section(7, exports)
	m.section(10, leb(uint32(functions+1))+strings.Repeat(call, functions)+body(deep))
	return m.bytes()
}

// heap is how many bytes live in Go's heap.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what the first one found to be finalized
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// An instance that waits for a call keeps no deep stack of an earlier one, nor the stacks of
// many functions.
func TestStacksAreNotKept(t *testing.T) {
	for name, tt := range map[string]struct{ functions, depth int }{
		"deep": {3, 7900},
		"many": {1000, 1},
	} {
		t.Run(name, func(t *testing.T) {
			m := snapshotOf(t, deepStack(tt.functions, uint32(tt.depth)), 0)
			before := heap()
			for range 2 {
				for n := range tt.functions {
					if out, err := m.Call(context.Background(), fmt.Sprintf("f%d", n), nil); err != nil || string(out) != "\x00" {
						t.Fatalf("got %v, %v", out, err)
					}
				}
			}
			if n := sandbox.Made(m); n != 1 {
				t.Fatalf("%d instances: none was kept", n)
			}
			if kept := heap() - before; kept > 4<<20 {
				t.Errorf("%d KiB are kept for calls that have ended", kept>>10)
			}
			runtime.KeepAlive(m)
		})
	}
}
