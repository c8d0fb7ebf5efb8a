package wasm

func (m *module) readGlobals(r *reader) error {
	n, err := r.count("globals", MaxGlobals)
	if err != nil {
		return err
	}
	for range n {
		var g global
		if g.typ, err = r.valueType(); err != nil {
			return err
		}
		at := r.pos
		mutable, err := r.byte()
		if err != nil {
			return err
		}
		if mutable > 1 {
			return fault(at, "unknown mutability %#x of a global", mutable)
		}
		g.mutable = mutable == 1
		c, err := m.constant(r)
		if err != nil {
			return err
		}
		g.init = c.span
		if g.mutable && (g.typ == V128 || g.typ == FuncRef || g.typ == ExternRef) {
			m.lasts("a mutable global of type " + g.typ.String())
		}
		m.globals = append(m.globals, g)
	}
	return nil
}

// constant is a constant expression: one instruction and its end.
type constant struct {
	span
	op    byte
	value int64  // of i32.const, i64.const
	index uint32 // of ref.func
}

// constant reads a constant expression. global.get is not among them: only imported
// globals can be read there, and there are none.
func (m *module) constant(r *reader) (constant, error) {
	c := constant{span: span{from: r.pos}}
	at := r.pos
	b, err := r.byte()
	if err != nil {
		return c, err
	}
	c.op = b
	switch b {
	case opI32Const:
		c.value, err = r.signed(32)
	case opI64Const:
		c.value, err = r.signed(64)
	case opF32Const:
		err = r.skip(4)
	case opF64Const:
		err = r.skip(8)
	case 0xfd:
		var n uint32
		if n, err = r.u32(); err == nil && n != opV128Const&0xff {
			return c, fault(at, "instruction 0xfd %d in a constant expression", n)
		}
		if err == nil {
			err = r.skip(16)
		}
	case opRefNull:
		_, err = r.refType()
	case opRefFunc:
		var in instruction
		err = r.index(&in, "function", m.functions())
		c.index = in.index
	default:
		return c, fault(at, "instruction %#x in a constant expression", b)
	}
	if err != nil {
		return c, err
	}
	if b, err := r.byte(); err != nil {
		return c, err
	} else if b != opEnd {
		return c, fault(r.pos-1, "instruction %#x in a constant expression: one constant is all there may be", b)
	}
	c.to = r.pos
	return c, nil
}
