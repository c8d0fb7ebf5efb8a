package pdk

import "encoding/binary"

// Extism's guest ABI, as far as input and output need it. Offsets and lengths are bytes in
// the kernel's memory, which is not the guest's.

//go:wasmimport extism:host/env input_length
func extismInputLength() uint64

//go:wasmimport extism:host/env input_load_u64
func extismInputLoadU64(offset uint64) uint64

//go:wasmimport extism:host/env input_load_u8
func extismInputLoadU8(offset uint64) uint32

//go:wasmimport extism:host/env alloc
func extismAlloc(length uint64) uint64

//go:wasmimport extism:host/env store_u64
func extismStoreU64(offset, value uint64)

//go:wasmimport extism:host/env store_u8
func extismStoreU8(offset uint64, value uint32)

//go:wasmimport extism:host/env output_set
func extismOutputSet(offset, length uint64)

//go:wasmimport extism:host/env error_set
func extismErrorSet(offset uint64)

func readInput() []byte {
	b := make([]byte, extismInputLength())
	i := 0
	for ; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], extismInputLoadU64(uint64(i)))
	}
	for ; i < len(b); i++ {
		b[i] = byte(extismInputLoadU8(uint64(i)))
	}
	return b
}

// store copies b into a new kernel block and returns its offset.
func store(b []byte) uint64 {
	offset := extismAlloc(uint64(len(b)))
	i := 0
	for ; i+8 <= len(b); i += 8 {
		extismStoreU64(offset+uint64(i), binary.LittleEndian.Uint64(b[i:]))
	}
	for ; i < len(b); i++ {
		extismStoreU8(offset+uint64(i), uint32(b[i]))
	}
	return offset
}

func writeOutput(b []byte) { extismOutputSet(store(b), uint64(len(b))) }

func writeError(b []byte) { extismErrorSet(store(b)) }
