package wasm

import "bytes"

// AppendCustom returns module with a custom section of the given name and data at its
// end, in place of any section of that name. It reads no more than the frame of the
// sections, so that a module need not pass Inspect. The error is an *Error.
func AppendCustom(module []byte, name string, data []byte) ([]byte, error) {
	if len(module) < 8 || !bytes.Equal(module[:4], magic) {
		return nil, fault(0, "not a Wasm module")
	}
	out := append(make([]byte, 0, len(module)+len(name)+len(data)+16), module[:8]...)
	r := &reader{b: module, pos: 8, end: len(module)}
	for r.left() > 0 {
		from := r.pos
		id, body, err := r.part()
		if err != nil {
			return nil, err
		}
		if id == secCustom {
			if have, err := body.text(); err != nil {
				return nil, err
			} else if string(have) == name {
				continue
			}
		}
		out = append(out, module[from:r.pos]...)
	}
	return putCustom(out, name, data), nil
}
