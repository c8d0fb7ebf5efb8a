package wasm

// helper is a function that Rewrite adds behind those of the module.
type helper int

const (
	outOfFuel   helper = iota // () -> (): asks the host for more
	chargeBytes               // (n i32) -> (n): charges n bytes of memory
	chargeItems               // (n i32) -> (n): charges n elements of a table
	chargePages               // (n i32) -> (n): charges n pages of memory
	chargeLoop                // (n i32) -> (loopBudget): see putLoop
	fillPieces                // (d, value, n i32) -> (): memory.fill in pieces, charged; see putFill
	copyPieces                // (d, s, n i32) -> (): memory.copy in pieces, charged; see putCopy
	helperCount
)

// What a unit of fuel buys of bulk operations. 8 bytes copied to memory touched for the
// first time take about as long as an instruction or two.
const (
	bytesShift = 3      // 8 bytes a unit
	pagesShift = 16 - 3 // 64 KiB a page
)

var (
	refuelType = FuncType{Params: []ValueType{I64}, Results: []ValueType{I64}}
	depthType  = FuncType{}
	chargeType = FuncType{Params: []ValueType{I32}, Results: []ValueType{I32}}
	bulkType   = FuncType{Params: []ValueType{I32, I32, I32}}
)

func (h helper) signature() FuncType {
	switch h {
	case outOfFuel:
		return depthType
	case fillPieces, copyPieces:
		return bulkType
	}
	return chargeType
}

// name goes into the name section. Its prefix tells hosts to leave it out of stack traces.
func (h helper) name() string {
	return "pointsman." + [...]string{
		outOfFuel:   "out_of_fuel",
		chargeBytes: "charge_bytes",
		chargeItems: "charge_items",
		chargePages: "charge_pages",
		chargeLoop:  "charge_loop",
		fillPieces:  "fill",
		copyPieces:  "copy",
	}[h]
}

// putHelper appends the body of h.
//
//	out_of_fuel:  global.get $fuel  call $refuel  global.set $fuel
//	charge_*:     $fuel -= n scaled, as an unsigned number in 64 bits: at most 2^45
//	              if $fuel >= 0 {} else { call $out_of_fuel }
//	              n
//	charge_loop:  $fuel -= loopBudget - n, where n is below zero
//	              if $fuel >= 0 {} else { call $out_of_fuel }
//	              loopBudget
func (w *rewriter) putHelper(b []byte, h helper) []byte {
	switch h {
	case fillPieces:
		return w.putFill(b)
	case copyPieces:
		return w.putCopy(b)
	}
	b = append(b, 0) // no locals
	if h == outOfFuel {
		b = putU32(append(b, opGlobalGet), w.fuelGlobal)
		b = putU32(append(b, opCall), w.refuel)
		b = putU32(append(b, opGlobalSet), w.fuelGlobal)
		return append(b, opEnd)
	}
	b = putU32(append(b, opGlobalGet), w.fuelGlobal)
	if h == chargeLoop {
		b = putSigned(append(b, opI64Const), loopBudget)
		b = append(b, opLocalGet, 0, opI64ExtendS, opI64Sub)
		b = w.putCharged(b)
		return append(putSigned(append(b, opI32Const), loopBudget), opEnd)
	}
	b = append(b, opLocalGet, 0, opI64ExtendU)
	switch h {
	case chargeBytes:
		b = append(b, opI64Const, bytesShift, opI64ShrU)
	case chargePages:
		b = append(b, opI64Const, pagesShift, opI64Shl)
	}
	b = w.putCharged(b)
	return append(b, opLocalGet, 0, opEnd)
}

// putEnter appends the count of a frame, which traps when there are too many.
func (w *rewriter) putEnter(b []byte, weight uint32) []byte {
	b = putU32(append(b, opGlobalGet), w.depthGlobal)
	b = putSigned(append(b, opI32Const), int64(weight))
	b = append(b, opI32Sub)
	b = putU32(append(b, opGlobalSet), w.depthGlobal)
	b = putU32(append(b, opGlobalGet), w.depthGlobal)
	b = append(b, opI32Const, 0, opI32LtS, opIf, noResult)
	b = putU32(append(b, opCall), w.depth)
	return append(b, opUnreachable, opEnd)
}

// putLeave appends the end of a frame.
func (w *rewriter) putLeave(b []byte, weight uint32) []byte {
	b = putU32(append(b, opGlobalGet), w.depthGlobal)
	b = putSigned(append(b, opI32Const), int64(weight))
	b = append(b, opI32Add)
	return putU32(append(b, opGlobalSet), w.depthGlobal)
}

