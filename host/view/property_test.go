package view_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"pointsman/host/view"
)

// What a view lets through is what is selected from the decoded document, for documents of
// few names, so that paths often lead somewhere.
func TestAppendSelects(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		paths := rapid.SliceOfN(drawPath(), 0, 5).Draw(t, "paths")
		checkSelects(t, paths, drawDocument(t, true))
	})
}

// Sets of views are sets of what they show.
func TestSetsShow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, w := drawView(t, "v"), drawView(t, "w")
		text := drawDocument(t, false)
		showV, showW := leaves(t, v, text), leaves(t, w, text)
		both := slices.DeleteFunc(slices.Clone(showV), func(l string) bool { return !slices.Contains(showW, l) })
		either := slices.Concat(showV, slices.DeleteFunc(showW, func(l string) bool { return slices.Contains(showV, l) }))
		slices.Sort(either)

		if got := leaves(t, v.Union(w), text); !slices.Equal(got, either) {
			t.Errorf("union %v shows %v, want %v", v.Union(w), got, either)
		}
		if got := leaves(t, v.Intersect(w), text); !slices.Equal(got, both) {
			t.Errorf("intersection %v shows %v, want %v", v.Intersect(w), got, both)
		}
		within := show(t, v, text)
		if got := leaves(t, w, within); !slices.Equal(got, both) {
			t.Errorf("one after the other shows %v, want %v", got, both)
		}
		if v.Covers(w) != (v.Union(w).String() == v.String()) {
			t.Errorf("covers %v, the union is %v", v.Covers(w), v.Union(w))
		}
		if v.Covers(w) && len(both) != len(showW) {
			t.Errorf("%v covers %v and does not show %v", v, w, showW)
		}
		if !v.Overlaps(w) && len(both) > 0 {
			t.Errorf("no overlap, and both show %v", both)
		}
	})
}

// What Find finds and Replace replaces is where the view shows, and nothing else changes.
func TestReplaceChangesWhatIsShown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, text := drawView(t, "v"), drawDocument(t, false)
		found, err := view.Find(text, v)
		if err != nil {
			t.Fatal(err)
		}
		same, err := view.Replace(text, v, func(value []byte) ([]byte, error) { return value, nil })
		if err != nil || !bytes.Equal(same, text) {
			t.Fatalf("replaced by themselves: %s, %v", same, err)
		}
		put := 0
		out, err := view.Replace(text, v, func(value []byte) ([]byte, error) {
			if !bytes.Equal(value, found[put]) {
				t.Errorf("replaces %s, found %s", value, found[put])
			}
			put++
			return []byte(`"put"`), nil
		})
		if err != nil || put != len(found) {
			t.Fatalf("replaced %d of %d, %v", put, len(found), err)
		}
		for _, value := range must(view.Find(out, v)) {
			if string(value) != `"put"` {
				t.Errorf("%s is still there", value)
			}
		}
	})
}

func drawPath() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		var path strings.Builder
		for i := range rapid.IntRange(1, 4).Draw(t, "steps") {
			name := rapid.SampledFrom([]string{"[]", "a", "b", "c", `"é"`}).Draw(t, "step")
			if i > 0 && name != "[]" {
				path.WriteByte('.')
			}
			path.WriteString(name)
		}
		return path.String()
	})
}

func drawView(t *rapid.T, label string) view.View {
	paths := rapid.SliceOfN(drawPath(), 0, 4).Draw(t, label)
	if len(paths) == 4 && paths[0] == "[]" {
		return view.All()
	}
	v, err := view.Parse(paths)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// drawDocument returns a document with white space here and there, and null if nulls.
func drawDocument(t *rapid.T, nulls bool) []byte {
	var text bytes.Buffer
	n := 0
	var value func(depth int)
	space := func() {
		text.WriteString(rapid.SampledFrom([]string{"", "", "", " ", "\n\t", "\r"}).Draw(t, "space"))
	}
	value = func(depth int) {
		kinds := 6
		if depth > 4 {
			kinds = 4
		}
		space()
		switch n++; rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			fmt.Fprintf(&text, "%d.50e+01", n)
		case 1:
			fmt.Fprintf(&text, `"%d\u00e9\n\/ü"`, n)
		case 2:
			text.WriteString(map[bool]string{true: "null", false: "-0"}[nulls])
		case 3:
			fmt.Fprint(&text, n%2 == 0)
		case 4:
			text.WriteByte('{')
			names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", `b`, `c`, "d", `\u00e9`}), 0, 4, rapid.ID).Draw(t, "names")
			for i, name := range names {
				if i > 0 {
					text.WriteByte(',')
				}
				space()
				text.WriteString(`"` + name + `"`)
				space()
				text.WriteByte(':')
				value(depth + 1)
			}
			space()
			text.WriteByte('}')
		case 5:
			text.WriteByte('[')
			for i := range rapid.IntRange(0, 3).Draw(t, "elements") {
				if i > 0 {
					text.WriteByte(',')
				}
				value(depth + 1)
			}
			space()
			text.WriteByte(']')
		}
		space()
	}
	value(0)
	return text.Bytes()
}

