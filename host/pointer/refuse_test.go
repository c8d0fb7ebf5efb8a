package pointer_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/broker"
	"pointsman/host/pointer"
)

var notFound = &broker.Error{Kind: broker.NotFound, Detail: "no such record"}

// bad is a text that must not resolve for domain customer and sector shop.
type bad struct{ name, text string }

// badOnes are texts of every kind that must not resolve, for a good one of the epoch 2,
// which accepts 1, of keyOf. All are as long as the good one except where that is the point.
func badOnes(t testing.TB, keyOf func(int) (pointer.Cipher, error), good, id string) []bad {
	t.Helper()
	now := pointer.Domain{Name: "customer", Epoch: 2, Accept: []int{1}}
	ended := issuer(t, keyOf, pointer.Domain{Name: "customer", Epoch: 3})
	abroad := issuer(t, keys(t), now)
	here := issuer(t, keyOf, now, pointer.Domain{Name: "supplier", Epoch: 2}, pointer.Domain{Name: "custome", Epoch: 2})
	payload := good[len("ptr_customer_"):]
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	remade := func(change func(raw []byte)) string {
		b := bytes.Clone(raw)
		change(b)
		return "ptr_customer_" + base64.RawURLEncoding.EncodeToString(b)
	}
	last := payload[len(payload)-1]
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return []bad{
		{"of another sector", mint(t, here, "customer", bank, id)},
		{"of another domain", mint(t, here, "supplier", shop, id)},
		{"of another domain, its name exchanged", strings.Replace(mint(t, here, "supplier", shop, id), "supplier", "customer", 1)},
		{"of a domain with a shorter name", strings.Replace(mint(t, here, "custome", shop, id), "custome_", "customer_", 1)},
		{"of another broker", mint(t, abroad, "customer", shop, id)},
		{"of an epoch that ended", mint(t, ended, "customer", shop, id)},
		{"of an epoch that ended, said to be of this one", remadeAs(mint(t, ended, "customer", shop, id), 2)},
		{"said to be of the other epoch", remade(func(b []byte) { b[1] = 1 })},
		{"said to be of no epoch", remade(func(b []byte) { b[0], b[1] = 0, 0 })},
		{"said to be of the last epoch", remade(func(b []byte) { b[0], b[1] = 0xff, 0xff })},
		{"a bit of the IV", remade(func(b []byte) { b[2] ^= 0x80 })},
		{"a bit of the ciphertext", remade(func(b []byte) { b[len(b)-1] ^= 1 })},
		{"zeros", remade(func(b []byte) { clear(b[2:]) })},
		{"first half exchanged for another record's", "ptr_customer_" + mint(t, here, "customer", shop, flip(id))[13:13+len(payload)/2] + payload[len(payload)/2:]},
		{"a bit that base64 leaves over", "ptr_customer_" + payload[:len(payload)-1] + string(alphabet[strings.IndexByte(alphabet, last)|1])},
		{"a character that is none of base64", "ptr_customer_" + payload[:20] + "+" + payload[21:]},
		{"a NUL", "ptr_customer_" + payload[:20] + "\x00" + payload[21:]},
		{"the last character an equals sign", good[:len(good)-1] + "="},
		{"another case", strings.ToLower(good)},
		{"another word in front", "ptx" + good[3:]},
		{"a space for an underscore", strings.Replace(good, "r_", "r ", 2)},
		// Of other lengths:
		{"nothing", ""},
		{"the word", "ptr_"},
		{"no payload", "ptr_customer_"},
		{"the id", id},
		{"without its last character", good[:len(good)-1]},
		{"without its first", good[1:]},
		{"half", good[:len(good)/2]},
		{"with one character more", good + "A"},
		{"with padding", good + "=="},
		{"with a line end", good + "\n"},
		{"with a space in front", " " + good},
		{"percent-encoded", strings.Replace(good, "_", "%5F", 1)},
		{"twice", good + good},
		{"a megabyte", "ptr_customer_" + strings.Repeat("A", 1<<20)},
		{"of a larger size", mint(t, here, "customer", bank, strings.Repeat("7", 200))},
	}
}

func flip(id string) string { return string(id[0]^1) + id[1:] }

// remadeAs is a pointer with another epoch in it.
func remadeAs(text string, epoch byte) string {
	at := strings.LastIndex(text, "ptr_customer_") + len("ptr_customer_")
	raw, _ := base64.RawURLEncoding.DecodeString(text[at:])
	raw[1] = epoch
	return text[:at] + base64.RawURLEncoding.EncodeToString(raw)
}

