package wasm_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The functions here write the binary format, with whatever numbers a test wants.

// u is an unsigned LEB128 number.
func u(n uint64) []byte { return binary.AppendUvarint(nil, n) }

// cat joins strings, byte slices, single bytes (as int) and counts (as uint64).
func cat(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		case int:
			b = append(b, byte(p))
		case uint64:
			b = append(b, u(p)...)
		}
	}
	return b
}

// vec is a vector of n items that are joined already.
func vec(n int, items ...any) []byte { return append(u(uint64(n)), cat(items...)...) }

func section(id byte, contents ...any) []byte {
	b := cat(contents...)
	return cat(int(id), uint64(len(b)), b)
}

func moduleOf(sections ...[]byte) []byte {
	b := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range sections {
		b = append(b, s...)
	}
	return b
}

func name(s string) []byte { return cat(uint64(len(s)), s) }

func repeat(s []byte, n int) []byte { return []byte(strings.Repeat(string(s), n)) }

var (
	types     = section(1, vec(1, 0x60, 0, 0)) // () -> ()
	oneFunc   = section(3, vec(1, 0))
	oneMemory = section(5, vec(1, 0, 1))
	oneTable  = section(4, vec(1, 0x70, 0, 1))
)

// function is a function body: locals (a vector) and code without its last end.
func function(locals, code []byte) []byte {
	b := cat(locals, code, 0x0b)
	return cat(uint64(len(b)), b)
}

// withCode is a module of one function () -> () with a memory and a table.
func withCode(code ...any) []byte {
	return moduleOf(types, oneFunc, oneTable, oneMemory, section(10, vec(1, function(u(0), cat(code...)))))
}

// withLocals is a module of one function with the given groups of locals.
func withLocals(locals []byte) []byte {
	return moduleOf(types, oneFunc, section(10, vec(1, function(locals, nil))))
}

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var fixtures = []string{"control", "memory", "segments", "overlap", "hostile", "work", "loops"}
