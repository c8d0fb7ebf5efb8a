package wasm_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"pointsman/host/wasm"
)

// hostile are modules that must be refused, with a part of the reason.
func hostile() []struct {
	name   string
	module []byte
	want   string
} {
	const many = uint64(1_000_000)
	block, end := []byte{0x02, 0x40}, []byte{0x0b}
	loop := []byte{0x03, 0x40, 0x0b}
	data := func(contents ...any) []byte { return moduleOf(oneMemory, section(11, cat(contents...))) }
	return []struct {
		name   string
		module []byte
		want   string
	}{
		{"empty", nil, "not a Wasm module"},
		{"text", []byte("(module)"), "not a Wasm module"},
		{"component", []byte("\x00asm\x0d\x00\x01\x00"), "component"},
		{"version 2", []byte("\x00asm\x02\x00\x00\x00"), "version"},
		{"17 MiB", append(moduleOf(), make([]byte, 17<<20)...), "at most 16777216"},
		{"custom section of 50 MB", moduleOf(section(0, name("x"), make([]byte, 50_000_000))), "at most 16777216"},
		{"many custom sections", moduleOf(repeat(section(0, name("x")), 1001)), "custom sections"},
		{"two name sections", moduleOf(section(0, name("name")), section(0, name("name"))), "two custom sections"},
		{"name of a custom section", moduleOf(section(0, name(strings.Repeat("x", 5000)))), "at most 4096"},
		{"name that is not UTF-8", moduleOf(section(0, name("\xff"))), "UTF-8"},
		{"unknown section", moduleOf(section(14)), "unknown section 14"},
		{"tags", moduleOf(section(13, vec(0))), "exceptions"},
		{"section twice", moduleOf(types, types), "out of order"},
		{"sections out of order", moduleOf(oneMemory, types), "out of order"},
		{"section longer than the module", cat(moduleOf(), 1, uint64(100), 0), "100 bytes declared"},
		{"section too long for its contents", moduleOf(section(1, vec(0), 0)), "left over"},
		{"start of another type", moduleOf(section(1, vec(1, 0x60, vec(1, 0x7f), 0)), oneFunc, section(8, 0), section(10, vec(1, function(u(0), nil)))), "start function has the type"},
		{"start that is not there", moduleOf(types, oneFunc, section(8, 1), section(10, vec(1, function(u(0), nil)))), "start function is function 1 of 1"},
		{"start without an index", moduleOf(types, oneFunc, section(8), section(10, vec(1, function(u(0), nil)))), ""},
		{"two starts", moduleOf(types, oneFunc, section(8, 0), section(8, 0), section(10, vec(1, function(u(0), nil)))), "out of order"},

		{"a million types", moduleOf(section(1, many)), "at most 10000"},
		{"types that are not there", moduleOf(section(1, uint64(9000))), "declared in 0 bytes"},
		{"many parameters", moduleOf(section(1, vec(1, 0x60, vec(300, repeat([]byte{0x7f}, 300)), 0))), "at most 255"},
		{"many results", moduleOf(section(1, vec(1, 0x60, 0, vec(17, repeat([]byte{0x7f}, 17))))), "at most 16"},
		{"type of a struct", moduleOf(section(1, vec(1, 0x5f, 0))), "garbage collection"},
		{"type of a recursive group", moduleOf(section(1, vec(1, 0x4e, 0))), "garbage collection"},
		{"unknown value type", moduleOf(section(1, vec(1, 0x60, vec(1, 0x11), 0))), "unknown type 0x11"},

		{"memory from outside", moduleOf(section(2, vec(1, name("env"), name("memory"), 2, 0, 1))), "only functions"},
		{"table from outside", moduleOf(section(2, vec(1, name("env"), name("table"), 1, 0x70, 0, 1))), "only functions"},
		{"global from outside", moduleOf(section(2, vec(1, name("env"), name("g"), 3, 0x7f, 0))), "only functions"},
		{"the host's refuel", moduleOf(types, section(2, vec(1, name("pointsman:rt"), name("refuel"), 0, 0))), "host's own"},
		{"the host's depth", moduleOf(types, section(2, vec(1, name("pointsman:rt"), name("depth"), 0, 0))), "host's own"},
		{"import of an unknown type", moduleOf(section(2, vec(1, name("a"), name("b"), 0, 0))), "type 0 of 0"},
		{"a million functions", moduleOf(types, section(3, many)), "at most 50000"},
		{"functions without bodies", moduleOf(types, section(3, vec(3, 0, 0, 0))), "3 functions declared, 0 bodies"},
		{"fewer bodies", moduleOf(types, section(3, vec(2, 0, 0)), section(10, vec(1, function(u(0), nil)))), "2 functions declared, 1 bodies"},

		{"40 tables", moduleOf(section(4, vec(40, repeat(cat(0x70, 0, uint64(1<<27)), 40)))), "at most 1"},
		{"table of 2^27", moduleOf(section(4, vec(1, 0x70, 0, uint64(1<<27)))), "at most 100000"},
		{"shared table", moduleOf(section(4, vec(1, 0x70, 3, 1, 1))), "threads"},
		{"table of numbers", moduleOf(section(4, vec(1, 0x7f, 0, 1))), "no reference type"},
		{"two memories", moduleOf(section(5, vec(2, 0, 1, 0, 1))), "at most 1"},
		{"shared memory", moduleOf(section(5, vec(1, 3, 1, 1))), "threads"},
		{"64-bit memory", moduleOf(section(5, vec(1, 4, 1))), "memory64"},
		{"memory over 4 GiB", moduleOf(section(5, vec(1, 0, uint64(65537)))), "at most 65536"},
		{"memory of a lower maximum", moduleOf(section(5, vec(1, 1, 2, 1))), "2 at least and 1 at most"},
		{"a million globals", moduleOf(section(6, many)), "at most 10000"},
		{"global that adds", moduleOf(section(6, vec(1, 0x7f, 0, 0x41, 1, 0x41, 2, 0x6a, 0x0b))), "constant expression"},
		{"global that reads a global", moduleOf(section(6, vec(1, 0x7f, 0, 0x23, 0, 0x0b))), "constant expression"},

		{"a million exports", moduleOf(section(7, many)), "at most 10000"},
		{"reserved export", moduleOf(oneMemory, section(7, vec(1, name("pointsman:fuel"), 2, 0))), "host's own"},
		{"two exports of one name", moduleOf(oneMemory, section(7, vec(2, name("m"), 2, 0, name("m"), 2, 0))), "two exports"},
		{"export of nothing", moduleOf(section(7, vec(1, name("m"), 2, 0))), "memory 0 of 0"},
		{"export of a tag", moduleOf(section(7, vec(1, name("m"), 4, 0))), "exceptions"},

		{"many element segments", moduleOf(oneTable, section(9, uint64(10_001))), "at most 10000"},
		{"long element segment", moduleOf(oneTable, section(9, vec(1, 0, 0x41, 0, 0x0b, uint64(100_001)))), "at most 100000"},
		{"element of no function", moduleOf(oneTable, section(9, vec(1, 0, 0x41, 0, 0x0b, vec(1, 0)))), "function 0 of 0"},
		{"elements without a table", moduleOf(section(9, vec(1, 0, 0x41, 0, 0x0b, vec(0)))), "there is none"},
		{"many data segments", moduleOf(oneMemory, section(11, uint64(200_001))), "at most 200000"},
		{"many data segments announced", moduleOf(oneMemory, section(12, uint64(200_001))), "at most 200000"},
		{"fewer data segments than announced", moduleOf(oneMemory, section(12, 2), section(11, vec(1, 1, vec(0)))), "2 data segments declared"},
		{"data behind the memory", data(vec(1, 0, 0x41, 0xff, 0xff, 3, 0x0b, name("ab"))), "ends at 65537"},
		{"data at -1", data(vec(1, 0, 0x41, 0x7f, 0x0b, name("ab"))), "ends at 4294967297"},
		{"empty data behind the memory", data(vec(1, 0, 0x41, 0x81, 0x80, 4, 0x0b, 0)), "ends at 65537"},
		{"data without a memory", moduleOf(section(11, vec(1, 0, 0x41, 0, 0x0b, 0))), "there is none"},

		{"60 million locals", withLocals(vec(1, uint64(60_000_000), 0x7f)), "60000000 locals"},
		{"locals that overflow", withLocals(vec(3, repeat(cat(uint64(1<<32-1), 0x7f), 3))), "locals, at most"},
		{"locals of all functions", moduleOf(types, section(3, vec(101, make([]byte, 101))),
			section(10, vec(101, repeat(function(vec(1, uint64(50_000), 0x7f), nil), 101)))), "5000000 locals in all"},
		{"body of 300 kB", withCode(repeat([]byte{0x01}, 300_000)), "at most 262144"},
		{"300,000 nested blocks", withCode(repeat(block, 300_000), repeat(end, 300_000)), "at most 262144"},
		{"2,001 nested blocks", withCode(repeat(block, 2001), repeat(end, 2001)), "more than 2000 deep"},
		{"20,000 loops", withCode(repeat(loop, 20_000)), "more than 2000 loops"},
		{"33 nested loops", withCode(repeat([]byte{0x03, 0x40}, 33), repeat(end, 33)), "loops nested more than 32 deep"},
		{"nested loops over many locals", moduleOf(types, oneFunc, section(10, vec(1, function(vec(1, uint64(9_000), 0x7f), cat(repeat([]byte{0x03, 0x40}, 2), repeat(end, 2)))))), "nested 2 deep over 9000 locals"},
		{"blocks over many locals", moduleOf(types, oneFunc, section(10, vec(1, function(vec(1, uint64(40_000), 0x7f), repeat(cat(block, end), 101))))), "101 blocks over 40000 locals"},
		{"loops over many locals", moduleOf(types, oneFunc, section(10, vec(1, function(vec(1, uint64(40_000), 0x7f), repeat(loop, 200))))), "the product"},
		{"many loops in all", moduleOf(types, section(3, vec(110, make([]byte, 110))),
			section(10, vec(110, repeat(function(u(0), repeat(loop, 1900)), 110)))), "200000 loops in all"},
		{"br_table of 20,000", withCode(0x41, 0, 0x0e, vec(20_000, make([]byte, 20_001))), "at most 10000"},
		{"br_table of 4 billion", withCode(0x41, 0, 0x0e, uint64(1<<32-1)), "at most 10000"},
		{"block with many parameters", moduleOf(section(1, vec(2, 0x60, 0, 0, 0x60, vec(17, repeat([]byte{0x7f}, 17)), 0)), oneFunc,
			section(10, vec(1, function(u(0), cat(0x02, 1, 0x0b))))), "at most 16"},
		{"else without if", withCode(block, 0x05, end), "else without if"},
		{"two elses", withCode(0x41, 0, 0x04, 0x40, 0x05, 0x05, end), "else without if"},
		{"end too many", withCode(end), "left over"},
		{"end too few", withCode(block), "unexpected end"},

		{"atomics", withCode(0xfe, 0x10, 2, 0), "threads"},
		{"tail call", withCode(0x12, 0), "tail calls"},
		{"try", withCode(0x06, 0x40), "exceptions"},
		{"throw_ref", withCode(0x0a), "exceptions"},
		{"struct.new", withCode(0xfb, 0, 0), "garbage collection"},
		{"call_ref", withCode(0x14, 0), "typed references"},
		{"relaxed SIMD", withCode(0xfd, uint64(0x100)), "unknown instruction 0xfd 256"},
		{"free SIMD number", withCode(0xfd, uint64(0x9a)), "unknown instruction 0xfd 154"},
		{"0xfc 18", withCode(0xfc, 18), "unknown instruction 0xfc 18"},
		{"free opcode", withCode(0xff), "unknown instruction"},
		{"64-bit offset", withCode(0x41, 0, 0x28, 2, uint64(1<<33)), "exceeds 32 bits"},
		{"another memory", withCode(0x41, 0, 0x28, 0x42, 1, 0), "alignment"},
		{"lane 32", withCode(0xfd, 0x0d, repeat([]byte{32}, 16)), "lane 32"},

		// The numbers that the rewriter gives to what it adds are nobody else's.
		{"the global of the fuel", withCode(0x42, 0, 0x24, 0), "global 0 of 0"},
		{"the function behind the last", withCode(0x10, 1), "function 1 of 1"},
		{"reference to the function behind the last", withCode(0xd2, 1, 0x1a), "function 1 of 1"},
		{"a local that is not there", withCode(0x20, 0, 0x1a), "local 0 of 0"},
		{"a label that is not there", withCode(0x0c, 1), "label 1 of 1"},
		{"a type that is not there", withCode(0x41, 0, 0x11, 1, 0), "type 1 of 1"},
		{"a block of a type that is not there", withCode(0x02, 1, 0x0b), "type 1 of 1"},
		{"a table that is not there", withCode(0x41, 0, 0x25, 1), "table 1 of 1"},
		{"a segment without a count", withCode(0xfc, 9, 0), "without a data count"},
		{"an element segment that is not there", withCode(0xfc, 13, 0), "element segment 0 of 0"},
	}
}