// failer is what tests, properties and fuzzing have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkSelects fails unless text is either refused or shown through the view of paths as
// reference does it.
func checkSelects(t failer, paths []string, text []byte) {
	t.Helper()
	v, err := view.Parse(paths)
	if err != nil {
		return
	}
	out, dropped, err := v.Append(nil, text)
	if err != nil {
		if len(out) > 0 || dropped != (view.Dropped{}) {
			t.Fatalf("%s, %v are let out beside %v", out, dropped, err)
		}
		return
	}
	if !json.Valid(text) || !jsontext.Value(text).IsValid() {
		t.Fatalf("accepted %q", text)
	}
	if !json.Valid(out) || !jsontext.Value(out).IsValid() {
		t.Fatalf("%q becomes %q", text, out)
	}
	want := reference(paths, decode(t, text))
	if diff := cmp.Diff(want, decode(t, out)); diff != "" {
		t.Fatalf("%q through %q is %s, want otherwise:\n%s", text, paths, out, diff)
	}
	again, more, err := v.Append(nil, out)
	if err != nil || !bytes.Equal(again, out) || more.Count > 0 {
		t.Fatalf("%q, once more through %q, is %q, %v, %v", out, paths, again, more, err)
	}
	all, _, err := view.All().Append(nil, text)
	if err != nil || !bytes.Equal(all, bytes.Trim(text, " \t\r\n")) {
		t.Fatalf("all of %q is %q, %v", text, all, err)
	}
	if dropped.Count == 0 {
		if diff := cmp.Diff(decode(t, text), decode(t, out)); diff != "" {
			t.Fatalf("nothing was dropped of %q and it is %q", text, out)
		}
	}
	if names := strings.Join(dropped.Names(), ""); len(dropped.Names()) > 16 || !printable(names) {
		t.Fatalf("dropped %q", names)
	}
}

func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x202e || r == 0x2028 }) < 0
}

// reference selects paths from a decoded value, path by path, as the documentation of Append
// tells it, by other means than those of the package.
func reference(paths []string, value any) any {
	var split [][]string
	for _, p := range paths {
		split = append(split, steps(p))
	}
	shown, _ := selectAll(split, value)
	return shown
}

// steps splits a path that is valid into names and [].
func steps(path string) (list []string) {
	for path != "" {
		path = strings.TrimPrefix(path, ".")
		if rest, ok := strings.CutPrefix(path, "[]"); ok {
			list, path = append(list, "[]"), rest
			continue
		}
		end := strings.IndexAny(path, ".[")
		name := path
		if path[0] == '"' {
			d := json.NewDecoder(strings.NewReader(path))
			_ = d.Decode(&name)
			end = int(d.InputOffset())
			path = path[end:]
			list = append(list, "m"+name)
			continue
		}
		if end >= 0 {
			name, path = path[:end], path[end:]
		} else {
			path = ""
		}
		list = append(list, "m"+name)
	}
	return list
}

// selectAll returns what paths show of value, and whether its shape is one that they name.
func selectAll(paths [][]string, value any) (shown any, ok bool) {
	below := map[string][][]string{}
	for _, p := range paths {
		if len(p) == 0 {
			return value, true
		}
		key := p[0]
		below[key] = append(below[key], p[1:])
	}
	elements, hasElements := below["[]"]
	switch value := value.(type) {
	case map[string]any:
		if len(below) == 0 || len(below) == 1 && hasElements {
			return nil, false
		}
		kept := map[string]any{}
		for name, v := range value {
			if more, named := below["m"+name]; named {
				if s, fits := selectAll(more, v); fits {
					kept[name] = s
				}
			}
		}
		return kept, true
	case []any:
		if !hasElements {
			return nil, false
		}
		kept := make([]any, len(value))
		for i, v := range value {
			kept[i], _ = selectAll(elements, v)
		}
		return kept, true
	}
	return nil, false
}

func decode(t failer, text []byte) (value any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Fatalf("%q: something follows", text)
	}
	return value
}

func show(t failer, v view.View, text []byte) []byte {
	t.Helper()
	out, _, err := v.Append(nil, text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out
}

// leaves are the scalars that v shows of text, each with its place; sorted.
func leaves(t failer, v view.View, text []byte) (list []string) {
	t.Helper()
	var walk func(place string, value any)
	walk = func(place string, value any) {
		switch value := value.(type) {
		case map[string]any:
			for name, v := range value {
				walk(place+"."+name, v)
			}
		case []any:
			for i, v := range value {
				walk(fmt.Sprintf("%s[%d]", place, i), v)
			}
		case nil: // nothing is shown there: documents here have no null
		default:
			list = append(list, fmt.Sprintf("%s=%v", place, value))
		}
	}
	walk("", decode(t, show(t, v, text)))
	slices.Sort(list)
	return list
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
