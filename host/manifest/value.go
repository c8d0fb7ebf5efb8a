package manifest

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// ValueKind says what a Value is.
type ValueKind uint8

const (
	ValueNone    ValueKind = iota // the zero Value: the document says nothing
	ValueLiteral                  // Literal: a text, number, true, false or null as JSON text
	ValueObject                   // Fields, in the document's order
	ValueArray                    // Items
	ValueRef                      // Ref
)

// Value is a tree of JSON with references in it. It is not changed after Load.
type Value struct {
	Kind    ValueKind
	Pos     Pos
	Literal []byte // JSON text; a number has the digits of the document
	Fields  []FieldValue
	Items   []Value
	Ref     Ref
}

// FieldValue is one field of an object.
type FieldValue struct {
	Name  string
	Value Value
}

// Ref is ${root.path.path}.
type Ref struct {
	Root string   // RootParams or a step's name
	Path []string // fields from there; one for RootParams, none for a whole step
}

// RootParams is the root of references to a route's parameters; no step can have the name.
const RootParams = "params"

// String returns the reference as a document writes it.
func (r Ref) String() string {
	return "${" + strings.Join(append([]string{r.Root}, r.Path...), ".") + "}"
}

// Refs calls f for every reference in v, with its place and its path below at.
func (v Value) Refs(at string, f func(Ref, Pos, string)) {
	switch v.Kind {
	case ValueRef:
		f(v.Ref, v.Pos, at)
	case ValueObject:
		for _, field := range v.Fields {
			field.Value.Refs(join(at, field.Name), f)
		}
	case ValueArray:
		for i, item := range v.Items {
			item.Refs(index(at, i), f)
		}
	}
}

// value is a tree of JSON with references.
func value() form[Value] {
	return form[Value]{
		schema: schema{},
		read:   func(r *reader, n *yaml.Node, at string) Value { return r.value(n, at, true) },
		write:  func(v Value) any { return v.canonical() },
	}
}

// value reads any JSON. Only if refs, texts may be references and "$${" stands for "${".
func (r *reader) value(n *yaml.Node, at string, refs bool) Value {
	v := Value{Pos: r.pos(n)}
	if n.Kind == yaml.AliasNode || tagged(n) {
		return v // reported by inspect
	}
	switch n.Kind {
	case yaml.MappingNode:
		v.Kind = ValueObject
		seen := map[string]bool{}
		for _, e := range entriesOf(n) {
			if seen[e.key.Value] {
				continue
			}
			seen[e.key.Value] = true
			if refs && strings.Contains(e.key.Value, "${") {
				r.add(e.key, at, codeReference, "", "a key cannot be a reference")
			}
			v.Fields = append(v.Fields, FieldValue{e.key.Value, r.value(e.value, join(at, e.key.Value), refs)})
		}
	case yaml.SequenceNode:
		v.Kind = ValueArray
		for i, c := range n.Content {
			v.Items = append(v.Items, r.value(c, index(at, i), refs))
		}
	case yaml.ScalarNode:
		r.scalar(n, at, refs, &v)
	}
	return v
}

// jsonNumber is RFC 8259 §6.
var jsonNumber = regexp.MustCompile(`^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$`)

// maxNumber is the longest number, in characters: more digits than any identifier or
// amount has, few enough that no reader of the number works long on it.
const maxNumber = 64

func (r *reader) scalar(n *yaml.Node, at string, refs bool, v *Value) {
	v.Kind = ValueLiteral
	text := n.Value
	if plain(n) {
		switch {
		case text == "null" || text == "true" || text == "false":
			v.Literal = []byte(text)
			return
		case text == "":
			r.add(n, at, codeAmbiguous, "", `nothing stands here; write null or ""`)
			return
		case jsonNumber.MatchString(text):
			if _, err := strconv.ParseFloat(text, 64); len(text) > maxNumber || err != nil {
				r.add(n, at, codeNumber, "", "number %s has more than %d characters or does not fit 64 bits", quote(text), maxNumber)
				return
			}
			v.Literal = []byte(text)
			return
		case looksTyped(text):
			r.add(n, at, codeAmbiguous, "", "%s means different things to different YAML programs; put it in quotes, or write true, false, null or a JSON number", quote(text))
			return
		}
	}
	if utf8.RuneCountInString(text) > maxText {
		r.add(n, at, codeLength, "", "more than %d characters", maxText)
		return
	}
	if refs {
		if strings.HasPrefix(text, "${") {
			v.Kind = ValueRef
			ref, p := parseRef(text)
			if p != nil {
				v.Kind = ValueNone
				r.add(n, at, p.code, p.suggestion, "%s", p.message)
			}
			v.Ref = ref
			return
		}
		var ok bool
		if text, ok = unescape(text); !ok {
			r.add(n, at, codeReference, "", "a reference must be the whole text; write $${ for a literal ${")
			return
		}
	}
	v.Literal = marshal(text)
}

