package view

import (
	"bytes"
	"hash/maphash"
	"unicode/utf16"
	"unicode/utf8"
)

// seed makes the hashes of names: unknown outside of the process, so that nobody can choose
// names that collide.
var seed = maphash.MakeSeed()

// hashedNames is how many names have room without allocating: three quarters of it. A document
// of 4 KB has 200.
const hashedNames = 512

// names remembers the names of all objects of one text, so that a name that an object has
// twice is found in constant time: an open hash table, at most three quarters full.
type names struct {
	first   [hashedNames]entry // the table until there are more
	more    []entry            // the table then, a power of two of them
	used    int
	objects uint32 // how many objects there were
}

// entry is a name of an object.
type entry struct {
	hash   uint32 // the lower half
	object uint32 // 0: the entry is free
	at     uint32 // where the name's quote is
}

// object returns the identity of one more object, from 1.
func (ns *names) object() uint32 {
	ns.objects++
	return ns.objects
}

// slot is where the search for the entry begins. The odd factor, of the golden ratio, spreads
// objects that have the same names.
func (e entry) slot() int { return int(e.hash + e.object*0x9E3779B1) }

// add remembers the name at a place of text, which is plain without its escapes, and
// reports whether its object did not have it.
func (ns *names) add(text []byte, object uint32, hash uint64, at int, plain []byte) bool {
	if ns.used >= max(hashedNames, len(ns.more))/4*3 {
		ns.grow()
	}
	table := ns.more
	if table == nil {
		table = ns.first[:]
	}
	added := entry{uint32(hash), object, uint32(at)}
	mask := len(table) - 1
	for i := added.slot() & mask; ; i = (i + 1) & mask {
		e := &table[i]
		if e.object == 0 {
			*e = added
			ns.used++
			return true
		}
		if e.hash == added.hash && e.object == object && bytes.Equal(plainly(nil, inside(text, int(e.at))), plain) {
			return false
		}
	}
}

// grow makes room for four times as many names. 100,000 take 6 MiB.
func (ns *names) grow() {
	if ns.more == nil {
		ns.more = rehashed(ns.first[:])
	} else {
		ns.more = rehashed(ns.more)
	}
}

// rehashed returns a table of four times the size with the same entries.
func rehashed(table []entry) []entry {
	larger := make([]entry, 4*len(table))
	mask := len(larger) - 1
	for _, e := range table {
		if e.object == 0 {
			continue
		}
		i := e.slot() & mask
		for larger[i].object != 0 {
			i = (i + 1) & mask
		}
		larger[i] = e
	}
	return larger
}

// inside is what is between the quotes of the string at a place of text, which was gone over
// before.
func inside(text []byte, at int) []byte {
	for end := at + 1; ; end++ {
		switch text[end] {
		case '\\':
			end++
		case '"':
			return text[at+1 : end]
		}
	}
}

// plainly is what the inside of a valid string says, in room if it has escapes.
func plainly(room, inside []byte) []byte {
	if bytes.IndexByte(inside, '\\') < 0 {
		return inside
	}
	return unquote(room, inside)
}

// unquote appends what the inside of a valid string says.
func unquote(dst, inside []byte) []byte {
	for i := 0; i < len(inside); {
		c := inside[i]
		if c != '\\' {
			dst = append(dst, c)
			i++
			continue
		}
		switch c = inside[i+1]; c {
		case 'u':
			r, _ := unit16(inside, i)
			i += 6
			if utf16.IsSurrogate(r) {
				low, _ := unit16(inside, i)
				r = utf16.DecodeRune(r, low)
				i += 6
			}
			dst = utf8.AppendRune(dst, r)
			continue
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		}
		dst = append(dst, c)
		i += 2
	}
	return dst
}
