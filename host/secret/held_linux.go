package secret

import "golang.org/x/sys/unix"

// newPage returns n zero bytes or a few more. A system that refuses to lock memory
// (RLIMIT_MEMLOCK) or to map it leaves less protection, not less function.
func newPage(n int) []byte {
	page, err := unix.Mmap(-1, 0, max(n, 1), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return make([]byte, max(n, 1))
	}
	_ = unix.Mlock(page)
	_ = unix.Madvise(page, unix.MADV_DONTDUMP)
	_ = unix.Madvise(page, unix.MADV_WIPEONFORK)
	return page
}

// freePage wipes a page of newPage and gives it back.
func freePage(page []byte) {
	clear(page)
	_ = unix.Munmap(page) // fails for one from the heap, which the collector frees
}
