package parcel_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pointsman/host/parcel"
	"pointsman/host/view"
)

// names of members, in documents and templates.
var names = []string{"a", "b", "c"}

func drawName(t *rapid.T) string { return rapid.SampledFrom(names).Draw(t, "name") }

// drawDocument draws a document of few names, so that paths lead somewhere.
func drawDocument(t *rapid.T, depth int) string {
	switch kind := rapid.IntRange(0, 7).Draw(t, "kind"); {
	case depth > 2 || kind < 3:
		return rapid.SampledFrom([]string{`"x"`, `"X"`, `"y"`, `1`, `true`, `null`, `""`, `"2024-01-01T00:00:00Z"`, `"true"`}).Draw(t, "scalar")
	case kind < 6:
		var fields []string
		for _, name := range names {
			if rapid.Bool().Draw(t, "has") {
				fields = append(fields, fmt.Sprintf("%q:%s", name, drawDocument(t, depth+1)))
			}
		}
		return "{" + strings.Join(fields, ",") + "}"
	}
	var items []string
	for range rapid.IntRange(0, 3).Draw(t, "items") {
		items = append(items, drawDocument(t, depth+1))
	}
	return "[" + strings.Join(items, ",") + "]"
}

func drawPath(t *rapid.T) string {
	var b strings.Builder
	for i := range rapid.IntRange(0, 3).Draw(t, "steps") {
		if rapid.IntRange(0, 3).Draw(t, "element") == 0 {
			fmt.Fprintf(&b, "[%d]", rapid.IntRange(0, 1).Draw(t, "index"))
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(drawName(t))
	}
	return b.String()
}

func drawTemplate(t *rapid.T, depth int) string {
	sub := func() string { return drawTemplate(t, depth+1) }
	path := func() string { return fmt.Sprintf("%q", drawPath(t)) }
	if depth > 3 {
		return `{"$get":` + path() + `}`
	}
	switch rapid.IntRange(0, 12).Draw(t, "word") {
	case 0:
		return `"constant"`
	case 1:
		return `{"a":` + sub() + `,"b":` + sub() + `}`
	case 2:
		return `[` + sub() + `,` + sub() + `]`
	case 3:
		return `{"$get":` + path() + `,"or":` + sub() + `}`
	case 4:
		return `{"$get":` + path() + `,"as":"` + rapid.SampledFrom([]string{"text", "boolean", "time", "string", "number", "upper"}).Draw(t, "as") + `"}`
	case 5:
		return `{"$first":[` + sub() + `,` + sub() + `]}`
	case 6:
		return `{"$list":[` + sub() + `,` + sub() + `]}`
	case 7:
		return `{"$join":[` + sub() + `,` + sub() + `],"with":"-"}`
	case 8:
		return `{"$has":` + path() + `}`
	case 9:
		return `{"$when":` + path() + `,"then":` + sub() + `,"else":` + sub() + `}`
	case 10:
		return `{"$equals":` + path() + `,"to":"x"}`
	case 11:
		return `{"$each":` + path() + `,"to":` + sub() + `}`
	}
	return `{"$get":` + path() + `}`
}

func drawView(t *rapid.T) view.View {
	var paths []string
	for range rapid.IntRange(0, 3).Draw(t, "paths") {
		path := drawName(t)
		for range rapid.IntRange(0, 2).Draw(t, "below") {
			path += rapid.SampledFrom([]string{"[]", "." + names[0], "." + names[1]}).Draw(t, "step")
		}
		paths = append(paths, path)
	}
	v, err := view.Parse(paths)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func seen(t *rapid.T, v view.View, text []byte) string {
	out, _, err := v.Append(nil, text)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// maker is a template, or edits.
type maker interface {
	facts(parcel.Facts) parcel.Facts
	make(parcel.Value) (parcel.Value, error)
}

type templates struct{ *parcel.Template }

func (m templates) facts(f parcel.Facts) parcel.Facts {
	return m.Facts(func(string) parcel.Facts { return f })
}
func (m templates) make(v parcel.Value) (parcel.Value, error) { return m.Make(of(v)) }

type edits struct{ *parcel.Edit }

func (m edits) facts(f parcel.Facts) parcel.Facts         { return m.Facts(f) }
func (m edits) make(v parcel.Value) (parcel.Value, error) { return m.Make(v) }

func drawMaker(t *rapid.T) maker {
	if rapid.IntRange(0, 4).Draw(t, "edit") == 0 {
		text := fmt.Sprintf(`{"rename":{%q:%q},"set":{%q:7}}`, drawName(t)+"."+drawName(t), drawName(t), drawName(t))
		if rapid.Bool().Draw(t, "top") {
			text = fmt.Sprintf(`{"rename":{%q:%q}}`, drawName(t), drawName(t))
		}
		e, err := parcel.ParseEdit([]byte(text))
		if err != nil { // twice at one place
			e, _ = parcel.ParseEdit([]byte(`{}`))
		}
		return edits{e}
	}
	text := drawTemplate(t, 0)
	tmpl, err := parcel.ParseTemplate([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return templates{tmpl}
}

// What may not be read of a document decides nothing of what may be read of what is made of
// it: two documents that look the same make what looks the same.
func TestWhatIsNotShownIsNotTold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shown, m := drawView(t), drawMaker(t)
		facts := m.facts(parcel.Facts{Shown: shown})
		one, two := drawDocument(t, 0), drawDocument(t, 0)
		if rapid.Bool().Draw(t, "mixed") { // the same but for one member
			one = fmt.Sprintf(`{"a":%s,"b":%s}`, one, drawDocument(t, 1))
			v := value2(t, one)
			path, _ := parcel.ParsePath("b")
			two = fmt.Sprintf(`{"a":%s,"b":%s}`, drawDocument(t, 1), v.At(path).Append(nil))
		}
		if seen(t, shown, []byte(one)) != seen(t, shown, []byte(two)) {
			return
		}
		first, err1 := m.make(value2(t, one))
		second, err2 := m.make(value2(t, two))
		if err1 != nil || err2 != nil {
			return // that it failed is told with every label
		}
		if a, b := seen(t, facts.Shown, first.Append(nil)), seen(t, facts.Shown, second.Append(nil)); a != b {
			t.Fatalf("of %s and %s, which look the same through %q, the result shows %s and %s through %q", one, two, shown, a, b, facts.Shown)
		}
	})
}

func value2(t *rapid.T, text string) parcel.Value {
	v, err := parcel.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A field that decides anything of what is made leaves its label on it.
func TestLabelsStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMaker(t)
		labels, err := view.ParseLabels(map[string][]string{"secret": {"b"}})
		if err != nil {
			t.Fatal(err)
		}
		facts := m.facts(parcel.Facts{Labels: labels})
		rest := drawDocument(t, 1)
		make := func() []byte {
			out, err := m.make(value2(t, fmt.Sprintf(`{"a":%s,"b":%s}`, rest, drawDocument(t, 1))))
			if err != nil {
				return nil
			}
			return out.Append(nil)
		}
		one, two := make(), make()
		if one != nil && two != nil && !bytes.Equal(one, two) && !facts.Labels.All().Has("secret") {
			t.Fatalf("%s and %s differ by a labelled field, and carry %v", one, two, facts.Labels.All())
		}
		// Where they differ, the label is seen by who looks there.
		for _, name := range names {
			at, _ := view.Parse([]string{name})
			if one != nil && two != nil && seen(t, at, one) != seen(t, at, two) && !facts.Labels.Of(at).Has("secret") {
				t.Fatalf("%s and %s differ at %s by a labelled field, which carries %v", one, two, name, facts.Labels.Of(at))
			}
		}
	})
}

