package pdk

import "unsafe"

//go:wasmimport pointsman:http fetch
func httpFetchImport(pointer, length uint64) int64

func (h *Host) httpFetch(request []byte) []byte {
	if h.rehearsal != nil {
		return h.rehearsal.Call("http", "fetch", request)
	}
	return readReply(httpFetchSend(uintptr(unsafe.Pointer(unsafe.SliceData(request))), uint64(len(request))))
}

// Each of these exists for its directive; see readInto.

//go:uintptrescapes
//go:noinline
func httpFetchSend(pointer uintptr, length uint64) int64 {
	return httpFetchImport(uint64(pointer), length)
}
