package sandbox_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"pointsman/host/wasm"
)

// These tests run modules before and after host/wasm rewrote them, on wazero itself: the
// rewriting must not show, except where it is meant to.

var (
	errFuel  = errors.New("no more fuel")
	errDepth = errors.New("too deep")
)

// guest is a module that can be instantiated, with what its host has seen.
type guest struct {
	t        testing.TB
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	mod      api.Module
	seen     []uint32 // arguments of env.seen
	refuels  int
	limit    int   // refuels allowed; 0: no limit
	used     int64 // fuel charged, without what is left
}

const allowance = 200_000 // units of fuel a refuel gives

func newGuest(t testing.TB, module []byte) *guest {
	t.Helper()
	g := hostOf(t)
	g.load(module)
	return g
}

// hostOf is a guest that has no module yet.
func hostOf(t testing.TB) *guest {
	t.Helper()
	ctx := context.Background()
	// Without a cache of its own, a runtime keeps compiled code for itself only.
	g := &guest{t: t, runtime: wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(api.CoreFeaturesV2))}
	t.Cleanup(func() { g.runtime.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, g.runtime)
	if _, err := g.runtime.NewHostModuleBuilder("env").NewFunctionBuilder().
		WithFunc(func(v uint32) { g.seen = append(g.seen, v) }).Export("seen").Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := g.runtime.NewHostModuleBuilder(wasm.RuntimeModule).
		NewFunctionBuilder().WithGoFunction(api.GoFunc(func(_ context.Context, stack []uint64) {
		stack[0] = uint64(g.refuel(int64(stack[0])))
	}), []api.ValueType{api.ValueTypeI64}, []api.ValueType{api.ValueTypeI64}).Export(wasm.RefuelImport).
		NewFunctionBuilder().WithFunc(func() { panic(errDepth) }).Export(wasm.DepthImport).
		Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	return g
}

// load makes the guest one of module.
func (g *guest) load(module []byte) {
	g.t.Helper()
	var err error
	if g.compiled, err = g.runtime.CompileModule(context.Background(), module); err != nil {
		g.t.Fatalf("compile: %v", err)
	}
	g.renew()
}

func (g *guest) refuel(left int64) int64 {
	if left >= 0 {
		g.t.Errorf("refuel called with %d units left", left)
	}
	if g.refuels++; g.limit > 0 && g.refuels > g.limit {
		panic(errFuel)
	}
	g.used += allowance - left
	return allowance
}

// renew gives the guest a new instance.
func (g *guest) renew() {
	g.t.Helper()
	ctx := context.Background()
	if g.mod != nil {
		g.mod.Close(ctx)
	}
	var err error
	g.mod, err = g.runtime.InstantiateModule(ctx, g.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
	if err != nil {
		g.t.Fatalf("instantiate: %v", err)
	}
}

// outcome is everything that a call shows.
type outcome struct {
	Results []uint64
	Trap    string
	Seen    []uint32
	Memory  uint64 // hash
	Size    uint32 // bytes of memory
}

func (g *guest) call(export string, args ...uint64) outcome {
	g.t.Helper()
	g.seen = nil
	var o outcome
	results, err := g.mod.ExportedFunction(export).Call(context.Background(), args...)
	if err != nil {
		o.Trap, _, _ = strings.Cut(err.Error(), "\n")
	}
	o.Results, o.Seen = results, g.seen
	if m := g.mod.Memory(); m != nil {
		h := fnv.New64a()
		b, _ := m.Read(0, m.Size())
		h.Write(b)
		o.Memory, o.Size = h.Sum64(), m.Size()
	}
	if err != nil {
		g.renew()
	}
	return o
}

func rewritten(t testing.TB, module []byte, o wasm.Options) []byte {
	t.Helper()
	out, err := wasm.Rewrite(module, o)
	if err != nil {
		t.Fatalf("rewrite: %v", err)
	}
	return out
}

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "wasm", "testdata", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// goGuest builds the standard Go fixture.
func goGuest(t testing.TB) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "guest.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-o", out, ".")
	cmd.Dir = filepath.Join("..", "wasm", "testdata", "go-guest")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the Go guest: %v\n%s", err, text)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// depthLeft reads the depth counter.
