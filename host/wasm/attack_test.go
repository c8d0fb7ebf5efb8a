package wasm_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"pointsman/host/wasm"
)

// Modules that did harm to a compiler or a process, and where the check notices. What else
// is refused stands in hostile.
func TestAttacksAreRefused(t *testing.T) {
	const many = uint64(1_000_000)
	block, loop, end := []byte{0x02, 0x40}, []byte{0x03, 0x40, 0x0b}, []byte{0x0b}
	const code = 29 // offset of the code section that withCode writes
	tests := []struct {
		name   string
		module []byte
		size   int // bytes of the module at most; 0 where it makes no difference
		offset int
		reason string
	}{
		{"component", []byte("\x00asm\x0d\x00\x01\x00"), 8, 4, "a Wasm component; only core modules are accepted"},
		{"40 tables", moduleOf(section(4, vec(40, repeat(cat(0x70, 0, uint64(1<<27)), 40)))), 330, 11, "40 tables, at most 1 are allowed"},
		{"40 tables in 280 bytes", moduleOf(section(4, vec(40, repeat(cat(0x70, 0, uint64(1<<20)), 40)))), 280, 11, "40 tables, at most 1 are allowed"},
		{"table of 2^27", moduleOf(section(4, vec(1, 0x70, 0, uint64(1<<27)))), 20, 12, "a table of 134217728 at least, at most 100000 are allowed"},
		{"60 million locals", withLocals(vec(1, uint64(60_000_000), 0x7f)), 29, 23, "a function with 60000000 locals, at most 50000 are allowed"},
		{"300,000 nested blocks", withCode(repeat(block, 300_000), repeat(end, 300_000)), 0, code + 8, "a function of 900002 bytes, at most 262144 are allowed"},
		{"80,000 nested blocks", withCode(repeat(block, 80_000), repeat(end, 80_000)), 0, code + 9 + 2000*2, "blocks nested more than 2000 deep"},
		// They took 20 s to compile; see MaxLoops.
		{"20,000 loops", withCode(repeat(loop, 20_000)), 0, code + 9 + 2000*3, "more than 2000 loops in one function"},
		// Each is within MaxTable; the third is one too many.
		{"300,000 elements in three segments", moduleOf(types, oneFunc, oneTable, section(9, vec(3, repeat(cat(1, 0, vec(100_000, make([]byte, 100_000))), 3)))), 0, 200_041, "more than 200000 elements in all segments"},
		{"a million functions", moduleOf(types, section(3, many)), 20, 16, "1000000 functions, at most 50000 are allowed"},
		{"a million functions that are there", moduleOf(types, section(3, vec(1_000_000, make([]byte, 1_000_000))),
			section(10, vec(1_000_000, repeat(function(u(0), nil), 1_000_000)))), 0, 18, "1000000 functions, at most 50000 are allowed"},
		{"a million exports", moduleOf(section(7, many)), 20, 10, "1000000 exports, at most 10000 are allowed"},
		{"a million exports that are there", moduleOf(oneMemory, section(7, vec(1_000_000, repeat(cat(name("e"), 2, 0), 1_000_000)))), 0, 18, "1000000 exports, at most 10000 are allowed"},
		{"custom section of 50 MB", moduleOf(section(0, name("x"), make([]byte, 50_000_000))), 0, wasm.MaxModule, "a module of 50000015 bytes, at most 16777216 are allowed"},
		{"custom section that says 4 GB", moduleOf(cat(0, uint64(1<<32-1), 0)), 20, 14, "4294967295 bytes declared, 1 left"},
		{"data behind the memory", moduleOf(oneMemory, section(11, vec(1, 0, 0x41, 0xff, 0xff, 3, 0x0b, name("ab")))), 30, 16, "a data segment ends at 65537, the memory at 65536"},
		{"shared memory", moduleOf(section(5, vec(1, 3, 1, 1))), 20, 11, "a shared memory: threads are not offered"},
		{"64-bit memory", moduleOf(section(5, vec(1, 4, 1))), 20, 11, "a 64-bit memory: memory64 is not offered"},
		{"atomic load", withCode(0x41, 0, 0xfe, 0x10, 2, 0, 0x1a), 60, code + 7, "instruction 0xfe: threads are not offered"},
		{"atomic notify", withCode(0x41, 0, 0x41, 0, 0xfe, 0x00, 2, 0, 0x1a), 60, code + 9, "instruction 0xfe: threads are not offered"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.size > 0 && len(tt.module) > tt.size {
				t.Errorf("the module takes %d bytes, want %d at most", len(tt.module), tt.size)
			}
			want := wasm.Error{Offset: tt.offset, Reason: tt.reason}
			var got *wasm.Error
			if _, err := wasm.Inspect(tt.module); !errors.As(err, &got) || *got != want {
				t.Errorf("Inspect: got %v, want %v", err, &want)
			}
			if _, err := wasm.Rewrite(tt.module, wasm.Options{}); !errors.As(err, &got) || *got != want {
				t.Errorf("Rewrite: got %v, want %v", err, &want)
			}
		})
	}
}

