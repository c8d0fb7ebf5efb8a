package egress

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"math/bits"
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
	// starts has, for each byte, a bit for each pattern that can begin with it when nothing is
	// escaped; the last bit stands for every pattern from the 63rd on.
	starts [256]uint64
	arena  []byte // what the patterns' texts lie in; grows in learn only, so that wipe reaches all of it
	// firsts is starts, and escapeBit for the bytes that an escape begins with.
	firsts [256]uint64
	// seconds has the same for the byte behind it: every pattern where an escape can begin, and
	// escapeBit always. So one test of two bytes tells, nearly everywhere, that no match begins.
	seconds [256]uint64
	// inner are the pairs that matches are made of, and shortest the bytes of the shortest
	// pattern: most of a text is passed over with them.
	inner    pairs
	shortest int
}

const (
	lastBit   = 63
	escapeBit = 62
)

// learn makes a redactor that has learnt nothing, or was wiped, look for secrets.
func (r *redactor) learn(secrets [][]byte) {
	size, longest := 0, 0
	r.inner = *escapePairs
	for _, s := range secrets {
		size, longest = size+12*len(s)+24, max(longest, len(s)) // raw, hexadecimal twice as long, six times base64
	}
	for c := range r.seconds {
		r.seconds[c] = 1 << escapeBit
	}
	r.firsts['%'], r.firsts['\\'] = 1<<escapeBit, 1<<escapeBit
	r.seconds['%'], r.seconds['\\'], r.seconds['+'] = ^uint64(0), ^uint64(0), ^uint64(0)
	r.arena = slices.Grow(r.arena[:0], size+longest+2)
	for _, s := range secrets {
		if len(s) < minRedact {
			continue
		}
		r.add(r.keep(s), false)
		start := len(r.arena)
		r.arena = hex.AppendEncode(r.arena, s)
		r.add(r.arena[start:], true)
		for shift := range 3 {
			core := r.base64Core(s, shift)
			r.add(core, false)
			if bytes.ContainsAny(core, "+/") {
				r.add(urlAlphabet(r.keep(core)), false)
			}
		}
	}
	for i, p := range r.patterns {
		if !p.fold { // or all of its pairs are there
			r.inner.learn(p.text)
		}
		if i == 0 || len(p.text) < r.shortest {
			r.shortest = len(p.text)
		}
	}
}

// keep returns a copy of b that wipe reaches.
func (r *redactor) keep(b []byte) []byte {
	start := len(r.arena)
	r.arena = append(r.arena, b...)
	return r.arena[start:]
}

func (r *redactor) add(text []byte, fold bool) {
	if slices.ContainsFunc(r.patterns, func(p pattern) bool { return p.fold == fold && bytes.Equal(p.text, text) }) {
		return
	}
	bit := uint64(1) << len(r.patterns)
	if len(r.patterns) >= escapeBit {
		bit = 1 << lastBit
	}
	r.patterns = append(r.patterns, pattern{text, fold})
	second := text[1]
	r.seconds[second] |= bit
	if fold {
		r.seconds[upper(second)] |= bit
	}
	begin := func(c byte) { r.starts[c] |= bit; r.firsts[c] |= bit }
	begin(text[0])
	if fold {
		begin(upper(text[0]))
	}
	if text[0] == ' ' {
		begin('+')
	}
}

// wipe overwrites and forgets what was looked for.
func (r *redactor) wipe() {
	clear(r.arena[:cap(r.arena)])
	clear(r.patterns)
	r.patterns = r.patterns[:0]
	clear(r.starts[:])
	clear(r.seconds[:])
	clear(r.firsts[:])
	clear(r.inner[:])
}

// base64Core returns the characters that s has in the base64 of any text in which s
// begins at a multiple of three bytes plus shift: those that depend on s alone. The few bits
// that it shares with its neighbours are left.
func (r *redactor) base64Core(s []byte, shift int) []byte {
	end := cap(r.arena) - shift - len(s)
	plain := append(append(r.arena[end:end:cap(r.arena)], 0, 0)[:shift], s...) // the room at the end
	start := len(r.arena)
	r.arena = base64.RawStdEncoding.AppendEncode(r.arena, plain)
	from := (8*shift + 5) / 6      // characters that also hold bits before s
	to := 8 * (shift + len(s)) / 6 // the first that also holds bits after s
	return r.arena[start+from : start+to]
}

// urlAlphabet rewrites standard base64 into RFC 4648 §5's, in place.
func urlAlphabet(std []byte) []byte {
	for i, c := range std {
		switch c {
		case '+':
			std[i] = '-'
		case '/':
			std[i] = '_'
		}
	}
	return std
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
	if len(r.patterns) == 0 {
		return text, true
	}
	for i, known := r.next(text, 0, 0); i < len(text); i, known = r.next(text, i+1, known) {
		if r.firsts[text[i]]&r.seconds[text[i+1]] == 0 {
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
	for i, known := r.next(out, 0, 0); i < len(out); i, known = r.next(out, i+1, known) {
		if r.longest(out, i) > 0 {
			return nil, false
		}
	}
	return out, true
}

// longest returns the end of the longest match that begins at i, 0 if none does.
func (r *redactor) longest(text []byte, i int) int {
	to := 0
	for left := r.candidates(text, i); left != 0; left &= left - 1 {
		n := bits.TrailingZeros64(left)
		if n < lastBit {
			to = max(to, r.patterns[n].match(text, i))
			continue
		}
		for _, p := range r.patterns[escapeBit:] {
			to = max(to, p.match(text, i))
		}
	}
	return to
}

// candidates are the patterns that can begin at i: with the byte that stands there, or with
// what it and those behind it stand for.
func (r *redactor) candidates(text []byte, i int) uint64 {
	set := r.starts[text[i]]
	switch {
	case text[i] == '%':
		if v, ok := hexByte(text, i+1); ok {
			set |= r.starts[v]
		}
	case text[i] == '\\' && i+1 < len(text):
		e := text[i+1]
		set |= r.starts[e] // more than need be: only quote, backslash and slash stand for themselves
		if v := shortEscape(e); v != 0 {
			set |= r.starts[v]
		}
		if v, ok := hexByte(text, i+4); ok && bytes.HasPrefix(text[i+1:], []byte("u00")) {
			set |= r.starts[v]
		}
	}
	return set
}