// FuzzTemplate: a template that is taken makes a document, or fails with a word; never more
// than the limit.
func FuzzTemplate(f *testing.F) {
	f.Add([]byte(`{"a":{"$get":"a.b[0]","or":{"$list":[{"$get":"c"}]}}}`), []byte(`{"a":{"b":[1]},"c":["x","X"]}`))
	f.Add([]byte(`{"$each":"","to":{"$when":"a","as":"time","then":{"$join":[{"$get":"a"}],"with":"\u0000"}}}`), []byte(`[{"a":"2024-01-01T00:00:00Z"}]`))
	f.Add([]byte(`{"$need":{"$quote":{"$get":1}},"else":"permanent"}`), []byte(`"\ud83d\ude00"`))
	f.Fuzz(func(t *testing.T, text, document []byte) {
		tmpl, err := parcel.ParseTemplate(text)
		if err != nil {
			return
		}
		v, err := parcel.Parse(document)
		if err != nil {
			return
		}
		out, err := tmpl.Make(of(v))
		tmpl.Facts(func(string) parcel.Facts { return parcel.Facts{} })
		check(t, out, err)
	})
}

// FuzzRules: the same of rules, whatever the order of the parts.
func FuzzRules(f *testing.F) {
	f.Add([]byte(`{"source":"s","rank":["x","*"],"updated":"u","same":["k"],"fields":[{"to":"a","take":"newest","by":"list"},{"to":"o","members":[{"to":"p","take":"any"}]}],"sources":"sources","latest":"l","conflicts":"c"}`),
		[]byte(`{"s":"x","u":"2024-01-01T00:00:00Z","a":["1"],"o":{"p":true}}`), []byte(`{"s":"y","a":["2"],"o":{"p":false}}`))
	f.Fuzz(func(t *testing.T, text, a, b []byte) {
		r, err := parcel.ParseRules(text)
		if err != nil {
			return
		}
		one, err1 := parcel.Parse(a)
		two, err2 := parcel.Parse(b)
		if err1 != nil || err2 != nil {
			return
		}
		out, err := r.Merge([]parcel.Value{one, two})
		check(t, out, err)
		again, againErr := r.Merge([]parcel.Value{two, one})
		if (err == nil) != (againErr == nil) || err == nil && !bytes.Equal(out.Append(nil), again.Append(nil)) {
			t.Fatalf("in another order: %s, %v, was %s, %v", again.Append(nil), againErr, out.Append(nil), err)
		}
		r.Facts([]parcel.Facts{{}, {}})
	})
}

