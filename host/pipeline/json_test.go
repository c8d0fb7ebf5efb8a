package pipeline_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"pointsman/host/pipeline"
)

func TestCheck(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`{"a":[`, n/2) + strings.Repeat("]}", n/2) }
	tests := []struct {
		text string
		ok   bool
	}{
		{"", false}, {" ", false}, {"1 2", false}, {"{", false}, {"nul", false}, {`{"a":1,"a":2}`, false},
		{`{"a":1,"\u0061":2}`, false}, {"\"\xff\"", false}, {`"\ud800"`, false}, {"01", false}, {"NaN", false},
		{deep(66), false}, {strings.Repeat("[", 1<<20), false}, {"[]x", false}, {"\ufeff1", false},
		{"null", true}, {" 1 ", true}, {deep(64), true}, {`"[[\"[[` + strings.Repeat("[", 100) + `"`, true},
		{`{"a":1,"A":2}`, true}, {"1e999999", true},
	}
	for _, tt := range tests {
		if err := pipeline.Check([]byte(tt.text)); (err == nil) != tt.ok {
			t.Errorf("check(%.40q) = %v, want ok %v", tt.text, err, tt.ok)
		}
	}
}

func TestFind(t *testing.T) {
	const text = ` {"a" : {"b": [1, {"c":2}], "\u0063": 1.50 , "n":null}, "e":"x"} `
	tests := []struct {
		path, want string
	}{
		{"x", ""}, {"a.x", ""}, {"a.b.c", ""}, {"a.b.0", ""}, {"e.x", ""}, {"a.n.x", ""}, {"A", ""},
		{"a.b", `[1, {"c":2}]`}, {"a.c", "1.50"}, {"a.n", "null"}, {"e", `"x"`},
	}
	for _, tt := range tests {
		if got := pipeline.Find([]byte(text), strings.Split(tt.path, ".")...); string(got) != tt.want {
			t.Errorf("%s is %q, want %q", tt.path, got, tt.want)
		}
	}
}

// What passes the check is JSON for others too, and what is selected from it is what a
// decoder into maps finds.
func FuzzFind(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1,{"c":2}],"\u0062":null}}`), "a", "b")
	f.Add([]byte(`{"a":"\"{"}`), "a", "")
	f.Fuzz(func(t *testing.T, text []byte, a, b string) {
		if pipeline.Check(text) != nil {
			return
		}
		var doc any
		d := json.NewDecoder(strings.NewReader(string(text)))
		d.UseNumber()
		if err := d.Decode(&doc); err != nil {
			t.Fatalf("%q passed, but: %v", text, err)
		}
		before := string(text)
		got := pipeline.Find(text, a, b)
		if string(text) != before {
			t.Fatal("the text was changed")
		}
		outer, _ := doc.(map[string]any)
		inner, _ := outer[a].(map[string]any)
		want, ok := inner[b]
		if (got != nil) != ok {
			t.Fatalf("found %q, want %v", got, ok)
		}
		if got == nil {
			return
		}
		text2, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		x, y := jsontext.Value(got).Clone(), jsontext.Value(text2)
		if x.Canonicalize() == nil && y.Canonicalize() == nil && string(x) != string(y) {
			t.Fatalf("found %s, want %s", x, y)
		}
	})
}
