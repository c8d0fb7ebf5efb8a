//go:build !wasip1

package pdk

func (r *rehearsal) host() *Host { return NewHost(r) }

// kept is true: a test wants to see the rehearsal.
func kept() bool { return true }
