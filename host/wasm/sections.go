package wasm

import "strings"

func (m *module) readTypes(r *reader) error {
	n, err := r.count("types", MaxTypes)
	if err != nil {
		return err
	}
	for range n {
		at := r.pos
		form, err := r.byte()
		if err != nil {
			return err
		}
		if form != 0x60 {
			if _, err := (&reader{b: r.b, pos: at, end: r.end}).valueType(); err != nil && form >= 0x4e && form <= 0x5f {
				return fault(at, "type form %#x: garbage collection is not offered", form)
			}
			return fault(at, "type form %#x: not a function type", form)
		}
		var t FuncType
		if t.Params, err = r.valueTypes("parameters", MaxParams); err != nil {
			return err
		}
		if t.Results, err = r.valueTypes("results", MaxResults); err != nil {
			return err
		}
		m.types = append(m.types, t)
	}
	return nil
}

func (r *reader) valueTypes(what string, limit int) ([]ValueType, error) {
	n, err := r.count(what, limit)
	if err != nil || n == 0 {
		return nil, err
	}
	types := make([]ValueType, n)
	for i := range types {
		if types[i], err = r.valueType(); err != nil {
			return nil, err
		}
	}
	return types, nil
}

func (m *module) readImports(r *reader) error {
	n, err := r.count("imports", MaxFunctions)
	if err != nil {
		return err
	}
	for range n {
		at := r.pos
		var i importEntry
		if i.Module, err = r.name("module of an import"); err != nil {
			return err
		}
		if i.Name, err = r.name("name of an import"); err != nil {
			return err
		}
		kind, err := r.byte()
		if err != nil {
			return err
		}
		if kind != 0 {
			return fault(at, "import %q.%q is a %s: only functions can be imported", i.Module, i.Name, importKind(kind))
		}
		if i.typ, err = m.typeIndex(r); err != nil {
			return err
		}
		if i.Module == RuntimeModule && (i.Name == RefuelImport || i.Name == DepthImport) {
			return fault(at, "import %s is the host's own", i.ImportName)
		}
		m.imports = append(m.imports, i)
	}
	return nil
}

func importKind(kind byte) string {
	if kind == 4 {
		return "tag (exceptions)"
	}
	return ExportKind(kind).String()
}

func (m *module) typeIndex(r *reader) (uint32, error) {
	at := r.pos
	t, err := r.u32()
	if err != nil {
		return 0, err
	}
	if uint64(t) >= uint64(len(m.types)) {
		return 0, fault(at, "type %d of %d", t, len(m.types))
	}
	return t, nil
}

func (m *module) readFunctions(r *reader) error {
	n, err := r.count("functions", MaxFunctions-len(m.imports))
	if err != nil {
		return err
	}
	for range n {
		t, err := m.typeIndex(r)
		if err != nil {
			return err
		}
		m.own = append(m.own, t)
	}
	return nil
}

// bounds reads the limits of a table or memory of at most limit.
func (r *reader) bounds(what string, limit uint32) (Bounds, error) {
	at := r.pos
	flag, err := r.byte()
	if err != nil {
		return Bounds{}, err
	}
	switch {
	case flag == 2 || flag == 3:
		return Bounds{}, fault(at, "a shared %s: threads are not offered", what)
	case flag >= 4 && flag <= 7:
		return Bounds{}, fault(at, "a 64-bit %s: memory64 is not offered", what)
	case flag > 7:
		return Bounds{}, fault(at, "unknown limits %#x of a %s", flag, what)
	}
	b := Bounds{HasMax: flag == 1}
	if b.Min, err = r.u32(); err != nil {
		return b, err
	}
	if b.Min > limit {
		return b, fault(at, "a %s of %d at least, at most %d are allowed", what, b.Min, limit)
	}
	if b.HasMax {
		if b.Max, err = r.u32(); err != nil {
			return b, err
		}
		if b.Max < b.Min {
			return b, fault(at, "a %s of %d at least and %d at most", what, b.Min, b.Max)
		}
	}
	return b, nil
}

func (m *module) readTable(r *reader) error {
	n, err := r.count("tables", 1)
	if err != nil || n == 0 {
		return err
	}
	elem, err := r.refType()
	if err != nil {
		return err
	}
	b, err := r.bounds("table", MaxTable)
	if err != nil {
		return err
	}
	m.table = &tableType{elem, b}
	return nil
}

func (m *module) readMemory(r *reader) error {
	n, err := r.count("memories", 1)
	if err != nil || n == 0 {
		return err
	}
	at := r.pos
	b, err := r.bounds("memory", MaxMemory)
	if err != nil {
		return err
	}
	if b.HasMax && b.Max > MaxMemory {
		return fault(at, "a memory of %d pages at most, there are no more than %d", b.Max, MaxMemory)
	}
	m.memory = &b
	return nil
}

func (m *module) readExports(r *reader) error {
	n, err := r.count("exports", MaxExports)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for range n {
		at := r.pos
		var e exportEntry
		if e.name, err = r.name("name of an export"); err != nil {
			return err
		}
		if strings.HasPrefix(e.name, ReservedPrefix) {
			return fault(at, "export %q: names with %s are the host's own", e.name, ReservedPrefix)
		}
		if seen[e.name] {
			return fault(at, "two exports %q", e.name)
		}
		seen[e.name] = true
		kind, err := r.byte()
		if err != nil {
			return err
		}
		e.kind = ExportKind(kind)
		var have uint32
		switch e.kind {
		case FuncExport:
			have = m.functions()
		case TableExport:
			if m.table != nil {
				have = 1
			}
		case MemoryExport:
			if m.memory != nil {
				have = 1
			}
		case GlobalKind:
			have = uint32(len(m.globals))
		case 4:
			return fault(at, "export %q is a tag: exceptions are not offered", e.name)
		default:
			return fault(at, "export %q is of unknown kind %d", e.name, kind)
		}
		at = r.pos
		if e.index, err = r.u32(); err != nil {
			return err
		}
		if e.index >= have {
			return fault(at, "export %q: %s %d of %d", e.name, e.kind, e.index, have)
		}
		m.exports = append(m.exports, e)
	}
	return nil
}

func (m *module) readDataCount(r *reader) error {
	at := r.pos
	n, err := r.u32()
	if err != nil {
		return err
	}
	if n > MaxDataSegments {
		return fault(at, "%d data segments, at most %d are allowed", n, MaxDataSegments)
	}
	m.hasDataCount, m.dataCount = true, n
	return nil
}

func (m *module) readCode(r *reader) error {
	at := r.pos
	n, err := r.count("function bodies", MaxFunctions)
	if err != nil {
		return err
	}
	if n != len(m.own) {
		return fault(at, "%d functions declared, %d bodies", len(m.own), n)
	}
	m.bodies = make([]body, n) // as many as functions were read
	for i := range m.bodies {
		size, err := r.u32()
		if err != nil {
			return err
		}
		code, err := r.sub(size)
		if err != nil {
			return err
		}
		if m.bodies[i], err = m.checkBody(&code, m.own[i]); err != nil {
			return err
		}
	}
	return nil
}
