package pdk

import "unsafe"

//go:wasmimport pointsman:http request
func httpRequestImport(pointer, length uint64) int64

func (*Host) httpRequest(frame []byte) []byte {
	return readReply(httpSend(uintptr(unsafe.Pointer(unsafe.SliceData(frame))), uint64(len(frame))))
}

// httpSend exists for its directive; see readInto.
//
//go:uintptrescapes
//go:noinline
func httpSend(pointer uintptr, length uint64) int64 {
	return httpRequestImport(uint64(pointer), length)
}
