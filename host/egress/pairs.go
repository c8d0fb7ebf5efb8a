package egress

// pairs is a set of pairs of bytes: those that can stand side by side within a match, or
// some more. Where a pair stands that is not in it no match reaches across, and all that
// would have to is passed over unread.
type pairs [256][4]uint64

func (p *pairs) has(a, b byte) bool { return p[a][b>>6]>>(b&63)&1 != 0 }

func (p *pairs) add(a, b byte) { p[a][b>>6] |= 1 << (b & 63) }

// fill adds every pair that begins with a, and with a mark both ways every one that ends with it.
func (p *pairs) fill(a byte, both bool) {
	p[a] = [4]uint64{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}
	for c := range p {
		if both {
			p.add(byte(c), a)
		}
	}
}

// escapePairs are in every set: what stands in and beside escapes such as %41 and \u0041,
// whatever is escaped. All pairs of hexadecimal are among them.
var escapePairs = func() *pairs {
	p := new(pairs)
	p.fill('%', true)
	p.fill('\\', true)
	p.add('u', '0')
	for _, digit := range []byte("0123456789abcdefABCDEF") { // the last of an escape may be before anything
		p.fill(digit, false)
	}
	return p
}()

// learn adds the pairs of a pattern, spelt in each way that has no escape, and those behind
// its short escapes.
func (p *pairs) learn(text []byte) {
	before := text[0]
	for _, c := range text[1:] {
		p.add(before, c)
		before = c
	}
	for _, c := range text {
		switch {
		case c == ' ':
			p.fill('+', true)
		case c < ' ':
			for _, e := range []byte("ntrbf") {
				p.fill(e, false)
			}
		}
	}
}

// next returns the first position from i on at which a match can begin, len(text) if there
// is none. known is what the last call for this text returned, 0 at first: up to it all
// pairs from i on are inner ones. Each pair is looked at twice at most.
//
// A match that begins at i has the bytes of the shortest pattern at least. So the pairs of
// that window are looked at from its end: one that is not inner excludes every beginning up
// to it, and in most text the first that is looked at is such.
func (r *redactor) next(text []byte, i, known int) (begin, newKnown int) {
	for i+r.shortest <= len(text) {
		last := i + r.shortest - 1
		j, stop := last, max(i, known)
		for j > stop && r.inner.has(text[j-1], text[j]) {
			j--
		}
		if j <= stop {
			return i, last
		}
		i = j
	}
	return len(text), known
}
