package pdk

import "unsafe"

//go:wasmimport pointsman:kv get
func kvGetImport(pointer, length uint64) int64

//go:wasmimport pointsman:kv put
func kvPutImport(pointer, length uint64) int64

//go:wasmimport pointsman:kv swap
func kvSwapImport(pointer, length uint64) int64

//go:wasmimport pointsman:kv delete
func kvDeleteImport(pointer, length uint64) int64

func (h *Host) kvGet(frame []byte) []byte {
	if h.rehearsal != nil {
		return h.rehearsal.Call("kv", "get", frame)
	}
	return readReply(kvGetSend(uintptr(unsafe.Pointer(unsafe.SliceData(frame))), uint64(len(frame))))
}

func (h *Host) kvPut(frame []byte) []byte {
	if h.rehearsal != nil {
		return h.rehearsal.Call("kv", "put", frame)
	}
	return readReply(kvPutSend(uintptr(unsafe.Pointer(unsafe.SliceData(frame))), uint64(len(frame))))
}

func (h *Host) kvSwap(frame []byte) []byte {
	if h.rehearsal != nil {
		return h.rehearsal.Call("kv", "swap", frame)
	}
	return readReply(kvSwapSend(uintptr(unsafe.Pointer(unsafe.SliceData(frame))), uint64(len(frame))))
}

func (h *Host) kvDelete(frame []byte) []byte {
	if h.rehearsal != nil {
		return h.rehearsal.Call("kv", "delete", frame)
	}
	return readReply(kvDeleteSend(uintptr(unsafe.Pointer(unsafe.SliceData(frame))), uint64(len(frame))))
}

// Each of these exists for its directive; see readInto.

//go:uintptrescapes
//go:noinline
func kvGetSend(pointer uintptr, length uint64) int64 { return kvGetImport(uint64(pointer), length) }

//go:uintptrescapes
//go:noinline
func kvPutSend(pointer uintptr, length uint64) int64 { return kvPutImport(uint64(pointer), length) }

//go:uintptrescapes
//go:noinline
func kvSwapSend(pointer uintptr, length uint64) int64 { return kvSwapImport(uint64(pointer), length) }

//go:uintptrescapes
//go:noinline
func kvDeleteSend(pointer uintptr, length uint64) int64 {
	return kvDeleteImport(uint64(pointer), length)
}
