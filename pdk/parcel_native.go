//go:build !wasip1

package pdk

func (h *Host) parcelBuild(request []byte) []byte  { return h.fake.Call("parcel", "build", request) }
func (h *Host) parcelEdit(request []byte) []byte   { return h.fake.Call("parcel", "edit", request) }
func (h *Host) parcelHas(request []byte) []byte    { return h.fake.Call("parcel", "has", request) }
func (h *Host) parcelMerge(request []byte) []byte  { return h.fake.Call("parcel", "merge", request) }
func (h *Host) parcelRead(request []byte) []byte   { return h.fake.Call("parcel", "read", request) }
func (h *Host) parcelSelect(request []byte) []byte { return h.fake.Call("parcel", "select", request) }
func (h *Host) parcelSize(request []byte) []byte   { return h.fake.Call("parcel", "size", request) }
func (h *Host) parcelStatus(request []byte) []byte { return h.fake.Call("parcel", "status", request) }
func (h *Host) httpFetch(request []byte) []byte    { return h.fake.Call("http", "fetch", request) }
func (h *Host) sqlFetch(request []byte) []byte     { return h.fake.Call("sql", "fetch", request) }
