//go:build !linux

package secret

// newPage returns n zero bytes, from the heap where we know no better way.
func newPage(n int) []byte { return make([]byte, n) }

func freePage(page []byte) { clear(page) }
