package egress

import (
	"bytes"
	"slices"
)

// pattern is one spelling of a credential; each of its bytes may be escaped.
type pattern struct {
	text []byte
	fold bool // letter case does not matter; text is in lower case
}

// match returns the end of the longest match of p that begins at i, 0 if none does.
// Each byte of p may stand for itself or in any of its escapes; where that leaves a choice
// (a credential that holds a percent sign itself), all are followed.
func (p pattern) match(text []byte, i int) int {
	var one, two [8]int
	at, next := append(one[:0], i), two[:0]
	for _, want := range p.text {
		next = next[:0]
		for _, pos := range at {
			next = p.step(next, text, pos, want)
		}
		if len(next) == 0 {
			return 0
		}
		at, next = next, at
	}
	return slices.Max(at)
}

// step adds to next the positions behind the byte want at pos.
func (p pattern) step(next []int, text []byte, pos int, want byte) []int {
	if pos >= len(text) {
		return next
	}
	add := func(to int) {
		if !slices.Contains(next, to) {
			next = append(next, to)
		}
	}
	c := text[pos]
	if p.same(c, want) || c == '+' && want == ' ' {
		add(pos + 1)
	}
	if v, ok := hexByte(text, pos+1); c == '%' && ok && p.same(v, want) {
		add(pos + 3)
	}
	if c == '\\' && pos+1 < len(text) {
		if e := text[pos+1]; e == want && (e == '"' || e == '\\' || e == '/') || shortEscape(e) == want && want != 0 {
			add(pos + 2)
		}
		if bytes.HasPrefix(text[pos+1:], []byte("u00")) {
			if v, ok := hexByte(text, pos+4); ok && p.same(v, want) {
				add(pos + 6)
			}
		}
	}
	return next
}

// shortEscape is the control character that e stands for behind a backslash in JSON, 0 for
// none: keys that sign are any bytes.
func shortEscape(e byte) byte {
	switch e {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'r':
		return '\r'
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	}
	return 0
}

func (p pattern) same(c, want byte) bool {
	return c == want || p.fold && 'A' <= c && c <= 'Z' && c|0x20 == want
}

func hexByte(text []byte, i int) (byte, bool) {
	if i+1 >= len(text) || !isHex(text[i]) || !isHex(text[i+1]) {
		return 0, false
	}
	return unhex(text[i])<<4 | unhex(text[i+1]), true
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}
