//go:build !wasip1

package pdk

func (r *rehearsal) host() *Host { return NewHost(r) }
