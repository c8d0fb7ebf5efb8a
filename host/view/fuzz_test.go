package view_test

import (
	"strings"
	"testing"

	"pointsman/host/view"
)

// FuzzView: of every text and all paths, either the text is refused, or encoding/json and
// jsontext accept it, too, and what is shown is a document that holds what the paths lead to
// in the decoded text and nothing else, is shown whole when it is taken once more, and all of
// the text is the text. Paths, one a line, that can be parsed are told back the same.
func FuzzView(f *testing.F) {
	for _, tt := range refusals {
		if len(tt.text) < 1000 {
			f.Add([]byte(tt.text), "id\nname[].a")
		}
	}
	f.Add(contact(f), strings.Join(six, "\n"))
	f.Add([]byte(`[{"a":[null,{"b\n":1e9}]},"\ud83d\ude00"]`), "[].a[].\"b\\n\"\n[][].c")
	f.Fuzz(func(t *testing.T, text []byte, lines string) {
		paths := strings.Split(lines, "\n")
		if lines == "" {
			paths = nil
		}
		checkSelects(t, paths, text)
		v, err := view.Parse(paths)
		if err != nil {
			return
		}
		if again, err := view.Parse(v.Paths()); err != nil || again.String() != v.String() || !again.Covers(v) || !v.Covers(again) {
			t.Fatalf("%q are told back as %q, %v", paths, again, err)
		}
		if same, err := view.Replace(text, v, func(v []byte) ([]byte, error) { return v, nil }); err == nil && string(same) != string(text) {
			t.Fatalf("%q replaced by itself is %q", text, same)
		}
	})
}
