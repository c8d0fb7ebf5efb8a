package pipeline

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"pointsman/host/broker"
	"pointsman/host/manifest"
)

// template is a manifest.Value made ready: JSON text with holes, so that filling it in is
// appending. Numbers stay the digits they are.
type template []part

type part struct {
	kind  partKind
	text  []byte   // textPart
	index int      // paramRef, stepRef: which
	path  []string // stepRef: fields from there
	open  bool     // paramRef: what the pointer points at
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
	opened        func(param string) bool // whether the template gets what the parameter points at
}

func (s scope) template(v manifest.Value, opened func(param string) bool) (template, error) {
	var t template
	s.opened = opened
	if err := s.append(&t, v); err != nil {
		return nil, err
	}
	return t, nil
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
			if err := s.append(t, f.Value); err != nil {
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
			if err := s.append(t, item); err != nil {
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
				*t = append(*t, part{kind: paramRef, index: i, open: s.opened(v.Ref.Path[0])})
				return nil
			}
		}
		return fmt.Errorf("%s: %s is not a parameter", v.Pos, v.Ref)
	}
	i, ok := s.steps[v.Ref.Root]
	if !ok {
		return fmt.Errorf("%s: %s: no such step", v.Pos, v.Ref)
	}
	*t = append(*t, part{kind: stepRef, index: i, path: v.Ref.Path})
	return nil
}

// values is what a template's references stand for in one run.
type values struct {
	params []Document // JSON texts; nil: missing
	opened []Document // of params that are pointers: what they point at
	steps  []Document // valid JSON texts; nil: omitted
}

// of is the document that p refers to, the zero Document for text.
func (v values) of(p part) Document {
	switch {
	case p.kind == stepRef:
		return v.steps[p.index]
	case p.kind == paramRef && p.open:
		return v.opened[p.index]
	case p.kind == paramRef:
		return v.params[p.index]
	}
	return Document{}
}

var null = []byte("null")

// maxText is how many bytes a filled template may have: four of the largest outputs that a
// sandbox gives (1 MiB). A route may refer to one output hundreds of times, so without a
// bound a plugin decides how much memory the broker takes.
const maxText = 4 << 20

var errLarge = errors.New("the text that references make is larger than 4 MiB")

// fill returns the template's text, with the labels of every document that it refers to.
// What leads to nothing is null; whole is then false. To refer to an omitted step as a
// whole is to refer to its null.
func (t template) fill(v values) (filled Document, whole bool, err error) {
	whole = true
	n := 0
	for _, p := range t {
		n += len(p.text)
		if len(p.path) == 0 {
			n += len(v.of(p).Text)
		}
	}
	const slack = 64 // bytes, for the selected fields
	text := make([]byte, 0, min(n, maxText)+slack)
	var (
		s      selector
		labels broker.Labels
	)
	for _, p := range t {
		from := v.of(p)
		// That a field is not there tells something of the document, too.
		labels = labels.Union(from.Labels)
		hole := from.Text
		switch {
		case p.kind == textPart:
			hole = p.text
		case p.kind == paramRef:
			whole = whole && hole != nil
		case len(p.path) > 0:
			hole = s.find(hole, p.path)
			whole = whole && hole != nil
		}
		if hole == nil {
			hole = null
		}
		if len(text)+len(hole) > maxText {
			return Document{}, whole, errLarge
		}
		text = append(text, hole...)
	}
	return Document{text, labels}, whole, nil
}
