package view

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// Limits of a document: SECURITY-RULES §2.6, the same for every JSON text that the broker
// takes from outside. What lies beyond is refused before anything is allocated for it.
const (
	maxDepth    = 64        // objects and arrays within each other
	maxElements = 100_000   // members and elements of all objects and arrays together
	maxText     = 1<<31 - 1 // bytes: places in a text are kept in 32 bits
)

const (
	noValue   = "no value"
	brokenOff = "it breaks off"
	tooDeep   = "it nests deeper than 64 levels"
	tooMany   = "more than 100,000 members and elements"
)

// A fault says where a text is not a document, and why. It holds no byte of the text.
type fault struct {
	at  int
	why string
}

func (f *fault) Error() string { return fmt.Sprintf("JSON, byte %d: %s", f.at, f.why) }

// scanner goes over one text once. Its methods take the place where something begins and
// return the place behind it, or -1 after fail. It lives on its caller's stack.
type scanner struct {
	text  []byte
	left  int // members and elements that may still come
	names names
	plain []byte // the last name with escapes, without them
	fault fault

	out     []byte // what is shown
	dropped drops

	finding bool // keeps the places of what is shown instead of showing it
	found   []span
}

// span is the part of a text from one place to another.
type span struct{ from, to int }

// document goes over the whole text, of which n is shown, and returns where its value lies. It is
// called once.
func (s *scanner) document(text []byte, n *node) (value span, err error) {
	s.text, s.left = text, maxElements
	if len(s.text) > maxText {
		return span{}, &fault{maxText, "the text is too long"}
	}
	from := s.space(0)
	to := s.show(from, 0, n)
	if to < 0 {
		return span{}, &fault{s.fault.at, s.fault.why}
	}
	if end := s.space(to); end < len(s.text) {
		return span{}, &fault{end, "something follows the value"}
	}
	return span{from, to}, nil
}

func (s *scanner) fail(at int, why string) int {
	if at >= len(s.text) {
		at, why = len(s.text), brokenOff
		if len(s.text) == 0 {
			why = "the text is empty"
		}
	}
	s.fault = fault{at, why}
	return -1
}

func (s *scanner) space(i int) int {
	for i < len(s.text) {
		if c := s.text[i]; c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			break
		}
		i++
	}
	return i
}

// value goes over the value at i, of which n is shown: nil for nothing.
func (s *scanner) value(i, depth int, n *node) int {
	if i >= len(s.text) {
		return s.fail(i, noValue)
	}
	switch c := s.text[i]; c {
	case '"':
		end, _ := s.str(i)
		return end
	case '{':
		return s.object(i, depth, n)
	case '[':
		return s.array(i, depth, n)
	case 't':
		return s.literal(i, "true")
	case 'f':
		return s.literal(i, "false")
	case 'n':
		return s.literal(i, "null")
	default:
		if c == '-' || digit(c) {
			return s.number(i)
		}
		return s.fail(i, noValue)
	}
}

func (s *scanner) literal(i int, word string) int {
	if end := i + len(word); end <= len(s.text) && string(s.text[i:end]) == word {
		return end
	}
	return s.fail(i, noValue)
}

func digit(c byte) bool { return c-'0' <= 9 }

// number goes over the number at i. What may not follow it is found by who called.
func (s *scanner) number(i int) int {
	t := s.text
	if t[i] == '-' {
		i++
	}
	whole := i
	if i = s.digits(i); i < 0 {
		return i
	}
	if t[whole] == '0' && i > whole+1 {
		return s.fail(whole, "a number with a leading zero")
	}
	if i < len(t) && t[i] == '.' {
		if i = s.digits(i + 1); i < 0 {
			return i
		}
	}
	if i < len(t) && (t[i] == 'e' || t[i] == 'E') {
		i++
		if i < len(t) && (t[i] == '+' || t[i] == '-') {
			i++
		}
		return s.digits(i)
	}
	return i
}

// digits goes over at least one.
func (s *scanner) digits(i int) int {
	from := i
	for i < len(s.text) && digit(s.text[i]) {
		i++
	}
	if i == from {
		return s.fail(i, "a number that is none")
	}
	return i
}

// str goes over the string at i and says whether it has escapes.
func (s *scanner) str(i int) (end int, escaped bool) {
	t := s.text
	for j := i + 1; ; {
		if j+8 <= len(t) {
			special := specials(binary.LittleEndian.Uint64(t[j:]))
			if special == 0 {
				j += 8
				continue
			}
			j += bits.TrailingZeros64(special) / 8
		} else if j >= len(t) {
			return s.fail(j, brokenOff), escaped
		}
		switch c := t[j]; {
		case c == '"':
			return j + 1, escaped
		case c == '\\':
			escaped = true
			if j = s.escape(j); j < 0 {
				return j, escaped
			}
		case c < ' ':
			return s.fail(j, "a control character in a string"), escaped
		case c < utf8.RuneSelf:
			j++ // in the last bytes of the text
		default:
			for j < len(t) && t[j] >= utf8.RuneSelf {
				r, n := utf8.DecodeRune(t[j:])
				if r == utf8.RuneError && n == 1 {
					return s.fail(j, "invalid UTF-8"), escaped
				}
				j += n
			}
		}
	}
}

// specials has the highest bit of a byte set where x has a quote, a backslash, a control
// character or a byte beyond ASCII. Only the lowest that is set is to be relied on: a
// subtraction borrows from the bytes above.
func specials(x uint64) uint64 {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	quote, backslash, control := (x^ones*'"')-ones, (x^ones*'\\')-ones, x-ones*' '
	return (quote | backslash | control | x) & high
}

// escape goes over the escape whose backslash is at i. Surrogates come in pairs.
func (s *scanner) escape(i int) int {
	t := s.text
	if i+1 >= len(t) {
		return s.fail(i+1, brokenOff)
	}
	if t[i+1] != 'u' {
		if bytes.IndexByte([]byte(`"\/bfnrt`), t[i+1]) < 0 {
			return s.fail(i, "an escape that there is not")
		}
		return i + 2
	}
	unit, ok := unit16(t, i)
	switch {
	case !ok:
		return s.fail(i, "an escape that there is not")
	case unit < 0xD800 || unit > 0xDFFF:
		return i + 6
	}
	if low, ok := unit16(t, i+6); unit < 0xDC00 && ok && low >= 0xDC00 && low <= 0xDFFF {
		return i + 12
	}
	return s.fail(i, "half of a surrogate pair")
}

// unit16 reads the escape \uXXXX at i, if that is there.
func unit16(t []byte, i int) (unit rune, ok bool) {
	if i+6 > len(t) || t[i] != '\\' || t[i+1] != 'u' {
		return 0, false
	}
	for _, c := range t[i+2 : i+6] {
		switch {
		case digit(c):
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		unit = unit<<4 | rune(c)
	}
	return unit, true
}
