package pointer_test

import (
	"encoding/base64"
	"fmt"
	"math/bits"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"pointsman/host/broker"
	"pointsman/host/pointer"
)

func TestMintAndResolve(t *testing.T) {
	i := issuer(t, keys(t), pointer.Domain{Name: "customer"}, pointer.Domain{Name: "a-1", Epoch: pointer.MaxEpoch})
	form := regexp.MustCompile(`^ptr_(customer|a-1)_[A-Za-z0-9_-]+[A-Za-z0-9]$`)
	for _, id := range []string{
		"1", "4711", "0", "-", " ", "a/b?c=d&e%20", "b9b5f0e2-6c5e-4c1d-9f51-0a7a3e3d1d11", "Zürich 東京 🚉",
		"\x00", "a\x00", "a\u0080", strings.Repeat("9", 40), "ptr_customer_AAAA",
		strings.Repeat("x", 31), strings.Repeat("x", 32), strings.Repeat("x", 63), strings.Repeat("x", 64),
		strings.Repeat("x", 127), strings.Repeat("x", 128), strings.Repeat("\x00", 255), strings.Repeat("x", 255),
	} {
		for _, domain := range []string{"customer", "a-1"} {
			text := mint(t, i, domain, shop, id)
			if got, err := i.Resolve(domain, shop, text); err != nil || got != id {
				t.Errorf("%q: resolves to %q, %v", id, got, err)
			}
			if again := mint(t, i, domain, shop, id); again != text {
				t.Errorf("%q: minted %s, then %s", id, text, again)
			}
			if !form.MatchString(text) || url.PathEscape(text) != text || url.QueryEscape(text) != text {
				t.Errorf("%q: %s does not go as it is into a path, a query and a text", id, text)
			}
			if len(text) > pointer.MaxText(domain) {
				t.Errorf("%q: %d characters, want at most %d", id, len(text), pointer.MaxText(domain))
			}
		}
	}
	if !i.Has("customer") || i.Has("supplier") || i.Has("decoy") || (*pointer.Issuer)(nil).Has("customer") {
		t.Error("Has tells other domains than there are")
	}
}

