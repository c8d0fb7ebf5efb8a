package view_test

import (
	"bytes"
	"strings"
	"testing"

	"pointsman/host/view"
)

// refusals are texts that are no documents, each with what the error says.
var refusals = []struct{ name, text, why string }{
	{"empty", ``, "byte 0: the text is empty"},
	{"white space", " \n", "byte 2: it breaks off"},
	{"name twice", `{"id":1,"id":2}`, "byte 8: a name that its object has twice"},
	{"name twice, once escaped", `{"id":1,"\u0069d":2}`, "byte 8: a name"},
	{"name twice, both escaped", `{"\u0069d":1,"i\u0064":2}`, "byte 13: a name"},
	{"name twice, surrogates", `{"😀":1,"\ud83d\ude00":2}`, "byte 10: a name"},
	{"empty name twice", `{"":1,"":2}`, "byte 6: a name"},
	{"name twice in what is dropped", `{"id":1,"x":[{"a":{"b":1,"b":2}}]}`, "byte 25: a name"},
	{"name twice below a shown value", `{"name":{"a":1,"a":2}}`, "byte 15: a name"},
	{"invalid UTF-8", "{\"id\":\"\xff\"}", "byte 7: invalid UTF-8"},
	{"invalid UTF-8 in what is dropped", "{\"x\":\"abc\xc3\"}", "byte 9: invalid UTF-8"},
	{"invalid UTF-8 in a name", "{\"\xc0\x80\":1}", "byte 2: invalid UTF-8"},
	{"encoded surrogate", "\"\xed\xa0\x80\"", "byte 1: invalid UTF-8"},
	{"lone high surrogate", `{"id":"\ud800"}`, "byte 7: half of a surrogate pair"},
	{"lone low surrogate", `{"id":"\udc00"}`, "byte 7: half"},
	{"two high surrogates", `["\ud800\ud800"]`, "byte 2: half"},
	{"high surrogate and a letter", `["\ud800\u0041"]`, "byte 2: half"},
	{"high surrogate at the end", `["\ud800\udc0`, "byte 2: half"},
	{"newline in a string", "{\"id\":\"a\nb\"}", "byte 8: a control character"},
	{"NUL in a string", "[\"abcdefghijk\x00\"]", "byte 13: a control character"},
	{"the last control character", "[\"abcdefghijk\x1f lmnopq\"]", "byte 13: a control character"},
	{"unknown escape", `["\x41"]`, "byte 2: an escape"},
	{"short escape", `["\u12"]`, "byte 2: an escape"},
	{"escape of no digits", `["\u00g0"]`, "byte 2: an escape"},
	{"backslash at the end", `"\`, "byte 2: it breaks off"},
	{"open string", `{"id":"abc`, "byte 10: it breaks off"},
	{"leading zero", `{"id":01}`, "byte 6: a number with a leading zero"},
	{"minus", `[-]`, "byte 2: a number that is none"},
	{"plus", `[+1]`, "byte 1: no value"},
	{"point without digits", `[1.]`, "byte 3: a number that is none"},
	{"point first", `[.1]`, "byte 1: no value"},
	{"exponent without digits", `[1e+]`, "byte 4: a number that is none"},
	{"hexadecimal", `[0x1]`, "byte 2: neither a comma"},
	{"NaN", `[NaN]`, "byte 1: no value"},
	{"Infinity", `[-Infinity]`, "byte 2: a number that is none"},
	{"half a word", `[tru]`, "byte 1: no value"},
	{"word and more", `[nulls]`, "byte 5: neither a comma"},
	{"other case", `[True]`, "byte 1: no value"},
	{"single quotes", `{'id':1}`, "byte 1: no name"},
	{"name without quotes", `{id:1}`, "byte 1: no name"},
	{"number as a name", `{1:1}`, "byte 1: no name"},
	{"no colon", `{"id" 1}`, "byte 6: no colon"},
	{"no value", `{"id":}`, "byte 6: no value"},
	{"no comma", `{"id":1 "b":2}`, "byte 8: neither a comma"},
	{"comma at the end of an object", `{"id":1,}`, "byte 8: no name"},
	{"comma at the end of an array", `[1,]`, "byte 3: no value"},
	{"comma first", `[,1]`, "byte 1: no value"},
	{"only a comma", `{,}`, "byte 1: no name"},
	{"open object", `{"id":1`, "byte 7: it breaks off"},
	{"open array", `[1`, "byte 2: it breaks off"},
	{"crossed", `{"id":[1}]`, "byte 8: neither a comma"},
	{"two values", `{"id":1} {"id":2}`, "byte 9: something follows"},
	{"a bracket more", `{"id":1}}`, "byte 8: something follows"},
	{"NUL after the value", "{}\x00", "byte 2: something follows"},
	{"byte order mark", "\ufeff{}", "byte 0: no value"},
	{"comment", `{/**/}`, "byte 1: no name"},
	{"other white space", "{\u00a0}", "byte 1: no name"},
	{"vertical tab", "[\v1]", "byte 1: no value"},
	{"65 levels", strings.Repeat("[", 65) + strings.Repeat("]", 65), "byte 64: it nests deeper than 64 levels"},
	{"65 levels of objects", strings.Repeat(`{"a":`, 64) + "{}" + strings.Repeat("}", 64), "byte 320: it nests"},
	{"10,000 levels", strings.Repeat("[", 10_000), "byte 64: it nests"},
	{"100,001 elements", "[" + strings.Repeat("0,", 100_000) + "0]", "more than 100,000"},
	{"100,001 members and elements", `{"id":[` + strings.Repeat("0,", 99_999) + "0]}", "more than 100,000"},
	{"elements without end", "[" + strings.Repeat("0,", 1_000_000), "byte 200001: more than 100,000"},
}

// Every refusal holds for every view, and nothing is let out.
func TestRefusals(t *testing.T) {
	for _, tt := range refusals {
		for _, v := range []view.View{{}, view.All(), parse(t, "id", "name"), parse(t, "[].id", "[]", "x[].a.b"), parse(t, `"".a`)} {
			t.Run(tt.name+"/"+v.String(), func(t *testing.T) {
				room := bytes.Repeat([]byte("."), 64)
				out, dropped, err := v.Append(room[:3], []byte(tt.text))
				if err == nil || !strings.Contains(err.Error(), tt.why) {
					t.Fatalf("got %q, %v, want an error with %q", out, err, tt.why)
				}
				if string(out) != "..." || dropped.Count != 0 || dropped.Names() != nil {
					t.Errorf("got %q, %v beside the error", out, dropped)
				}
				for _, c := range room[3:] {
					if c != '.' && c != 0 {
						t.Fatalf("%q is left behind the end of the result", room[3:])
					}
				}
			})
		}
	}
}

// What was shown before a text turned out to be no document is not left in the caller's
// memory either, also when that became too small meanwhile.
func TestNothingIsLeftBehindTheEnd(t *testing.T) {
	for _, room := range []int{600, 8192} {
		dst := make([]byte, 3, room)
		text := `{"id":"canary","name":"` + strings.Repeat("canary", 300) + `","id":1}`
		out, _, err := parse(t, "id", "name").Append(dst, []byte(text))
		if err == nil || len(out) != 3 || bytes.ContainsAny(dst[:room], "canary") {
			t.Errorf("room for %d: %d bytes, %v, and %q behind", room, len(out), err, dst[3:room])
		}
	}
}

// An error tells no byte of the text: it may go to a plugin or a log.
func TestErrorsTellNothingOfTheText(t *testing.T) {
	for _, text := range []string{`{"canary":1,"canary":2}`, `{"canary" canary}`, `["canary\ud800"]`, `[canary]`, "\"canary\x01\"", `"canary" canary`} {
		_, _, err := view.All().Append(nil, []byte(text))
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestRefusedPaths(t *testing.T) {
	tests := []struct{ name, path, why string }{
		{"empty", "", "empty"},
		{"dot first", ".id", "byte 0: no name"},
		{"dot at the end", "id.", "byte 3: no name"},
		{"two dots", "a..b", "byte 2: no name"},
		{"index", "orders[0].id", "byte 6: only []"},
		{"star", "orders[*]", "byte 6: only []"},
		{"open bracket", "orders[", "byte 6: only []"},
		{"wildcard", "*", "byte 0: no name"},
		{"no dot after an element", "orders[]id", "byte 8: neither a dot"},
		{"dot before an element", "orders.[]", "byte 7: no name"},
		{"space", "first name", "byte 5: neither a dot"},
		{"digit first", "2nd", "byte 0: no name"},
		{"hyphen first", "-a", "byte 0: no name"},
		{"letters beyond ASCII", "größe", "byte 2: neither a dot"},
		{"dollar", "$.id", "byte 0: no name"},
		{"open quotes", `"a`, "byte 2: it breaks off"},
		{"control character", "\"a\x01\"", "control character"},
		{"invalid UTF-8", "\"\xff\"", "invalid UTF-8"},
		{"half a pair", `"\ud800"`, "half of a surrogate"},
		{"text after quotes", `"a"b`, "byte 3: neither a dot"},
		{"65 steps", strings.Repeat("[]", 65), "more than 64 steps"},
		{"too long", strings.Repeat("a", 1025), "longer than 1024 bytes"},
		{"too long when it is escaped", `"` + strings.Repeat("\u200b", 300) + `"`, "longer than 1024 bytes when"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := view.Parse([]string{"id", tt.path})
			if err == nil || !strings.Contains(err.Error(), tt.why) || !strings.HasPrefix(err.Error(), "path ") {
				t.Errorf("got %v, want an error of the path with %q", err, tt.why)
			}
			if !v.None() {
				t.Errorf("got the view %v beside the error", v)
			}
		})
	}
}

func parse(tb testing.TB, paths ...string) view.View {
	tb.Helper()
	v, err := view.Parse(paths)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}
