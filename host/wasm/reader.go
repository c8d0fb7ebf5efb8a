package wasm

import (
	"fmt"
	"unicode/utf8"
)

// reader walks over a module. All offsets are within the whole module, so that errors
// name them; end is where the part being read ends.
type reader struct {
	b   []byte
	pos int
	end int // at most len(b)
}

func fault(offset int, format string, args ...any) error {
	return &Error{Offset: offset, Reason: fmt.Sprintf(format, args...)}
}

func (r *reader) left() int { return r.end - r.pos }

func (r *reader) byte() (byte, error) {
	if r.pos >= r.end {
		return 0, fault(r.pos, "unexpected end")
	}
	b := r.b[r.pos]
	r.pos++
	return b, nil
}

// u32 reads an unsigned LEB128 number of at most 32 bits.
func (r *reader) u32() (uint32, error) {
	if r.pos < r.end && r.b[r.pos] < 0x80 { // the common case
		r.pos++
		return uint32(r.b[r.pos-1]), nil
	}
	start := r.pos
	var v uint32
	for shift := 0; shift < 35; shift += 7 {
		b, err := r.byte()
		if err != nil {
			return 0, err
		}
		if shift == 28 && b > 0x0f {
			return 0, fault(start, "number exceeds 32 bits")
		}
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return v, nil
		}
	}
	return 0, fault(start, "number exceeds 32 bits")
}

// signed reads a signed LEB128 number of at most bits bits.
func (r *reader) signed(bits int) (int64, error) {
	start := r.pos
	var v int64
	for shift := 0; shift < bits; shift += 7 {
		b, err := r.byte()
		if err != nil {
			return 0, err
		}
		v |= int64(b&0x7f) << shift
		if rest := bits - shift; rest < 7 { // the last byte: its spare bits repeat the sign
			spare := int8(b<<1) >> rest // bits from the sign bit up, sign-extended
			if b >= 0x80 || spare != 0 && spare != -1 {
				return 0, fault(start, "number exceeds %d bits", bits)
			}
		}
		if b < 0x80 {
			if shift+7 < 64 && b&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v, nil
		}
	}
	return 0, fault(start, "number exceeds %d bits", bits)
}

// skip passes over n bytes.
func (r *reader) skip(n int) error {
	if n > r.left() {
		return fault(r.pos, "unexpected end")
	}
	r.pos += n
	return nil
}

// bytes returns the next n bytes, which point into the module.
func (r *reader) bytes(n uint32) ([]byte, error) {
	if uint64(n) > uint64(r.left()) {
		return nil, fault(r.pos, "%d bytes declared, %d left", n, r.left())
	}
	b := r.b[r.pos : r.pos+int(n) : r.pos+int(n)]
	r.pos += int(n)
	return b, nil
}

// count reads how many items follow. Each takes at least one byte, so that a count that
// cannot be true is refused before anyone believes it.
func (r *reader) count(what string, limit int) (int, error) {
	start := r.pos
	n, err := r.u32()
	if err != nil {
		return 0, err
	}
	if uint64(n) > uint64(limit) {
		return 0, fault(start, "%d %s, at most %d are allowed", n, what, limit)
	}
	if uint64(n) > uint64(r.left()) {
		return 0, fault(start, "%d %s declared in %d bytes", n, what, r.left())
	}
	return int(n), nil
}

// name reads a UTF-8 string.
func (r *reader) name(what string) (string, error) {
	start := r.pos
	n, err := r.u32()
	if err != nil {
		return "", err
	}
	if n > MaxName {
		return "", fault(start, "%s of %d bytes, at most %d are allowed", what, n, MaxName)
	}
	b, err := r.bytes(n)
	if err != nil {
		return "", err
	}
	if !utf8.Valid(b) {
		return "", fault(start, "%s is not UTF-8", what)
	}
	return string(b), nil
}

// sub returns a reader over the next n bytes and passes over them.
func (r *reader) sub(n uint32) (reader, error) {
	start := r.pos
	if _, err := r.bytes(n); err != nil {
		return reader{}, err
	}
	return reader{b: r.b, pos: start, end: r.pos}, nil
}

// part reads what modules and name sections are made of: a number that says what it is,
// its size and as many bytes.
func (r *reader) part() (id byte, contents reader, err error) {
	if id, err = r.byte(); err != nil {
		return 0, reader{}, err
	}
	size, err := r.u32()
	if err != nil {
		return 0, reader{}, err
	}
	contents, err = r.sub(size)
	return id, contents, err
}

// done refuses bytes that are left over.
func (r *reader) done(what string) error {
	if r.left() != 0 {
		return fault(r.pos, "%d bytes left over in %s", r.left(), what)
	}
	return nil
}

func (r *reader) valueType() (ValueType, error) {
	b, err := r.byte()
	if err != nil {
		return 0, err
	}
	switch t := ValueType(b); t {
	case I32, I64, F32, F64, V128, FuncRef, ExternRef:
		return t, nil
	}
	switch b {
	case 0x6e, 0x6d, 0x6c, 0x6b, 0x6a, 0x71, 0x72, 0x73, 0x63, 0x64:
		return 0, fault(r.pos-1, "type %#x: garbage collection is not offered", b)
	case 0x69, 0x74:
		return 0, fault(r.pos-1, "type %#x: exceptions are not offered", b)
	}
	return 0, fault(r.pos-1, "unknown type %#x", b)
}

func (r *reader) refType() (ValueType, error) {
	at := r.pos
	t, err := r.valueType()
	if err == nil && t != FuncRef && t != ExternRef {
		return 0, fault(at, "%s is no reference type", t)
	}
	return t, err
}
