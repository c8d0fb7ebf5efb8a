package manifest

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// list is a list of at least least and at most most entries, none of them twice. id names
// an entry for that comparison. Its order has no meaning: it is sorted by id.
func list[T any](least, most int, f form[T], id func(T) string) form[[]T] {
	return distinct(least, most, f, id, codeRepeated)
}

// distinct is list with a code of its own for an entry that is there twice.
func distinct[T any](least, most int, f form[T], id func(T) string, code string) form[[]T] {
	s := schema{"type": "array", "maxItems": most, "uniqueItems": true, "items": f.schema}
	if least > 0 {
		s["minItems"] = least
	}
	return form[[]T]{
		schema: s,
		read: func(r *reader, n *yaml.Node, at string) []T {
			out := readList(r, n, at, least, most, f, id, code)
			slices.SortFunc(out, func(a, b T) int { return strings.Compare(id(a), id(b)) })
			return out
		},
		write: func(vs []T) any {
			out := make([]any, len(vs))
			for i, v := range vs {
				out[i] = f.write(v)
			}
			return out
		},
	}
}

func readList[T any](r *reader, n *yaml.Node, at string, least, most int, f form[T], id func(T) string, code string) []T {
	if !r.is(n, yaml.SequenceNode, at, "a list") {
		return nil
	}
	if len(n.Content) < least || len(n.Content) > most {
		r.add(n, at, codeLength, "", "%d entries; expected %d to %d", len(n.Content), least, most)
	}
	var out []T
	seen := map[string]bool{}
	for i, c := range n.Content {
		place := index(at, i)
		before := len(r.faults)
		v := f.read(r, c, place)
		if len(r.faults) > before {
			continue
		}
		if seen[id(v)] {
			r.add(c, place, code, "", "%s is in the list already", quote(id(v)))
			continue
		}
		seen[id(v)] = true
		out = append(out, v)
	}
	return out
}

// sequence is a list whose order counts. id tells its entries apart: none is there twice.
func sequence[T any](least, most int, f form[T], id func(T) string) form[[]T] {
	out := list(least, most, f, id)
	out.read = func(r *reader, n *yaml.Node, at string) []T {
		return readList(r, n, at, least, most, f, id, codeRepeated)
	}
	return out
}
