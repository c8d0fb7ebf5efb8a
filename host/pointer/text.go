package pointer

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// The text of a pointer is
//
//	ptr_ domain _ base64url without padding of: epoch (2 bytes, big endian; 0: ephemeral) body
//
// where the body is a synthetic IV (16 bytes) and the padded id sealed, or 24 random bytes.
// Two bytes of epoch make every length leave one or two bytes over in base64, so that the
// last character is always a letter or digit: what cuts punctuation off an address that is
// pasted into a letter or chat leaves a pointer alone.
const (
	word       = "ptr_"
	headSize   = 2
	ivSize     = 16
	randomSize = 24 // 192 bits; 128 are what SECURITY-RULES 5.6 asks for
	maxBody    = headSize + ivSize + MaxID + 1
	maxName    = 63
	maxText    = len(word) + maxName + 1 + (maxBody*8+5)/6
)

// sizes are what ids are padded to, in bytes, so that the length of a pointer tells no more
// than between which of them an id lies. A number or code of 31 bytes takes the first, a
// UUID with its hyphens the second.
var sizes = [...]int{32, 64, 128, MaxID + 1}

// decoyID is as long as an id can be.
var decoyID = strings.Repeat("0", MaxID)

var base64url = base64.RawURLEncoding

// MaxText is how long the text of a pointer of domain can be, in bytes.
func MaxText(domain string) int { return prefixLen(domain) + base64url.EncodedLen(maxBody) }

// prefixLen is the length of what stands before the base64: ptr_ domain _
func prefixLen(domain string) int { return len(word) + len(domain) + 1 }

// cutPrefix returns what stands behind where the domain's prefix ends, and whether it is there.
func cutPrefix(domain, text string) (payload string, ok bool) {
	n := prefixLen(domain)
	if len(text) < n {
		return "", false
	}
	return text[n:], text[:len(word)] == word && text[len(word):n-1] == domain && text[n-1] == '_'
}

// domainOf is the domain that text claims to be of, or "".
func domainOf(text string) string {
	rest, ok := strings.CutPrefix(text, word)
	domain, _, found := strings.Cut(rest, "_")
	if !ok || !found {
		return ""
	}
	return domain
}

// sizeFor is what an id of that length is padded to. It is at most MaxID bytes.
func sizeFor(id int) int {
	for _, size := range sizes {
		if id < size {
			return size
		}
	}
	panic("pointer: an id longer than MaxID") // checkID comes before
}

// pad writes id and a byte 0x80 into zeros (ISO/IEC 7816-4). They are one more than id at
// least.
func pad(zeros []byte, id string) { zeros[copy(zeros, id)] = 0x80 }

// unpad returns what pad put in front of the padding, and whether there is any.
func unpad(padded []byte) (id string, ok bool) {
	last := 0 // that is not zero; the time tells nothing of where it is
	for i, b := range padded {
		last = subtle.ConstantTimeSelect(subtle.ConstantTimeByteEq(b, 0), last, i)
	}
	if padded[last] != 0x80 {
		return "", false
	}
	return string(padded[:last]), true
}

func encode(domain string, epoch uint16, body []byte) string {
	var rawRoom [maxBody]byte
	var textRoom [maxText]byte
	raw := append(binary.BigEndian.AppendUint16(rawRoom[:0], epoch), body...)
	text := append(append(append(textRoom[:0], word...), domain...), '_')
	return string(base64url.AppendEncode(text, raw))
}

// sizeOf returns the padded size that a payload of that many characters comes next to.
func sizeOf(characters int) int {
	for _, size := range sizes {
		if characters <= base64url.EncodedLen(headSize+ivSize+size) {
			return size
		}
	}
	return sizes[len(sizes)-1]
}

// decode decodes text as far as there is room, and reports whether it fills the room and is
// base64url without padding, in the one form that encoding gives: the bits left over are
// zero. Unlike encoding/base64 it goes on behind a wrong character, so that the place of
// one cannot be timed: how long it takes depends on the lengths alone.
func decode(room []byte, text string) bool {
	var bits uint32
	var wrong byte
	have, n := 0, 0
	for i := 0; i < len(text) && n < len(room); i++ {
		v := sextets[text[i]]
		wrong |= v
		bits = bits<<6 | uint32(v&0x3f)
		if have += 6; have >= 8 {
			have -= 8
			room[n] = byte(bits >> have)
			n++
		}
	}
	return wrong&notBase64 == 0 && bits&(1<<have-1) == 0 && len(text) == base64url.EncodedLen(len(room))
}

const notBase64 = 0x80

// sextets are the values of the characters of base64url (RFC 4648 §5).
var sextets = func() (t [256]byte) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := range t {
		t[i] = notBase64
	}
	for i, c := range []byte(alphabet) {
		t[c] = byte(i)
	}
	return t
}()
