package wasm

// instruction is one instruction of a body.
type instruction struct {
	at    int    // offset of its opcode in the module
	op    uint32 // opcode; prefix<<8 + number behind the prefixes 0xFC and 0xFD
	index uint32 // its first index: function, label, type, local, ... ; memory: 0
	next  int    // where the second immediate begins
	block int64  // block type, when it opens a block
}

// next reads an instruction and checks its immediates against m. locals is how many the
// function has, depth how many labels can be branched to.
func (m *module) next(r *reader, in *instruction, locals, depth uint32) error {
	in.at = r.pos
	b, err := r.byte()
	if err != nil {
		return err
	}
	in.op = uint32(b)
	var kind immediate
	switch b {
	case 0xfc, 0xfd:
		n, err := r.u32()
		if err != nil {
			return err
		}
		if b == 0xfc {
			kind = immediateOfFC(n)
		} else {
			kind = immediateOfFD(n)
		}
		if kind == refused {
			return fault(in.at, "unknown instruction %#x %d", b, n)
		}
		in.op = in.op<<8 | n
	default:
		if kind = immediateOf(b); kind == refused {
			return fault(in.at, "instruction %#x: %s", b, whyRefused(b))
		}
	}
	if kind == none {
		return nil
	}
	return m.immediates(r, in, kind, locals, depth)
}

func (m *module) immediates(r *reader, in *instruction, kind immediate, locals, depth uint32) (err error) {
	switch kind {
	case localIndex:
		return r.index(in, "local", locals)
	case memArg:
		return m.memArg(r)
	case constI32:
		_, err = r.signed(32)
	case constI64:
		_, err = r.signed(64)
	case label:
		return r.index(in, "label", depth)
	case funcIndex:
		return r.index(in, "function", m.functions())
	case globalIndex:
		return r.index(in, "global", uint32(len(m.globals)))
	case blockType:
		in.block, err = m.blockType(r)
	case labels:
		n, err := r.count("branch targets", MaxBranchTable)
		if err != nil {
			return err
		}
		for range n + 1 {
			if err := r.index(in, "label", depth); err != nil {
				return err
			}
		}
	case typeTable:
		if err := r.index(in, "type", uint32(len(m.types))); err != nil {
			return err
		}
		return m.tableIndex(r, &instruction{})
	case tableIndex:
		return m.tableIndex(r, in)
	case tableTwo:
		if err := m.tableIndex(r, in); err != nil {
			return err
		}
		return m.tableIndex(r, in)
	case elemTable:
		if err := r.index(in, "element segment", uint32(len(m.elements))); err != nil {
			return err
		}
		return m.tableIndex(r, in)
	case elemIndex:
		return r.index(in, "element segment", uint32(len(m.elements)))
	case memZero:
		return m.memoryZero(r)
	case memZeroTwo:
		if err := m.memoryZero(r); err != nil {
			return err
		}
		return m.memoryZero(r)
	case dataMem:
		if err := m.dataIndex(r, in); err != nil {
			return err
		}
		return m.memoryZero(r)
	case dataIndex:
		return m.dataIndex(r, in)
	case bytes4:
		return r.skip(4)
	case bytes8:
		return r.skip(8)
	case bytes16:
		return r.skip(16)
	case lanes16:
		lanes, err := r.bytes(16)
		if err != nil {
			return err
		}
		for _, l := range lanes {
			if l >= 32 {
				return fault(in.at, "lane %d of 32", l)
			}
		}
	case lane:
		_, err = r.byte()
	case memArgLane:
		if err := m.memArg(r); err != nil {
			return err
		}
		_, err = r.byte()
	case refTyped:
		_, err = r.refType()
	case types:
		n, err := r.count("types of a select", 1)
		if err != nil {
			return err
		}
		for range n {
			if _, err := r.valueType(); err != nil {
				return err
			}
		}
	}
	return err
}

// index reads an index of the instruction in, which must be below n.
func (r *reader) index(in *instruction, what string, n uint32) (err error) {
	at := r.pos
	if in.index, err = r.u32(); err != nil {
		return err
	}
	if in.index >= n {
		return fault(at, "%s %d of %d", what, in.index, n)
	}
	in.next = r.pos
	return nil
}

func (m *module) tableIndex(r *reader, in *instruction) error {
	n := uint32(0)
	if m.table != nil {
		n = 1
	}
	return r.index(in, "table", n)
}

// dataIndex reads the index of a data segment. It needs the count that stands ahead of
// the code, as the specification demands.
func (m *module) dataIndex(r *reader, in *instruction) error {
	if !m.hasDataCount {
		return fault(r.pos, "a data segment is used without a data count section")
	}
	return r.index(in, "data segment", m.dataCount)
}

// memoryIndex reads the index of a memory, which here is a number, in code a zero byte.
func (m *module) memoryIndex(r *reader) error {
	n := uint32(0)
	if m.memory != nil {
		n = 1
	}
	return r.index(&instruction{}, "memory", n)
}

func (m *module) memoryZero(r *reader) error {
	b, err := r.byte()
	if err != nil {
		return err
	}
	if b != 0 {
		return fault(r.pos-1, "memory %d: there is one at most", b)
	}
	if m.memory == nil {
		return fault(r.pos-1, "memory is used, but there is none")
	}
	return nil
}

func (m *module) memArg(r *reader) error {
	at := r.pos
	align, err := r.u32()
	if err != nil {
		return err
	}
	if align > 4 {
		return fault(at, "alignment 2^%d: more than 2^4, or more than one memory", align)
	}
	if m.memory == nil {
		return fault(at, "memory is used, but there is none")
	}
	_, err = r.u32() // 64-bit offsets do not fit: memory64 is not offered
	return err
}

// blockType reads the type of a block: -64 for none, other negative numbers for one
// result, an index into the types otherwise.
func (m *module) blockType(r *reader) (int64, error) {
	at := r.pos
	t, err := r.signed(33)
	if err != nil {
		return 0, err
	}
	switch {
	case t >= int64(len(m.types)):
		return 0, fault(at, "type %d of %d", t, len(m.types))
	case t >= 0:
		if n := len(m.types[t].Params); n > MaxBlockParams {
			return 0, fault(at, "a block with %d parameters, at most %d are allowed", n, MaxBlockParams)
		}
	case r.pos != at+1:
		return 0, fault(at, "unknown block type")
	case t != -64:
		r.pos = at
		if _, err := r.valueType(); err != nil {
			return 0, err
		}
	}
	return t, nil
}
