package manifest_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"pointsman/host/manifest"
)

// Any text in double quotes is either refused for a character that must not be there, or
// reaches the step as it is, through the canonical form too.
func TestTextsSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		runes := rapid.OneOf(rapid.Rune(), rapid.SampledFrom([]rune("${}$\\\"'#:- \n\t\r\u0085\u2028\ufeff\u202e\U0001f600<>&")))
		text := rapid.StringOfN(runes, 0, 40, -1).Draw(t, "text")
		quoted, err := json.Marshal(strings.ReplaceAll(text, "${", "$${"))
		if err != nil {
			t.Fatal(err)
		}
		document := head + "kind: Route\nspec: {path: GET /, scopes: [a], steps: {s: {call: p.f, with: " + string(quoted) + "}}, answer: \"${s}\"}\n---\n" +
			"apiVersion: pointsman/v1\nkind: Plugin\nmetadata: {name: p}\nspec: {module: {path: p.wasm}}\n"
		set, faults := manifest.Load(fstest.MapFS{"a.yaml": &fstest.MapFile{Data: []byte(document)}})
		if faults.HasErrors() {
			for _, f := range faults {
				if f.Code != "PM1005" {
					t.Fatalf("text %q is refused: %s", text, f)
				}
			}
			return
		}
		again, faults := manifest.Load(canonicalFiles(set))
		if faults.HasErrors() {
			t.Fatalf("canonical form: %s", render(faults))
		}
		for _, s := range []*manifest.Set{set, again} {
			var got string
			if err := json.Unmarshal(s.Routes[0].Steps[0].With.Literal, &got); err != nil || got != text {
				t.Fatalf("text %q became %q (%v)", text, got, err)
			}
		}
	})
}
