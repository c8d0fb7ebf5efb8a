package sandbox

// Footprint is how many bytes of memory outside of Go's heap one sandbox on these limits can
// grow to: the guest's own and the kernel's. What the host keeps for a call in Go's heap is
// not in it, nor are the image that all sandboxes of a module share and the pages that idle
// ones keep.
func (l Limits) Footprint() uint64 {
	if l.Memory == 0 {
		l.Memory = defaultMemory
	}
	return l.Memory + arenaSize
}