// TestResolveRefuses: whatever is wrong with a pointer, the answer is one and the same.
func TestResolveRefuses(t *testing.T) {
	keyOf := keys(t)
	i := issuer(t, keyOf, pointer.Domain{Name: "customer", Epoch: 2, Accept: []int{1}})
	good := mint(t, i, "customer", shop, "4711")
	for _, tt := range badOnes(t, keyOf, good, "4711") {
		t.Run(tt.name, func(t *testing.T) {
			id, err := i.Resolve("customer", shop, tt.text)
			if diff := cmp.Diff(error(notFound), err); id != "" || diff != "" {
				t.Errorf("resolved to %q (-want +got):\n%s", id, diff)
			}
			text, err := i.Rewrap(shop, tt.text)
			if diff := cmp.Diff(error(notFound), err); text != "" || diff != "" {
				// It may be a good one of a domain that the issuer has.
				t.Errorf("rewrapped as %q (-want +got):\n%s", text, diff)
			}
		})
	}
	for name, err := range map[string]error{
		"no sector":                   errOf(i.Resolve("customer", "", good)),
		"no such domain":              errOf(i.Resolve("supplier", shop, good)),
		"a nil issuer":                errOf((*pointer.Issuer)(nil).Resolve("customer", shop, good)),
		"rewrap without a sector":     errOf(i.Rewrap("", good)),
		"rewrap with a nil issuer":    errOf((*pointer.Issuer)(nil).Rewrap(shop, good)),
		"rewrap of an unknown domain": errOf(i.Rewrap(shop, strings.Replace(good, "customer", "nobodies", 1))),
	} {
		if diff := cmp.Diff(error(notFound), err); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if id, err := i.Resolve("customer", shop, good); id != "4711" || err != nil {
		t.Errorf("the good one: %q, %v", id, err)
	}
}

func errOf(_ string, err error) error { return err }

// TestResolveRefusesEveryChange: a pointer with one bit of its text changed, one character
// exchanged, left out or put in, or cut short anywhere resolves to nothing.
func TestResolveRefusesEveryChange(t *testing.T) {
	i := issuer(t, keys(t), pointer.Domain{Name: "customer"})
	for _, id := range []string{"4711", strings.Repeat("x", 40), strings.Repeat("y", 255)} {
		good := mint(t, i, "customer", shop, id)
		try := func(how, text string) {
			t.Helper()
			if text == good {
				return
			}
			if id, err := i.Resolve("customer", shop, text); err == nil {
				t.Errorf("%s resolves to %q: %s", how, id, text)
			}
		}
		for at := range len(good) {
			for bit := range 8 {
				b := []byte(good)
				b[at] ^= 1 << bit
				try(fmt.Sprintf("bit %d of character %d", bit, at), string(b))
			}
			for _, c := range "Aa0- =" {
				try(fmt.Sprintf("%q for character %d", c, at), good[:at]+string(c)+good[at+1:])
				try(fmt.Sprintf("%q before character %d", c, at), good[:at]+string(c)+good[at:])
			}
			try(fmt.Sprintf("character %d left out", at), good[:at]+good[at+1:])
			try(fmt.Sprintf("the first %d", at), good[:at])
		}
	}
}

func TestMintRefuses(t *testing.T) {
	i := issuer(t, keys(t), pointer.Domain{Name: "customer"})
	tests := []struct {
		name, domain string
		sector       broker.Sector
		id           string
		want         broker.Kind
	}{
		{"no sector", "customer", "", "4711", broker.Denied},
		{"no such domain", "supplier", shop, "4711", broker.Denied},
		{"no domain", "", shop, "4711", broker.Denied},
		{"an empty id", "customer", shop, "", broker.Invalid},
		{"an id of 256 bytes", "customer", shop, strings.Repeat("x", 256), broker.Invalid},
		{"an id of a megabyte", "customer", shop, strings.Repeat("x", 1<<20), broker.Invalid},
		{"an id that is not UTF-8", "customer", shop, "a\xff", broker.Invalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text, err := i.Mint(tt.domain, tt.sector, tt.id)
			if text != "" || err == nil || broker.KindOf(err) != tt.want {
				t.Errorf("got %q, %v, want an error of kind %v", text, err, tt.want)
			}
			if tt.id != "" && err != nil && strings.Contains(err.Error(), tt.id) {
				t.Errorf("the error holds the id: %.100v", err)
			}
		})
	}
	if _, err := (*pointer.Issuer)(nil).Mint("customer", shop, "4711"); broker.KindOf(err) != broker.Denied {
		t.Errorf("a nil issuer: %v, want a denial", err)
	}
}

