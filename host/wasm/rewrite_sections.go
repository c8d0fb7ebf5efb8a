package wasm

import "strconv"

func (w *rewriter) typeSection() []byte {
	b := putU32(nil, uint32(len(w.types)))
	for _, t := range w.types {
		b = append(b, 0x60)
		b = putTypes(b, t.Params)
		b = putTypes(b, t.Results)
	}
	return b
}

func (w *rewriter) importSection(rename map[ImportName]ImportName) []byte {
	b := putU32(nil, uint32(len(w.imports)+added))
	put := func(n ImportName, typ uint32) {
		b = putName(putName(b, n.Module), n.Name)
		b = putU32(append(b, byte(FuncExport)), typ)
	}
	for _, i := range w.imports {
		n, ok := rename[i.ImportName]
		if !ok {
			n = i.ImportName
		}
		put(n, i.typ)
	}
	put(ImportName{RuntimeModule, RefuelImport}, w.typeIndex[refuelType.key()])
	put(ImportName{RuntimeModule, DepthImport}, w.typeIndex[depthType.key()])
	return b
}

func (w *rewriter) functionSection() []byte {
	b := putU32(nil, uint32(len(w.own)+len(w.order)))
	for _, t := range w.own {
		b = putU32(b, t)
	}
	for _, h := range w.order {
		b = putU32(b, w.typeOfSignature(h.signature()))
	}
	return b
}

func (w *rewriter) tableSection() []byte {
	if w.table == nil {
		return nil
	}
	return putBounds([]byte{1, byte(w.table.elem)}, w.table.Bounds)
}

func (w *rewriter) memorySection() []byte {
	if w.memory == nil {
		return nil
	}
	return putBounds([]byte{1}, *w.memory)
}

func (w *rewriter) globalSection(depth uint32) []byte {
	b := putU32(nil, uint32(len(w.globals)+2))
	for _, g := range w.globals {
		b = append(b, byte(g.typ), 0)
		if g.mutable {
			b[len(b)-1] = 1
		}
		b = w.putConstant(b, g.init)
	}
	b = append(b, byte(I64), 1, opI64Const, 0, opEnd)
	b = append(b, byte(I32), 1, opI32Const)
	return append(putSigned(b, int64(depth)), opEnd)
}

// putConstant appends a constant expression, with its function shifted.
func (w *rewriter) putConstant(b []byte, init span) []byte {
	if w.raw[init.from] != opRefFunc {
		return append(b, w.raw[init.from:init.to]...)
	}
	r := &reader{b: w.raw, pos: init.from, end: init.to}
	c, _ := w.constant(r) // was read before
	return append(putU32(append(b, opRefFunc), w.shifted(c.index)), opEnd)
}

func (w *rewriter) exportSection(globals bool) []byte {
	var b []byte
	n := uint32(0)
	put := func(name string, kind ExportKind, index uint32) {
		b = putU32(append(putName(b, name), byte(kind)), index)
		n++
	}
	for _, e := range w.exports {
		index := e.index
		if e.kind == FuncExport {
			index = w.shifted(index)
		}
		put(e.name, e.kind, index)
	}
	if w.starts {
		put(StartExport, FuncExport, w.shifted(w.start))
	}
	put(FuelExport, GlobalKind, w.fuelGlobal)
	put(DepthExport, GlobalKind, w.depthGlobal)
	if globals {
		for i, g := range w.globals {
			if g.mutable {
				put(GlobalExport+strconv.Itoa(i), GlobalKind, uint32(i))
			}
		}
	}
	return append(putU32(nil, n), b...)
}

func (w *rewriter) elementSection() []byte {
	if len(w.elements) == 0 {
		return nil
	}
	b := putU32(nil, uint32(len(w.elements)))
	for _, s := range w.elements {
		done := s.from
		r := &reader{b: w.raw, pos: s.from, end: s.to}
		w.element(r, func(at, next int, index uint32) { // was read before
			b = append(b, w.raw[done:at]...)
			b = putU32(b, w.shifted(index))
			done = next
		})
		b = append(b, w.raw[done:s.to]...)
	}
	return b
}
