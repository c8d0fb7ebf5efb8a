package sandbox

import (
	"encoding/binary"
	"sort"
)

const (
	// blockAlign is the alignment of a block's offset, in bytes; no guest type needs more.
	blockAlign = 16
	// blockCost is what a block is charged beyond its bytes, so that empty-handed
	// allocation in a loop ends: the size of a block and of its Go allocation, roughly.
	blockCost = 64
	// kernelEnd is the first offset that is never given. Extism's kernel is a 32-bit
	// module, so its offsets fit 32 bits, and some guests rely on it.
	kernelEnd = 1 << 32
	// kernelRoom is what a guest may hold in blocks beyond its input and output, in
	// bytes: requests and replies of 1 MiB each, several times over.
	kernelRoom = 16 << 20
)

// kernel is Extism's memory for one call: blocks that both sides can reach by offset.
//
// It is written in Go, and not the Wasm kernel of go-sdk, because that one keeps its
// list of blocks beside the blocks: a guest that writes past one of its own can send the
// kernel round in a circle, in code that nobody can interrupt. Here an access must lie
// within one live block, and a free block's offset is never given again.
type kernel struct {
	blocks []block // by offset; a nil data is a freed block
	freed  int     // how many of blocks are freed
	last   int     // the block that was found last
	next   uint64
	used   uint64 // bytes of live blocks and their cost
	limit  uint64 // of used
	given  uint64 // bytes of all blocks there ever were and their cost
	most   uint64 // of given
	arena  *arena // where blocks lie while it has room; nil: none does

	inputAt uint64 // offset of input
	input   []byte

	outputAt  uint64
	output    []byte
	hasOutput bool

	failureAt uint64
	failure   []byte
	failed    bool
}

type block struct {
	offset  uint64
	data    []byte
	address uint64 // of data in the arena; 0: elsewhere
}

// alloc returns the offset of a new block of n zero bytes, 0 when n is 0 or there is no room.
// A freed block makes room in limit and none in most: the host does not use its bytes again,
// and a guest that allocates and frees in a loop pays for little of the work that they are.
func (k *kernel) alloc(n uint64) uint64 {
	if n == 0 || n > k.limit || k.used+n+blockCost > k.limit || k.given+n+blockCost > k.most {
		return 0
	}
	at := k.next
	if at == 0 {
		at = blockAlign
	}
	end := at + n
	if end > kernelEnd-blockAlign {
		return 0
	}
	k.next = (end + blockAlign) &^ (blockAlign - 1)
	k.used += n + blockCost
	k.given += n + blockCost
	data, address := k.arena.take(n)
	if data == nil {
		data = make([]byte, n)
	}
	k.blocks = append(k.blocks, block{at, data, address})
	k.last = len(k.blocks) - 1
	return at
}

// put allocates a block that holds a copy of b. It returns 0 for an empty b, and false
// when there is no room.
func (k *kernel) put(b []byte) (offset uint64, ok bool) {
	if len(b) == 0 {
		return 0, true
	}
	at := k.alloc(uint64(len(b)))
	if at == 0 {
		return 0, false
	}
	copy(k.blocks[k.last].data, b)
	return at, true
}

// find returns the live block that offset lies in.
func (k *kernel) find(offset uint64) (int, bool) {
	if k.last < len(k.blocks) && k.blocks[k.last].holds(offset) {
		return k.last, true
	}
	i := sort.Search(len(k.blocks), func(i int) bool { return k.blocks[i].offset > offset }) - 1
	if i < 0 || !k.blocks[i].holds(offset) {
		return 0, false
	}
	k.last = i
	return i, true
}

func (b block) holds(offset uint64) bool {
	return offset >= b.offset && offset-b.offset < uint64(len(b.data))
}

