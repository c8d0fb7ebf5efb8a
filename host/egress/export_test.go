package egress

import (
	"bytes"
	"context"
	"net/netip"
	"slices"
	"strings"
)

// Redact runs the redactor for one credential over text.
func Redact(credential, text []byte) (result []byte, clean bool) {
	var r redactor
	r.learn([][]byte{credential})
	return r.redact(text)
}

// RedactUnskipped is Redact, but looks for a match at every byte.
func RedactUnskipped(credential, text []byte) (result []byte, clean bool) {
	var r redactor
	r.learn([][]byte{credential})
	for c := range 256 {
		r.inner.fill(byte(c), false)
	}
	return r.redact(text)
}

// RedactAll runs the redactor for many credentials over text, and reports whether it wiped
// everything that it looked for.
func RedactAll(credentials [][]byte, text []byte) (result []byte, clean, wiped bool) {
	var r redactor
	r.learn(credentials)
	result, clean = r.redact(text)
	kept := slices.Clone(r.patterns)
	r.wipe()
	wiped = true
	for _, p := range kept {
		wiped = wiped && len(p.text) > 0 && bytes.Count(p.text, []byte{0}) == len(p.text)
	}
	return result, clean, wiped
}

// Judge asks the dial guard about one address.
func Judge(addr netip.Addr, private ...netip.Prefix) error {
	g, err := newGuard(private)
	if err != nil {
		return err
	}
	return g.judge(addr)
}

// OwnWork does what Do does besides sending and receiving: check, build, place, redact.
func OwnWork(b *Backend, r Request, body []byte) error {
	if err := b.Check(r); err != nil {
		return err
	}
	req := b.request(context.Background(), r)
	used, err := b.placement.Place(context.Background(), req, r.Body)
	if err != nil {
		return err
	}
	defer used.Wipe()
	return b.redact(used.Forms(), &Answer{Body: body})
}

// Origin is where requests of b go: scheme, host, the Host header and the base path.
func (b *Backend) Origin() (scheme, host, authority, base string) {
	return b.origin.scheme, b.origin.host, b.origin.authority, b.origin.base
}

// Written is the head of r as net/http writes it.
func Written(b *Backend, r Request) string {
	var out strings.Builder
	_ = b.request(context.Background(), r).Write(&out) // a Builder takes everything
	return out.String()
}
