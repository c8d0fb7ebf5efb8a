package egress_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pointsman/host/egress"
)

// encodings are the forms in which a back end may send a credential back, and what of
// them must be gone.
func encodings(s string) map[string]string {
	forms := map[string]string{
		"raw": s, "hex": hex.EncodeToString([]byte(s)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(s))),
		"query": url.QueryEscape(s), "path": url.PathEscape(s), "json": jsonText(s), "PHP json": strings.ReplaceAll(jsonText(s), "/", `\/`),
	}
	var percent, lower, unicode strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&percent, "%%%02X", c)
		fmt.Fprintf(&lower, "%%%02x", c)
		fmt.Fprintf(&unicode, `\u%04x`, c)
	}
	forms["all percent"], forms["all percent, lower case"], forms["all JSON escapes"] = percent.String(), lower.String(), unicode.String()
	for shift := range 3 {
		for name, enc := range map[string]*base64.Encoding{"std": base64.StdEncoding, "url": base64.URLEncoding} {
			core := stable(enc, s, shift)
			forms[fmt.Sprintf("base64 %s %d", name, shift)] = core
			forms[fmt.Sprintf("base64 %s %d percent-encoded", name, shift)] = url.QueryEscape(core)
		}
	}
	return forms
}

// stable finds the part of base64 that depends on s alone by encoding it between
// different neighbours.
func stable(enc *base64.Encoding, s string, shift int) string {
	a := enc.EncodeToString([]byte(strings.Repeat("\x00", shift) + s + "\x00\x00\x00"))
	b := enc.EncodeToString([]byte(strings.Repeat("\xff", shift) + s + "\xff\xff\xff"))
	from, to := 0, 0
	for from < len(a) && a[from] != b[from] {
		from++
	}
	for to = from; to < len(a) && a[to] == b[to]; {
		to++
	}
	return a[from:to]
}

func jsonText(s string) string {
	text, _ := json.Marshal(s)           // a string always marshals
	return string(text[1 : len(text)-1]) // not Trim: the text may itself end in an escaped quote
}

func TestRedact(t *testing.T) {
	for _, credential := range []string{"sk_live_4eC39HqLyjWDarjtT1zdp7dc", `p%ss/w"rd\wi+h <all> of&it`, "user:correct horse", "aaaaaaaaaaaaaaaa", "%%%%%%%%%%%%%%%%"} {
		for name, form := range encodings(credential) {
			t.Run(credential+" "+name, func(t *testing.T) {
				text := []byte("before " + form + " between " + form + form + " after")
				got, clean := egress.Redact([]byte(credential), text)
				if !clean {
					t.Fatal("refused, want it redacted")
				}
				if bytes.Contains(got, []byte(form)) {
					t.Errorf("%q is still in %q", form, got)
				}
				if !bytes.HasPrefix(got, []byte("before ")) || !bytes.HasSuffix(got, []byte(" after")) || !bytes.Contains(got, []byte("[redacted]")) {
					t.Errorf("got %q, want only the credential replaced", got)
				}
			})
		}
	}
}