// maxRef is the number of fields that a reference may follow; no answer worth merging is deeper.
const maxRef = 16

var refField = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9_-]{0,62}$`)

// parseRef reads a text that begins with "${".
func parseRef(text string) (Ref, *problem) {
	inner, ok := strings.CutSuffix(text[2:], "}")
	if !ok || strings.ContainsAny(inner, "{}") {
		return Ref{}, problemf(codeReference, "", "a reference must be the whole text, such as ${params.name} or ${step.field}; write $${ for a literal ${")
	}
	parts := strings.Split(inner, ".")
	for i, part := range parts {
		rule := refField
		if i == 0 {
			rule = plainName.pattern
		}
		if !rule.MatchString(part) {
			near := ""
			if t := strings.ReplaceAll(inner, " ", ""); t != inner && refText.MatchString(t) {
				near = "${" + t + "}"
			}
			return Ref{}, problemf(codeReference, near, "%s is not a plain reference such as ${params.name} or ${step.field}", quote(text))
		}
	}
	ref := Ref{Root: parts[0], Path: parts[1:]}
	switch {
	case ref.Root == RootParams && len(ref.Path) != 1:
		return Ref{}, problemf(codeReference, "", "a parameter is ${params.name}")
	case len(ref.Path) > maxRef:
		return Ref{}, problemf(codeReference, "", "a reference follows at most %d fields", maxRef)
	}
	if len(ref.Path) == 0 {
		ref.Path = nil
	}
	return ref, nil
}

var refText = regexp.MustCompile(`^[a-z][a-z0-9-]*(?:\.[a-zA-Z0-9_-]+)*$`)

// unescape replaces "$${" by "${"; ok is false if there is a "${" that is not escaped.
func unescape(s string) (out string, ok bool) {
	var b strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			b.WriteString(s)
			return b.String(), true
		}
		if i == 0 || s[i-1] != '$' {
			return "", false
		}
		b.WriteString(s[:i-1] + "${")
		s = s[i+2:]
	}
}

// canonical returns what marshals to the value as a document would write it.
func (v Value) canonical() any {
	switch v.Kind {
	case ValueLiteral:
		if len(v.Literal) > 0 && v.Literal[0] == '"' && bytes.Contains(v.Literal, []byte("${")) {
			return json.RawMessage(bytes.ReplaceAll(v.Literal, []byte("${"), []byte("$${")))
		}
		return json.RawMessage(v.Literal)
	case ValueRef:
		return v.Ref.String()
	case ValueArray:
		out := make([]any, len(v.Items))
		for i, item := range v.Items {
			out[i] = item.canonical()
		}
		return out
	case ValueObject:
		o := schema{}
		for _, f := range v.Fields {
			o[f.Name] = f.Value.canonical()
		}
		return o
	}
	return nil
}

// raw returns the value as JSON text, without references' escapes.
func (v Value) raw() any {
	switch v.Kind {
	case ValueLiteral:
		return json.RawMessage(v.Literal)
	case ValueArray:
		out := make([]any, len(v.Items))
		for i, item := range v.Items {
			out[i] = item.raw()
		}
		return out
	case ValueObject:
		o := schema{}
		for _, f := range v.Fields {
			o[f.Name] = f.Value.raw()
		}
		return o
	}
	return nil
}

// marshal returns v as one line of JSON: keys sorted, nothing escaped that need not be.
// v is made of maps, lists, texts, numbers and JSON texts of this package, which always
// marshal.
func marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return []byte("null") // a half-read value of a document that has faults
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
