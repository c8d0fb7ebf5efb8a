package pdk

//go:wasmimport pointsman:rt kept
func rtKept() int32

func (r *rehearsal) host() *Host { return &Host{rehearsal: r} }

// kept reports whether the image is taken of what happens now.
func kept() bool { return rtKept() != 0 }
