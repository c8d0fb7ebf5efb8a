package view_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pointsman/host/view"
)

func TestAppend(t *testing.T) {
	tests := []struct {
		name, view, text, want string
		dropped                string
		count                  int
	}{
		{"a member", "id", `{"id":1,"name":"x"}`, `{"id":1}`, "name", 1},
		{"order is the document's", "a b", `{"b":1,"x":0,"a":2}`, `{"b":1,"a":2}`, "x", 1},
		{"a whole object", "address", `{"address":{"city":"K","zip":[1]},"id":1}`, `{"address":{"city":"K","zip":[1]}}`, "id", 1},
		{"a member of a member", "address.city", `{"address":{"city":"K","zip":1}}`, `{"address":{"city":"K"}}`, "address.zip", 1},
		{"below a path that is there", "address address.city", `{"address":{"city":"K","zip":1}}`, `{"address":{"city":"K","zip":1}}`, "", 0},
		{"elements", "emails[]", `{"emails":["a","b"]}`, `{"emails":["a","b"]}`, "", 0},
		{"members of elements", "orders[].id", `{"orders":[{"id":1,"x":2},{"x":3},{"id":4}]}`, `{"orders":[{"id":1},{},{"id":4}]}`, "orders[].x", 2},
		{"elements of elements", "m[][]", `{"m":[[1,2],[],[3]]}`, `{"m":[[1,2],[],[3]]}`, "", 0},
		{"lists in lists", "items[].tags[]", `{"items":[{"tags":["a"],"n":1},{"tags":[]}]}`, `{"items":[{"tags":["a"]},{"tags":[]}]}`, "items[].n", 1},
		{"the document is an array", "[].id", `[{"id":1,"x":1},{"id":2}]`, `[{"id":1},{"id":2}]`, "[].x", 1},
		{"numbers as they are", "a b c d", `{"a":1e999,"b":-0.0,"c":1234567890123456789012345678901234567890,"d":1E+2}`, `{"a":1e999,"b":-0.0,"c":1234567890123456789012345678901234567890,"d":1E+2}`, "", 0},
		{"escapes as they are", `id "é"`, `{"\u0069d":"\u00e9\/","\u00e9":"😀\ud83d\ude00"}`, `{"\u0069d":"\u00e9\/","\u00e9":"😀\ud83d\ude00"}`, "", 0},
		{"names with dots", `"a.b".c`, `{"a.b":{"c":1},"a":{"b":{"c":2}}}`, `{"a.b":{"c":1}}`, "a", 1},
		{"the empty name", `""`, `{"":1,"a":2}`, `{"":1}`, "a", 1},
		{"white space between", "a b", " { \"a\" : 1 ,\n \"x\" : [ ] , \"b\" : 2 } \n", `{"a":1,"b":2}`, "x", 1},
		{"white space within", "a", `{"a" : {"b": [1, 2]}}`, `{"a":{"b": [1, 2]}}`, "", 0},
		{"case counts", "id", `{"ID":1,"Id":2,"id":3}`, `{"id":3}`, "ID Id", 2},
		{"array where the path has none", "orders.id", `{"orders":[{"id":1}]}`, `{}`, "orders", 1},
		{"none where the path has an array", "orders[].id", `{"orders":{"id":1},"x":1}`, `{}`, "orders x", 2},
		{"array and object, an array", "a.b a[]", `{"a":[1,{"b":2}]}`, `{"a":[1,{"b":2}]}`, "", 0},
		{"array and object, an object", "a.b a[]", `{"a":{"b":1,"c":2}}`, `{"a":{"b":1}}`, "a.c", 1},
		{"scalar on the way", "a.b c", `{"a":"x","c":1}`, `{"c":1}`, "a", 1},
		{"null on the way", "a.b", `{"a":null}`, `{}`, "a", 1},
		{"elements of another shape keep their place", "a[].id", `{"a":[7,{"id":1},[{"id":2}],null,"x"]}`, `{"a":[null,{"id":1},null,null,null]}`, "a[]", 3},
		{"what is empty stays", "a.b c[].d", `{"a":{},"c":[]}`, `{"a":{},"c":[]}`, "", 0},
		{"what becomes empty stays", "a.b", `{"a":{"x":1}}`, `{"a":{}}`, "a.x", 1},
		{"document of another shape", "id", `[{"id":1}]`, `null`, "", 1},
		{"scalar document", "id", `"x"`, `null`, "", 1},
		{"null document", "id", `null`, `null`, "", 0},
		{"nothing", "", `{"id":1}`, `null`, "", 1},
		{"all", "all", " {\"a\" : [1]}\n", `{"a" : [1]}`, "", 0},
		{"all of a scalar", "all", `1e400`, `1e400`, "", 0},
		{"64 levels", "all", strings.Repeat("[", 64) + strings.Repeat("]", 64), strings.Repeat("[", 64) + strings.Repeat("]", 64), "", 0},
		{"64 steps", strings.Repeat("[]", 64), strings.Repeat("[", 64) + "1" + strings.Repeat("]", 64), strings.Repeat("[", 64) + "1" + strings.Repeat("]", 64), "", 0},
		{"same names in other objects", "all", `{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}`, `{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}`, "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := view.All()
			if tt.view != "all" {
				v = parse(t, strings.Fields(tt.view)...)
			}
			out, dropped, err := v.Append([]byte("before"), []byte(tt.text))
			if err != nil || string(out) != "before"+tt.want {
				t.Fatalf("got %s, %v, want %s", out, err, tt.want)
			}
			if got := strings.Join(dropped.Names(), " "); got != tt.dropped || dropped.Count != tt.count {
				t.Errorf("dropped %d: %s, want %d: %s", dropped.Count, got, tt.count, tt.dropped)
			}
		})
	}
}