// guests are modules that are accepted: the fixtures of this package, and some plugins.
func guests(t testing.TB) map[string][]byte {
	t.Helper()
	guests := map[string][]byte{}
	for _, name := range fixtures {
		guests[name] = fixture(t, name)
	}
	for _, file := range []string{"wasm/echo", "wasm/bulk", "attacks/storm", "attacks/state"} {
		module, err := os.ReadFile(filepath.Join("..", "..", "testdata", filepath.FromSlash(file)+".wasm"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wasm.Inspect(module); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		guests[file] = module
	}
	return guests
}

// allocated is how many bytes f allocates, whether or not it keeps them.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// mayAllocate is what one look at a module of size bytes may allocate: a constant, and what
// the entries of the densest sections become. A type takes 48 bytes from 3, a segment or
// body not much less, slices double as they grow, and Rewrite adds to them.
func mayAllocate(size int) uint64 { return 64<<10 + 256*uint64(size) }

// Any bit of a module may be flipped: nothing panics, what is allocated stays a small
// multiple of the module's size, and Inspect and Rewrite agree.
func TestFlippedBits(t *testing.T) {
	accepted, refused := 0, 0
	for name, module := range guests(t) {
		for i := range min(len(module), 4096) {
			used := allocated(func() {
				for bit := range 8 {
					module[i] ^= 1 << bit
					_, errInspect := wasm.Inspect(module)
					_, err := wasm.Rewrite(module, wasm.Options{MaxMemoryPages: wasm.MaxMemory})
					if (errInspect == nil) != (err == nil) {
						t.Errorf("%s with bit %d of byte %d flipped: Inspect says %v, Rewrite %v", name, bit, i, errInspect, err)
					}
					if err == nil {
						accepted++
					} else {
						refused++
					}
					module[i] ^= 1 << bit
				}
			})
			if limit := 16 * mayAllocate(len(module)); used > limit {
				t.Errorf("%s with byte %d flipped: %d bytes allocated, want %d at most", name, i, used, limit)
			}
		}
	}
	if accepted < 10_000 || refused < 10_000 {
		t.Errorf("%d are accepted, %d refused", accepted, refused)
	}
}

// Each prefix that is not a module itself is refused, at a price that its size bounds.
func TestPrefixes(t *testing.T) {
	for name, module := range guests(t) {
		whole := ends(module)
		for n := range module {
			var err error
			used := allocated(func() { _, err = wasm.Inspect(module[:n:n]) })
			if err == nil && !whole[n] {
				t.Errorf("%s: the first %d of %d bytes are accepted", name, n, len(module))
			}
			if limit := mayAllocate(n); used > limit {
				t.Errorf("%s: the first %d bytes: %d bytes allocated, want %d at most", name, n, used, limit)
			}
		}
	}
}

// The same of a real plugin, of which a part has to do.
func TestDamagedGoPlugin(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a Go program")
	}
	module := goGuest(t)
	whole := ends(module)
	for n := range 4096 {
		if _, err := wasm.Inspect(module[:n:n]); err == nil && !whole[n] {
			t.Errorf("the first %d bytes are accepted", n)
		}
	}
	for n := 4096; n < len(module); n += len(module) / 50 {
		if _, err := wasm.Inspect(module[:n:n]); err == nil && !whole[n] {
			t.Errorf("the first %d bytes are accepted", n)
		}
	}
	limit := mayAllocate(0) + 16*uint64(len(module)) // large modules are mostly code and data
	for bit := 0; bit < 4096*8; bit += 691 {
		module[bit/8] ^= 1 << (bit % 8)
		used := allocated(func() { wasm.Rewrite(module, wasm.Options{}) })
		if used > limit {
			t.Errorf("bit %d of byte %d flipped: %d bytes allocated, want %d at most", bit%8, bit/8, used, limit)
		}
		module[bit/8] ^= 1 << (bit % 8)
	}
}

// The densest modules are those that allocate most, and even they stay within a multiple.
func TestAcceptingIsCheap(t *testing.T) {
	tests := []struct {
		name   string
		module []byte
	}{
		{"types", moduleOf(section(1, vec(10_000, repeat([]byte{0x60, 0, 0}, 10_000))))},
		{"types with parameters", moduleOf(section(1, vec(10_000, repeat([]byte{0x60, 1, 0x7f, 1, 0x7f}, 10_000))))},
		{"functions", moduleOf(types, section(3, vec(50_000, make([]byte, 50_000))), section(10, vec(50_000, repeat(function(u(0), nil), 50_000))))},
		{"globals", moduleOf(section(6, vec(10_000, repeat([]byte{0x7f, 1, 0x41, 0, 0x0b}, 10_000))))},
		{"data", moduleOf(oneMemory, section(11, vec(200_000, repeat([]byte{1, 0}, 200_000))))},
		{"active data", moduleOf(oneMemory, section(11, vec(200_000, repeat([]byte{0, 0x41, 0, 0x0b, 0}, 200_000))))},
		{"loops", moduleOf(types, section(3, vec(100, make([]byte, 100))), section(10, vec(100, repeat(function(u(0), repeat([]byte{0x03, 0x40, 0x0b}, 2000)), 100))))},
		{"blocks", withCode(repeat(cat(0x02, 0x40, 0x0b), 80_000))},
		{"custom sections", moduleOf(repeat(section(0, name("x")), 1000))},
		{"elements", moduleOf(oneTable, section(9, vec(10_000, repeat([]byte{0, 0x41, 0, 0x0b, 0}, 10_000))))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			used := allocated(func() {
				if _, err := wasm.Rewrite(tt.module, wasm.Options{ExportGlobals: true}); err != nil {
					t.Error(err)
				}
			})
			t.Logf("%.0f bytes for each of %d", float64(used)/float64(len(tt.module)), len(tt.module))
			if limit := mayAllocate(len(tt.module)); used > limit {
				t.Errorf("%d bytes allocated for a module of %d, want %d at most", used, len(tt.module), limit)
			}
		})
	}
}

