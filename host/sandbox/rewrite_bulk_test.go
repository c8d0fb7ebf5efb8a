package sandbox_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"pgregory.net/rapid"

	"pointsman/host/wasm"
)

// memory.fill and memory.copy are rewritten to run in pieces. These tests compare them
// with the instructions of wazero, which know no pieces.

const piece = wasm.BulkPiece

// bulkModule has a memory of the given pages and two functions of (i32, i32, i32), "fill"
// and "copy", that are the instructions and nothing else.
func bulkModule(pages uint32) []byte {
	m := wasmModule{}
	m.section(1, "\x01\x60\x03\x7f\x7f\x7f\x00")
	m.section(3, "\x02\x00\x00")
	m.section(5, "\x01\x00"+leb(pages))
	m.section(7, "\x03\x06memory\x02\x00\x04fill\x00\x00\x04copy\x00\x01")
	m.section(10, "\x02"+"\x0b\x00\x20\x00\x20\x01\x20\x02\xfc\x0b\x00\x0b"+"\x0c\x00\x20\x00\x20\x01\x20\x02\xfc\x0a\x00\x00\x0b")
	m.section(0, "\x04name"+"\x00\x06\x05guest"+"\x01\x0f\x02\x00\x05guest\x01\x05other")
	return m.bytes()
}

// wasmModule is a module being written, without its first eight bytes.
type wasmModule []byte

func (m *wasmModule) section(id byte, contents string) {
	*m = append(append(append(*m, id), leb(uint32(len(contents)))...), contents...)
}

func (m wasmModule) bytes() []byte { return append([]byte("\x00asm\x01\x00\x00\x00"), m...) }

// leb is an unsigned LEB128 number, signed a signed one of 32 bits below 2^31.
func leb(n uint32) string { return string(binary.AppendUvarint(nil, uint64(n))) }

func signed(n uint32) string {
	var b []byte
	for ; n >= 0x40; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return string(append(b, byte(n)))
}

// initModule has a passive data segment of n bytes and a function "init" of (i32) that
// copies all of it to an address.
func initModule(n uint32) []byte {
	m := wasmModule{}
	m.section(1, "\x01\x60\x01\x7f\x00")
	m.section(3, "\x01\x00")
	m.section(5, "\x01\x00"+leb(n>>16+2))
	m.section(7, "\x01\x04init\x00\x00")
	m.section(12, "\x01")
	code := "\x00\x20\x00\x41\x00\x41" + signed(n) + "\xfc\x08\x00\x00\x0b"
	m.section(10, "\x01"+leb(uint32(len(code)))+code)
	m.section(11, "\x01\x01"+leb(n)+strings.Repeat("x", int(n)))
	return m.bytes()
}

// bulkGuest is an instance of bulkModule.
type bulkGuest struct {
	mod     api.Module
	fuel    int64 // what a refuel gives
	refuels int
	stopAt  int // the refuel that stops the guest; 0: none
}

func newBulkGuest(t testing.TB, module []byte) *bulkGuest {
	t.Helper()
	ctx := context.Background()
	g := &bulkGuest{fuel: allowance}
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(api.CoreFeaturesV2))
	t.Cleanup(func() { r.Close(ctx) })
	refuel := func(_ context.Context, stack []uint64) {
		if g.refuels++; g.refuels == g.stopAt {
			panic(errFuel)
		}
		stack[0] = uint64(g.fuel)
	}
	_, err := r.NewHostModuleBuilder(wasm.RuntimeModule).
		NewFunctionBuilder().WithGoFunction(api.GoFunc(refuel), []api.ValueType{api.ValueTypeI64}, []api.ValueType{api.ValueTypeI64}).Export(wasm.RefuelImport).
		NewFunctionBuilder().WithFunc(func() { panic(errDepth) }).Export(wasm.DepthImport).
		Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if g.mod, err = r.Instantiate(ctx, module); err != nil {
		t.Fatal(err)
	}
	return g
}

// twins are the module as it is and as it is rewritten.
func twins(t testing.TB, pages uint32) (before, after *bulkGuest) {
	t.Helper()
	module := bulkModule(pages)
	return newBulkGuest(t, module), newBulkGuest(t, rewritten(t, module, wasm.Options{MaxMemoryPages: 1 << 16}))
}