func TestRedactLeavesTheRestAlone(t *testing.T) {
	credential := []byte("sk_live_4eC39HqLyjWDarjtT1zdp7dc")
	for name, text := range map[string]string{
		"nothing": "", "innocent": `{"id":42,"name":"M\u00fcller","url":"https:\/\/x"}`, "almost": "sk_live_4eC39HqLyjWDarjtT1zdp7dd", "half": "sk_live_4eC39HqLyjWD",
		"percent signs": "100% sure %", "backslashes": `\\\u00\`, "binary": "\x00\xff\xfe",
	} {
		got, clean := egress.Redact(credential, []byte(text))
		if string(got) != text || !clean {
			t.Errorf("%s: got %q, %v, want it unchanged", name, got, clean)
		}
	}
	if got, _ := egress.Redact([]byte("short"), []byte("a short text")); string(got) != "a short text" {
		t.Errorf("a short credential took %q out of innocent text", got)
	}
}

// TestRedactManyForms: tokens, keys of any bytes and what they replaced, more of them than
// there are bits to tell them by, are all found and all wiped.
func TestRedactManyForms(t *testing.T) {
	var credentials [][]byte
	for i := range 40 {
		c := fmt.Appendf(nil, "credential-%02d-of-the-test", i)
		if i%2 == 1 {
			c = append(bytes.Repeat([]byte{byte(i), 0xff, '\n', '"', '/'}, 3+i), byte(i))
		}
		credentials = append(credentials, c)
	}
	for i, c := range credentials {
		for name, form := range map[string]string{
			"raw": string(c), "hex": hex.EncodeToString(c), "base64": base64.StdEncoding.EncodeToString(c), "base64url": base64.RawURLEncoding.EncodeToString(append([]byte("x"), c...))[2:],
		} {
			got, clean, wiped := egress.RedactAll(credentials, []byte("before "+form+" after"))
			if !clean || !wiped || !bytes.Contains(got, []byte("[redacted]")) || bytes.Contains(got, []byte(form)) {
				t.Errorf("credential %d as %s: %q, clean %v, wiped %v", i, name, got, clean, wiped)
			}
		}
	}
	quoted := "key-\n-with-\t-controls-\r\n"
	text, _ := json.Marshal(quoted) // a string always marshals
	if got, clean := egress.Redact([]byte(quoted), text); !clean || string(got) != `"[redacted]"` {
		t.Errorf("control characters in JSON: %s", got)
	}
}

// TestRedactRefusesWhatItWouldRestore: the mark itself can complete a credential that
// looks like it.
func TestRedactRefusesWhatItWouldRestore(t *testing.T) {
	got, clean := egress.Redact([]byte("abcdefgh["), []byte("abcdefghabcdefgh["))
	if clean || got != nil {
		t.Errorf("got %q, %v, want a refusal", got, clean)
	}
}

// FuzzRedact: no form of the credential survives, wherever it stands.
func FuzzRedact(f *testing.F) {
	f.Add("sk_live_4eC39HqLyjWDarjtT1zdp7dc", []byte(`{"token":"`), []byte(`"}`))
	f.Add(`p%41/w"rd\wi+h<all>`, []byte("%"), []byte("%41"))
	f.Add("aaaaaaaaaaaaaaaaaaaa", []byte("aaaa"), []byte("aaaa"))
	f.Fuzz(func(t *testing.T, credential string, before, after []byte) {
		if len(credential) < 16 || strings.ContainsFunc(credential, func(r rune) bool { return r < ' ' || r > '~' }) {
			return
		}
		for name, form := range encodings(credential) {
			text := append(append(bytes.Clone(before), form...), after...)
			got, clean := egress.Redact([]byte(credential), text)
			if clean && bytes.Contains(got, []byte(form)) {
				t.Errorf("%s: %q is still in %q", name, form, got)
			}
			if clean && !bytes.Contains(got, []byte("[redacted]")) {
				t.Errorf("%s: %q was not found in %q", name, form, text)
			}
		}
	})
}

// FuzzRedactSkips: what is passed over unread changes nothing. The text has one form of the
// credential, as it is and with some of its bytes escaped; which says what form and bytes.
func FuzzRedactSkips(f *testing.F) {
	for which := range byte(20) {
		f.Add([]byte("sk_live_4eC39HqLyjWDarjtT1zdp7dc"), []byte(`{"token":"`), []byte(`"}`), which)
		f.Add([]byte("user:correct horse"), []byte("user:correct+"), []byte("+horse\\u0020"), which)
		f.Add([]byte("key \n\t\r\b\f \"/\\ of any bytes \xff\x00"), []byte(`key%20\n\t\r`), []byte("0123456789abcdef"), which)
		f.Add([]byte("%%%%%%%%%%%%%%%%"), []byte("%25%"), []byte(`\u0025`), which)
		f.Add([]byte("aaaaaaaaaaaaaaaaaaaa"), []byte("aaaa"), []byte("aaaa"), which)
	}
	f.Fuzz(func(t *testing.T, credential, before, after []byte, which byte) {
		if len(credential) > 100 || len(before)+len(after) > 1000 { // every byte of the text begins a search here
			return
		}
		forms := encodings(string(credential))
		forms["most of it"] = string(credential[:len(credential)*3/4]) + "]"
		name := slices.Sorted(maps.Keys(forms))[int(which)%len(forms)]
		var mixed strings.Builder
		for i, c := range []byte(forms[name]) {
			switch escape := i + int(which); {
			case escape%5 == 0:
				fmt.Fprintf(&mixed, "%%%02X", c)
			case escape%7 == 0:
				fmt.Fprintf(&mixed, `\u%04x`, c)
			case escape%3 == 0 && jsonText(string(c)) != string(c):
				mixed.WriteString(jsonText(string(c)))
			default:
				mixed.WriteByte(c)
			}
		}
		text := slices.Concat(before, []byte(forms[name]), after, []byte(mixed.String()), before)
		got, clean := egress.Redact(credential, bytes.Clone(text))
		want, wantClean := egress.RedactUnskipped(credential, text)
		if clean != wantClean || !bytes.Equal(got, want) {
			t.Errorf("%s: %q, %v of %q, want %q, %v", name, got, clean, text, want, wantClean)
		}
	})
}

// BenchmarkRedactHostile is a text made of what might be a credential and never is one. It
// costs no more for a longer credential: each pair of bytes is looked at twice at most.
func BenchmarkRedactHostile(b *testing.B) {
	text := bytes.Repeat([]byte("0"), 1<<20)
	for _, size := range []int{32, 8 << 10} {
		credential := bytes.Repeat([]byte("z0z1"), size/4)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				egress.Redact(credential, text)
			}
		})
	}
}

func BenchmarkRedact(b *testing.B) {
	credential := []byte("sk_live_4eC39HqLyjWDarjtT1zdp7dc")
	text := bytes.Repeat([]byte(`{"id":42,"name":"some one","mail":"a@example.com"},`), 40) // 2 KB, a usual answer
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		egress.Redact(credential, text)
	}
}