func TestNewIssuerRefuses(t *testing.T) {
	tests := []struct {
		name   string
		domain pointer.Domain
		want   string
	}{
		{"no name", pointer.Domain{}, "name"},
		{"an underscore in the name", pointer.Domain{Name: "a_b"}, "name"},
		{"capitals", pointer.Domain{Name: "Customer"}, "name"},
		{"a long name", pointer.Domain{Name: strings.Repeat("a", 64)}, "name"},
		{"a negative epoch", pointer.Domain{Name: "a", Epoch: -1}, "epoch -1"},
		{"an epoch of more than two bytes", pointer.Domain{Name: "a", Epoch: 65536}, "epoch 65536"},
		{"epoch 0 accepted", pointer.Domain{Name: "a", Accept: []int{0}}, "epoch 0"},
		{"an epoch twice", pointer.Domain{Name: "a", Epoch: 2, Accept: []int{1, 2}}, "twice"},
		{"no time to live", pointer.Domain{Name: "a", Ephemeral: -time.Second}, "ephemeral"},
		{"nothing to live in", pointer.Domain{Name: "a", Ephemeral: time.Second}, "ephemeral"},
		{"a key that is not to be had", pointer.Domain{Name: "a", Epoch: 666}, "no key today"},
	}
	keyOf := keys(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i, err := pointer.NewIssuer([]pointer.Domain{tt.domain}, func(epoch int) (pointer.Cipher, error) {
				if epoch == 666 {
					return nil, fmt.Errorf("no key today")
				}
				return keyOf(epoch)
			}, nil)
			if err == nil || i != nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v, want an error about %q", i, err, tt.want)
			}
		})
	}
	if _, err := pointer.NewIssuer([]pointer.Domain{{Name: "a"}, {Name: "a"}}, keyOf, nil); err == nil {
		t.Error("a domain twice was taken")
	}
}

// TestRefusingTakesAsMuchWork counts what ciphers are asked for: resolving is one ciphertext
// opened and rewrapping one opened and one made, whatever is wrong with the pointer. For
// texts that are as long as the good one, even the bytes are as many.
func TestRefusingTakesAsMuchWork(t *testing.T) {
	keyOf, w := keys(t), new(work)
	i := issuer(t, counting(keyOf, w), pointer.Domain{Name: "customer", Epoch: 2, Accept: []int{1}})
	good := mint(t, i, "customer", shop, "4711")
	measure := func(do func()) [3]int64 {
		w.sealed.Store(0)
		w.opened.Store(0)
		w.bytes.Store(0)
		do()
		return [3]int64{w.sealed.Load(), w.opened.Load(), w.bytes.Load()}
	}
	resolve := func(domain string, sector broker.Sector, text string) [3]int64 {
		return measure(func() { _, _ = i.Resolve(domain, sector, text) })
	}
	rewrap := func(text string) [3]int64 { return measure(func() { _, _ = i.Rewrap(shop, text) }) }
	resolved, rewrapped := resolve("customer", shop, good), rewrap(good)
	if resolved[0] != 0 || resolved[1] != 1 || rewrapped[0] != 1 || rewrapped[1] != 1 {
		t.Fatalf("a good one takes %v to resolve and %v to rewrap, want one of each", resolved, rewrapped)
	}
	for _, tt := range badOnes(t, keyOf, good, "4711") {
		r, w := resolve("customer", shop, tt.text), rewrap(tt.text)
		if len(tt.text) != len(good) { // its length is the sender's choice
			r[2], w[2] = resolved[2], rewrapped[2]
		}
		if !strings.HasPrefix(tt.text, "ptr_customer_") { // and so is the domain that it names
			w[2] = rewrapped[2]
		}
		if r != resolved || w != rewrapped {
			t.Errorf("%s: %v to resolve and %v to rewrap, want %v and %v", tt.name, r, w, resolved, rewrapped)
		}
	}
	if got := resolve("supplier", shop, strings.Replace(good, "customer", "supplier", 1)); got != resolved {
		t.Errorf("a domain that there is not: %v, want %v", got, resolved)
	}
	if got := resolve("customer", "", good); got[1] != 1 {
		t.Errorf("no sector: %v, want %v", got, resolved)
	}
	if got := rewrap(strings.Replace(good, "customer", "supplier", 1)); got != rewrapped {
		t.Errorf("rewrapping of a domain that there is not: %v, want %v", got, rewrapped)
	}
}
