package wasm

// body is what the check of a function's code found out.
type body struct {
	at     int // offset of the locals
	decls  int // offset of the groups of locals, behind their count
	groups uint32
	code   int // offset of the first instruction
	end    int // offset behind the last "end"
	typ    uint32
	locals uint32 // parameters included
	// The cost of a stretch of code is its number of instructions. Those of a loop are
	// charged at its header, the rest at the function's entry. Branches within a stretch
	// only go forward, so that it never runs more often than it was charged.
	cost    uint32
	loops   int  // position of its first loop in module.loops
	budget  bool // it has loops that call nothing, which spend from a budget: see putLoop
	direct  bool // it always reaches the header of its first loop, before any call
	calls   bool // there is a call: frames can pile up on it
	patches bool // there are instructions that a rewrite has to look at
}

// loop is what the check of a function's code found out about one of its loops.
type loop struct {
	cost  uint32 // see body; without that of the loops in it
	calls bool   // there is a call in it, or in a loop in it
}

// frame is a block that is open.
type frame struct {
	op    uint32
	cost  int  // position in module.loops where its instructions count; -1: the function
	loops int  // how many loops are open, this one included
	calls bool // there has been a call in it
}

// checkBody checks the code of a function of type typ, from its locals to its last end.
func (m *module) checkBody(r *reader, typ uint32) (body, error) {
	f := body{at: r.pos, end: r.end, typ: typ, loops: len(m.loops)}
	if n := r.left(); n > MaxBody {
		return f, fault(r.pos, "a function of %d bytes, at most %d are allowed", n, MaxBody)
	}
	if err := m.checkLocals(r, &f); err != nil {
		return f, err
	}
	f.code = r.pos

	frames := append(m.frames[:0], frame{op: opBlock, cost: -1})
	blocks := 0
	straight := true // until now, all code runs whenever the function does
	var in instruction
	for len(frames) > 0 {
		if err := m.next(r, &in, f.locals, uint32(len(frames))); err != nil {
			return f, err
		}
		top := &frames[len(frames)-1]
		straight = straight && !leaves(in.op)
		switch in.op {
		case opBlock, opIf, opLoop:
			if len(frames) > MaxNesting {
				return f, fault(in.at, "blocks nested more than %d deep", MaxNesting)
			}
			m.nesting = max(m.nesting, len(frames))
			if blocks++; blocks*int(f.locals) > MaxBlockLocals {
				return f, fault(in.at, "%d blocks over %d locals in one function, the product may be %d at most", blocks, f.locals, MaxBlockLocals)
			}
			inner := frame{op: in.op, cost: top.cost, loops: top.loops}
			if in.op == opLoop {
				f.patches = true
				f.direct = f.direct || straight
				straight = false
				inner.cost = len(m.loops)
				m.loops = append(m.loops, loop{})
				inner.loops++
				if err := m.checkLoops(in.at, &f, inner.loops); err != nil {
					return f, err
				}
			}
			frames = append(frames, inner)
			top = &frames[len(frames)-1]
		case opElse:
			if top.op != opIf {
				return f, fault(in.at, "else without if")
			}
			top.op = opElse
		case opEnd:
			frames = frames[:len(frames)-1]
			if top.op == opLoop {
				m.loops[top.cost].calls = top.calls
				f.budget = f.budget || !top.calls
			}
			if top.calls && len(frames) > 0 {
				frames[len(frames)-1].calls = true
			}
		case opCall, opCallIndirect:
			top.calls = true
			m.note(&f, &in)
		default:
			m.note(&f, &in)
		}
		if top.cost < 0 {
			f.cost++
		} else {
			m.loops[top.cost].cost++
		}
	}
	m.frames = frames
	return f, r.done("a function body")
}

// leaves reports whether code behind an instruction may not run, or something else before it.
func leaves(op uint32) bool {
	switch op {
	case opUnreachable, opIf, opBr, opBrIf, opBrTable, opReturn, opCall, opCallIndirect:
		return true
	}
	return false
}

// checkLocals adds up the locals of a function without making room for them.
func (m *module) checkLocals(r *reader, f *body) error {
	groups, err := r.count("groups of locals", MaxLocals)
	if err != nil {
		return err
	}
	f.decls, f.groups = r.pos, uint32(groups)
	total := uint64(len(m.types[f.typ].Params))
	for range groups {
		at := r.pos
		n, err := r.u32()
		if err != nil {
			return err
		}
		if total += uint64(n); total > MaxLocals {
			return fault(at, "a function with %d locals, at most %d are allowed", total, MaxLocals)
		}
		if _, err := r.valueType(); err != nil {
			return err
		}
	}
	f.locals = uint32(total)
	if m.locals += int(total); m.locals > MaxLocalsTotal {
		return fault(f.at, "more than %d locals in all functions", MaxLocalsTotal)
	}
	return nil
}

// checkLoops is called at each loop of f; depth is how many are open.
func (m *module) checkLoops(at int, f *body, depth int) error {
	if depth > MaxLoopNesting {
		return fault(at, "loops nested more than %d deep", MaxLoopNesting)
	}
	if p := depth * int(f.locals); depth > 1 && p > MaxNestLocals {
		return fault(at, "loops nested %d deep over %d locals in one function, the product may be %d at most", depth, f.locals, MaxNestLocals)
	}
	n := len(m.loops) - f.loops
	if n > MaxLoops {
		return fault(at, "more than %d loops in one function", MaxLoops)
	}
	if p := n * int(f.locals); p > MaxLoopLocals {
		return fault(at, "%d loops over %d locals in one function, the product may be %d at most", n, f.locals, MaxLoopLocals)
	}
	if len(m.loops) > MaxLoopsTotal {
		return fault(at, "more than %d loops in all functions", MaxLoopsTotal)
	}
	return nil
}

// note remembers what a rewrite has to know about instruction in.
func (m *module) note(f *body, in *instruction) {
	switch in.op {
	case opCall, opCallIndirect:
		f.calls = true
		f.patches = true
	case opReturn, opMemoryGrow:
		f.patches = true
	case opMemoryFill:
		f.patches, m.fills = true, true
	case opMemoryCopy:
		f.patches, m.copies = true, true
	case opRefFunc:
		f.patches = true
	case opMemoryInit:
		f.patches = true
		m.namesData = true
	case opDataDrop:
		m.namesData = true
		m.lasts("data.drop")
	case opElemDrop:
		m.lasts("elem.drop")
	case opTableSet:
		m.lasts("table.set")
	case opTableInit, opTableCopy, opTableGrow, opTableFill:
		f.patches = true
		m.lasts("table.init, copy, grow or fill")
	}
}

// lasts remembers the first thing that restoring memory and globals would not undo.
func (m *module) lasts(what string) {
	if m.lasting == "" {
		m.lasting = what
	}
}
