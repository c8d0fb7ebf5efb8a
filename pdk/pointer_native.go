//go:build !wasip1

package pdk

func (h *Host) pointerOpen(request []byte) []byte { return h.fake.Call("pointer", "open", request) }

func (h *Host) pointerMint(request []byte) []byte { return h.fake.Call("pointer", "mint", request) }
