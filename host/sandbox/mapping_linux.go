package sandbox

import (
	"fmt"
	"unsafe"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// mappedMemory is a linear memory whose address never moves: the whole of its limit is
// reserved, and pages are made accessible as it grows. One goroutine at a time.
type mappedMemory struct {
	guestMemory        // buf is what is accessible
	whole       []byte // the reservation; nil when freed
	answer      []byte // when not nil, what the next Reallocate returns: see undoGrowth
}

var (
	_ experimental.LinearMemory    = (*mappedMemory)(nil)
	_ experimental.MemoryAllocator = (*mappedMemory)(nil)
)

// reserve returns an empty memory of at most limit bytes, a multiple of the page size.
func reserve(limit uint64) (*mappedMemory, error) {
	m := &mappedMemory{guestMemory: guestMemory{limit: limit}}
	if limit == 0 {
		return m, nil
	}
	at, err := unix.MmapPtr(-1, 0, nil, uintptr(limit), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("reserve %d bytes of guest memory: %w", limit, err)
	}
	m.whole = unsafe.Slice((*byte)(at), limit)
	return m, nil
}

// Allocate implements experimental.MemoryAllocator: it is the one memory of its instance.
func (m *mappedMemory) Allocate(_, _ uint64) experimental.LinearMemory { return m }

// Reallocate implements experimental.LinearMemory. nil makes memory.grow answer -1.
func (m *mappedMemory) Reallocate(size uint64) []byte {
	if m.answer != nil {
		m.buf, m.answer = m.answer, nil
		return m.buf
	}
	have := uint64(len(m.buf))
	if size > m.limit || size < have || m.whole == nil && size > 0 {
		return nil
	}
	if size > have {
		if err := unix.Mprotect(m.whole[have:size], unix.PROT_READ|unix.PROT_WRITE); err != nil {
			return nil
		}
	}
	m.buf = m.whole[:size:size]
	if m.buf == nil {
		m.buf = []byte{}
	}
	return m.buf
}

// Free implements experimental.LinearMemory. Nothing may use the memory afterwards.
func (m *mappedMemory) Free() {
	m.buf = nil
	if m.whole != nil {
		// It can only fail for a range that was never mapped.
		_ = unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(m.whole)), uintptr(len(m.whole)))
		m.whole = nil
	}
}

// overlay puts the image in the place of the first bytes: a copy of its own of each page
// is made when it is written.
func (m *mappedMemory) overlay(i *image) error {
	if i.size == 0 {
		return nil
	}
	_, err := unix.MmapPtr(i.fd, 0, unsafe.Pointer(unsafe.SliceData(m.whole)), uintptr(i.size),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED)
	if err != nil {
		return fmt.Errorf("map the image: %w", err)
	}
	return nil
}

// drop gives back the accessible bytes between from and to, which read as zeros then.
func (m *mappedMemory) drop(from, to uint64) error {
	to = min((to+pageSize-1)&^(pageSize-1), uint64(len(m.buf)))
	return unix.Madvise(m.buf[from:to], unix.MADV_DONTNEED)
}

// truncate makes the bytes from size on inaccessible, and forgets them. wazero still has
// the longer slice: see undoGrowth.
func (m *mappedMemory) truncate(size uint64) error {
	tail := m.whole[size:len(m.buf)]
	_, err := unix.MmapPtr(-1, 0, unsafe.Pointer(unsafe.SliceData(tail)), uintptr(len(tail)),
		unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE|unix.MAP_FIXED)
	if err != nil {
		return fmt.Errorf("drop what the guest grew: %w", err)
	}
	m.answer = m.whole[:size:size]
	return nil
}

// imageFile is a sealed file in memory.
type imageFile struct {
	fd    int
	size  int
	bytes []byte // the file, mapped read-only
}

// newImageFile keeps a copy of content, whose length is a multiple of the page size.
// Pages of zeros take no room.
func newImageFile(content []byte) (f imageFile, err error) {
	if len(content) == 0 {
		return imageFile{fd: -1}, nil
	}
	fd, err := unix.MemfdCreate("pointsman-image", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL { // kernels before 6.3 do not know NOEXEC_SEAL
		fd, err = unix.MemfdCreate("pointsman-image", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return f, fmt.Errorf("make the image's file: %w", err)
	}
	f = imageFile{fd: fd, size: len(content)}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if err := unix.Ftruncate(fd, int64(len(content))); err != nil {
		return f, fmt.Errorf("size the image: %w", err)
	}
	page := unix.Getpagesize()
	for at := 0; at < len(content); at += page {
		if isZero(content[at : at+page]) {
			continue
		}
		for done := at; done < at+page; {
			n, err := unix.Pwrite(fd, content[done:at+page], int64(done))
			if err != nil {
				return f, fmt.Errorf("write the image: %w", err)
			}
			done += n
		}
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL); err != nil {
		return f, fmt.Errorf("seal the image: %w", err)
	}
	if f.bytes, err = unix.Mmap(fd, 0, len(content), unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return f, fmt.Errorf("map the image: %w", err)
	}
	return f, nil
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func (f imageFile) close() {
	if f.bytes != nil {
		_ = unix.Munmap(f.bytes)
	}
	if f.fd >= 0 {
		_ = unix.Close(f.fd)
	}
}
