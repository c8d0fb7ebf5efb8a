package wasm

import "unicode/utf8"

// nameSection returns the contents of the new name section: the names of the module's
// functions, shifted, and those of the helpers. Names of locals and the rest go. So does
// the module's own name: a runtime puts it before the names of all functions, and the
// helpers would no longer be told by their prefix. The section is nil when there is none, or
// none that can be read: it is only a comment, so a broken one is no reason to refuse a module.
func (w *rewriter) nameSection() []byte {
	if !w.hasNames {
		return nil
	}
	r := &reader{b: w.raw, pos: w.names.from, end: w.names.to}
	var functions []byte
	count := uint32(0)
	for r.left() > 0 {
		id, part, err := r.part()
		if err != nil {
			return nil
		}
		switch id {
		case 0:
			if _, err := part.text(); err != nil {
				return nil
			}
		case 1:
			if functions, count, err = w.functionNames(&part); err != nil {
				return nil
			}
		default:
			continue
		}
		if part.left() != 0 {
			return nil
		}
	}
	for _, h := range w.order {
		functions = putName(putU32(functions, w.helpers[h]), h.name())
		count++
	}
	return putBlob([]byte{1}, append(putU32(nil, count), functions...))
}

// functionNames shifts a map of function names, whose indices must ascend.
func (w *rewriter) functionNames(r *reader) (b []byte, count uint32, err error) {
	n, err := r.count("function names", MaxFunctions)
	if err != nil {
		return nil, 0, err
	}
	next := uint32(0)
	for range n {
		at := r.pos
		index, err := r.u32()
		if err != nil {
			return nil, 0, err
		}
		if index < next || index >= w.functions() {
			return nil, 0, fault(at, "name of function %d of %d", index, w.functions())
		}
		next = index + 1
		name, err := r.text()
		if err != nil {
			return nil, 0, err
		}
		b = putBlob(putU32(b, w.shifted(index)), atMost(name, MaxFunctionName))
	}
	return b, uint32(n), nil
}

// atMost cuts UTF-8 text to n bytes at most, between characters.
func atMost(text []byte, n int) []byte {
	if len(text) <= n {
		return text
	}
	for !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// text reads a UTF-8 string of any length.
func (r *reader) text() ([]byte, error) {
	at := r.pos
	n, err := r.u32()
	if err != nil {
		return nil, err
	}
	b, err := r.bytes(n)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(b) {
		return nil, fault(at, "name is not UTF-8")
	}
	return b, nil
}