// slice returns n bytes from offset when they lie in one live block. It shares memory
// with the block: copy before the guest runs again. No bytes lie anywhere.
func (k *kernel) slice(offset, n uint64) ([]byte, bool) {
	if n == 0 {
		return nil, true
	}
	i, ok := k.find(offset)
	if !ok {
		return nil, false
	}
	b := k.blocks[i]
	from := offset - b.offset
	if n > uint64(len(b.data))-from {
		return nil, false
	}
	return b.data[from : from+n], true
}

// block returns the whole block that begins at offset; offset 0 is the empty block.
// It shares memory with the block.
func (k *kernel) block(offset uint64) ([]byte, bool) {
	if offset == 0 {
		return nil, true
	}
	i, ok := k.find(offset)
	if !ok || k.blocks[i].offset != offset {
		return nil, false
	}
	return k.blocks[i].data, true
}

// length is the size of the block that begins at offset, 0 if none does.
func (k *kernel) length(offset uint64) uint64 {
	b, _ := k.block(offset)
	return uint64(len(b))
}

// free gives up the block that begins at offset. Anything else is ignored, as Extism does.
// Input, output and error outlive their blocks.
func (k *kernel) free(offset uint64) {
	i, ok := k.find(offset)
	if !ok || k.blocks[i].offset != offset {
		return
	}
	k.used -= uint64(len(k.blocks[i].data)) + blockCost
	k.blocks[i].data = nil
	k.arena.hide()
	k.freed++
	if k.freed > 64 && k.freed > len(k.blocks)/2 {
		k.compact()
	}
}

// compact drops the freed blocks. It runs when they are most, so that a free costs the
// same on average however many blocks there are.
func (k *kernel) compact() {
	live := k.blocks[:0]
	for _, b := range k.blocks {
		if b.data != nil {
			live = append(live, b)
		}
	}
	clear(k.blocks[len(live):])
	k.blocks, k.freed, k.last = live, 0, 0
}

// reset frees everything, the input too. Offsets are not used again.
func (k *kernel) reset() {
	k.arena.hide()
	k.arena.show(inputs, 0, 0, 0)
	*k = kernel{next: k.next, limit: k.limit, given: k.given, most: k.most, arena: k.arena}
}

// begin gives the guest its input and forgets what an initializer said.
func (k *kernel) begin(in []byte) bool {
	k.output, k.outputAt, k.hasOutput = nil, 0, false
	k.failure, k.failureAt, k.failed = nil, 0, false
	at, ok := k.put(in)
	if !ok {
		return false
	}
	k.inputAt, k.input = at, nil
	k.arena.show(inputs, 0, 0, 0)
	if at != 0 {
		k.input = k.blocks[k.last].data
		k.show(inputs)
	}
	return true
}

// show lets the shim reach the block that was found last.
func (k *kernel) show(window int) {
	b := k.blocks[k.last]
	offset := b.offset
	if window == inputs {
		offset = 0
	}
	k.arena.show(window, offset, uint64(len(b.data)), b.address)
}

func (k *kernel) setInput(offset, n uint64) bool {
	b, ok := k.slice(offset, n)
	if ok {
		k.inputAt, k.input = offset, b
		k.arena.show(inputs, 0, 0, 0) // the shim asks: this is too rare to be fast
	}
	return ok
}

func (k *kernel) setOutput(offset, n uint64) bool {
	b, ok := k.slice(offset, n)
	if ok {
		k.outputAt, k.output, k.hasOutput = offset, b, true
	}
	return ok
}

// setFailure takes the block at offset as the guest's error; offset 0 takes it back.
func (k *kernel) setFailure(offset uint64) bool {
	b, ok := k.block(offset)
	if ok {
		k.failureAt, k.failure, k.failed = offset, b, offset != 0
	}
	return ok
}

// inputWord returns 8 bytes of the input as a little-endian number.
func (k *kernel) inputWord(at uint64) (uint64, bool) {
	if n := uint64(len(k.input)); n < 8 || at > n-8 {
		return 0, false
	}
	return binary.LittleEndian.Uint64(k.input[at:]), true
}
