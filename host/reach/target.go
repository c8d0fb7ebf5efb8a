package reach

import (
	"fmt"
	"strings"
)

// Target is what a question is about: fields that a path or a label names.
type Target struct {
	Text  string
	label string
	atoms []atom
}

// Target resolves a question's words:
//
//	pii.contact                 a label: every field that has it
//	acme-crm.address.city       a field of a back end's answers
//	customer-store.email        a column of every statement of a back end
//	customer-store.by-number.email
//	pointer:customer            what the pointers of a domain point at
//	param:profile.customer      a parameter of a route
//
// label: and field: in front say which is meant where one word could be both. What nothing
// has the name of is an error: a question that is misspelt has no answer.
func (g *Graph) Target(text string) (Target, error) {
	t := Target{Text: text}
	kind, rest, marked := strings.Cut(text, ":")
	if !marked || strings.ContainsAny(kind, ".\"") {
		kind, rest = "", text
	}
	backend, path, _ := strings.Cut(rest, ".")
	isLabel, isField := has(g.labels, rest), g.backends[backend] != nil
	switch {
	case kind == "" && isLabel && isField:
		return t, fmt.Errorf("%s is a label and a field of backend %s; write label:%s or field:%s", rest, backend, rest, rest)
	case kind == "label" && isLabel, kind == "" && isLabel:
		return t, g.labelled(&t, rest)
	case kind == "field" && isField, kind == "" && isField:
		return t, g.field(&t, backend, path)
	case kind == "pointer":
		for _, s := range g.sources {
			if s.domain == rest {
				t.add(s, "")
			}
		}
	case kind == "param":
		for _, s := range g.sources {
			if s.kind == SourceParam && s.route.Name+"."+s.param == rest {
				t.add(s, "")
			}
		}
	}
	if len(t.atoms) == 0 {
		return t, fmt.Errorf("nothing is called %q: expected BACKEND.PATH, a label (%s), pointer:DOMAIN or param:ROUTE.NAME of one with a label or a pointer", text, orNone(g.labels))
	}
	return t, nil
}

func (t *Target) add(s *source, path string) error {
	a, err := s.atom(path)
	if err != nil {
		return err
	}
	t.atoms = append(t.atoms, a)
	return nil
}

func (g *Graph) labelled(t *Target, label string) error {
	t.label = label
	for _, s := range g.sources {
		if s.own.Has(label) {
			if err := t.add(s, ""); err != nil {
				return err
			}
			continue
		}
		for _, path := range s.paths {
			if path == "" {
				continue
			}
			a, err := s.atom(path)
			if err != nil {
				return err
			}
			if a.labels.Has(label) {
				t.atoms = append(t.atoms, a)
			}
		}
	}
	return nil
}

func (g *Graph) field(t *Target, backend, path string) error {
	if path == "" {
		return fmt.Errorf("%s is a back end; which of its fields? %s.PATH", backend, backend)
	}
	first, rest, _ := strings.Cut(path, ".")
	st := g.statement(backend, first)
	for _, s := range g.sources {
		at := path
		switch {
		case s.backend != backend:
			continue
		case st != nil && s.statement != first:
			continue
		case st != nil:
			if at = rest; at == "" {
				return fmt.Errorf("%s.%s is a statement; which of its columns? %s.%s.PATH", backend, first, backend, first)
			}
		}
		if err := t.add(s, at); err != nil {
			return err
		}
	}
	return nil
}
