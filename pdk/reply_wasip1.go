package pdk

import "unsafe"

//go:wasmimport pointsman:rt reply_read
func rtReplyRead(pointer, length uint64) int64

// readReply fetches the reply of the operation that was just called, of length bytes.
// It returns nil, which no operation answers, if the host has none.
func readReply(length int64) []byte {
	if length <= 0 {
		return nil
	}
	b := make([]byte, length)
	if readInto(uintptr(unsafe.Pointer(unsafe.SliceData(b))), uint64(length)) != length {
		return nil
	}
	return b
}

// readInto exists for its directive: what pointer points at lives on the heap, where nothing
// moves, until the call is over.
//
//go:uintptrescapes
//go:noinline
func readInto(pointer uintptr, length uint64) int64 { return rtReplyRead(uint64(pointer), length) }
