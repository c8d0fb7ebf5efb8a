//go:build !wasip1

package pdk

func (h *Host) httpRequest(frame []byte) []byte { return h.fake.Call("http", "request", frame) }
