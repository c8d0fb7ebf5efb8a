package sandbox

import (
	"encoding/binary"

	"github.com/tetratelabs/wazero/experimental"
)

// pageSize is a Wasm page, in bytes.
const pageSize = 64 << 10

// guestMemory is the linear memory of one instance as the host sees it: wazero gets its
// bytes from here, so host functions that are not given the caller's module can still
// reach it, and growth ends at a limit of its own. One goroutine at a time.
//
// Whatever leaves it is a copy. Growing moves the bytes.
type guestMemory struct {
	buf   []byte
	limit uint64 // bytes
}

var _ experimental.LinearMemory = (*guestMemory)(nil)

// Reallocate implements experimental.LinearMemory. nil makes memory.grow answer -1.
func (m *guestMemory) Reallocate(size uint64) []byte {
	if size > m.limit {
		return nil
	}
	if size <= uint64(cap(m.buf)) {
		m.buf = m.buf[:size]
		return m.buf
	}
	// Growing by half again keeps the copying linear; the limit bounds what is reserved.
	room := size
	if len(m.buf) > 0 {
		room = min(max(size, uint64(cap(m.buf))+uint64(cap(m.buf))/2), m.limit)
	}
	grown := make([]byte, size, room)
	copy(grown, m.buf)
	m.buf = grown
	return m.buf
}

// Free implements experimental.LinearMemory.
func (m *guestMemory) Free() { m.buf = nil }

// within reports whether n bytes from ptr lie in the memory, in 64-bit arithmetic.
func (m *guestMemory) within(ptr, n uint64) bool {
	size := uint64(len(m.buf))
	return ptr <= size && n <= size-ptr
}

// read returns a copy of n bytes from ptr.
func (m *guestMemory) read(ptr, n uint64) ([]byte, bool) {
	if !m.within(ptr, n) {
		return nil, false
	}
	return append(make([]byte, 0, n), m.buf[ptr:ptr+n]...), true
}

// write copies b to ptr; nothing is written unless all of it fits.
func (m *guestMemory) write(ptr uint64, b []byte) bool {
	if !m.within(ptr, uint64(len(b))) {
		return false
	}
	copy(m.buf[ptr:], b)
	return true
}

func (m *guestMemory) uint32(ptr uint64) (uint32, bool) {
	if !m.within(ptr, 4) {
		return 0, false
	}
	return binary.LittleEndian.Uint32(m.buf[ptr:]), true
}

func (m *guestMemory) putUint32(ptr uint64, v uint32) bool {
	return m.write(ptr, binary.LittleEndian.AppendUint32(nil, v))
}

func (m *guestMemory) putUint64(ptr, v uint64) bool {
	return m.write(ptr, binary.LittleEndian.AppendUint64(nil, v))
}

// kernelMemory is how much go-sdk's own kernel may take, in bytes. Guests cannot reach
// it: it holds an empty input and an empty output.
const kernelMemory = 4 << 20

// allocator hands out the memories of one instance. go-sdk instantiates its kernel
// first and the guest second, and each owns exactly one memory or, the guest, none.
type allocator struct {
	kernel guestMemory
	guest  *guestMemory
	given  int
}

var _ experimental.MemoryAllocator = (*allocator)(nil)

// Allocate implements experimental.MemoryAllocator.
func (a *allocator) Allocate(_, _ uint64) experimental.LinearMemory {
	a.given++
	switch a.given {
	case 1:
		a.kernel.limit = kernelMemory
		return &a.kernel
	case 2:
		return a.guest
	}
	// Not reached with the go-sdk in go.mod; a memory nobody knows may not grow.
	return &guestMemory{limit: pageSize}
}
