package pdk

import "unsafe"

//go:wasmimport pointsman:sql query
func sqlQueryImport(pointer, length uint64) int64

func (h *Host) sqlQuery(request []byte) []byte {
	if h.rehearsal != nil {
		return h.rehearsal.Call("sql", "query", request)
	}
	return readReply(sqlSend(uintptr(unsafe.Pointer(unsafe.SliceData(request))), uint64(len(request))))
}

// sqlSend exists for its directive; see readInto.
//
//go:uintptrescapes
//go:noinline
func sqlSend(pointer uintptr, length uint64) int64 { return sqlQueryImport(uint64(pointer), length) }