// FuzzEdit: the same of edits.
func FuzzEdit(f *testing.F) {
	f.Add([]byte(`{"set":{"a.b":1},"rename":{"c":"d"},"remove":["e"]}`), []byte(`{"a":{},"c":1,"e":2}`))
	f.Fuzz(func(t *testing.T, text, document []byte) {
		e, err := parcel.ParseEdit(text)
		if err != nil {
			return
		}
		v, err := parcel.Parse(document)
		if err != nil {
			return
		}
		out, err := e.Make(v)
		check(t, out, err)
		e.Facts(parcel.Facts{Shown: view.All()})
	})
}

// FuzzPath: what parses prints as what parses to the same.
func FuzzPath(f *testing.F) {
	f.Add(`a."b.c"[0].d`)
	f.Add(`[0][1]`)
	f.Add(`"\u0000"`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parcel.ParsePath(text)
		if err != nil {
			return
		}
		again, err := parcel.ParsePath(p.String())
		if err != nil || again.String() != p.String() {
			t.Fatalf("%q prints as %q, which is %q, %v", text, p, again, err)
		}
	})
}

func check(t *testing.T, out parcel.Value, err error) {
	t.Helper()
	if err != nil {
		return
	}
	if out.Size() > parcel.MaxSize {
		t.Fatalf("%d bytes were made", out.Size())
	}
	if _, err := parcel.Parse(out.Append(nil)); err != nil {
		t.Fatalf("%s: %v", out.Append(nil), err)
	}
}