func TestRefusals(t *testing.T) {
	for _, tt := range hostile() {
		t.Run(tt.name, func(t *testing.T) {
			info, err := wasm.Inspect(tt.module)
			var refused *wasm.Error
			if !errors.As(err, &refused) || info != nil {
				t.Fatalf("got %v, %v; want an *Error", info, err)
			}
			if !strings.Contains(refused.Reason, tt.want) {
				t.Errorf("reason %q does not say %q", refused.Reason, tt.want)
			}
			if refused.Offset < 0 || refused.Offset > len(tt.module) {
				t.Errorf("offset %d in a module of %d bytes", refused.Offset, len(tt.module))
			}
			if out, err := wasm.Rewrite(tt.module, wasm.Options{MaxMemoryPages: 65536}); err == nil || out != nil {
				t.Errorf("Rewrite returns %d bytes and %v", len(out), err)
			}
		})
	}
}

// A module costs memory by its own size, never by what it declares.
func TestRefusingIsCheap(t *testing.T) {
	for _, tt := range hostile() {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		wasm.Inspect(tt.module)
		runtime.ReadMemStats(&after)
		// 64 KiB for the small; a type or segment takes up to 48 bytes from 1 to 3.
		if used, limit := after.TotalAlloc-before.TotalAlloc, uint64(64<<10+128*len(tt.module)); used > limit {
			t.Errorf("%s: %d bytes allocated for a module of %d, want %d at most", tt.name, used, len(tt.module), limit)
		}
	}
}

