package wasm

// Element segments, by flag (a bit set in the binary format): bit 0 passive or
// declarative, bit 1 an explicit table or "declarative", bit 2 expressions instead of
// function indices.
const (
	elemPassive  = 1
	elemExplicit = 2
	elemExprs    = 4
)

func (m *module) readElements(r *reader) error {
	n, err := r.count("element segments", MaxElements)
	if err != nil {
		return err
	}
	for range n {
		from := r.pos
		if err := m.element(r, nil); err != nil {
			return err
		}
		m.elements = append(m.elements, span{from, r.pos})
	}
	return nil
}

// element reads an element segment. Each function index that it holds is given to found
// with the place where it stands, unless found is nil.
func (m *module) element(r *reader, found func(at, next int, index uint32)) error {
	at := r.pos
	flag, err := r.u32()
	if err != nil {
		return err
	}
	if flag > 7 {
		return fault(at, "unknown kind %d of element segment", flag)
	}
	if flag&elemPassive == 0 {
		if flag&elemExplicit != 0 {
			if err := m.tableIndex(r, &instruction{}); err != nil {
				return err
			}
		} else if m.table == nil {
			return fault(at, "an element segment for a table, but there is none")
		}
		at := r.pos
		offset, err := m.constant(r)
		if err != nil {
			return err
		}
		if offset.op != opI32Const {
			return fault(at, "the offset of an element segment is no i32.const")
		}
	}
	if flag&(elemPassive|elemExplicit) != 0 {
		if flag&elemExprs != 0 {
			_, err = r.refType()
		} else {
			at := r.pos
			var kind byte
			if kind, err = r.byte(); err == nil && kind != 0 {
				return fault(at, "unknown element kind %#x", kind)
			}
		}
		if err != nil {
			return err
		}
	}
	at = r.pos
	n, err := r.count("elements of a segment", MaxTable)
	if err != nil {
		return err
	}
	if found == nil {
		if m.items += int(n); m.items > MaxElementItems {
			return fault(at, "more than %d elements in all segments", MaxElementItems)
		}
	}
	for range n {
		at := r.pos
		if flag&elemExprs == 0 {
			var in instruction
			if err := r.index(&in, "function", m.functions()); err != nil {
				return err
			}
			if found != nil {
				found(at, r.pos, in.index)
			}
			continue
		}
		c, err := m.constant(r)
		if err != nil {
			return err
		}
		if found != nil && c.op == opRefFunc {
			found(at+1, r.pos-1, c.index)
		}
	}
	return nil
}

func (m *module) readData(r *reader) error {
	n, err := r.count("data segments", MaxDataSegments)
	if err != nil {
		return err
	}
	for range n {
		at := r.pos
		flag, err := r.u32()
		if err != nil {
			return err
		}
		s := segment{passive: flag == 1}
		switch flag {
		case 0, 2:
			if flag == 2 {
				if err := m.memoryIndex(r); err != nil {
					return err
				}
			} else if m.memory == nil {
				return fault(at, "a data segment for a memory, but there is none")
			}
			at := r.pos
			c, err := m.constant(r)
			if err != nil {
				return err
			}
			if c.op != opI32Const {
				return fault(at, "the offset of a data segment is no i32.const")
			}
			s.offset = uint32(c.value)
		case 1:
		default:
			return fault(at, "unknown kind %d of data segment", flag)
		}
		size, err := r.u32()
		if err != nil {
			return err
		}
		s.data.from = r.pos
		if _, err := r.bytes(size); err != nil {
			return err
		}
		s.data.to = r.pos
		if !s.passive {
			if end := uint64(s.offset) + uint64(size); end > uint64(m.memory.Min)<<16 {
				return fault(at, "a data segment ends at %d, the memory at %d", end, uint64(m.memory.Min)<<16)
			}
		}
		m.data = append(m.data, s)
	}
	return nil
}
