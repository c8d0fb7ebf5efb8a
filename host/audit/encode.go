package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf16"
)

// A line, version 1, with the fields of its kind between "kind" and "prev":
//
//	{"seq":7,"time":"2026-01-02T03:04:05.000006Z","kind":"use", … ,"prev":"<64 hex>","hash":"<64 hex>"}\n
//
// seq counts from 1. prev is the hash of the line before, zeros in the first line. hash is
// SHA-256 over the domain tag, the 32 bytes of prev, and the line's own bytes up to the
// comma before "hash". Empty texts are left out. Every byte is printable ASCII, so that a
// line is safe to show on a terminal: all else is escaped as \uXXXX.
const domain = "pointsman audit line v1\x00"

const timeFormat = "2006-01-02T15:04:05.000000Z"

const (
	prevLead = `,"prev":"`
	hashLead = `,"hash":"`
	hashTail = `"}` + "\n"
	hexLen   = 2 * sha256.Size
	// sealLen is how many bytes of a line follow what its hash covers.
	sealLen = len(hashLead) + hexLen + len(hashTail)
)

// maxText is the most bytes that one text may take in a line, quotes aside. Names have at
// most 63 characters (host/manifest); resources are templates of about 200.
const maxText = 256

// maxLine is the most bytes of a line that is read back. The largest that is written, a
// request with maxSources sources and every text at its limit, is below 48 KiB.
const maxLine = 64 << 10

// encoder appends the fields of one line to b.
type encoder struct{ b []byte }

func (e *encoder) begin(seq uint64, at time.Time) {
	e.b = append(e.b, `{"seq":`...)
	e.b = strconv.AppendUint(e.b, seq, 10)
	e.b = append(e.b, `,"time":"`...)
	e.b = at.UTC().AppendFormat(e.b, timeFormat)
	e.b = append(e.b, '"')
}

// end completes the line after the one that hashes to prev, and returns its hash.
func (e *encoder) end(prev [sha256.Size]byte) [sha256.Size]byte {
	e.b = append(e.b, prevLead...)
	e.b = hex.AppendEncode(e.b, prev[:])
	e.b = append(e.b, '"')
	hash := chain(prev, e.b)
	e.b = append(e.b, hashLead...)
	e.b = hex.AppendEncode(e.b, hash[:])
	e.b = append(e.b, hashTail...)
	return hash
}

// chain is the hash of the line whose covered bytes are body.
func chain(prev [sha256.Size]byte, body []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	h.Write([]byte(domain))
	h.Write(prev[:])
	h.Write(body)
	h.Sum(sum[:0])
	return sum
}

// comma separates from what is already in the object or array.
func (e *encoder) comma() {
	if last := e.b[len(e.b)-1]; last != '{' && last != '[' {
		e.b = append(e.b, ',')
	}
}

func (e *encoder) key(name string) {
	e.comma()
	e.quote(name)
	e.b = append(e.b, ':')
}

// text appends a field, unless value is empty.
func (e *encoder) text(name, value string) {
	if value != "" {
		e.member(name, value)
	}
}

// member appends a field, empty or not.
func (e *encoder) member(name, value string) {
	e.key(name)
	e.quote(value)
}

func (e *encoder) number(name string, value int64) {
	e.key(name)
	e.b = strconv.AppendInt(e.b, value, 10)
}

func (e *encoder) count(name string, value uint64) {
	e.key(name)
	e.b = strconv.AppendUint(e.b, value, 10)
}

// open begins an object or array; an element of an array has no name.
func (e *encoder) open(name string, bracket byte) {
	if name == "" {
		e.comma()
	} else {
		e.key(name)
	}
	e.b = append(e.b, bracket)
}

func (e *encoder) close(bracket byte) { e.b = append(e.b, bracket) }

// more says how many entries were left out, if any.
func (e *encoder) more(n int) {
	if n > 0 {
		e.number("more", int64(n))
	}
}

// quote appends s as a JSON string of printable ASCII. What exceeds maxText is cut and
// ends in an escaped ellipsis.
func (e *encoder) quote(s string) {
	const cut = `\u2026`
	e.b = append(e.b, '"')
	from := len(e.b)
	room := from + maxText - len(cut) // beyond it, the rest must fit whole
	safe := len(e.b)                  // where a cut would go
	for _, r := range s {             // bytes that are not UTF-8 come as U+FFFD
		switch {
		case r == '"' || r == '\\':
			e.b = append(e.b, '\\', byte(r))
		case r >= ' ' && r <= '~':
			e.b = append(e.b, byte(r))
		default:
			var units [2]uint16
			for _, u := range utf16.AppendRune(units[:0], r) {
				e.b = append(e.b, '\\', 'u')
				e.b = append(e.b, hexDigits[u>>12], hexDigits[u>>8&15], hexDigits[u>>4&15], hexDigits[u&15])
			}
		}
		if len(e.b) <= room {
			safe = len(e.b)
		}
		if len(e.b)-from > maxText {
			e.b = append(e.b[:safe], cut...)
			break
		}
	}
	e.b = append(e.b, '"')
}

const hexDigits = "0123456789abcdef"