func (g *guest) depthLeft() uint32 {
	return uint32(g.mod.ExportedGlobal(wasm.DepthExport).Get())
}

func TestHostileGuestsEnd(t *testing.T) {
	tests := []struct {
		export string
		want   error
	}{
		{"loop", errFuel},
		{"empty_blocks", errFuel},
		{"tree", errFuel},
		{"fills", errFuel},
		{"copies", errFuel},
		{"fill_4gib", errFuel}, // charged before it traps
		{"grows", errFuel},
		{"tables", errFuel},
		{"self", errDepth},
		{"ping", errDepth},
		{"indirect", errDepth},
		{"returning", errDepth},
	}
	g := newGuest(t, rewritten(t, fixture(t, "hostile"), wasm.Options{}))
	for _, tt := range tests {
		t.Run(tt.export, func(t *testing.T) {
			g.refuels, g.limit = 0, 1000
			if tt.export == "fill_4gib" {
				g.limit = 1
			}
			begin := time.Now()
			_, err := g.mod.ExportedFunction(tt.export).Call(context.Background(), 0)
			if !errors.Is(err, tt.want) {
				t.Errorf("got error %v, want %v", err, tt.want)
			}
			// 1000 refuels of 200,000 units take 0.2 s at one unit a nanosecond.
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			g.renew()
		})
	}
}

// A refuel must come round often enough, whatever the guest does: the time between two
// is what a deadline can be late by, and how long the garbage collector may wait.
func TestRefuelIsNeverFarAway(t *testing.T) {
	for _, export := range []string{"loop", "empty_blocks", "tree", "fills", "copies", "grows", "tables"} {
		t.Run(export, func(t *testing.T) {
			g := newGuest(t, rewritten(t, fixture(t, "hostile"), wasm.Options{}))
			g.limit = 200
			begin := time.Now()
			if _, err := g.mod.ExportedFunction(export).Call(context.Background(), 0); !errors.Is(err, errFuel) {
				t.Fatalf("got error %v, want %v", err, errFuel)
			}
			mean := time.Since(begin) / time.Duration(g.refuels)
			t.Logf("%v between two refuels", mean)
			if mean > 100*time.Millisecond { // 0.2 ms at one unit a nanosecond; a busy machine may be slow
				t.Errorf("%v between two refuels", mean)
			}
		})
	}
}

func TestRewritingDoesNotShow(t *testing.T) {
	arguments := []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 20, 100, 119, 8001, 65536, 131071, 131072, 0x80000000, 0xffffffff}
	// What takes long, or much: wazero grows a table without limit to as much as is asked for.
	few := map[string][]uint64{"grow_table": arguments[:12], "indirect": arguments[:11], "by_ref": arguments[:11], "fib": arguments[:11], "fac": arguments[:12], "carry": arguments[:14], "nothing": arguments[:14]}
	for _, name := range []string{"control", "memory", "segments", "overlap", "loops"} {
		t.Run(name, func(t *testing.T) {
			module := fixture(t, name)
			before := newGuest(t, module)
			after := newGuest(t, rewritten(t, module, wasm.Options{MaxMemoryPages: 5}))
			depth := after.depthLeft()
			for export, f := range before.compiled.ExportedFunctions() {
				if name == "loops" && (strings.HasPrefix(export, "ever_") || strings.HasPrefix(export, "fuel_")) {
					continue // see rewrite_loops_test.go
				}
				first := arguments
				if some, ok := few[export]; ok {
					first = some
				}
				for _, a := range first {
					calls := [][]uint64{{a}}
					if len(f.ParamTypes()) == 2 {
						calls = nil
						for _, b := range first {
							calls = append(calls, []uint64{a, b})
						}
					}
					for _, args := range calls {
						want, got := before.call(export, args...), after.call(export, args...)
						if diff := cmp.Diff(want, got); diff != "" {
							t.Errorf("%s(%d) before and after rewriting:\n%s", export, args, diff)
						}
						if left := after.depthLeft(); left != depth {
							t.Fatalf("%s(%d) leaves a depth of %d, want %d", export, args, left, depth)
						}
					}
				}
			}
		})
	}
}