func (g *bulkGuest) call(export string, a, b, n uint32) error {
	_, err := g.mod.ExportedFunction(export).Call(context.Background(), uint64(a), uint64(b), uint64(n))
	return err
}

// memory is the guest's memory itself.
func (g *bulkGuest) memory() []byte {
	m, _ := g.mod.Memory().Read(0, g.mod.Memory().Size())
	return m
}

// noise fills b so that no two places look alike.
func noise(b []byte) {
	rand.NewChaCha8([32]byte{1}).Read(b)
}

// same reports where two memories differ first.
func same(a, b []byte) error {
	if bytes.Equal(a, b) {
		return nil
	}
	for i := range a {
		if a[i] != b[i] {
			return fmt.Errorf("byte %d is %d, want %d", i, b[i], a[i])
		}
	}
	return fmt.Errorf("%d bytes, want %d", len(b), len(a))
}

// firstLine is what an error says without its stack.
func firstLine(err error) string {
	if err == nil {
		return ""
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

func TestBulkOperationsInPieces(t *testing.T) {
	const pages = 6*piece>>16 + 1 // not a multiple of pieces
	const end = pages << 16
	before, after := twins(t, pages)
	lengths := []uint32{
		0, 1, 8, piece - 1, piece, piece + 1, 2*piece - 1, 2 * piece, 2*piece + 1, 3 * piece, 5*piece + 7, end - 1, end, end + 1,
		1<<31 - 1, 1 << 31, 1<<31 + 1, 1<<32 - piece - 1, 1<<32 - piece, 1<<32 - 1,
	}
	// places are where a range of n bytes may begin: at the ends, and out of bounds by one.
	places := func(n uint32) []uint32 {
		return []uint32{0, 1, 3 * piece, end - n - 1, end - n, end - n + 1, end - 1, end, end + 1, -n, 1<<32 - 1}
	}
	var traps, fits int
	check := func(export string, a, b, n uint32) {
		t.Helper()
		noise(before.memory())
		copy(after.memory(), before.memory())
		errBefore, errAfter := before.call(export, a, b, n), after.call(export, a, b, n)
		if firstLine(errBefore) != firstLine(errAfter) {
			t.Errorf("%s(%d, %d, %d): got %q, want %q", export, a, b, n, firstLine(errAfter), firstLine(errBefore))
		}
		if err := same(before.memory(), after.memory()); err != nil {
			t.Errorf("%s(%d, %d, %d): %v", export, a, b, n, err)
		}
		if errBefore != nil {
			traps++
		} else {
			fits++
		}
	}
	for _, n := range lengths {
		for _, a := range places(n) {
			check("fill", a, 0x1_5a, n) // the value is taken modulo 256
		}
		for _, d := range []uint32{0, end - n, end - n + 1} {
			check("copy", d, 0, n)
			check("copy", d, end-n, n)
			check("copy", d, end-n+1, n)
			check("copy", d, 1<<32-1, n)
		}
		for _, by := range []uint32{1, 7, piece - 1, piece, piece + 1, 2 * piece} { // overlapping
			check("copy", 0, by, n)
			check("copy", by, 0, n)
			check("copy", end-n, end-n-by, n)
			check("copy", end-n-by, end-n, n)
		}
	}
	if traps < 100 || fits < 100 {
		t.Errorf("%d trap and %d do not: the cases are not what they were meant to be", traps, fits)
	}
}

// Any sequence of operations leaves the same memory and the same traps.
func TestBulkOperationsInPiecesProperty(t *testing.T) {
	const pages = 3*piece>>16 + 1
	before, after := twins(t, pages)
	near := func(around ...uint32) *rapid.Generator[uint32] {
		return rapid.Custom(func(t *rapid.T) uint32 {
			return rapid.SampledFrom(around).Draw(t, "around") + rapid.Uint32Range(0, 6).Draw(t, "by") - 3
		})
	}
	number := rapid.OneOf(
		near(0, piece, 2*piece, 3*piece, pages<<16),
		rapid.Uint32Range(0, pages<<16),
		rapid.Uint32(),
	)
	rapid.Check(t, func(t *rapid.T) {
		noise(before.memory())
		copy(after.memory(), before.memory())
		for range rapid.IntRange(1, 4).Draw(t, "operations") {
			export := rapid.SampledFrom([]string{"fill", "copy"}).Draw(t, "export")
			a, b, n := number.Draw(t, "a"), number.Draw(t, "b"), number.Draw(t, "n")
			errBefore, errAfter := before.call(export, a, b, n), after.call(export, a, b, n)
			if firstLine(errBefore) != firstLine(errAfter) {
				t.Fatalf("%s(%d, %d, %d): got %q, want %q", export, a, b, n, firstLine(errAfter), firstLine(errBefore))
			}
			if err := same(before.memory(), after.memory()); err != nil {
				t.Fatalf("%s(%d, %d, %d): %v", export, a, b, n, err)
			}
		}
	})
}

// The host is asked between any two pieces, and what it stops is as far as it got.
func TestFuelIsLookedAtBetweenPieces(t *testing.T) {
	const pages = 12 * piece >> 16
	const n = 10*piece + 8 // ten pieces, then the rest
	tests := []struct {
		name, export string
		a, b, n      uint32
		wantCharges  int
	}{
		{"fill of a piece", "fill", 0, 1, piece, 1},
		{"fill of more", "fill", 0, 1, piece + 8, 2},
		{"fill of ten and a rest", "fill", 3, 1, n, 11},
		{"copy of a piece", "copy", 0, 9, piece, 1},
		{"copy down", "copy", 0, 9, n, 11},
		{"copy up", "copy", 9, 0, n, 11},
		{"fill of all there is", "fill", 0, 1, 12 * piece, 12},
		{"copy of all there is", "copy", 0, 0, 12 * piece, 12},
		{"copy up to the end", "copy", pages<<16 - n, 0, n, 11},
		{"copy down from the end", "copy", 0, pages<<16 - n, n, 11},
		{"fill out of bounds", "fill", pages<<16 - 5, 1, n, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, g := twins(t, pages)
			g.fuel = 0 // every charge asks
			g.call(tt.export, tt.a, tt.b, tt.n)
			if got := g.refuels - 1; got != tt.wantCharges { // one is the function's own
				t.Errorf("%d refuels, want %d", got, tt.wantCharges)
			}
		})
	}
	t.Run("stopped", func(t *testing.T) {
		_, g := twins(t, pages)
		g.fuel, g.stopAt = 0, 1+5 // the function, four pieces, then no more
		if err := g.call("fill", 100, 1, n); !errors.Is(err, errFuel) {
			t.Fatalf("got error %v, want %v", err, errFuel)
		}
		want := make([]byte, pages<<16)
		for i := range 4 * piece {
			want[100+i] = 1
		}
		if err := same(want, g.memory()); err != nil {
			t.Error(err)
		}
	})
}

// The units paid are those of the whole length, however it is cut.
func TestPiecesCostNoMore(t *testing.T) {
	const pages = 8 * piece >> 16
	_, g := twins(t, pages)
	g.fuel = 1 << 40
	g.call("fill", 0, 0, 0)
	left := func() int64 { return int64(g.mod.ExportedGlobal(wasm.FuelExport).Get()) }
	at := left()
	g.call("fill", 0, 0, 0)
	call := at - left() // what a call costs besides
	for _, n := range []uint32{8, piece, piece + 64, 7*piece + 64} {
		for _, export := range []string{"fill", "copy"} {
			at := left()
			if err := g.call(export, 0, 1, n); err != nil {
				t.Fatal(err)
			}
			if got, want := at-left()-call, int64(n/8); got != want {
				t.Errorf("%s of %d bytes costs %d units, want %d", export, n, got, want)
			}
		}
	}
}

// A trap names the guest's function, as it did when the instruction stood there.
func TestTrapInABulkOperationNamesTheGuest(t *testing.T) {
	_, g := twins(t, 1)
	err := g.call("fill", 0, 0, 1<<17)
	if err == nil || !strings.Contains(err.Error(), "out of bounds memory access") || !strings.Contains(err.Error(), "guest(") {
		t.Errorf("got error %v", err)
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		line = strings.TrimPrefix(strings.TrimSpace(line), ".") // before it, a module's name would stand
		if strings.Contains(line, "fill(") && !strings.HasPrefix(line, "pointsman.") {
			t.Errorf("the frame %q does not begin with the prefix of what Rewrite adds", line)
		}
	}
}

// Lengths beyond 2^31, up to the last byte of the largest memory that can be used: wazero
// takes one of 4 GiB for an empty one.
func TestBulkOperationsOfGigabytes(t *testing.T) {
	if testing.Short() {
		t.Skip("writes to 2 GiB of memory")
	}
	if free := available(); free < 8<<30 {
		t.Skipf("needs 8 GiB of memory, %d MiB are there", free>>20)
	}
	const pages = 1<<16 - 1
	const end = pages << 16
	const n = 1<<31 + 1
	const from = end - n
	_, g := twins(t, pages)
	set := func(at uint32, v byte) { g.mod.Memory().WriteByte(at, v) }
	want := func(at uint32, v byte) {
		t.Helper()
		if got, _ := g.mod.Memory().ReadByte(at); got != v {
			t.Errorf("byte %d is %d, want %d", at, got, v)
		}
	}
	call := func(export string, a, b, n uint32) {
		t.Helper()
		if err := g.call(export, a, b, n); err != nil {
			t.Fatalf("%s(%d, %d, %d): %v", export, a, b, n, err)
		}
	}
	call("fill", from, 7, n)
	want(from-1, 0)
	want(from, 7)
	want(3<<30, 7)
	want(end-1, 7)
	set(from, 1)
	set(end-2, 2)
	call("copy", from+1, from, n-1) // up by one
	want(from, 1)
	want(from+1, 1)
	want(from+2, 7)
	want(end-2, 7)
	want(end-1, 2)
	for _, c := range []struct {
		export  string
		a, b, n uint32
	}{{"fill", from + 1, 9, n}, {"fill", 1 << 16, 9, 1<<32 - 1<<16}, {"copy", from + 1, 0, n}, {"copy", 0, from + 1, n}} {
		if err := g.call(c.export, c.a, c.b, c.n); err == nil {
			t.Errorf("%+v does not trap", c)
		}
		want(0, 0)
		want(from+2, 7)
		want(1<<16, 0)
	}
}

// available is how many bytes of memory can be had, 0 if the system does not say.
func available() (n uint64) {
	text, _ := os.ReadFile("/proc/meminfo")
	_, line, _ := strings.Cut(string(text), "MemAvailable:")
	fmt.Sscan(line, &n)
	return n << 10
}

// BenchmarkBulk compares the instructions before and after rewriting.
func BenchmarkBulk(b *testing.B) {
	before, after := twins(b, 1025)
	for _, export := range []string{"fill", "copy"} {
		for _, size := range []struct {
			name string
			n    uint32
		}{{"64B", 64}, {"64KiB", 64 << 10}, {"1MiB", 1 << 20}, {"64MiB", 64 << 20}} {
			for _, g := range []struct {
				name  string
				guest *bulkGuest
			}{{"before", before}, {"after", after}} {
				b.Run(export+"/"+size.name+"/"+g.name, func(b *testing.B) {
					f := g.guest.mod.ExportedFunction(export)
					ctx, stack := context.Background(), make([]uint64, 3)
					b.SetBytes(int64(size.n))
					for b.Loop() {
						stack[0], stack[1], stack[2] = 9, 0, uint64(size.n)
						if err := f.CallWithStack(ctx, stack); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}

// BenchmarkMemoryInit is the longest that a bulk instruction which runs as a whole can
// take: all of the largest module, to memory that was not touched before ("cold") and to
// memory that was.
func BenchmarkMemoryInit(b *testing.B) {
	const n = wasm.MaxModule - 1024
	module := rewritten(b, initModule(n), wasm.Options{})
	for _, cold := range []bool{true, false} {
		b.Run(map[bool]string{true: "cold", false: "warm"}[cold], func(b *testing.B) {
			g := newBulkGuest(b, module)
			b.SetBytes(n)
			for b.Loop() {
				if cold {
					b.StopTimer()
					g = newBulkGuest(b, module)
					b.StartTimer()
				}
				if _, err := g.mod.ExportedFunction("init").Call(context.Background(), 100); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