// weight is what a frame of f takes of the depth: see Options.MaxDepth. A value that a
// frame keeps is a local, or was made by at least three bytes of code.
func (f *body) weight() uint32 {
	return 1 + f.locals/32 + uint32(f.end-f.at)/1024
}

func (w *rewriter) codeSection() []byte {
	w.typeOfSignature(refuelType)
	w.typeOfSignature(depthType)
	out := make([]byte, 0, w.codeSize()+w.codeSize()/4)
	out = putU32(out, uint32(len(w.bodies)+len(w.order)))
	var one []byte
	for i := range w.bodies {
		one = w.putBody(one[:0], &w.bodies[i])
		out = putBlob(out, one)
	}
	for _, h := range w.order {
		out = putBlob(out, w.putHelper(one[:0], h))
	}
	return out
}

func (m *module) codeSize() (n int) {
	for _, f := range m.bodies {
		n += f.end - f.at
	}
	return n
}

// putBody appends the body of f:
//
//	locals, one more for a budget
//	charge, prepay the budget, enter
//	block (results of f)      ;; where "return" and branches to the function lead
//	  the code of f
//	end
//	leave
//	end
//
// The block takes the place of the function in the count of labels, so that branches
// keep theirs. A function that calls nothing needs no enter, block and leave.
func (w *rewriter) putBody(b []byte, f *body) []byte {
	switch {
	case f.budget:
		b = append(putU32(b, f.groups+1), w.raw[f.decls:f.code]...)
		b = append(b, 1, byte(I32))
		b = w.putCharge(b, price(f.cost)+loopPrepaid)
		b = putSigned(append(b, opI32Const), loopPrepaid)
		b = putU32(append(b, opLocalSet), f.locals)
	case w.chargedInLoop(f):
		b = append(b, w.raw[f.at:f.code]...)
	default:
		b = append(b, w.raw[f.at:f.code]...)
		b = w.putCharge(b, price(f.cost))
	}
	if !f.calls {
		return append(w.putCode(b, f), opEnd)
	}
	b = w.putEnter(b, f.weight())
	b = append(b, opBlock)
	switch results := w.types[f.typ].Results; len(results) {
	case 0:
		b = append(b, noResult)
	case 1:
		b = append(b, byte(results[0]))
	default:
		b = putSigned(b, int64(w.typeOfSignature(FuncType{Results: results})))
	}
	b = append(w.putCode(b, f), opEnd)
	b = w.putLeave(b, f.weight())
	return append(b, opEnd)
}

// putCode appends the code of f without its last end: copied, but for what the charges
// and the shifted functions need.
func (w *rewriter) putCode(b []byte, f *body) []byte {
	last := f.end - 1
	if !f.patches {
		return append(b, w.raw[f.code:last]...)
	}
	r := &reader{b: w.raw, pos: f.code, end: last}
	done, depth, loop := f.code, uint32(0), f.loops
	flush := func(to int) {
		b = append(b, w.raw[done:to]...)
		done = to
	}
	var in instruction
	for r.left() > 0 {
		// The check has read the same before. Should it ever differ, what was not
		// copied yet is missing and no runtime accepts the result.
		if err := w.next(r, &in, f.locals, depth+1); err != nil {
			return b
		}
		switch in.op {
		case opBlock, opIf:
			depth++
		case opEnd:
			depth--
		case opLoop:
			depth++
			flush(r.pos)
			cost := w.loops[loop].cost
			switch {
			case !w.loops[loop].calls:
				b = w.putLoop(b, f.locals, price(cost))
			case loop == f.loops && w.chargedInLoop(f):
				b = w.putCharge(b, price(cost+f.cost))
			default:
				b = w.putCharge(b, price(cost))
			}
			loop++
		case opReturn:
			if f.calls {
				flush(in.at)
				b = putU32(append(b, opBr), depth)
				done = r.pos
			}
		case opCall, opRefFunc:
			flush(in.at)
			b = putU32(append(b, byte(in.op)), w.shifted(in.index))
			done = r.pos
		case opMemoryCopy:
			flush(in.at)
			b = w.putCall(b, copyPieces)
			done = r.pos
		case opMemoryFill:
			flush(in.at)
			b = w.putCall(b, fillPieces)
			done = r.pos
		case opMemoryInit:
			flush(in.at)
			b = w.putCall(b, chargeBytes)
		case opTableInit, opTableCopy, opTableFill, opTableGrow:
			flush(in.at)
			b = w.putCall(b, chargeItems)
		case opMemoryGrow:
			flush(in.at)
			b = w.putCall(b, chargePages)
		}
	}
	flush(last)
	return b
}

func (w *rewriter) putCall(b []byte, h helper) []byte {
	return putU32(append(b, opCall), w.helpers[h])
}
