package sim

import (
	"slices"
	"strings"
	"time"
)

// test is a condition ready to be applied.
type test struct {
	column int
	match  func(value) bool
	equals []value // for = and IN: the values that can match, so that an index can be asked; nil for other tests
}

// idColumns are the fields whose values are record ids, compared with regard to case and in either length.
var idColumns = []string{"Id", "AccountId", "OwnerId", "CreatedById", "LastModifiedById"}

// compile checks the types of a condition and makes its test.
func (q *Query) compile(c Condition) (test, error) {
	column, err := q.column(c.Field)
	if err != nil {
		return test{}, err
	}
	f := contactTable.fields[column]
	if f.kind == compound || f.name == "Description" {
		return test{}, q.errorAt(q.positions[c.Field], "INVALID_FIELD", "field '"+f.name+"' can not be filtered in a query call")
	}
	var values []value
	for _, l := range c.Values {
		v, err := q.operand(c, f, l)
		if err != nil {
			return test{}, err
		}
		values = append(values, v)
	}
	t := test{column: column}
	first := values[0]
	among := func(v value) bool {
		return slices.ContainsFunc(values, func(w value) bool { return equal(f, v, w) })
	}
	switch c.Op {
	case "=", "IN":
		t.match = among
		if !slices.ContainsFunc(values, value.null) {
			t.equals = values
		}
	case "!=", "NOT IN":
		t.match = func(v value) bool { return !among(v) }
	case "LIKE":
		pattern := likePattern(first.fold)
		t.match = func(v value) bool { return !v.null() && pattern.match([]rune(v.fold)) }
	default:
		t.match = func(v value) bool {
			if v.null() || first.null() {
				return false
			}
			switch n := compare(f.kind, v, first); c.Op {
			case "<":
				return n < 0
			case "<=":
				return n <= 0
			case ">":
				return n > 0
			default:
				return n >= 0
			}
		}
	}
	return t, nil
}

// operand turns a literal into a value that compares with the field's.
func (q *Query) operand(c Condition, f field, l Literal) (value, error) {
	at := q.positions[c.Field]
	wrong := func(want string) error {
		return q.errorAt(at, "INVALID_FIELD", "value of filter criterion for field '"+f.name+"' must be of type "+want)
	}
	if c.Op == "LIKE" && f.kind != text {
		return value{}, q.errorAt(at, "INVALID_FIELD", "invalid operator on "+f.name)
	}
	if l.Kind == NullLiteral || l.Kind == StringLiteral && l.Text == "" {
		return value{}, nil
	}
	s := l.Text
	switch f.kind {
	case number:
		if l.Kind != NumberLiteral {
			return value{}, wrong("double and should not be enclosed in quotes")
		}
	case boolean:
		if l.Kind != BoolLiteral {
			return value{}, wrong("boolean and should not be enclosed in quotes")
		}
	case date:
		if l.Kind != DateLiteral {
			return value{}, wrong("date and should not be enclosed in quotes")
		}
	case datetime:
		when, err := time.Parse(time.RFC3339, s)
		if l.Kind != TimeLiteral || err != nil {
			return value{}, wrong("dateTime and should not be enclosed in quotes")
		}
		s = when.UTC().Format(sfTime)
	default:
		if l.Kind != StringLiteral {
			return value{}, wrong("string and should be enclosed in quotes")
		}
		if slices.Contains(idColumns, f.name) && c.Op != "LIKE" {
			id, ok := canonicalID(s)
			if !ok {
				return value{}, q.errorAt(at, "INVALID_QUERY_FILTER_OPERATOR", "invalid ID field: "+s)
			}
			s = id
		}
	}
	return value{json: s, text: s, fold: strings.ToLower(s)}, nil
}

// equal compares a field's value with an operand. Null equals null only.
func equal(f field, a, b value) bool {
	if a.null() || b.null() {
		return a.null() && b.null()
	}
	if slices.Contains(idColumns, f.name) {
		return a.text == b.text
	}
	return compare(f.kind, a, b) == 0
}

// like is a LIKE pattern: runes to be met, and wildcards.
type like []likeStep

type likeStep struct {
	literal rune
	any     bool // _
	many    bool // %
}

func likePattern(pattern string) like {
	var l like
	quoted := false
	for _, c := range pattern {
		switch {
		case quoted:
			l = append(l, likeStep{literal: c})
			quoted = false
		case c == '\\':
			quoted = true
		case c == '%':
			l = append(l, likeStep{many: true})
		case c == '_':
			l = append(l, likeStep{any: true})
		default:
			l = append(l, likeStep{literal: c})
		}
	}
	return l
}

// match runs in time len(pattern) × len(s): on a mismatch it goes back to the last % only.
func (l like) match(s []rune) bool {
	at, i := 0, 0
	restart, mark := -1, 0
	for i < len(s) {
		switch {
		case at < len(l) && l[at].many:
			restart, mark = at, i
			at++
		case at < len(l) && (l[at].any || l[at].literal == s[i]):
			at++
			i++
		case restart >= 0:
			mark++
			at, i = restart+1, mark
		default:
			return false
		}
	}
	for at < len(l) && l[at].many {
		at++
	}
	return at == len(l)
}
