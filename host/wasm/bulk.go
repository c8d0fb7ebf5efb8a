package wasm

// A bulk instruction is one uninterruptible run of machine code: while it lasts, no
// deadline is looked at and the garbage collector, which has to stop the world, waits with
// everyone else. memory.fill and memory.copy may be of 4 GiB, so they run in pieces of
// BulkPiece, and each piece is charged before it runs.
//
// The others are bounded by what the check allows, stay what they are and are charged as
// a whole before they run:
//
//	memory.init             at most MaxModule bytes: 6 ms to memory not yet touched, else
//	                        3 ms; see BenchmarkMemoryInit in host/sandbox
//	table.init, table.copy,
//	table.fill, table.grow  at most MaxTable elements of 8 bytes: 800 kB
//	memory.grow             a call to the runtime, which knows how large a memory it may
//	                        have to move

// BulkPiece is how many bytes memory.fill and memory.copy handle at most between two
// looks at the fuel: 8 µs of copying in a memory that no cache holds, and fewer units than
// the smallest allowance has. Throughput is the same from 32 KiB to 1 MiB, so the smaller
// wait decides; see BenchmarkBulk in host/sandbox. A multiple of what a unit buys, so that
// cutting a length in pieces does not change its price.
const BulkPiece = 64 << 10

// putFill appends the body of the function that stands for memory.fill:
//
//	fill(d, value, n):
//	  if n > BulkPiece && d+n <= bytes of memory {
//	    do {
//	      charge_bytes(BulkPiece)
//	      memory.fill(d, value, BulkPiece)
//	      d += BulkPiece
//	      n -= BulkPiece
//	    } while n > BulkPiece
//	  }
//	  charge_bytes(n)
//	  memory.fill(d, value, n)
//
// Numbers are unsigned. What is out of bounds goes to the instruction whole, which traps
// and has written nothing. There is always a rest for it, so d stays below 2^32.
func (w *rewriter) putFill(b []byte) []byte {
	const d, value, n = 0, 1, 2
	b = append(b, 0) // no locals
	b = putMoreThanAPiece(b, n)
	b = append(b, opIf, noResult)
	b = putWithin(append(b, opLocalGet, d, opI64ExtendU), n)
	b = append(b, opIf, noResult, opLoop, noResult)
	b = append(b, opLocalGet, d, opLocalGet, value)
	b = w.putChargedPiece(b)
	b = putMemoryFill(b)
	b = putStep(b, d, opI32Add)
	b = putStep(b, n, opI32Sub)
	b = putMoreThanAPiece(b, n)
	b = append(b, opBrIf, 0, opEnd, opEnd, opEnd)
	b = append(b, opLocalGet, d, opLocalGet, value, opLocalGet, n)
	b = putMemoryFill(w.putCall(b, chargeBytes))
	return append(b, opEnd)
}

// putCopy appends the body of the function that stands for memory.copy:
//
//	copy(d, s, n):
//	  if n > BulkPiece && max(d, s)+n <= bytes of memory {
//	    if d <= s {
//	      do {
//	        charge_bytes(BulkPiece)
//	        memory.copy(d, s, BulkPiece)
//	        d, s, n = d+BulkPiece, s+BulkPiece, n-BulkPiece
//	      } while n > BulkPiece
//	    } else {
//	      do {
//	        n -= BulkPiece
//	        charge_bytes(BulkPiece)
//	        memory.copy(d+n, s+n, BulkPiece)
//	      } while n > BulkPiece
//	    }
//	  }
//	  charge_bytes(n)
//	  memory.copy(d, s, n)
//
// As with putFill. Where the two overlap, the order of the pieces sees to it that a piece
// writes over what was read already, or over itself, which the instruction minds.
func (w *rewriter) putCopy(b []byte) []byte {
	const d, s, n = 0, 1, 2
	b = append(b, 0) // no locals
	b = putMoreThanAPiece(b, n)
	b = append(b, opIf, noResult)
	b = append(b, opLocalGet, d, opLocalGet, s, opLocalGet, d, opLocalGet, s, opI32GtU, opSelect, opI64ExtendU)
	b = putWithin(b, n)
	b = append(b, opIf, noResult, opLocalGet, d, opLocalGet, s, opI32LeU, opIf, noResult)

	b = append(b, opLoop, noResult)
	b = append(b, opLocalGet, d, opLocalGet, s)
	b = w.putChargedPiece(b)
	b = putMemoryCopy(b)
	b = putStep(b, d, opI32Add)
	b = putStep(b, s, opI32Add)
	b = putStep(b, n, opI32Sub)
	b = putMoreThanAPiece(b, n)
	b = append(b, opBrIf, 0, opEnd)

	b = append(b, opElse, opLoop, noResult)
	b = putStep(b, n, opI32Sub)
	b = append(b, opLocalGet, d, opLocalGet, n, opI32Add, opLocalGet, s, opLocalGet, n, opI32Add)
	b = w.putChargedPiece(b)
	b = putMemoryCopy(b)
	b = putMoreThanAPiece(b, n)
	b = append(b, opBrIf, 0, opEnd)

	b = append(b, opEnd, opEnd, opEnd)
	b = append(b, opLocalGet, d, opLocalGet, s, opLocalGet, n)
	b = putMemoryCopy(w.putCall(b, chargeBytes))
	return append(b, opEnd)
}

// putMoreThanAPiece appends: n > BulkPiece.
func putMoreThanAPiece(b []byte, n byte) []byte {
	b = putSigned(append(b, opLocalGet, n, opI32Const), BulkPiece)
	return append(b, opI32GtU)
}

// putWithin appends: the i64 on the stack + n <= bytes of memory.
func putWithin(b []byte, n byte) []byte {
	b = append(b, opLocalGet, n, opI64ExtendU, opI64Add)
	b = append(b, opMemorySize, 0, opI64ExtendU, opI64Const, 16, opI64Shl)
	return append(b, opI64LeU)
}

// putChargedPiece appends: BulkPiece, which is charged.
func (w *rewriter) putChargedPiece(b []byte) []byte {
	return w.putCall(putSigned(append(b, opI32Const), BulkPiece), chargeBytes)
}

// putStep appends: local = local op BulkPiece.
func putStep(b []byte, local, op byte) []byte {
	b = putSigned(append(b, opLocalGet, local, opI32Const), BulkPiece)
	return append(b, op, opLocalSet, local)
}

func putMemoryFill(b []byte) []byte { return append(b, opMemoryFill>>8, opMemoryFill&0xff, 0) }

func putMemoryCopy(b []byte) []byte { return append(b, opMemoryCopy>>8, opMemoryCopy&0xff, 0, 0) }
