package manifest

import (
	"maps"
	"reflect"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v4"
)

// schema is a JSON Schema, or a part of one.
type schema = map[string]any

// form is the one rule for a shape: how it is read, how its canonical form is written, and
// the JSON Schema that says the same to editors.
//
// read reports faults to r and returns what could be read, so that later checks see as
// much as possible; whether a value is good is whether there are faults. write returns
// what encoding/json marshals to the canonical form.
type form[T any] struct {
	schema schema
	read   func(r *reader, n *yaml.Node, at string) T
	write  func(T) any
}

// field is one key of an object that decodes into a T.
type field[T any] struct {
	name   string
	doc    string
	must   bool
	schema schema
	read   func(r *reader, n *yaml.Node, at string, into *T)
	write  func(from *T) any // nil: leave the key out
}

// key is the field that f reads into what place returns.
func key[T, F any](name string, f form[F], doc string, place func(*T) *F) field[T] {
	return field[T]{
		name: name, doc: doc, schema: f.schema,
		read: func(r *reader, n *yaml.Node, at string, into *T) { *place(into) = f.read(r, n, at) },
		write: func(from *T) any {
			v := reflect.ValueOf(place(from)).Elem()
			if v.IsZero() || (v.Kind() == reflect.Map || v.Kind() == reflect.Slice) && v.Len() == 0 {
				return nil
			}
			return f.write(*place(from))
		},
	}
}

// required makes the key one that must be there.
func required[T any](f field[T]) field[T] {
	f.must = true
	return f
}

// object is a mapping with known keys. Absent keys have their value in start. after, if
// not nil, checks what no single key shows; it must bear with half-read values.
func object[T any](start T, after func(r *reader, n *yaml.Node, at string, v *T), fields ...field[T]) form[T] {
	properties, must := schema{}, []string{}
	names := make([]string, len(fields))
	byName := make(map[string]field[T], len(fields))
	for i, f := range fields {
		described := maps.Clone(f.schema)
		described["description"] = f.doc
		properties[f.name], names[i], byName[f.name] = described, f.name, f
		if f.must {
			must = append(must, f.name)
		}
	}
	s := schema{"type": "object", "additionalProperties": false, "properties": properties}
	if len(must) > 0 {
		s["required"] = must
	}
	expected := oneOf(names)
	return form[T]{
		schema: s,
		read: func(r *reader, n *yaml.Node, at string) T {
			v := start
			if !r.is(n, yaml.MappingNode, at, mappingOf(names)) {
				return v
			}
			seen := map[string]bool{}
			for _, e := range entriesOf(n) {
				f, ok := byName[e.key.Value]
				switch {
				case seen[e.key.Value]: // reported as a duplicate
				case !ok:
					r.add(e.key, join(at, e.key.Value), codeUnknownKey, r.nearest(e.key.Value, names),
						"unknown key %s; expected %s", quote(e.key.Value), expected)
				default:
					f.read(r, e.value, join(at, f.name), &v)
				}
				seen[e.key.Value] = true
			}
			for _, f := range fields {
				if f.must && !seen[f.name] {
					r.add(n, join(at, f.name), codeMissing, "", "key %q is missing: %s", f.name, f.doc)
				}
			}
			if after != nil {
				after(r, n, at, &v)
			}
			return v
		},
		write: func(v T) any {
			o := schema{}
			for _, f := range fields {
				if w := f.write(&v); w != nil {
					o[f.name] = w
				}
			}
			return o
		},
	}
}

func mappingOf(names []string) string {
	if len(names) == 0 {
		return "{}"
	}
	return "a mapping with " + oneOf(names)
}

// entry is one key of a mapping with its value.
type entry struct{ key, value *yaml.Node }

// entriesOf returns the entries of a mapping whose keys inspect lets pass.
func entriesOf(n *yaml.Node) []entry {
	var es []entry
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind == yaml.ScalarNode && !tagged(k) && k.Value != "" && !(plain(k) && k.Value == "<<") {
			es = append(es, entry{k, n.Content[i+1]})
		}
	}
	return es
}

// child returns the node of a key, or n itself if there is none: a place for a fault.
func child(n *yaml.Node, names ...string) *yaml.Node {
	for _, name := range names {
		es := entriesOf(n)
		i := slices.IndexFunc(es, func(e entry) bool { return e.key.Value == name })
		if i < 0 {
			return n
		}
		n = es[i].value
	}
	return n
}

// is reports whether n is of the kind that is wanted, and a fault if not.
func (r *reader) is(n *yaml.Node, kind yaml.Kind, at, want string) bool {
	if n.Kind == yaml.AliasNode || tagged(n) {
		return false // reported by inspect
	}
	if n.Kind != kind {
		r.add(n, at, codeType, "", "expected %s, found %s", want, what(n))
		return false
	}
	return true
}

// what names the sort of node in a message.
func what(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case plain(n) && n.Value == "":
		return "nothing"
	}
	return quote(n.Value)
}

// named is a mapping whose keys are names of the document's own choice.
func named[T any](rule nameRule, most int, f form[T]) form[map[string]T] {
	return form[map[string]T]{
		schema: schema{"type": "object", "maxProperties": most, "propertyNames": rule.schema(), "additionalProperties": f.schema},
		read: func(r *reader, n *yaml.Node, at string) map[string]T {
			out := map[string]T{}
			for _, e := range r.entries(n, at, rule, most) {
				out[e.key.Value] = f.read(r, e.value, join(at, e.key.Value))
			}
			return out
		},
		write: func(m map[string]T) any {
			o := schema{}
			for k, v := range m {
				o[k] = f.write(v)
			}
			return o
		},
	}
}

// entries returns the entries of a mapping with free keys, each once, in order.
func (r *reader) entries(n *yaml.Node, at string, rule nameRule, most int) []entry {
	if !r.is(n, yaml.MappingNode, at, "a mapping of names") {
		return nil
	}
	seen := map[string]bool{}
	var out []entry
	for _, e := range entriesOf(n) {
		if seen[e.key.Value] {
			continue
		}
		seen[e.key.Value] = true
		if !rule.matches(e.key.Value) {
			r.add(e.key, join(at, e.key.Value), codeName, rule.near(e.key.Value), "%s is not %s", quote(e.key.Value), rule.want)
		}
		out = append(out, e)
	}
	if len(out) > most {
		r.add(n, at, codeLength, "", "%d entries; at most %d are allowed", len(out), most)
		return out[:most] // checks of what they say to each other are not made for any number
	}
	return out
}

// pointer is the same form for an optional part.
func pointer[T any](f form[T]) form[*T] {
	return form[*T]{
		schema: f.schema,
		read: func(r *reader, n *yaml.Node, at string) *T {
			v := f.read(r, n, at)
			return &v
		},
		write: func(p *T) any { return f.write(*p) },
	}
}

// nameRule is a rule for names.
type nameRule struct {
	pattern *regexp.Regexp
	want    string
	most    int // bytes; 0: the pattern says it
}

func (rule nameRule) matches(s string) bool {
	return rule.pattern.MatchString(s) && (rule.most == 0 || len(s) <= rule.most)
}

func (rule nameRule) schema() schema {
	s := schema{"pattern": rule.pattern.String()}
	if rule.most > 0 {
		s["maxLength"] = rule.most
	}
	return s
}