func TestRewriteRefusesWhatStartsTooLarge(t *testing.T) {
	tests := []struct {
		name   string
		module []byte
		o      wasm.Options
		want   string
	}{
		{"memory", fixture(t, "memory"), wasm.Options{MaxMemoryPages: 1}, "memory (in pages) of 2 at least, this plugin may have 1"},
		{"memory over the default", moduleOf(section(5, vec(1, 0, uint64(1025)))), wasm.Options{}, "may have 1024"},
		{"table", fixture(t, "control"), wasm.Options{MaxTable: 7}, "table of 8 at least, this plugin may have 7"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := wasm.Rewrite(tt.module, tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestRewrittenModuleIsNotRewrittenAgain(t *testing.T) {
	out, err := wasm.Rewrite(fixture(t, "control"), wasm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wasm.Rewrite(out, wasm.Options{}); err == nil || !strings.Contains(err.Error(), "host's own") {
		t.Errorf("got error %v, want a refusal", err)
	}
}

// ends returns where a module could end and still be a whole one: between sections,
// unless there are functions that wait for their code.
func ends(module []byte) map[int]bool {
	whole := map[int]bool{8: true}
	waiting := false
	for at := 8; at < len(module); {
		id := module[at]
		size, next := number(module, at+1)
		at = next + size
		switch id {
		case 3:
			waiting = true
		case 10:
			waiting = false
		}
		whole[at] = !waiting
	}
	return whole
}
