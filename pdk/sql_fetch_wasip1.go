package pdk

import "unsafe"

//go:wasmimport pointsman:sql fetch
func sqlFetchImport(pointer, length uint64) int64

func (h *Host) sqlFetch(request []byte) []byte {
	if h.rehearsal != nil {
		return h.rehearsal.Call("sql", "fetch", request)
	}
	return readReply(sqlFetchSend(uintptr(unsafe.Pointer(unsafe.SliceData(request))), uint64(len(request))))
}

// Each of these exists for its directive; see readInto.

//go:uintptrescapes
//go:noinline
func sqlFetchSend(pointer uintptr, length uint64) int64 {
	return sqlFetchImport(uint64(pointer), length)
}
