//go:build !wasip1

package pdk

func (h *Host) kvGet(frame []byte) []byte    { return h.fake.Call("kv", "get", frame) }
func (h *Host) kvPut(frame []byte) []byte    { return h.fake.Call("kv", "put", frame) }
func (h *Host) kvSwap(frame []byte) []byte   { return h.fake.Call("kv", "swap", frame) }
func (h *Host) kvDelete(frame []byte) []byte { return h.fake.Call("kv", "delete", frame) }