// Only modules that use the bulk instructions get the functions that stand for them.
func TestFunctionsOnlyForWhatIsUsed(t *testing.T) {
	fill := []byte{0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 11, 0}
	copying := []byte{0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 10, 0, 0}
	tests := []struct {
		name         string
		module       []byte
		fills, copys bool
	}{
		{"none", withCode(0x01), false, false},
		{"no memory", moduleOf(types, oneFunc, section(10, vec(1, function(u(0), nil)))), false, false},
		{"fill", withCode(fill), true, false},
		{"copy", withCode(copying), false, true},
		{"both", withCode(copying, fill, copying), true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			named := append(tt.module[:len(tt.module):len(tt.module)], section(0, name("name"), cat(0, 2, name("m")), cat(1, 4, vec(1, 0, name("f"))))...)
			out := parts(t, rewrite(t, named, wasm.Options{}))
			names := string(out["name"])
			if strings.Contains(names, "pointsman.fill") != tt.fills || strings.Contains(names, "pointsman.copy") != tt.copys {
				t.Errorf("names %q, want fill %v, copy %v", names, tt.fills, tt.copys)
			}
			want := 6
			for _, there := range []bool{tt.fills, tt.copys} {
				if there {
					want++
				}
			}
			for _, id := range []byte{3, 10} {
				if n, _ := number(out[id], 0); n != want {
					t.Errorf("section %d has %d functions, want %d", id, n, want)
				}
			}
			// The guest's function comes first; nothing of the instructions is left in it.
			n, at := number(out[byte(10)], 1)
			if body := string(out[byte(10)][at : at+n]); strings.Contains(body, "\xfc\x0a\x00") || strings.Contains(body, "\xfc\x0b\x00") {
				t.Errorf("an instruction is left in % x", body)
			}
			if names[0] != 1 {
				t.Errorf("the module's own name is left in %q", names)
			}
		})
	}
}
