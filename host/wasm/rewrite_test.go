package wasm_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/wasm"
	"pointsman/pdk/wire"
)

// How rewritten modules behave is tested in host/sandbox, which has a runtime.

// parts splits a module into the contents of its sections, custom ones by name.
func parts(t testing.TB, module []byte) map[any][]byte {
	t.Helper()
	p := map[any][]byte{}
	for at := 8; at < len(module); {
		id := module[at]
		n, at2 := number(module, at+1)
		body := module[at2 : at2+n]
		if id == 0 {
			size, from := number(body, 0)
			p[string(body[from:from+size])] = body[from+size:]
		} else {
			p[id] = body
		}
		at = at2 + n
	}
	return p
}

// number reads an unsigned LEB128 number of b at at and returns what is behind it too.
func number(b []byte, at int) (n, next int) {
	v, size := binary.Uvarint(b[at:])
	return int(v), at + size
}

func rewrite(t testing.TB, module []byte, o wasm.Options) []byte {
	t.Helper()
	out, err := wasm.Rewrite(module, o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRewriteIsDeterministic(t *testing.T) {
	for _, name := range fixtures {
		module := fixture(t, name)
		first := rewrite(t, module, wasm.Options{ExportGlobals: true})
		for range 5 {
			if !bytes.Equal(first, rewrite(t, bytes.Clone(module), wasm.Options{ExportGlobals: true})) {
				t.Fatalf("%s: two results differ", name)
			}
		}
		if !bytes.Equal(module, fixture(t, name)) {
			t.Errorf("%s: the argument was written to", name)
		}
	}
}

func TestRuntimeModuleIsTheOneOfThePDK(t *testing.T) {
	if wasm.RuntimeModule != wire.RuntimeModule || wasm.ReservedPrefix != wire.ModulePrefix {
		t.Errorf("%q and %q differ from those of pdk/wire", wasm.RuntimeModule, wasm.ReservedPrefix)
	}
}

func TestRename(t *testing.T) {
	from, to := wasm.ImportName{Module: "a", Name: "x"}, wasm.ImportName{Module: "pointsman:host", Name: "a_x"}
	module := moduleOf(types, section(2, vec(3, name("a"), name("x"), 0, 0, name("a"), name("y"), 0, 0, name("a"), name("x"), 0, 0)))
	out := parts(t, rewrite(t, module, wasm.Options{Rename: map[wasm.ImportName]wasm.ImportName{from: to}}))
	renamed := cat(name("pointsman:host"), name("a_x"), 0, 0)
	want := vec(5, renamed, name("a"), name("y"), 0, 0, renamed,
		name("pointsman:rt"), name("refuel"), 0, 2, name("pointsman:rt"), name("depth"), 0, 0)
	// Types: () -> () is there, the helpers' (i32) -> (i32) comes second, (i64) -> (i64) third.
	if diff := cmp.Diff(want, out[byte(2)]); diff != "" {
		t.Errorf("imports (-want +got):\n%s", diff)
	}
}

func TestCustomSectionsGoButForNames(t *testing.T) {
	names := cat(1, name(string(vec(2, 0, name("imported"), 1, name("own")))), // functions
		2, name(string(vec(1, 1, vec(1, 0, name("local")))))) // locals
	module := moduleOf(section(0, name("first"), "x"), types, section(2, vec(1, name("a"), name("x"), 0, 0)), oneFunc,
		section(10, vec(1, function(u(0), nil))), section(0, name("name"), names), section(0, name("producers"), "y"))
	out := parts(t, rewrite(t, module, wasm.Options{}))
	want := vec(7, 0, name("imported"), 3, name("own"), 4, name("pointsman.out_of_fuel"), 5, name("pointsman.charge_bytes"),
		6, name("pointsman.charge_items"), 7, name("pointsman.charge_pages"), 8, name("pointsman.charge_loop"))
	if diff := cmp.Diff(cat(1, uint64(len(want)), want), out["name"]); diff != "" {
		t.Errorf("name section (-want +got):\n%s", diff)
	}
	for _, gone := range []string{"first", "producers"} {
		if _, ok := out[gone]; ok {
			t.Errorf("custom section %s is still there", gone)
		}
	}
}

// A runtime writes a function's name into a trace once for each frame.
func TestLongNamesAreCut(t *testing.T) {
	for _, tt := range []struct{ given, want string }{
		{strings.Repeat("n", 256), strings.Repeat("n", 256)},
		{strings.Repeat("n", 1<<20), strings.Repeat("n", 256)},
		{"n" + strings.Repeat("é", 1<<10), "n" + strings.Repeat("é", 127)}, // never in the middle of a character
	} {
		names := cat(1, name(string(vec(1, 0, name(tt.given)))))
		module := moduleOf(types, oneFunc, section(10, vec(1, function(u(0), nil))), section(0, name("name"), names))
		got := parts(t, rewrite(t, module, wasm.Options{}))["name"]
		if want := cat(2, name(tt.want), 3); !bytes.Contains(got, want) {
			t.Errorf("a name of %d bytes: got a section of %d bytes without the %d expected", len(tt.given), len(got), len(tt.want))
		}
	}
}

func TestBrokenNamesGo(t *testing.T) {
	for _, names := range [][]byte{
		{1}, {1, 200}, cat(1, name(string(vec(1, 9, name("x"))))), cat(1, name(string(vec(1, 0, name("\xff"))))),
		cat(1, name(string(vec(1)))), cat(0, name("\x05ab")), cat(0, name("\x00ab")),
		cat(1, name(string(vec(2, 0, name("x"), 0, name("y"))))),
	} {
		module := moduleOf(types, oneFunc, section(10, vec(1, function(u(0), nil))), section(0, name("name"), names))
		if n, ok := parts(t, rewrite(t, module, wasm.Options{}))["name"]; ok {
			t.Errorf("name section % x became % x, want none", names, n)
		}
	}
}

func TestDataSegmentsAreJoined(t *testing.T) {
	at := func(offset int, data string) []byte { return cat(0, 0x41, offset, 0x0b, name(data)) }
	far := cat(0, 0x41, 0x80, 0xf0, 0, 0x0b, name("far")) // 14336
	tests := []struct {
		name string
		in   []byte
		want []byte
	}{
		{"none", vec(0), nil},
		{"one", vec(1, at(3, "abc")), vec(1, at(3, "abc"))},
		{"adjacent", vec(2, at(3, "abc"), at(6, "de")), vec(1, at(3, "abcde"))},
		{"gap", vec(2, at(3, "abc"), at(8, "de")), vec(1, at(3, "abc\x00\x00de"))},
		{"not in order", vec(3, at(8, "de"), at(20, "f"), at(3, "abc")), vec(1, at(3, "abc\x00\x00de\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00f"))},
		{"far", vec(2, at(3, "abc"), far), vec(2, at(3, "abc"), far)},
		{"empty", vec(2, at(3, "abc"), at(9, "")), vec(1, at(3, "abc"))},
		{"overlapping", vec(3, at(3, "abc"), at(5, "xyz"), at(8, "d")), vec(3, at(3, "abc"), at(5, "xyz"), at(8, "d"))},
		{"passive", vec(3, at(3, "abc"), cat(1, name("p")), at(6, "d")), vec(1, at(3, "abcd"))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := parts(t, rewrite(t, moduleOf(oneMemory, section(11, tt.in)), wasm.Options{}))
			if diff := cmp.Diff(tt.want, out[byte(11)]); diff != "" {
				t.Errorf("data section (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDataSegmentsUsedByNumberStay(t *testing.T) {
	data := vec(2, cat(0, 0x41, 3, 0x0b, name("abc")), cat(0, 0x41, 6, 0x0b, name("de")))
	for _, use := range [][]byte{{0xfc, 9, 1}, {0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 8, 0, 0}} {
		module := moduleOf(types, oneFunc, oneMemory, section(12, 2), section(10, vec(1, function(u(0), use))), section(11, data))
		out := parts(t, rewrite(t, module, wasm.Options{}))
		if diff := cmp.Diff(data, out[byte(11)]); diff != "" {
			t.Errorf("data section (-want +got):\n%s", diff)
		}
	}
}

func TestBoundsAreClamped(t *testing.T) {
	module := func(memory, table []byte) []byte {
		return moduleOf(section(4, vec(1, 0x70, table)), section(5, vec(1, memory)))
	}
	o := wasm.Options{MaxMemoryPages: 10, MaxTable: 20}
	tests := []struct {
		name          string
		memory, table []byte
		wantM, wantT  []byte
	}{
		{"no maximum", cat(0, 1), cat(0, 2), cat(1, 1, 10), cat(1, 2, 20)},
		{"higher", cat(1, 1, 100), cat(1, 2, 100), cat(1, 1, 10), cat(1, 2, 20)},
		{"lower", cat(1, 1, 3), cat(1, 2, 4), cat(1, 1, 3), cat(1, 2, 4)},
		{"equal", cat(0, 10), cat(0, 20), cat(1, 10, 10), cat(1, 20, 20)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := parts(t, rewrite(t, module(tt.memory, tt.table), o))
			if diff := cmp.Diff(vec(1, tt.wantM), out[byte(5)]); diff != "" {
				t.Errorf("memory (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(vec(1, 0x70, tt.wantT), out[byte(4)]); diff != "" {
				t.Errorf("table (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAppendCustom(t *testing.T) {
	module := fixture(t, "memory")
	once, err := wasm.AppendCustom(module, wire.PluginSection, []byte("name: a"))
	if err != nil {
		t.Fatal(err)
	}
	twice, err := wasm.AppendCustom(once, wire.PluginSection, []byte("name: b"))
	if err != nil {
		t.Fatal(err)
	}
	for want, m := range map[string][]byte{"name: a": once, "name: b": twice} {
		info, err := wasm.Inspect(m)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(info.Custom[wire.PluginSection]); got != want || !info.HasNames {
			t.Errorf("section %q, names %v; want %q, true", got, info.HasNames, want)
		}
	}
	if !bytes.Equal(rewrite(t, module, wasm.Options{}), rewrite(t, twice, wasm.Options{})) {
		t.Error("the section changes what is run")
	}
	for _, broken := range [][]byte{nil, []byte("text"), module[:len(module)-1], moduleOf([]byte{0, 1, 5})} {
		if _, err := wasm.AppendCustom(broken, "x", nil); err == nil {
			t.Errorf("% x is accepted", broken)
		}
	}
}

// build makes a real plugin.
func build(t testing.TB, env []string, dir string, args ...string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out.wasm")
	cmd := exec.Command(args[0], append(args[1:], "-o", out)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, text)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func goGuest(t testing.TB) []byte {
	return build(t, []string{"GOOS=wasip1", "GOARCH=wasm"}, filepath.Join("testdata", "go-guest"),
		"go", "build", "-buildmode=c-shared")
}

func TestRealModules(t *testing.T) {
	t.Run("Go", func(t *testing.T) {
		if testing.Short() {
			t.Skip("builds a Go program")
		}
		module := goGuest(t)
		info, err := wasm.Inspect(module)
		if err != nil {
			t.Fatal(err)
		}
		out := rewrite(t, module, wasm.Options{})
		if info.Functions < 1000 || info.DataSegments < 10_000 || info.Lasting != "" {
			t.Errorf("%d functions, %d data segments, lasting %q", info.Functions, info.DataSegments, info.Lasting)
		}
		if n, _ := number(parts(t, out)[byte(11)], 0); n > 10 {
			t.Errorf("%d data segments of %d are left, want a handful", n, info.DataSegments)
		}
		if growth := float64(len(out)) / float64(len(module)); growth > 1.3 {
			t.Errorf("the module grows by %.2f", growth)
		}
	})
	t.Run("C", func(t *testing.T) {
		if _, err := exec.LookPath("clang"); err != nil {
			t.Skip("clang is not present")
		}
		for _, level := range []string{"-O0", "-O2"} {
			module := build(t, nil, "testdata", "clang", "--target=wasm32", level, "-nostdlib", "-mbulk-memory", "-msimd128",
				"-Wl,--no-entry", "-Wl,--export-dynamic", "c-guest.c")
			rewrite(t, module, wasm.Options{})
		}
	})
}

func BenchmarkRewriteGo(b *testing.B) {
	module := goGuest(b)
	b.SetBytes(int64(len(module)))
	b.ReportAllocs()
	for b.Loop() {
		rewrite(b, module, wasm.Options{})
	}
}

// FuzzRewrite: no input panics, what is accepted by one function is by the others, and
// results are equal and sound as far as this package can tell.
func FuzzRewrite(f *testing.F) {
	for _, name := range fixtures {
		f.Add(fixture(f, name))
	}
	for _, h := range hostile() {
		if len(h.module) < 10_000 {
			f.Add(h.module)
		}
	}
	f.Fuzz(func(t *testing.T, module []byte) {
		o := wasm.Options{MaxMemoryPages: 1 << 16}
		_, errInspect := wasm.Inspect(module)
		out, err := wasm.Rewrite(module, o)
		if (errInspect == nil) != (err == nil) {
			t.Fatalf("Inspect: %v, Rewrite: %v", errInspect, err)
		}
		if err != nil {
			return
		}
		again, err := wasm.Rewrite(module, o)
		if err != nil || !bytes.Equal(out, again) {
			t.Error("two results differ")
		}
		// Under other names, what Rewrite adds passes the check too.
		out = bytes.Replace(out, []byte(wasm.RuntimeModule+"\x06refuel"), []byte("otherhost:rt\x06refuel"), 1)
		out = bytes.Replace(out, []byte(wasm.RuntimeModule+"\x05depth"), []byte("otherhost:rt\x05depth"), 1)
		out = bytes.Replace(out, []byte(wasm.FuelExport), []byte("otherhost:fuel"), 1)
		out = bytes.Replace(out, []byte(wasm.DepthExport), []byte("otherhost:depth"), 1)
		out = bytes.Replace(out, []byte(wasm.StartExport), []byte("otherhost:start"), 1)
		// Its blocks, and one local for each function, come on top of as many as a module may have.
		_, err = wasm.Inspect(out)
		onTop := func(limit string) bool { return strings.Contains(err.Error(), limit) }
		if err != nil && !slices.ContainsFunc([]string{"blocks over", "blocks nested", "locals in all functions", "a function with 50001 locals"}, onTop) {
			t.Errorf("what Rewrite returns is refused: %v", err)
		}
	})
}
