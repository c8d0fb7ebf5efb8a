package pdk

import "unsafe"

//go:wasmimport pointsman:log write
func logWriteImport(pointer, length uint64) int64

// logWrite leaves the reply unread: it says nothing that a plugin could act on.
func (h *Host) logWrite(record []byte) {
	if h.rehearsal != nil {
		return
	}
	logSend(uintptr(unsafe.Pointer(unsafe.SliceData(record))), uint64(len(record)))
}

// logSend exists for its directive; see readInto.
//
//go:uintptrescapes
//go:noinline
func logSend(pointer uintptr, length uint64) int64 { return logWriteImport(uint64(pointer), length) }
