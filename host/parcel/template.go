package parcel

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"pointsman/host/view"
)

// Template is a JSON document in which values of others are put. It does not change, and may be
// used concurrently.
type Template struct {
	root    expression
	sources []string
}

// Limits of a template, and of rules.
const (
	maxTemplate = 64 << 10 // bytes
	maxWords    = 2000     // $-words, and objects and arrays
)

// ParseTemplate reads a template: docs/PARCELS.md has the words. The error says where it is
// wrong and repeats of it only names.
func ParseTemplate(text []byte) (*Template, error) {
	p := parser{names: map[string]bool{}}
	root, err := p.document(text)
	if err != nil {
		return nil, err
	}
	return &Template{root, slices.Sorted(maps.Keys(p.names))}, nil
}

// Sources are the names of the documents that the template takes values of, sorted; "" is the
// one without a name. The caller owns the slice.
func (t *Template) Sources() []string { return slices.Clone(t.sources) }

// Make returns the document that the template makes of those that source returns for the names
// of Sources. The error is a *Failure.
func (t *Template) Make(source func(name string) Value) (Value, error) {
	m := maker{source: source}
	out, ok, err := t.root.make(&m, make([]byte, 0, 512))
	switch {
	case err != nil:
		return Value{}, err
	case !ok && isObject(t.root):
		return Value{[]byte("{}")}, nil
	case !ok:
		return Value{}, nil
	}
	return Parse(out) // it is a document by its making, but for its limits
}

func isObject(e expression) bool { _, ok := e.(object); return ok }

// Facts is what is known of what the template makes, by what is known of what it is made of.
func (t *Template) Facts(source func(name string) Facts) Facts {
	if isObject(t.root) { // it is there, whatever is in it
		return t.root.facts(source)
	}
	return factsOf(t.root, source)
}

// factsOf is what is known of a part of a template at its place. Whether anything is there at all,
// the whole of it decides, unless it is the value at a path as it is.
func factsOf(e expression, source func(string) Facts) Facts {
	if g, ok := e.(get); ok && g.as == nil && g.or == nil {
		return g.facts(source)
	}
	return e.facts(source).decides()
}

// expression is a part of a template.
type expression interface {
	// make appends what the part comes to; ok is false, and dst as it was, when it is nothing.
	make(m *maker, dst []byte) (out []byte, ok bool, err error)
	facts(source func(name string) Facts) Facts
}

// maker is one making.
type maker struct {
	source func(name string) Value
	each   []byte // the element that $each is at
	within bool   // each is what the name "" stands for
}

func (m *maker) text(name string) []byte {
	if name == "" && m.within {
		return m.each
	}
	return m.source(name).text
}

func room(dst []byte) error {
	if len(dst) > MaxSize {
		return &Failure{Code: "permanent", Why: "the document that is made is larger than 4 MiB"}
	}
	return nil
}

// parser reads expressions.
type parser struct {
	names map[string]bool
	words int
	each  int // of how many $each we are within
}

func (p *parser) document(text []byte) (expression, error) {
	if len(text) > maxTemplate {
		return nil, errors.New("it is larger than 64 KiB")
	}
	v, err := Parse(bytes.Clone(text))
	if err != nil {
		return nil, err
	}
	return p.expression(v.text, "")
}

// expression reads the value at a place of the template.
func (p *parser) expression(text []byte, at string) (expression, error) {
	if p.words++; p.words > maxWords {
		return nil, errors.New("it has more than 2000 values")
	}
	switch text[0] {
	case '[':
		var items array
		var err error
		elements(text, func(value []byte) bool {
			var item expression
			item, err = p.expression(value, fmt.Sprintf("%s[%d]", at, len(items)))
			items = append(items, item)
			return err == nil
		})
		return items, err
	case '{':
		if word := firstWord(text); word != "" {
			return p.word(word, text, at)
		}
		var o object
		var err error
		members(text, func(name, value []byte) bool {
			plain, _ := plainString(name)
			var e expression
			e, err = p.expression(value, at+"."+plain)
			o = append(o, member{plain, name, e})
			return err == nil
		})
		return o, err
	}
	return literal(text), nil
}

// firstWord is the first name of an object if it begins with $.
func firstWord(text []byte) (word string) {
	members(text, func(name, _ []byte) bool {
		if plain, _ := plainString(name); len(plain) > 0 && plain[0] == '$' {
			word = plain
		}
		return false
	})
	return word
}

// literal is what the author wrote.
type literal []byte

func (l literal) make(_ *maker, dst []byte) ([]byte, bool, error) {
	dst = append(dst, l...)
	return dst, true, room(dst)
}

func (literal) facts(func(string) Facts) Facts { return constant }

type object []member

type member struct {
	name   string
	quoted []byte
	value  expression
}

func (o object) make(m *maker, dst []byte) ([]byte, bool, error) {
	before := len(dst)
	dst = append(dst, '{')
	first := true
	for _, f := range o {
		at := len(dst)
		if !first {
			dst = append(dst, ',')
		}
		dst = append(append(dst, f.quoted...), ':')
		out, ok, err := f.value.make(m, dst)
		switch {
		case err != nil:
			return dst, false, err
		case ok:
			dst, first = out, false
		default:
			dst = out[:at]
		}
	}
	if first && len(o) > 0 {
		return dst[:before], false, nil
	}
	dst = append(dst, '}')
	return dst, true, room(dst)
}

func (o object) facts(source func(string) Facts) Facts {
	var all Facts
	for _, f := range o {
		all = all.and(factsOf(f.value, source).below(f.name))
	}
	if len(o) == 0 {
		return constant
	}
	return all
}

type array []expression

func (a array) make(m *maker, dst []byte) ([]byte, bool, error) {
	dst = append(dst, '[')
	for i, item := range a {
		if i > 0 {
			dst = append(dst, ',')
		}
		out, ok, err := item.make(m, dst)
		if err != nil {
			return dst, false, err
		}
		if dst = out; !ok { // positions stay
			dst = append(dst, "null"...)
		}
	}
	dst = append(dst, ']')
	return dst, true, room(dst)
}

func (a array) facts(source func(string) Facts) Facts {
	all := constant
	for _, item := range a {
		all = all.or(factsOf(item, source))
	}
	return Facts{all.Labels, below(all.Shown)}
}

// below is what may be read of an array by who may read this of each element. That there is
// an array is known.
func below(shown view.View) view.View {
	if shown.All() {
		return shown
	}
	return shown.BelowElements()
}
