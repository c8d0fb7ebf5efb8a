package pdk

import "unsafe"

//go:wasmimport pointsman:parcel build
func parcelBuildImport(pointer, length uint64) int64

//go:wasmimport pointsman:parcel edit
func parcelEditImport(pointer, length uint64) int64

//go:wasmimport pointsman:parcel has
func parcelHasImport(pointer, length uint64) int64

//go:wasmimport pointsman:parcel merge
func parcelMergeImport(pointer, length uint64) int64

//go:wasmimport pointsman:parcel read
func parcelReadImport(pointer, length uint64) int64

//go:wasmimport pointsman:parcel select
func parcelSelectImport(pointer, length uint64) int64

//go:wasmimport pointsman:parcel size
func parcelSizeImport(pointer, length uint64) int64

//go:wasmimport pointsman:parcel status
func parcelStatusImport(pointer, length uint64) int64

func (h *Host) parcelBuild(request []byte) []byte {
	if h.rehearsal != nil {
		return h.rehearsal.Call("parcel", "build", request)
	}
	return readReply(parcelBuildSend(uintptr(unsafe.Pointer(unsafe.SliceData(request))), uint64(len(request))))
}

func (h *Host) parcelEdit(request []byte) []byte {
	if h.rehearsal != nil {
		return h.rehearsal.Call("parcel", "edit", request)
	}
	return readReply(parcelEditSend(uintptr(unsafe.Pointer(unsafe.SliceData(request))), uint64(len(request))))
}

func (h *Host) parcelHas(request []byte) []byte {
	if h.rehearsal != nil {
		return h.rehearsal.Call("parcel", "has", request)
	}
	return readReply(parcelHasSend(uintptr(unsafe.Pointer(unsafe.SliceData(request))), uint64(len(request))))
}

func (h *Host) parcelMerge(request []byte) []byte {
	if h.rehearsal != nil {
		return h.rehearsal.Call("parcel", "merge", request)
	}
	return readReply(parcelMergeSend(uintptr(unsafe.Pointer(unsafe.SliceData(request))), uint64(len(request))))
}

func (h *Host) parcelRead(request []byte) []byte {
	if h.rehearsal != nil {
		return h.rehearsal.Call("parcel", "read", request)
	}
	return readReply(parcelReadSend(uintptr(unsafe.Pointer(unsafe.SliceData(request))), uint64(len(request))))
}

func (h *Host) parcelSelect(request []byte) []byte {
	if h.rehearsal != nil {
		return h.rehearsal.Call("parcel", "select", request)
	}
	return readReply(parcelSelectSend(uintptr(unsafe.Pointer(unsafe.SliceData(request))), uint64(len(request))))
}

func (h *Host) parcelSize(request []byte) []byte {
	if h.rehearsal != nil {
		return h.rehearsal.Call("parcel", "size", request)
	}
	return readReply(parcelSizeSend(uintptr(unsafe.Pointer(unsafe.SliceData(request))), uint64(len(request))))
}

func (h *Host) parcelStatus(request []byte) []byte {
	if h.rehearsal != nil {
		return h.rehearsal.Call("parcel", "status", request)
	}
	return readReply(parcelStatusSend(uintptr(unsafe.Pointer(unsafe.SliceData(request))), uint64(len(request))))
}

// Each of these exists for its directive; see readInto.

//go:uintptrescapes
//go:noinline
func parcelBuildSend(pointer uintptr, length uint64) int64 {
	return parcelBuildImport(uint64(pointer), length)
}

//go:uintptrescapes
//go:noinline
func parcelEditSend(pointer uintptr, length uint64) int64 {
	return parcelEditImport(uint64(pointer), length)
}

//go:uintptrescapes
//go:noinline
func parcelHasSend(pointer uintptr, length uint64) int64 {
	return parcelHasImport(uint64(pointer), length)
}

//go:uintptrescapes
//go:noinline
func parcelMergeSend(pointer uintptr, length uint64) int64 {
	return parcelMergeImport(uint64(pointer), length)
}

//go:uintptrescapes
//go:noinline
func parcelReadSend(pointer uintptr, length uint64) int64 {
	return parcelReadImport(uint64(pointer), length)
}

//go:uintptrescapes
//go:noinline
func parcelSelectSend(pointer uintptr, length uint64) int64 {
	return parcelSelectImport(uint64(pointer), length)
}

//go:uintptrescapes
//go:noinline
func parcelSizeSend(pointer uintptr, length uint64) int64 {
	return parcelSizeImport(uint64(pointer), length)
}

//go:uintptrescapes
//go:noinline
func parcelStatusSend(pointer uintptr, length uint64) int64 {
	return parcelStatusImport(uint64(pointer), length)
}