// TestPointersAreTheSameTomorrow: what one version of the program minted resolves with the
// next. The text was computed from the comments of this package and of Keyring.Pointers with
// other libraries (Python's hmac, and AESSIV of cryptography).
func TestPointersAreTheSameTomorrow(t *testing.T) {
	i := issuer(t, fixedKeys(t), pointer.Domain{Name: "customer", Epoch: 7})
	const want = "ptr_customer_AAfwN4mxRY3FawGny0BtS0GGwmX5-wyJ8INpF8w-xe05lwTupZ_eLQqmG24y8imyZRA"
	if got := mint(t, i, "customer", shop, "4711"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestLengthTellsTheSizeOnly: four lengths are all that ids of 255 lengths make.
func TestLengthTellsTheSizeOnly(t *testing.T) {
	i := issuer(t, keys(t), pointer.Domain{Name: "customer"})
	lengths := map[int][2]int{}
	for n := 1; n <= pointer.MaxID; n++ {
		l := len(mint(t, i, "customer", shop, strings.Repeat("x", n)))
		if lengths[l][0] == 0 {
			lengths[l] = [2]int{n, n}
		}
		lengths[l] = [2]int{lengths[l][0], n}
	}
	want := map[int][2]int{13 + 67: {1, 31}, 13 + 110: {32, 63}, 13 + 195: {64, 127}, 13 + 366: {128, 255}}
	if fmt.Sprint(lengths) != fmt.Sprint(want) {
		t.Errorf("got ids of these lengths per length of pointer: %v, want %v", lengths, want)
	}
}

// TestEpochs walks a domain through a change of epoch.
func TestEpochs(t *testing.T) {
	keyOf := keys(t)
	first := issuer(t, keyOf, pointer.Domain{Name: "customer", Epoch: 1})
	between := issuer(t, keyOf, pointer.Domain{Name: "customer", Epoch: 2, Accept: []int{1}})
	after := issuer(t, keyOf, pointer.Domain{Name: "customer", Epoch: 2})
	old := mint(t, first, "customer", shop, "4711")
	young := mint(t, between, "customer", shop, "4711")
	if old == young {
		t.Fatal("two epochs make the same pointer")
	}
	tests := []struct {
		name, text string
		issuer     *pointer.Issuer
		want       bool
	}{
		{"the old one in its epoch", old, first, true},
		{"the old one while it is accepted", old, between, true},
		{"the old one after its epoch ended", old, after, false},
		{"the new one before its epoch", young, first, false},
		{"the new one", young, between, true},
		{"the new one later", young, after, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id, err := tt.issuer.Resolve("customer", shop, tt.text)
			if resolved := err == nil; resolved != tt.want || resolved && id != "4711" {
				t.Errorf("resolved to %q, %v, want it to: %v", id, err, tt.want)
			}
			text, err := tt.issuer.Rewrap(shop, tt.text)
			want := young
			if tt.issuer == first {
				want = old
			}
			if rewrapped := err == nil; rewrapped != tt.want || rewrapped && text != want {
				t.Errorf("rewrapped as %q, %v, want it to: %v", text, err, tt.want)
			}
		})
	}
}

// payloads are the bytes of n pointers behind the epoch.
func payloads(t testing.TB, i *pointer.Issuer, sector broker.Sector, n int) [][]byte {
	t.Helper()
	out := make([][]byte, n)
	for k := range out {
		raw, err := base64.RawURLEncoding.DecodeString(mint(t, i, "customer", sector, fmt.Sprint(k))[len("ptr_customer_"):])
		if err != nil {
			t.Fatal(err)
		}
		out[k] = raw[2:]
	}
	return out
}

// TestSectorsCannotBeLinked compares the pointers of the same records in two sectors: they
// have no more in common than random bytes have, in front, at the end and in between, and
// no more than the pointers of different records. The bounds are so wide that chance passes
// them less than once in a billion runs.
func TestSectorsCannotBeLinked(t *testing.T) {
	const n, size = 2000, 16 + 32
	i := issuer(t, keys(t), pointer.Domain{Name: "customer"})
	a, b := payloads(t, i, shop, n), payloads(t, i, bank, n)
	tests := []struct {
		name string
		pair func(k int) ([]byte, []byte)
	}{
		{"the same record in two sectors", func(k int) ([]byte, []byte) { return a[k], b[k] }},
		{"two records in one sector", func(k int) ([]byte, []byte) { return a[k], a[(k+1)%n] }},
		{"two records in two sectors", func(k int) ([]byte, []byte) { return a[k], b[(k+1)%n] }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			differ := 0 // bits
			for k := range n {
				x, y := tt.pair(k)
				if len(x) != size || len(y) != size {
					t.Fatalf("%d and %d bytes, want %d", len(x), len(y), size)
				}
				front, end := 0, 0
				for front < size && x[front] == y[front] {
					front++
				}
				for end < size && x[size-1-end] == y[size-1-end] {
					end++
				}
				if front > 5 || end > 5 { // by chance once in 2^48 pairs
					t.Errorf("record %d: %d bytes in front and %d at the end are the same", k, front, end)
				}
				for at := range x {
					differ += bits.OnesCount8(x[at] ^ y[at])
				}
			}
			// Of 768,000 fair coins half come up, give or take 438 (one standard deviation).
			if off := differ - n*size*4; off < -3000 || off > 3000 {
				t.Errorf("%d of %d bits differ, want half of them", differ, n*size*8)
			}
		})
	}
}

// TestNoTwoPointersAreTheSame mints 10,000 records in three sectors and two domains.
func TestNoTwoPointersAreTheSame(t *testing.T) {
	const records, sectors = 10_000, 3
	i := issuer(t, keys(t), pointer.Domain{Name: "customer"}, pointer.Domain{Name: "supplier"})
	seen := make(map[string]string, records*sectors*2)
	for _, domain := range []string{"customer", "supplier"} {
		for s := range sectors {
			sector := broker.Sector(fmt.Sprint("sector-", s))
			for k := range records {
				text := mint(t, i, domain, sector, fmt.Sprint(k))
				payload, who := text[len("ptr_customer_"):], fmt.Sprint(domain, " ", sector, " ", k)
				if twin, ok := seen[payload]; ok {
					t.Fatalf("%s and %s have the same pointer", twin, who)
				}
				seen[payload] = who
			}
		}
	}
}

// TestPartsDoNotRunIntoEachOther: the ends of domain and sector cannot be moved.
func TestPartsDoNotRunIntoEachOther(t *testing.T) {
	i := issuer(t, keys(t), pointer.Domain{Name: "ab"}, pointer.Domain{Name: "a"})
	text := strings.Replace(mint(t, i, "ab", "c", "4711"), "ab", "a", 1)
	if id, err := i.Resolve("a", "bc", text); err == nil {
		t.Errorf("resolved to %q", id)
	}
}
