package wasm

// The functions here append parts of the binary format to b.

func putU32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

func putSigned(b []byte, v int64) []byte {
	for v < -0x40 || v >= 0x40 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v)&0x7f)
}

func putName(b []byte, name string) []byte {
	return append(putU32(b, uint32(len(name))), name...)
}

func putBlob(b, blob []byte) []byte {
	return append(putU32(b, uint32(len(blob))), blob...)
}

func putTypes(b []byte, types []ValueType) []byte {
	b = putU32(b, uint32(len(types)))
	for _, t := range types {
		b = append(b, byte(t))
	}
	return b
}

func putBounds(b []byte, x Bounds) []byte {
	if !x.HasMax {
		return putU32(append(b, 0), x.Min)
	}
	return putU32(putU32(append(b, 1), x.Min), x.Max)
}

// putSection appends a section, unless it would be an empty vector that says nothing.
func putSection(b []byte, id byte, contents []byte) []byte {
	if len(contents) == 0 {
		return b
	}
	return putBlob(append(b, id), contents)
}

// putCustom appends a custom section.
func putCustom(b []byte, name string, data []byte) []byte {
	contents := putName(make([]byte, 0, len(name)+len(data)+5), name)
	return putSection(b, secCustom, append(contents, data...))
}
