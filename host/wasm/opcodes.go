package wasm

// immediate is what follows an opcode.
type immediate byte

const (
	refused     immediate = iota // no such instruction, or of a feature that is not offered
	none                         // nothing
	blockType                    // opens a block
	label                        // br, br_if
	labels                       // br_table
	funcIndex                    // call, ref.func
	typeTable                    // call_indirect
	types                        // select t*
	localIndex                   // local.*
	globalIndex                  // global.*
	tableIndex                   // table.*
	memArg                       // alignment, offset
	memZero                      // memory.size, memory.grow, memory.fill
	memZeroTwo                   // memory.copy
	constI32                     // i32.const
	constI64                     // i64.const
	bytes4                       // f32.const
	bytes8                       // f64.const
	bytes16                      // v128.const
	lanes16                      // i8x16.shuffle
	lane                         // a lane index
	memArgLane                   // alignment, offset, lane
	refTyped                     // ref.null
	dataMem                      // memory.init
	dataIndex                    // data.drop
	elemTable                    // table.init
	elemIndex                    // elem.drop
	tableTwo                     // table.copy
)

// Instructions that someone looks at. Those behind the prefixes 0xFC and 0xFD are
// numbered prefix<<8 + number.
const (
	opUnreachable  = 0x00
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	noResult       = 0x40 // block type
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opSelect       = 0x1b
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opTableSet     = 0x26
	opMemorySize   = 0x3f
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opI32LtS       = 0x48
	opI32GtU       = 0x4b
	opI32LeU       = 0x4d
	opI32GeS       = 0x4e
	opI64LeU       = 0x58
	opI64GeS       = 0x59
	opI32Add       = 0x6a
	opI32Sub       = 0x6b
	opI64Add       = 0x7c
	opI64Sub       = 0x7d
	opI64Shl       = 0x86
	opI64ShrU      = 0x88
	opI64ExtendS   = 0xac
	opI64ExtendU   = 0xad
	opRefNull      = 0xd0
	opRefFunc      = 0xd2
	opMemoryInit   = 0xfc08
	opDataDrop     = 0xfc09
	opMemoryCopy   = 0xfc0a
	opMemoryFill   = 0xfc0b
	opTableInit    = 0xfc0c
	opElemDrop     = 0xfc0d
	opTableCopy    = 0xfc0e
	opTableGrow    = 0xfc0f
	opTableFill    = 0xfc11
	opV128Const    = 0xfd0c
)

// immediateOf says what follows an opcode without prefix.
func immediateOf(op byte) immediate {
	switch {
	case op >= 0x45 && op <= 0xc4: // comparisons, arithmetic, conversions, sign extension
		return none
	case op >= 0x28 && op <= 0x3e: // loads and stores
		return memArg
	case op >= 0x20 && op <= 0x22:
		return localIndex
	}
	switch op {
	case opUnreachable, 0x01 /* nop */, opElse, opEnd, opReturn, 0x1a /* drop */, opSelect, 0xd1 /* ref.is_null */ :
		return none
	case opBlock, opLoop, opIf:
		return blockType
	case opBr, opBrIf:
		return label
	case opBrTable:
		return labels
	case opCall, opRefFunc:
		return funcIndex
	case opCallIndirect:
		return typeTable
	case 0x1c:
		return types
	case opGlobalGet, opGlobalSet:
		return globalIndex
	case 0x25, opTableSet:
		return tableIndex
	case opMemorySize, opMemoryGrow:
		return memZero
	case opI32Const:
		return constI32
	case opI64Const:
		return constI64
	case opF32Const:
		return bytes4
	case opF64Const:
		return bytes8
	case opRefNull:
		return refTyped
	}
	return refused
}

// immediateOfFC says what follows instruction n of the prefix 0xFC: saturating float
// conversions, bulk memory, tables.
func immediateOfFC(n uint32) immediate {
	switch {
	case n <= 7:
		return none
	case n == 0x08:
		return dataMem
	case n == 0x09:
		return dataIndex
	case n == 0x0a:
		return memZeroTwo
	case n == 0x0b:
		return memZero
	case n == 0x0c:
		return elemTable
	case n == 0x0d:
		return elemIndex
	case n == 0x0e:
		return tableTwo
	case n <= 0x11: // table.grow, table.size, table.fill
		return tableIndex
	}
	return refused
}

// immediateOfFD says what follows instruction n of the prefix 0xFD: SIMD, without the
// relaxed instructions, which begin at 0x100.
func immediateOfFD(n uint32) immediate {
	switch {
	case n <= 0x0b: // loads, v128.store
		return memArg
	case n == 0x0c:
		return bytes16
	case n == 0x0d:
		return lanes16
	case n >= 0x15 && n <= 0x22: // extract_lane, replace_lane
		return lane
	case n >= 0x54 && n <= 0x5b: // load_lane, store_lane
		return memArgLane
	case n == 0x5c, n == 0x5d: // load32_zero, load64_zero
		return memArg
	case n > 0xff:
		return refused
	}
	switch n { // numbers that the specification left free
	case 0x9a, 0xa2, 0xa5, 0xa6, 0xaf, 0xb0, 0xb2, 0xb3, 0xb4, 0xbb, 0xc2, 0xc5, 0xc6, 0xcf,
		0xd0, 0xd2, 0xd3, 0xd4, 0xe2, 0xee:
		return refused
	}
	return none
}

// whyRefused names the feature that an instruction belongs to, where one is known.
func whyRefused(op byte) string {
	switch op {
	case 0x06, 0x07, 0x08, 0x09, 0x0a, 0x18, 0x19, 0x1f:
		return "exceptions are not offered"
	case 0x12, 0x13:
		return "tail calls are not offered"
	case 0x14, 0x15, 0xd3, 0xd4, 0xd5, 0xd6, 0xfb:
		return "typed references and garbage collection are not offered"
	case 0xfe:
		return "threads are not offered"
	}
	return "unknown instruction"
}
