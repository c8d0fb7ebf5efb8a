//go:build !wasip1

package pdk

func (h *Host) callFunction(frame []byte) []byte { return h.fake.Call("call", "function", frame) }