func TestRewritingDoesNotShowInGo(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and compiles a Go program")
	}
	module := goGuest(t)
	before := newGuest(t, module)
	after := newGuest(t, rewritten(t, module, wasm.Options{}))
	depth := after.depthLeft()
	for _, c := range []struct {
		export string
		arg    uint64
	}{
		{"document", 0}, {"document", 3}, {"document", 64}, {"document", 300},
		{"order", 0}, {"order", 10_000}, {"talk", 500}, {"recurse", 10}, {"recurse", 2000}, {"garbage", 20},
	} {
		want, got := before.call(c.export, c.arg), after.call(c.export, c.arg)
		// The garbage collector's state depends on nothing else, so memory is the same too.
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s(%d) before and after rewriting:\n%s", c.export, c.arg, diff)
		}
		if want.Trap != "" {
			t.Errorf("%s(%d) traps: %s", c.export, c.arg, want.Trap)
		}
		if left := after.depthLeft(); left != depth {
			t.Errorf("%s(%d) leaves a depth of %d, want %d", c.export, c.arg, left, depth)
		}
	}
	if after.refuels == 0 {
		t.Error("a Go program has used no fuel")
	}
}

// The fuel that a call takes is part of what the rewriter promises to be deterministic.
func TestFuelIsCountedTheSame(t *testing.T) {
	module := rewritten(t, fixture(t, "control"), wasm.Options{})
	var used [2]int64
	for i := range used {
		g := newGuest(t, module)
		g.call("fib", 20)
		used[i] = g.used - int64(g.mod.ExportedGlobal(wasm.FuelExport).Get())
	}
	// fib(20) is 21,891 calls of 17 instructions.
	if used[0] != used[1] || used[0] < 21_891*10 || used[0] > 21_891*30 {
		t.Errorf("fib(20) used %d and %d units", used[0], used[1])
	}
}

func TestTrapNamesGuestFunctions(t *testing.T) {
	g := newGuest(t, rewritten(t, fixture(t, "hostile"), wasm.Options{}))
	_, err := g.mod.ExportedFunction("ping").Call(context.Background(), 0)
	if err == nil || !strings.Contains(err.Error(), "$pong") && !strings.Contains(err.Error(), ".pong(") {
		t.Errorf("error does not name the function pong: %.300v", err)
	}
}

func TestLimitsOfMemoryAndTable(t *testing.T) {
	g := newGuest(t, rewritten(t, fixture(t, "memory"), wasm.Options{MaxMemoryPages: 3}))
	if got := g.call("grow", 1).Results; !cmp.Equal(got, []uint64{2, 3}) {
		t.Errorf("grow(1) of 2 pages: got %v, want the old and new size 2 and 3", got)
	}
	if got := g.call("grow", 1).Results; !cmp.Equal(got, []uint64{0xffffffff, 3}) {
		t.Errorf("grow(1) at the limit: got %v, want -1 and 3", got)
	}
	g = newGuest(t, rewritten(t, fixture(t, "control"), wasm.Options{MaxTable: 10}))
	if got := g.call("grow_table", 3).Results; !cmp.Equal(got, []uint64{0xffffffff, 8}) {
		t.Errorf("growing a table of 8 by 3: got %v, want -1 and 8", got)
	}
}

