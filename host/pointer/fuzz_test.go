package pointer_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"unicode/utf8"

	"pointsman/host/broker"
	"pointsman/host/pointer"
)

// FuzzResolve: only what Mint made for that domain and sector resolves. Whatever resolves is,
// to the letter, what Mint makes of the id that came out; and it resolves for no other sector.
func FuzzResolve(f *testing.F) {
	i := issuer(f, keys(f), pointer.Domain{Name: "customer"}, pointer.Domain{Name: "supplier"})
	good := mint(f, i, "customer", shop, "4711")
	f.Add(good, "shop", "4711")
	f.Add(mint(f, i, "customer", bank, "4711"), "bank", "")
	f.Add(mint(f, i, "supplier", shop, "4711"), "", "x")
	f.Add(strings.Replace(good, "customer", "supplier", 1), "shop", strings.Repeat("x", 255))
	f.Add(good[:len(good)-1]+"B", "shop", strings.Repeat("x", 31))
	f.Add(good+"=", "shop", "a\x00")
	f.Add("ptr_customer_", "shop", "\u0080")
	f.Fuzz(func(t *testing.T, text, sector, id string) {
		for _, domain := range []string{"customer", "supplier"} {
			got, err := i.Resolve(domain, broker.Sector(sector), text)
			if err != nil {
				if got != "" || broker.KindOf(err) != broker.NotFound {
					t.Fatalf("%q, %v, want a record that is not found", got, err)
				}
				continue
			}
			if again, err := i.Mint(domain, broker.Sector(sector), got); err != nil || again != text {
				t.Fatalf("%q resolves to %q, whose pointer is %q, %v", text, got, again, err)
			}
		}
		minted, err := i.Mint("customer", broker.Sector(sector), id)
		if err != nil {
			if id != "" && len(id) <= pointer.MaxID && utf8.ValidString(id) && sector != "" {
				t.Fatalf("no pointer of %q: %v", id, err)
			}
			return
		}
		if got, err := i.Resolve("customer", broker.Sector(sector), minted); err != nil || got != id {
			t.Fatalf("the pointer of %q resolves to %q, %v", id, got, err)
		}
		if got, err := i.Resolve("customer", broker.Sector(sector+"x"), minted); err == nil {
			t.Fatalf("it resolves to %q for another sector", got)
		}
		if again, err := i.Rewrap(broker.Sector(sector), minted); err != nil || again != minted {
			t.Fatalf("rewrapped as %q, %v, want %q", again, err, minted)
		}
	})
}

// FuzzDecodeBase64: it takes what encoding/base64 takes strictly, and line ends too for
// wrong characters, and decodes it to the same bytes.
func FuzzDecodeBase64(f *testing.F) {
	for _, text := range []string{"", "A", "AA", "AB", "AAA", "AAB", "AAAA", "-_09", "AA==", "A\nAA", "A A", "+/+/", "\xff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, err := base64.RawURLEncoding.Strict().DecodeString(text)
		wantOK := err == nil && !strings.ContainsAny(text, "\r\n")
		if len(text)%4 == 1 {
			return // no length of a pointer; the sizes say so before
		}
		got, ok := pointer.DecodeBase64(text)
		if ok != wantOK || ok && !bytes.Equal(got, want) {
			t.Fatalf("%q: %x, %v, want %x, %v", text, got, ok, want, wantOK)
		}
	})
}

// FuzzMintJSON: it answers a JSON string that resolves to the id that was written, or leaves
// what points at nothing as it is.
func FuzzMintJSON(f *testing.F) {
	i := issuer(f, keys(f), pointer.Domain{Name: "customer"})
	for _, value := range []string{`"4711"`, "4711", "-0", "null", `""`, `"\u0000"`, "1e3", `"` + mint(f, i, "customer", shop, "4711") + `"`} {
		f.Add([]byte(value))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		got, err := i.MintJSON("customer", shop, value)
		if err != nil || bytes.Equal(got, value) {
			return
		}
		if got[0] != '"' || got[len(got)-1] != '"' {
			t.Fatalf("%q became %q", value, got)
		}
		id, err := i.Resolve("customer", shop, string(got[1:len(got)-1]))
		if err != nil {
			t.Fatalf("%q became %q, which does not resolve", value, got)
		}
		if again, err := i.MintJSON("customer", shop, got); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("%q, of %q, became %q, %v", got, id, again, err)
		}
	})
}
