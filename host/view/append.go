package view

import "slices"

// Append goes over text, which must be one strict JSON document, and appends to dst what
// the view shows of it. The text is taken as it is: numbers, escapes and the order of
// members are those of text, byte for byte; a value that a path names is copied with the
// white space in it, and between the values there is none.
//
//   - A member that no path names is left out and counted.
//   - An object or array on the way to what a path names stays, even when nothing is left in
//     it: {"address":{}}, "orders":[]. So an array's length is seen by whom anything in its
//     elements is shown.
//   - A value on the way that has another shape than the path says shows nothing: a member is
//     left out, an element becomes null, so that positions stay, and a whole document becomes
//     null.
//
// A text that is no document is an error, for the view of all, too: not JSON (RFC 8259), a
// name twice in an object, after its escapes were read, be it in a part that is not shown;
// invalid UTF-8; half a surrogate pair; more than 64 levels; more than 100,000 members and
// elements; anything after the value. Then nothing is appended. The error tells the place and
// the reason and nothing of the text.
//
// dst and text must not overlap. The caller keeps both. Append may be called concurrently.
func (v View) Append(dst, text []byte) (out []byte, dropped Dropped, err error) {
	var s scanner
	before := len(dst)
	s.out = dst
	if !v.All() {
		s.out = slices.Grow(dst, min(len(text), 512)) // most documents show less: one allocation
	}
	if _, err := s.document(text, v.root); err != nil {
		clear(dst[before:min(cap(dst), len(s.out))]) // nor is any left behind the end
		return dst, Dropped{}, err
	}
	return s.out, s.dropped.dropped(text), nil
}