func TestExportedGlobals(t *testing.T) {
	g := newGuest(t, rewritten(t, fixture(t, "control"), wasm.Options{ExportGlobals: true}))
	g.call("counter", 5)
	v, ok := g.mod.ExportedGlobal(wasm.GlobalExport + "0").(api.MutableGlobal)
	if !ok || v.Get() != 12 {
		t.Fatalf("global 0 is %v, want 12", v)
	}
	v.Set(40)
	if got := g.call("counter", 1).Results; !cmp.Equal(got, []uint64{41}) {
		t.Errorf("counter(1) from 40: got %v, want 41", got)
	}
	if g.mod.ExportedGlobal(wasm.GlobalExport+"1") != nil {
		t.Error("an immutable global is exported")
	}
}

// FuzzRewriteRuns: whatever wazero accepts and Rewrite accepts, wazero accepts rewritten.
func FuzzRewriteRuns(f *testing.F) {
	for _, name := range []string{"control", "memory", "segments", "overlap", "hostile", "loops"} {
		f.Add(fixture(f, name))
	}
	ctx := context.Background()
	// The interpreter validates as the compiler does, and fuzzing is about validation.
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(api.CoreFeaturesV2))
	f.Cleanup(func() { rt.Close(ctx) })
	f.Fuzz(func(t *testing.T, module []byte) {
		out, err := wasm.Rewrite(module, wasm.Options{MaxMemoryPages: 1 << 16})
		if err != nil {
			return
		}
		// Not its custom sections: wazero makes room for as many names as one declares, 5 GB for
		// a module of 1 KB, and Rewrite keeps none that cannot be read.
		original, errBefore := rt.CompileModule(ctx, withoutCustom(module))
		if errBefore == nil {
			original.Close(ctx)
		}
		instrumented, errAfter := rt.CompileModule(ctx, out)
		if errAfter == nil {
			instrumented.Close(ctx)
		}
		if errBefore == nil && errAfter != nil {
			t.Errorf("accepted before rewriting, after it: %v", errAfter)
		}
		if errBefore != nil && errAfter == nil {
			t.Errorf("accepted after rewriting, before it: %v", errBefore)
		}
	})
}

// withoutCustom is a module that Rewrite takes, without its custom sections.
func withoutCustom(module []byte) []byte {
	const header = 8
	out := bytes.Clone(module[:header])
	for rest := module[header:]; len(rest) > 0; {
		size, n := binary.Uvarint(rest[1:])
		end := 1 + n + int(size)
		if rest[0] != 0 {
			out = append(out, rest[:end]...)
		}
		rest = rest[end:]
	}
	return out
}

// BenchmarkFuel compares what the rewriting costs: run with -bench Fuel and compare
// before and after.
func BenchmarkFuel(b *testing.B) {
	work := []struct {
		export string
		arg    uint64
	}{{"tight", 1_000_000}, {"bytes", 1_000_000}, {"fib", 25}}
	goWork := []struct {
		export string
		arg    uint64
	}{{"document", 20}, {"order", 10_000}}
	measure := func(b *testing.B, g *guest, export string, arg uint64) {
		for b.Loop() {
			if _, err := g.mod.ExportedFunction(export).Call(context.Background(), arg); err != nil {
				b.Fatal(err)
			}
		}
	}
	module, goModule := fixture(b, "work"), goGuest(b)
	before, after := newGuest(b, module), newGuest(b, rewritten(b, module, wasm.Options{}))
	for _, w := range work {
		b.Run(w.export+"/before", func(b *testing.B) { measure(b, before, w.export, w.arg) })
		b.Run(w.export+"/after", func(b *testing.B) { measure(b, after, w.export, w.arg) })
	}
	before, after = newGuest(b, goModule), newGuest(b, rewritten(b, goModule, wasm.Options{}))
	for _, w := range goWork {
		b.Run("go-"+w.export+"/before", func(b *testing.B) { measure(b, before, w.export, w.arg) })
		b.Run("go-"+w.export+"/after", func(b *testing.B) { measure(b, after, w.export, w.arg) })
	}
}
