package egress

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"slices"
)

const (
	redactedMark = "[redacted]"
	// minRedact is the length of the shortest credential that is looked for, in bytes.
	// Below it, innocent text would be taken out. From 16 bytes on a credential is surely
	// found; between the two it is looked for, but may be part of something else.
	minRedact = 8
)

// redactor finds a credential in what a back end sends back: as it is, in base64 of both
// alphabets at every alignment, in hexadecimal, and any of these with some or all
// characters percent-encoded or escaped as in JSON. A back end that transforms it in
// another way is not caught.
type redactor struct {
	patterns []pattern
	first    [256]bool // bytes with which a match can begin
}

type pattern struct {
	text []byte
	fold bool // letter case does not matter; text is in lower case
}

func newRedactor(secrets [][]byte) *redactor {
	r := new(redactor)
	for _, s := range secrets {
		if len(s) < minRedact {
			continue
		}
		r.add(s, false)
		r.add(hex.AppendEncode(nil, s), true)
		for shift := range 3 {
			core := base64Core(s, shift)
			r.add(core, false)
			r.add(urlAlphabet(core), false)
		}
	}
	return r
}

func (r *redactor) add(text []byte, fold bool) {
	if slices.ContainsFunc(r.patterns, func(p pattern) bool { return p.fold == fold && bytes.Equal(p.text, text) }) {
		return
	}
	r.patterns = append(r.patterns, pattern{text, fold})
	r.first[text[0]], r.first['%'], r.first['\\'] = true, true, true
	if fold {
		r.first[upper(text[0])] = true
	}
	if text[0] == ' ' {
		r.first['+'] = true
	}
}

// base64Core returns the characters that s has in the base64 of any text in which s
// begins at a multiple of three bytes plus shift: those that depend on s alone.
func base64Core(s []byte, shift int) []byte {
	enc := base64.RawStdEncoding.AppendEncode(nil, append(make([]byte, shift), s...))
	from := (8*shift + 5) / 6      // characters that also hold bits before s
	to := 8 * (shift + len(s)) / 6 // the first that also holds bits after s
	return enc[from:to]
}

// urlAlphabet rewrites standard base64 into RFC 4648 §5's.
func urlAlphabet(std []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(std, []byte("+"), []byte("-")), []byte("/"), []byte("_"))
}

// redact returns text with every match, overlapping ones as one, replaced by the mark.
// It returns text itself when there is none. clean is false when the result holds a match
// still, which only a credential that looks like the mark can cause.
func (r *redactor) redact(text []byte) (result []byte, clean bool) {
	var out []byte
	done, start, end := 0, 0, 0 // text[:done] is out; [start, end) is the match to be replaced
	flush := func() {
		if end > start {
			out = append(append(out, text[done:start]...), redactedMark...)
			done = end
		}
	}
	for i := range text {
		if !r.first[text[i]] {
			continue
		}
		to := r.longest(text, i)
		if to <= i {
			continue
		}
		if i >= end {
			flush()
			start, end = i, to
		}
		end = max(end, to)
	}
	flush()
	if done == 0 {
		return text, true
	}
	out = append(out, text[done:]...)
	for i := range out {
		if r.longest(out, i) > 0 {
			return nil, false
		}
	}
	return out, true
}

// longest returns the end of the longest match that begins at i, 0 if none does.
func (r *redactor) longest(text []byte, i int) int {
	to := 0
	c := text[i]
	for _, p := range r.patterns {
		if p.same(c, p.text[0]) || c == '%' || c == '\\' || c == '+' {
			to = max(to, p.match(text, i))
		}
	}
	return to
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
		if e := text[pos+1]; e == want && (e == '"' || e == '\\' || e == '/') {
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
