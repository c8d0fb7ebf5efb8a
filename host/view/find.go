package view

import (
	"errors"
	"fmt"
)

// Find returns the JSON texts of the values of text that at shows, in their order there. The
// zero View finds nothing, All the whole document. A path below another one finds nothing of
// its own. The values are parts of text, not copies. An error means that text is no document,
// as for Append.
func Find(text []byte, at View) ([][]byte, error) {
	spans, err := find(text, at)
	if err != nil || len(spans) == 0 {
		return nil, err
	}
	values := make([][]byte, len(spans))
	for i, s := range spans {
		values[i] = text[s.from:s.to:s.to]
	}
	return values, nil
}

func find(text []byte, at View) ([]span, error) {
	var s scanner
	s.finding = true
	if _, err := s.document(text, at.root); err != nil {
		return nil, err
	}
	return s.found, nil
}

// Replace returns text with each value that at shows replaced by what f makes of it. f gets
// the value's JSON text, be it a scalar, an object or an array, in the order of the text and
// only after the whole of it was found to be a document; it may return it as it is and must not
// change it. What f returns must be one JSON document; an error of f is returned with the
// place. The rest of text is copied byte for byte. The result is a document, and a new slice.
func Replace(text []byte, at View, f func(value []byte) ([]byte, error)) ([]byte, error) {
	spans, err := find(text, at)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(text)+16*len(spans))
	copied, grown := 0, false
	for _, s := range spans {
		value, err := f(text[s.from:s.to:s.to])
		if err != nil {
			return nil, fmt.Errorf("value at byte %d: %w", s.from, err)
		}
		var put scanner
		within, err := put.document(value, nil)
		if err != nil {
			return nil, fmt.Errorf("replacement of the value at byte %d: %w", s.from, err)
		}
		out = append(out, text[copied:s.from]...)
		out = append(out, value[within.from:within.to]...)
		copied = s.to
		grown = grown || value[within.from] == '{' || value[within.from] == '['
	}
	out = append(out, text[copied:]...)
	if grown { // scalars make nothing deeper, or more of it
		if _, err := find(out, View{}); err != nil {
			return nil, errors.Join(errors.New("what the replacements make"), err)
		}
	}
	return out, nil
}
