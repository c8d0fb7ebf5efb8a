package pdk

import "unsafe"

//go:wasmimport pointsman:call function
func callFunctionImport(pointer, length uint64) int64

func (h *Host) callFunction(frame []byte) []byte {
	if h.rehearsal != nil {
		return h.rehearsal.Call("call", "function", frame)
	}
	return readReply(callSend(uintptr(unsafe.Pointer(unsafe.SliceData(frame))), uint64(len(frame))))
}

// callSend exists for its directive; see readInto.
//
//go:uintptrescapes
//go:noinline
func callSend(pointer uintptr, length uint64) int64 {
	return callFunctionImport(uint64(pointer), length)
}
