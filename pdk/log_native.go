//go:build !wasip1

package pdk

func (h *Host) logWrite(record []byte) { h.fake.Call("log", "write", record) }
