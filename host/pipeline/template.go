package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"pointsman/host/broker"
	"pointsman/host/manifest"
	"pointsman/host/parcel"
	"pointsman/host/view"
)

// template is a manifest.Value made ready: JSON text with holes, so that filling it in is
// appending. Numbers stay the digits they are.
type template []part

type part struct {
	kind  partKind
	text  []byte      // textPart
	index int         // paramRef, stepRef: which
	path  parcel.Path // stepRef: the value there
	whole bool        // stepRef: all of it
	open  bool        // paramRef: what the pointer points at

	parcel bool      // stepRef: it is handed over as a parcel
	reads  view.View // of the parcel, what may be read
	memo   *parcel.Memo
}

type partKind uint8

const (
	textPart partKind = iota
	paramRef
	stepRef
)

// scope is what the names in a route's references stand for.
type scope struct {
	params, steps map[string]int
	takes
}

// takes is what a template gets for its references. The zero takes gets parcels of which it
// reads nothing, and opens nothing.
type takes struct {
	opened func(param string) bool // whether it gets what a parameter points at; nil: no
	text   bool                    // it gets the texts of steps
	reads  view.View               // it gets the texts of what this shows whole
}

func (s scope) template(v manifest.Value, takes takes) (template, error) {
	var t template
	s.takes = takes
	if err := s.append(&t, v); err != nil {
		return nil, err
	}
	return t, nil
}

// below is s at a place further down in the value: of a field, or of the elements of an array.
func (s scope) below(step func(view.View) view.View) scope {
	s.reads = step(s.reads)
	return s
}

// write appends text to the last part.
func (t *template) write(text []byte) {
	if n := len(*t); n > 0 && (*t)[n-1].kind == textPart {
		(*t)[n-1].text = append((*t)[n-1].text, text...)
		return
	}
	*t = append(*t, part{text: bytes.Clone(text)})
}

func (s scope) append(t *template, v manifest.Value) error {
	switch v.Kind {
	case manifest.ValueLiteral:
		if !jsontext.Value(v.Literal).IsValid() {
			return fmt.Errorf("%s: %q is not JSON", v.Pos, v.Literal)
		}
		t.write(v.Literal)
	case manifest.ValueObject:
		seen := make(map[string]bool, len(v.Fields))
		for i, f := range v.Fields {
			name, err := jsontext.AppendQuote(nil, f.Name)
			if err != nil || seen[f.Name] {
				return fmt.Errorf("%s: field %q is there twice or not UTF-8", f.Value.Pos, f.Name)
			}
			seen[f.Name] = true
			t.write([]byte{"{,"[min(i, 1)]})
			t.write(append(name, ':'))
			if err := s.below(func(v view.View) view.View { return v.Member(f.Name) }).append(t, f.Value); err != nil {
				return err
			}
		}
		if len(v.Fields) == 0 {
			t.write([]byte{'{'})
		}
		t.write([]byte{'}'})
	case manifest.ValueArray:
		t.write([]byte{'['})
		for i, item := range v.Items {
			if i > 0 {
				t.write([]byte{','})
			}
			if err := s.below(view.View.Elements).append(t, item); err != nil {
				return err
			}
		}
		t.write([]byte{']'})
	case manifest.ValueRef:
		return s.refer(t, v)
	default:
		return fmt.Errorf("%s: no value", v.Pos)
	}
	return nil
}

func (s scope) refer(t *template, v manifest.Value) error {
	if v.Ref.Root == manifest.RootParams {
		if len(v.Ref.Path) == 1 {
			if i, ok := s.params[v.Ref.Path[0]]; ok {
				*t = append(*t, part{kind: paramRef, index: i, open: s.opened != nil && s.opened(v.Ref.Path[0])})
				return nil
			}
		}
		return fmt.Errorf("%s: %s is not a parameter", v.Pos, v.Ref)
	}
	i, ok := s.steps[v.Ref.Root]
	if !ok {
		return fmt.Errorf("%s: %s: no such step", v.Pos, v.Ref)
	}
	path, err := pathOf(v.Ref.Path)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", v.Pos, v.Ref, err)
	}
	*t = append(*t, part{
		kind: stepRef, index: i, path: path, whole: len(v.Ref.Path) == 0,
		parcel: !s.text && !s.reads.All(), reads: s.reads, memo: new(parcel.Memo),
	})
	return nil
}

