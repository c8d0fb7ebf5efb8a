package parcel

import (
	"slices"
	"strings"
)

// merging is one merge.
type merging struct {
	parts, newest []part // in the orders of rank and of time
	out           []byte
	disagreed     []conflict
}

// conflict says that sources disagree on a field.
type conflict struct {
	field   string
	sources []string
	kept    string
}

// found is a value and whose it is.
type found struct {
	*part
	value []byte
}

func (m *merging) member(name string, value []byte) {
	if last := m.out[len(m.out)-1]; last != '{' {
		m.out = append(m.out, ',')
	}
	m.out = append(append(append(m.out, quote(name)...), ':'), value...)
}

func (m *merging) fields(rules []rule) error {
	for i := range rules {
		r := &rules[i]
		if len(r.members) > 0 {
			if err := m.object(r); err != nil {
				return err
			}
			continue
		}
		value, err := m.take(r)
		if err != nil {
			return err
		}
		if value != nil {
			m.member(r.to, value)
		}
	}
	return room(m.out)
}

func (m *merging) object(r *rule) error {
	outer := m.out
	m.out = []byte{'{'}
	err := m.fields(r.members)
	inner := append(m.out, '}')
	m.out = outer
	if err == nil && len(inner) > len("{}") {
		m.member(r.to, inner)
	}
	return err
}

// take returns the value that survives; nil for none.
func (m *merging) take(r *rule) ([]byte, error) {
	order := m.parts
	if r.take == "newest" {
		order = m.newest
	}
	var have []found
	for i := range order {
		p := &order[i]
		if r.when != nil && !said(r.when.in(p.text)) || r.unless != nil && said(r.unless.in(p.text)) {
			continue
		}
		value, ok, err := r.from.make(&maker{source: func(string) Value { return Value{p.text} }}, nil)
		if err != nil {
			return nil, err
		}
		chosen := r.when != nil && isObject(r.from) // then it counts, whatever is in it
		if !ok && chosen {
			value = []byte("{}")
		}
		if chosen || ok && said(value) {
			have = append(have, found{p, value})
		}
	}
	if r.take == "any" {
		return m.any(r, have), nil
	}
	if len(have) == 0 {
		return nil, nil
	}
	switch {
	case r.list:
		m.compareLists(r, have)
	case len(r.compare) > 0:
		m.compareFields(r, have)
	default:
		m.note(r.name, have[0], slices.DeleteFunc(slices.Clone(have[1:]), func(f found) bool { return agree(f.value, have[0].value) }))
	}
	return have[0].value, nil
}

// said reports whether a value says something: not "", {} or [] either.
func said(text []byte) bool {
	if !there(text) {
		return false
	}
	switch text[0] {
	case '"':
		return len(text) > 2
	case '{', '[':
		c := text[space(text, 1)]
		return c != '}' && c != ']'
	}
	return true
}

// agree reports whether two values are the same, letter case aside.
func agree(a, b []byte) bool {
	x, ok := plainString(a)
	y, also := plainString(b)
	if ok && also {
		return strings.EqualFold(x, y)
	}
	return compareTexts(a, b) == 0
}

// any is true if one says so, false if one says that and none says true.
func (m *merging) any(r *rule, have []found) []byte {
	var yes, no []found
	for _, f := range have {
		switch string(f.value) {
		case "true":
			yes = append(yes, f)
		case "false":
			no = append(no, f)
		}
	}
	switch {
	case len(yes) > 0:
		m.note(r.name, yes[0], no)
		return yes[0].value
	case len(no) > 0:
		return no[0].value
	}
	return nil
}

// compareLists notes those whose list lacks the first of the kept one.
func (m *merging) compareLists(r *rule, have []found) {
	var kept []byte
	elements(have[0].value, func(item []byte) bool { kept = item; return false })
	if kept == nil { // no list
		kept = have[0].value
	}
	m.note(r.name, have[0], slices.DeleteFunc(slices.Clone(have[1:]), func(f found) (has bool) {
		elements(f.value, func(item []byte) bool { has = agree(item, kept); return !has })
		return has
	}))
}

// compareFields notes those that disagree on one of the kept one's fields.
func (m *merging) compareFields(r *rule, have []found) {
	for _, c := range r.compare {
		at := func(f found) []byte {
			if c.name == r.name { // a field of the part, not of what is taken of it
				return c.path.in(f.text)
			}
			return c.path.in(f.value)
		}
		kept := at(have[0])
		if !said(kept) {
			continue
		}
		m.note(c.name, have[0], slices.DeleteFunc(slices.Clone(have[1:]), func(f found) bool {
			return !said(at(f)) || agree(at(f), kept)
		}))
	}
}

// note records that others disagree with kept, if there are others.
func (m *merging) note(field string, kept found, others []found) {
	if len(others) == 0 {
		return
	}
	names := []string{kept.source}
	for _, f := range others {
		names = append(names, f.source)
	}
	slices.Sort(names)
	m.disagreed = append(m.disagreed, conflict{field, slices.Compact(names), kept.source})
}

// conflicting is the list of conflicts, by field.
func (m *merging) conflicting() []byte {
	slices.SortStableFunc(m.disagreed, func(a, b conflict) int { return strings.Compare(a.field, b.field) })
	out := []byte{'['}
	for i, c := range m.disagreed {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, `{"field":`...), quote(c.field)...)
		out = append(append(out, `,"sources":`...), quotes(c.sources)...)
		out = append(append(append(out, `,"kept":`...), quote(c.kept)...), '}')
	}
	return append(out, ']')
}
