package pipeline

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// selector finds fields in JSON texts. The zero selector is ready; it is for one
// goroutine.
type selector struct {
	decoder *jsontext.Decoder
}

// The texts were checked when they came: the second look need not.
var selecting = jsontext.AllowDuplicateNames(true)

// find returns the text of the value at path below text, sharing its memory, or nil if
// there is none. text is one valid JSON value, or nil. Arrays have no fields.
func (s *selector) find(text []byte, path []string) []byte {
	if text == nil {
		return nil
	}
	in := bytes.NewBuffer(text) // read in place, never written
	if s.decoder == nil {
		s.decoder = jsontext.NewDecoder(in, selecting)
	} else {
		s.decoder.Reset(in, selecting)
	}
	for _, name := range path {
		if !s.enter(name) {
			return nil
		}
	}
	value, err := s.decoder.ReadValue()
	if err != nil {
		return nil
	}
	return value
}

// enter goes to the value of the field name of the object that follows, if it is one.
func (s *selector) enter(name string) bool {
	if s.decoder.PeekKind() != jsontext.KindBeginObject {
		return false
	}
	if _, err := s.decoder.ReadToken(); err != nil {
		return false
	}
	for s.decoder.PeekKind() == jsontext.KindString {
		field, err := s.decoder.ReadValue()
		if err != nil {
			return false
		}
		if named(field, name) {
			return true
		}
		if s.decoder.SkipValue() != nil {
			return false
		}
	}
	return false
}

// named reports whether the JSON string text says name.
func named(text []byte, name string) bool {
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text[1:len(text)-1]) == name
	}
	plain, err := jsontext.AppendUnquote(nil, text)
	return err == nil && string(plain) == name
}
