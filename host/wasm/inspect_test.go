package wasm_test

import (
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/wasm"
)

func TestInspect(t *testing.T) {
	module := fixture(t, "memory")
	info, err := wasm.Inspect(module)
	if err != nil {
		t.Fatal(err)
	}
	sig := func(params, results string) wasm.FuncType {
		list := func(s string) (l []wasm.ValueType) {
			for _, c := range s {
				l = append(l, map[rune]wasm.ValueType{'i': wasm.I32, 'I': wasm.I64}[c])
			}
			return l
		}
		return wasm.FuncType{Params: list(params), Results: list(results)}
	}
	want := &wasm.Info{
		Size:   len(module),
		SHA256: sha256.Sum256(module),
		Exports: []wasm.Export{
			{Name: "memory", Kind: wasm.MemoryExport},
			{Name: "fill", Index: 0, Type: sig("ii", "")},
			{Name: "copy", Index: 1, Type: sig("ii", "")},
			{Name: "grow", Index: 2, Type: sig("i", "ii")},
			{Name: "load", Index: 3, Type: sig("i", "I")},
			{Name: "store", Index: 4, Type: sig("ii", "i")},
		},
		Custom:       info.Custom,
		HasNames:     true,
		Functions:    5,
		CodeSize:     info.CodeSize,
		LargestBody:  info.LargestBody,
		DataSegments: 6,
		Memory:       &wasm.Bounds{Min: 2, Max: 5, HasMax: true},
	}
	if diff := cmp.Diff(want, info); diff != "" {
		t.Errorf("Inspect (-want +got):\n%s", diff)
	}
	if info.CodeSize < info.LargestBody || info.LargestBody < 10 {
		t.Errorf("code of %d bytes, the largest body %d", info.CodeSize, info.LargestBody)
	}
	if _, ok := info.Custom["name"]; !ok || len(info.Custom) != 1 {
		t.Errorf("custom sections %v, want name", info.Custom)
	}
}

func TestInspectImports(t *testing.T) {
	info, err := wasm.Inspect(fixture(t, "control"))
	if err != nil {
		t.Fatal(err)
	}
	if len(info.Imports) != 1 || info.Imports[0].String() != "env.seen" || info.Imports[0].Type.String() != "(i32)" {
		t.Errorf("imports %v, want env.seen (i32)", info.Imports)
	}
}

func TestLasting(t *testing.T) {
	tests := []struct {
		name   string
		module []byte
		want   string
	}{
		{"nothing", withCode(0x41, 0, 0x1a), ""},
		{"memory", withCode(0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 11, 0), ""},
		{"table.set", withCode(0x41, 0, 0xd0, 0x70, 0x26, 0), "table.set"},
		{"table.grow", withCode(0xd0, 0x70, 0x41, 0, 0xfc, 15, 0, 0x1a), "table.init, copy, grow or fill"},
		{"vector", moduleOf(section(6, vec(1, 0x7b, 1, 0xfd, 12, make([]byte, 16), 0x0b))), "a mutable global of type v128"},
		{"constant vector", moduleOf(section(6, vec(1, 0x7b, 0, 0xfd, 12, make([]byte, 16), 0x0b))), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			info, err := wasm.Inspect(tt.module)
			if err != nil {
				t.Fatal(err)
			}
			if info.Lasting != tt.want {
				t.Errorf("lasting %q, want %q", info.Lasting, tt.want)
			}
		})
	}
}

// What is at a limit passes.
func TestAtTheLimits(t *testing.T) {
	block, end := []byte{0x02, 0x40}, []byte{0x0b}
	tests := []struct {
		name   string
		module []byte
	}{
		{"empty", moduleOf()},
		{"50,000 locals", withLocals(vec(1, uint64(50_000), 0x7f))},
		{"1,999 nested blocks", withCode(repeat(block, 1999), repeat(end, 1999))},
		{"2,000 nested blocks", withCode(repeat(block, 2000), repeat(end, 2000))},
		{"body of 256 KiB", withCode(repeat([]byte{0x01}, 256<<10-2))},
		{"br_table of 10,000", withCode(0x41, 0, 0x0e, vec(10_000, make([]byte, 10_001)))},
		{"2,000 loops", withCode(repeat([]byte{0x03, 0x40, 0x0b}, 2000))},
		{"table of 100,000", moduleOf(section(4, vec(1, 0x70, 0, uint64(100_000))))},
		{"data up to the end", moduleOf(oneMemory, section(11, vec(1, 0, 0x41, 0xfe, 0xff, 3, 0x0b, name("ab"))))},
		{"padded numbers", moduleOf(section(5, vec(1, 0, 0x81, 0x80, 0x80, 0x80, 0)))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := wasm.Rewrite(tt.module, wasm.Options{})
			if err != nil || len(out) < len(tt.module) {
				t.Errorf("got %d bytes, error %v", len(out), err)
			}
		})
	}
}

// The fixtures are what wat2wasm makes of their sources.
func TestFixturesAreBuiltFromTheirSources(t *testing.T) {
	tool, err := exec.LookPath("wat2wasm")
	if err != nil {
		t.Skip("wat2wasm is not present")
	}
	for _, name := range fixtures {
		out := filepath.Join(t.TempDir(), "out.wasm")
		cmd := exec.Command(tool, "--debug-names", filepath.Join("testdata", "wat", name+".wat"), "-o", out)
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if !cmp.Equal(b, fixture(t, name)) {
			t.Errorf("testdata/%s.wasm is not what wat2wasm makes of testdata/wat/%s.wat", name, name)
		}
	}
}

func TestMemoryLimit(t *testing.T) {
	tests := []struct {
		memory *wasm.Bounds
		most   uint32
		want   uint32
	}{
		{nil, 10, 0},
		{&wasm.Bounds{Min: 1}, 10, 10},
		{&wasm.Bounds{Min: 1, Max: 4, HasMax: true}, 10, 4},
		{&wasm.Bounds{Min: 1, Max: 40, HasMax: true}, 10, 10},
		{&wasm.Bounds{Min: 1, Max: 40}, 10, 10},
	}
	for _, tt := range tests {
		if got := (&wasm.Info{Memory: tt.memory}).MemoryLimit(tt.most); got != tt.want {
			t.Errorf("%+v of at most %d: got %d, want %d", tt.memory, tt.most, got, tt.want)
		}
	}
}
