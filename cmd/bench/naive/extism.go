//go:build wasip1

package main

import "encoding/binary"

// Extism's guest ABI, as far as it is used here, by words as Extism's own Go PDK does it.
// Offsets and lengths are bytes in the kernel's memory, which is not the guest's.

//go:wasmimport extism:host/env input_length
func extismInputLength() uint64

//go:wasmimport extism:host/env input_load_u64
func extismInputLoadU64(offset uint64) uint64

//go:wasmimport extism:host/env input_load_u8
func extismInputLoadU8(offset uint64) uint32

//go:wasmimport extism:host/env alloc
func extismAlloc(length uint64) uint64

//go:wasmimport extism:host/env length
func extismLength(offset uint64) uint64

//go:wasmimport extism:host/env load_u64
func extismLoadU64(offset uint64) uint64

//go:wasmimport extism:host/env load_u8
func extismLoadU8(offset uint64) uint32

//go:wasmimport extism:host/env store_u64
func extismStoreU64(offset, value uint64)

//go:wasmimport extism:host/env store_u8
func extismStoreU8(offset uint64, value uint32)

//go:wasmimport extism:host/env output_set
func extismOutputSet(offset, length uint64)

//go:wasmimport extism:host/env error_set
func extismErrorSet(offset uint64)

//go:wasmimport extism:host/env config_get
func extismConfigGet(offset uint64) uint64

//go:wasmimport extism:host/env http_request
func extismHTTPRequest(request, body uint64) uint64

//go:wasmimport extism:host/env http_status_code
func extismHTTPStatusCode() int32

func readInput() []byte {
	return load(extismInputLength(), extismInputLoadU64, extismInputLoadU8)
}

func writeOutput(b []byte) { extismOutputSet(store(b), uint64(len(b))) }

func writeError(b []byte) { extismErrorSet(store(b)) }

func config(name string) string { return string(read(extismConfigGet(store([]byte(name))))) }

func httpRequest(head, body []byte) (status int, answer []byte) {
	var bodyAt uint64
	if len(body) > 0 {
		bodyAt = store(body)
	}
	at := extismHTTPRequest(store(head), bodyAt)
	return int(extismHTTPStatusCode()), read(at)
}

// read copies the block at an offset, nil for 0.
func read(at uint64) []byte {
	if at == 0 {
		return nil
	}
	return load(extismLength(at),
		func(i uint64) uint64 { return extismLoadU64(at + i) },
		func(i uint64) uint32 { return extismLoadU8(at + i) })
}

func load(length uint64, word func(uint64) uint64, octet func(uint64) uint32) []byte {
	b := make([]byte, length)
	i := 0
	for ; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], word(uint64(i)))
	}
	for ; i < len(b); i++ {
		b[i] = byte(octet(uint64(i)))
	}
	return b
}

// store copies b into a new kernel block and returns its offset.
func store(b []byte) uint64 {
	at := extismAlloc(uint64(len(b)))
	i := 0
	for ; i+8 <= len(b); i += 8 {
		extismStoreU64(at+uint64(i), binary.LittleEndian.Uint64(b[i:]))
	}
	for ; i < len(b); i++ {
		extismStoreU8(at+uint64(i), uint32(b[i]))
	}
	return at
}
