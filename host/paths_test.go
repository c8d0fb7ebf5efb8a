package host_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"

	"pointsman/host/manifest"
	"pointsman/host/view"
)

// pathsOf is what a manifest makes of a list with one path, or nil if it refuses it.
func pathsOf(t testing.TB, path string) []string {
	t.Helper()
	quoted, err := json.Marshal(path)
	if err != nil {
		t.Fatal(err)
	}
	set, _ := manifest.Load(fstest.MapFS{"a.yaml": {Data: []byte(`apiVersion: pointsman/v1
kind: Plugin
metadata: {name: p}
spec: {module: {path: p.wasm}, output: [` + string(quoted) + `]}
`)}})
	if set == nil {
		return nil
	}
	return set.Plugins[0].Output.List
}

// TestPathsMeanTheSame: what a manifest lets pass as a path is one to the package that
// applies it, and what one refuses the other does, too. They are of one layer and cannot ask
// each other.
func TestPathsMeanTheSame(t *testing.T) {
	tests := []struct {
		path string
		ok   bool
	}{
		{"id", true}, {"_", true}, {"a-b", true}, {"A1", true}, {"all", true}, {"address.city", true},
		{"emails[]", true}, {"orders[].id", true}, {"items[].tags[]", true}, {"a[][].b", true}, {"[]", true}, {"[][]", true}, {"[].id", true}, {"[][].id[]", true},
		{`"a.b".c`, true}, {`"".c`, true}, {`"[]"`, true}, {`a."b c"[].d`, true}, {`"\u00e9\"\\\/\b\f\n\r\t"`, true}, {`"é"`, true}, {`"\ud83d\ude00"`, true}, {`"😀"`, true},
		{strings.Repeat("a.", 63) + "a", true}, {"a" + strings.Repeat("[]", 63), true}, {strings.Repeat("a", 340), true},
		{"", false}, {".", false}, {".a", false}, {"a.", false}, {"a..b", false}, {"a b", false}, {" a", false}, {"a ", false}, {"a\nb", false}, {"a\n", false},
		{"1a", false}, {"-a", false}, {"é", false}, {"a*", false}, {"*", false}, {"$.a", false}, {"/a", false}, {"a/b", false},
		{"[", false}, {"]", false}, {"a[", false}, {"a]", false}, {"a[0]", false}, {"a[*]", false}, {"a[ ]", false}, {"a[]b", false}, {"a.[]", false}, {"a.[].b", false}, {"[]id", false}, {"[].", false},
		{`"a`, false}, {`a"`, false}, {`"a"b`, false}, {`"a""b"`, false}, {`"\x41"`, false}, {`"\u00e"`, false}, {`"\ud800"`, false}, {`"\udc00\ud800"`, false}, {`"\ud83d".a`, false}, {`'a'`, false},
		{strings.Repeat("a.", 64) + "a", false}, {"a" + strings.Repeat("[]", 64), false}, {strings.Repeat("a", 1025), false},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			if got := pathsOf(t, tt.path); (len(got) == 1 && got[0] == tt.path) != tt.ok {
				t.Errorf("the manifest reads %q, want it taken: %v", got, tt.ok)
			}
			if _, err := view.Parse([]string{tt.path}); (err == nil) != tt.ok {
				t.Errorf("the view is parsed with %v, want it taken: %v", err, tt.ok)
			}
		})
	}
}

// FuzzPathsMeanTheSame: no manifest that is taken has a path that cannot be applied. The
// other way round only the length may differ.
func FuzzPathsMeanTheSame(f *testing.F) {
	for _, path := range []string{"id", "a.b[].c", `"a.b"."\u00e9"[]`, "[][].a", `"\ud83d\ude00"`, `"\ud83d"`, "a[]b", ".a"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got := pathsOf(t, path)
		taken := len(got) == 1 && got[0] == path // texts that no manifest can hold are not
		_, err := view.Parse([]string{path})
		if taken && err != nil {
			t.Errorf("the manifest takes %q: %v", path, err)
		}
		if !taken && err == nil && len(path) <= 340 && printable(path) {
			t.Errorf("the manifest refuses %q, the view does not", path)
		}
	})
}

// printable reports whether a manifest can hold the text at all.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
