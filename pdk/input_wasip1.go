package pdk

import "unsafe"

// Input and output in one copy each; see package wire. A module so needs nothing of
// Extism's kernel, whose functions move 8 bytes at a time.

//go:wasmimport pointsman:rt input_length
func rtInputLength() uint64

//go:wasmimport pointsman:rt input_read
func rtInputRead(pointer, length uint64) int64

//go:wasmimport pointsman:rt output_write
func rtOutputWrite(pointer, length uint64)

//go:wasmimport pointsman:rt error_write
func rtErrorWrite(pointer, length uint64)

func readInput() []byte {
	b := make([]byte, rtInputLength())
	inputInto(uintptr(unsafe.Pointer(unsafe.SliceData(b))), uint64(len(b)))
	return b
}

func writeOutput(b []byte) {
	outputFrom(uintptr(unsafe.Pointer(unsafe.SliceData(b))), uint64(len(b)))
}

func writeError(b []byte) {
	errorFrom(uintptr(unsafe.Pointer(unsafe.SliceData(b))), uint64(len(b)))
}

// These exist for their directives; see readInto.

//go:uintptrescapes
//go:noinline
func inputInto(pointer uintptr, length uint64) int64 { return rtInputRead(uint64(pointer), length) }

//go:uintptrescapes
//go:noinline
func outputFrom(pointer uintptr, length uint64) { rtOutputWrite(uint64(pointer), length) }

//go:uintptrescapes
//go:noinline
func errorFrom(pointer uintptr, length uint64) { rtErrorWrite(uint64(pointer), length) }
