//go:build !wasip1

package pdk

func (h *Host) sqlQuery(request []byte) []byte { return h.fake.Call("sql", "query", request) }
