package pdk

import "unsafe"

//go:wasmimport pointsman:pointer open
func pointerOpenImport(pointer, length uint64) int64

//go:wasmimport pointsman:pointer mint
func pointerMintImport(pointer, length uint64) int64

func (h *Host) pointerOpen(request []byte) []byte {
	if h.rehearsal != nil {
		return h.rehearsal.Call("pointer", "open", request)
	}
	return readReply(pointerOpenSend(uintptr(unsafe.Pointer(unsafe.SliceData(request))), uint64(len(request))))
}

func (h *Host) pointerMint(request []byte) []byte {
	if h.rehearsal != nil {
		return h.rehearsal.Call("pointer", "mint", request)
	}
	return readReply(pointerMintSend(uintptr(unsafe.Pointer(unsafe.SliceData(request))), uint64(len(request))))
}

// pointerOpenSend exists for its directive; see readInto.
//
//go:uintptrescapes
//go:noinline
func pointerOpenSend(pointer uintptr, length uint64) int64 {
	return pointerOpenImport(uint64(pointer), length)
}

// pointerMintSend exists for its directive; see readInto.
//
//go:uintptrescapes
//go:noinline
func pointerMintSend(pointer uintptr, length uint64) int64 {
	return pointerMintImport(uint64(pointer), length)
}
