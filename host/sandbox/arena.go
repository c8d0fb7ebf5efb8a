package sandbox

import "encoding/binary"

// arena is where the blocks of a kernel lie when the shim is to reach them: the shim's
// linear memory. It is wiped when a call ends. One goroutine at a time; the nil arena has
// no room.
//
//	0      the window of loads     ┐ offset, bytes, words, address; 8 bytes each;
//	32     the window of stores    │ see shim.wat
//	64     the window of the input ┘
//	128    blocks, up to next; zeros from there
type arena struct {
	memory *mappedMemory
	next   uint64
}

// The windows of the shim.
const (
	loads = 32 * iota
	stores
	inputs
)

const arenaStart = 128

// take returns n zero bytes and their address, or nil when there is no room.
func (a *arena) take(n uint64) (data []byte, address uint64) {
	if a == nil {
		return nil, 0
	}
	at := (a.next + 7) &^ 7
	if end := uint64(len(a.memory.buf)); at > end || n > end-at {
		return nil, 0
	}
	a.next = at + n
	return a.memory.buf[at:a.next:a.next], at
}

// show sets a window: n bytes that lie at address are the offsets from offset on. An
// address of 0 is not in the arena: the window is closed.
func (a *arena) show(window int, offset, n, address uint64) {
	if a == nil {
		return
	}
	words := uint64(0)
	if n >= 8 {
		words = n - 7
	}
	if address == 0 {
		n, words = 0, 0
	}
	w := a.memory.buf[window : window+32]
	binary.LittleEndian.PutUint64(w, offset)
	binary.LittleEndian.PutUint64(w[8:], n)
	binary.LittleEndian.PutUint64(w[16:], words)
	binary.LittleEndian.PutUint64(w[24:], address)
}

// hide closes the windows of loads and stores: a block is no more.
func (a *arena) hide() {
	a.show(loads, 0, 0, 0)
	a.show(stores, 0, 0, 0)
}

// wipe forgets everything.
func (a *arena) wipe() error {
	const keep = 64 << 10 // bytes that stay mapped, so that the next call takes no page fault
	used := a.next
	a.next = arenaStart
	clear(a.memory.buf[:min(used, keep)])
	if used > keep {
		return a.memory.drop(keep, used)
	}
	return nil
}
