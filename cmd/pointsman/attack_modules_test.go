package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"bytes"
)

// attackFolder has guests and, next to them, their sources; host/sandbox tests that they agree.
const attackFolder = "../../testdata/attacks"

func attackGuest(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(attackFolder, name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The functions here write the binary format, with whatever numbers an attack wants.

func leb(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

func sectionOf(id byte, contents ...[]byte) []byte {
	b := slices.Concat(contents...)
	return slices.Concat([]byte{id}, leb(len(b)), b)
}

// vectorOf is n and the items, which need not be n.
func vectorOf(n int, items ...[]byte) []byte { return slices.Concat(leb(n), slices.Concat(items...)) }

func nameOf(s string) []byte { return append(leb(len(s)), s...) }

func moduleOf(sections ...[]byte) []byte {
	return slices.Concat([]byte("\x00asm\x01\x00\x00\x00"), slices.Concat(sections...))
}

// bodyOf is a function of these groups of locals and this code without its last end.
func bodyOf(locals []byte, code ...[]byte) []byte {
	b := slices.Concat(locals, slices.Concat(code...), []byte{0x0b})
	return append(leb(len(b)), b...)
}

var (
	voidType   = sectionOf(1, vectorOf(1, []byte{0x60, 0, 0})) // () -> ()
	oneMemory  = sectionOf(5, vectorOf(1, []byte{0, 1}))
	exportCall = sectionOf(7, vectorOf(1, nameOf("call"), []byte{0, 0})) // function 0
)

// declared are n functions of type 0.
func declared(n int) []byte { return sectionOf(3, vectorOf(n, make([]byte, n))) }

// single is a module of one function, exported as call, with what else stands before its code.
func single(locals []byte, code []byte, before ...[]byte) []byte {
	all := [][]byte{voidType, declared(1)}
	all = append(all, before...)
	if !slices.ContainsFunc(before, func(s []byte) bool { return s[0] == 7 }) {
		all = append(all, exportCall)
	}
	return moduleOf(append(all, sectionOf(10, vectorOf(1, bodyOf(locals, code))))...)
}

// named is a name section: the module's name and those of functions from 0 on.
func named(module string, functions ...string) []byte {
	var names []byte
	for i, name := range functions {
		names = slices.Concat(names, leb(i), nameOf(name))
	}
	parts := nameOf("name")
	if module != "" {
		parts = append(parts, sectionOf(0, nameOf(module))...)
	}
	return sectionOf(0, parts, sectionOf(1, leb(len(functions)), names))
}

var noLocals = []byte{0}

func loops(n int) []byte { return bytes.Repeat([]byte{0x03, 0x40, 0x0b}, n) }
func blocks(n int) []byte {
	return append(bytes.Repeat([]byte{0x02, 0x40}, n), bytes.Repeat([]byte{0x0b}, n)...)
}
