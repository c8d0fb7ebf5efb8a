// Package parcel owns documents that stay on the host: values that are selected from, built
// of and merged with others by who need not be able to read them, what is known of them before
// they are there, and the promises and numbers by which they are handed on.
package parcel

import (
	"errors"

	"pointsman/host/view"
	"pointsman/pdk/wire"
)

// MaxSize is the most bytes that a made value may have: half of what a back end's answer may
// have when it was unpacked, so that several fit where one answer did.
const MaxSize = 4 << 20

// Value is one immutable JSON value. The zero Value is absent: nothing is there. It shares the
// memory of the text that it comes from, which nobody may change any more. Safe for concurrent
// use.
type Value struct {
	text []byte // from the first byte of the value to its last; strict JSON; empty: absent
}

// Parse returns the value of a JSON document, which must keep the rules and limits of
// view.View.Append. It keeps text: nobody may change it any more. The error tells the place and
// the reason and nothing of the text.
func Parse(text []byte) (Value, error) {
	at, err := view.Find(text, view.All())
	if err != nil {
		return Value{}, err
	}
	if len(at) != 1 {
		return Value{}, errors.New("no value")
	}
	return Value{at[0]}, nil
}

// Absent reports whether nothing is there. null is there: see Null.
func (v Value) Absent() bool { return len(v.text) == 0 }

// Null reports whether null is there.
func (v Value) Null() bool { return len(v.text) > 0 && v.text[0] == 'n' }

// Append appends the JSON text of v to dst; null for what is absent. What came from a text is
// as it is there, byte for byte: numbers, escapes, the order of members, white space within.
func (v Value) Append(dst []byte) []byte {
	if v.Absent() {
		return append(dst, "null"...)
	}
	return append(dst, v.text...)
}

// Size is how many bytes Append appends.
func (v Value) Size() int {
	if v.Absent() {
		return len("null")
	}
	return len(v.text)
}

// cost is how many bytes of memory v keeps from being freed, if nothing else holds its text.
func (v Value) cost() int { return cap(v.text) }

// At is the value that p leads to, absent when that is nothing.
func (v Value) At(p Path) Value { return Value{p.in(v.text)} }

// Failure is why a value could not be made of others: they are not what the author of the
// template or the rules asked for. Why holds the author's words and names, never data.
type Failure struct {
	Code wire.Code // wire.NotFound or wire.Permanent
	Why  string
}

func (f *Failure) Error() string { return f.Why }