// 100,000 members and elements are allowed, of whatever objects.
func TestMostElements(t *testing.T) {
	var wide, deep strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&wide, `,"k%d":0`, i)
	}
	for range 50_000 {
		deep.WriteString(`,{"k":0}`)
	}
	for _, text := range []string{"{" + wide.String()[1:] + "}", "[" + deep.String()[1:] + "]"} {
		out, _, err := view.All().Append(nil, []byte(text))
		if err != nil || string(out) != text {
			t.Errorf("%.20s: got %d bytes, %v, want %d", text, len(out), err, len(text))
		}
	}
	twice := "{" + wide.String()[1:len(wide.String())-len(`,"k99999":0`)] + `,"k\u0037":0}`
	if _, _, err := view.All().Append(nil, []byte(twice)); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("the last of 100,000 names is that of another: got %v", err)
	}
}

func TestDroppedIsBoundedAndEscaped(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"escaped", `{"a\nb":1,"\u202ex":1,"é":1,"q\"":1,"\ud83d\ude00\udbff\udfff":1}`, []string{`"a\u000ab"`, `"\u202ex"`, `"é"`, `"q\""`, `"😀\udbff\udfff"`}},
		{"a long word", `{"` + strings.Repeat("k", 70) + `":1}`, []string{strings.Repeat("k", 64) + "…"}},
		{"a long name", `{"` + strings.Repeat("é", 70) + `":1}`, []string{`"` + strings.Repeat("é", 31) + "…"}},
		{"a long name of escapes", `{"` + strings.Repeat(`\u0000`, 70) + `":1}`, []string{`"` + strings.Repeat(`\u0000`, 10) + "…"}},
		{"within a name", `{"a.b":1,"a b":2}`, []string{`"a.b"`, `"a b"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, dropped, err := parse(t, "id").Append(nil, []byte(tt.text))
			if got := dropped.Names(); err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}

	var many strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&many, `,{"a%d":1,"b":"canary"}`, i%40)
	}
	_, dropped, err := parse(t, "[].id").Append(nil, []byte("["+many.String()[1:]+",1]"))
	names := dropped.Names()
	if err != nil || dropped.Count != 2001 || len(names) != 16 || names[1] != "[].b" || strings.Contains(strings.Join(names, ""), "canary") {
		t.Errorf("got %d: %q, %v, want 2001 and 16 names", dropped.Count, names, err)
	}
}

// A view appends to what is there and makes no second copy of it.
func TestAppendAllocates(t *testing.T) {
	text, v := contact(t), parse(t, six...)
	room := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(20, func() { v.Append(room, text) }); n > 1 {
		t.Errorf("%v allocations beside the result, want 1: the dropped names", n)
	}
	if n := testing.AllocsPerRun(20, func() { view.All().Append(room, text) }); n > 0 {
		t.Errorf("%v allocations to show all, want none", n)
	}
}
