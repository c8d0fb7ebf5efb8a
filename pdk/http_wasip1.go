package pdk

import "unsafe"

//go:wasmimport pointsman:http request
func httpRequestImport(pointer, length uint64) int64

func (h *Host) httpRequest(frame []byte) []byte {
	if h.rehearsal != nil {
		return h.rehearsal.Call("http", "request", frame)
	}
	return readReply(httpSend(uintptr(unsafe.Pointer(unsafe.SliceData(frame))), uint64(len(frame))))
}

// httpSend exists for its directive; see readInto.
//
//go:uintptrescapes
//go:noinline
func httpSend(pointer uintptr, length uint64) int64 {
	return httpRequestImport(uint64(pointer), length)
}
