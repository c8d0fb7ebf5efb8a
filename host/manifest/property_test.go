package manifest_test

import (
	"encoding/json"
	"fmt"
	"slices"
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
		document := head + "kind: Route\nspec: {path: GET /, scopes: [a], steps: {s: {call: p.f, with: " + string(quoted) + "}}, answer: \"${s}\", view: all}\n---\n" +
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

// Who may call whom: whatever the grants are, circles and chains of more than four calls are
// refused, and nothing else is. Depth is counted anew here, by trying every chain.
func TestCallGraphs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "plugins")
		calls := make([][]int, n)
		for i := range calls {
			calls[i] = rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), 0, min(n, 2), rapid.ID[int]).Draw(t, "calls")
		}
		var b strings.Builder
		for i := range calls {
			var functions, callers []string
			for _, c := range calls[i] {
				functions = append(functions, fmt.Sprintf("{function: p%d.f}", c))
			}
			for j := range calls {
				if slices.Contains(calls[j], i) {
					callers = append(callers, fmt.Sprintf("p%d", j))
				}
			}
			grants := ""
			if len(functions) > 0 {
				grants = ", grants: {call: [" + strings.Join(functions, ", ") + "]}"
			}
			fmt.Fprintf(&b, "---\napiVersion: pointsman/v1\nkind: Plugin\nmetadata: {name: p%d}\nspec: {module: {path: p.wasm}, callableBy: [%s]%s}\n", i, strings.Join(callers, ", "), grants)
		}
		circle, deepest := false, 0
		var try func(i int, trail []int)
		try = func(i int, trail []int) {
			if slices.Contains(trail, i) {
				circle = true
				return
			}
			trail = append(slices.Clone(trail), i)
			deepest = max(deepest, len(trail)-1)
			for _, c := range calls[i] {
				try(c, trail)
			}
		}
		for i := range calls {
			try(i, nil)
		}
		want := ""
		switch {
		case circle:
			want = "PM3019"
		case deepest > manifest.MaxCallDepth:
			want = "PM3020"
		}
		var got []string
		for _, f := range faultsOf(b.String()) {
			got = append(got, f.Code)
			if f.Line == 0 || !strings.Contains(f.Message, "→") {
				t.Fatalf("no place or no witness: %s", f)
			}
		}
		slices.Sort(got)
		got = slices.Compact(got)
		if want == "" && len(got) > 0 || want != "" && !slices.Equal(got, []string{want}) {
			t.Fatalf("calls %v: faults %v, want %q", calls, got, want)
		}
	})
}

// Any member's name can be written as a path, and the canonical form has the same path.
func TestPathsSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.OneOf(rapid.StringMatching(`[A-Za-z_][A-Za-z0-9_-]{0,10}`), rapid.StringOfN(rapid.Rune(), 0, 10, -1))
		path := ""
		for i := range rapid.IntRange(1, 5).Draw(t, "steps") {
			quoted, err := json.Marshal(names.Draw(t, "name"))
			if err != nil {
				t.Fatal(err)
			}
			if i > 0 {
				path += "."
			}
			path += string(quoted) + strings.Repeat("[]", rapid.IntRange(0, 2).Draw(t, "arrays"))
		}
		text, err := json.Marshal([]string{path})
		if err != nil {
			t.Fatal(err)
		}
		set, faults := manifest.Load(fstest.MapFS{"a.yaml": {Data: []byte(head + "kind: Plugin\nspec: {module: {path: p.wasm}, output: " + string(text) + "}\n")}})
		if faults.HasErrors() {
			for _, f := range faults {
				if f.Code != "PM1005" && f.Code != "PM2023" && f.Severity == manifest.SeverityError { // characters and length
					t.Fatalf("path %s is refused: %s", path, f)
				}
			}
			return
		}
		again, faults := manifest.Load(canonicalFiles(set))
		if faults.HasErrors() {
			t.Fatalf("canonical form: %s", render(faults))
		}
		for _, s := range []*manifest.Set{set, again} {
			if got := s.Plugins[0].Output.List; len(got) != 1 || got[0] != path {
				t.Fatalf("path %q became %q", path, got)
			}
		}
	})
}