// pathOf is the path of fields.
func pathOf(fields []string) (parcel.Path, error) {
	var text []byte
	for i, name := range fields {
		if i > 0 {
			text = append(text, '.')
		}
		var err error
		if text, err = jsontext.AppendQuote(text, name); err != nil {
			return parcel.Path{}, err
		}
	}
	return parcel.ParsePath(string(text))
}

// values is what a template's references stand for in one run.
type values struct {
	params []value          // of a missing one the zero value
	opened []value          // of params that are pointers: what they point at
	steps  []*parcel.Parcel // nil: not run
}

// value is a parameter as JSON.
type value struct {
	text   []byte // nil: missing
	labels broker.Labels
}

var null = []byte("null")

// maxText is how many bytes a filled template may have: four of the largest outputs that a
// sandbox gives (1 MiB). A route may refer to one output hundreds of times, so without a
// bound a plugin decides how much memory the broker takes.
const maxText = 4 << 20

var errLarge = errors.New("the text that references make is larger than 4 MiB")

// filling is a template that is being filled.
type filling struct {
	Input
	whole bool // no reference led to nothing
}

// fill returns the template's text, with the labels of all that is in it. What leads to nothing
// is null; whole is then false. To refer to an omitted step as a whole is to refer to its null.
// What is handed over as a parcel is put into parcels, with its labels; the steps that the
// other references lead to have ended.
func (t template) fill(v values, parcels *parcel.Table) (filled Input, whole bool, err error) {
	f := filling{Input: Input{Parcels: parcels}, whole: true}
	n := 64 // bytes, for what is small
	for _, p := range t {
		n += len(p.text)
		if p.kind == stepRef && !p.parcel && p.whole {
			n += v.of(p).Size()
		}
	}
	f.Text = make([]byte, 0, min(n, maxText))
	for _, p := range t {
		switch p.kind {
		case textPart:
			f.Text = append(f.Text, p.text...)
		case paramRef:
			f.param(v, p)
		case stepRef:
			err = f.step(v, p)
		}
		if err == nil && len(f.Text) > maxText {
			err = errLarge
		}
		if err != nil {
			return Input{}, f.whole, err
		}
	}
	return f.Input, f.whole, nil
}

func (f *filling) param(v values, p part) {
	from := v.params[p.index]
	if p.open {
		from = v.opened[p.index]
	}
	f.Labels = f.Labels.Union(from.labels)
	if from.text == nil {
		f.whole, from.text = false, null
	}
	f.Text = append(f.Text, from.text...)
}

func (f *filling) step(v values, p part) error {
	from := v.steps[p.index]
	if p.parcel && p.whole && from != nil {
		return f.hand(parcel.OrNull(from), p)
	}
	value := v.of(p)
	if from != nil { // that a field is not there tells something of the document, too
		f.Labels = f.Labels.Union(p.facts(from).Labels.All())
	}
	if !p.whole {
		value = value.At(p.path)
		f.whole = f.whole && !value.Absent()
	}
	if p.parcel && !value.Absent() {
		return f.hand(parcel.Of(value, p.facts(from)), p)
	}
	if len(f.Text)+value.Size() > maxText {
		return errLarge
	}
	f.Text = value.Append(f.Text)
	return nil
}

// facts is what is known of what p refers to.
func (p part) facts(from *parcel.Parcel) parcel.Facts {
	if p.whole {
		return from.Facts()
	}
	return p.memo.Facts(nil, []parcel.Facts{from.Facts()}, func(f []parcel.Facts) parcel.Facts { return f[0].At(p.path) })
}

// hand puts a parcel into the text. What may be read of it is for this plugin to know.
func (f *filling) hand(from *parcel.Parcel, p part) error {
	h, err := f.Parcels.Put(parcel.Readable(from, p.reads))
	if err != nil {
		return err
	}
	f.Text = append(h.Append(append(f.Text, `{"$parcel":`...)), '}')
	return nil
}

// of is the output of the step that p refers to; absent when there is none.
func (v values) of(p part) parcel.Value {
	from := v.steps[p.index]
	if from == nil || !from.Settled() {
		return parcel.Value{}
	}
	value, err := from.Wait(context.Background()) // it is there
	if err != nil {
		return parcel.Value{}
	}
	return value
}
