package parcel

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"pointsman/pdk/wire"
)

// word reads an object whose first name is a $-word. Its other names are the word's own.
func (p *parser) word(word string, text []byte, at string) (expression, error) {
	args := map[string][]byte{}
	members(text, func(name, value []byte) bool {
		plain, _ := plainString(name)
		args[plain] = value
		return true
	})
	a := &arguments{parser: p, at: at + "." + word, left: args}
	e := a.read(word)
	if a.err == nil {
		for name := range a.left {
			a.fail("%q is not for %s", name, word)
		}
	}
	return e, a.err
}

// arguments are the members of a $-word that were not read yet.
type arguments struct {
	*parser
	at   string
	left map[string][]byte
	err  error // the first
}

func (a *arguments) fail(format string, args ...any) {
	if a.err == nil {
		a.err = fmt.Errorf("%s: %s", strings.TrimPrefix(a.at, "."), fmt.Sprintf(format, args...))
	}
}

func (a *arguments) take(name string) (text []byte, ok bool) {
	text, ok = a.left[name]
	delete(a.left, name)
	return text, ok
}

// sub reads an expression; nil if it is not there and may be missing.
func (a *arguments) sub(name string, optional bool) expression {
	text, ok := a.take(name)
	if !ok {
		if !optional {
			a.fail("%q is missing", name)
		}
		return nil
	}
	e, err := a.expression(text, a.at+"."+name)
	if err != nil && a.err == nil {
		a.err = err
	}
	return e
}

func (a *arguments) subs(name string) []expression {
	list, ok := a.sub(name, false).(array)
	if !ok {
		a.fail("%q is not a list", name)
	}
	return list
}

// word reads a constant string; "" if it is not there.
func (a *arguments) word(name string) string {
	text, ok := a.take(name)
	if !ok {
		return ""
	}
	plain, ok := plainString(text)
	if !ok {
		a.fail("%q is not a string", name)
	}
	return plain
}

func (a *arguments) path(name string) get {
	text, _ := a.take(name)
	plain, ok := plainString(text)
	if !ok {
		a.fail("%q is not a path", name)
	}
	path, err := ParsePath(plain)
	if err != nil {
		a.fail("%v", err)
	}
	g := get{path: path, of: a.word("of")}
	if g.of != "" || a.each == 0 {
		a.names[g.of] = true
	}
	if as := a.word("as"); as != "" {
		if g.as = conversions[as]; g.as == nil {
			a.fail("%q is no conversion", as)
		}
	}
	return g
}

func (a *arguments) read(word string) expression {
	switch word {
	case "$get":
		g := a.path(word)
		switch keep := a.word("null"); keep {
		case "", "keep":
			g.null = keep != ""
		default:
			a.fail(`"null" can be "keep"`)
		}
		g.or = a.sub("or", true)
		return g
	case "$first":
		return first(a.subs(word))
	case "$list":
		return list(a.subs(word))
	case "$join":
		return join{a.subs(word), a.word("with")}
	case "$has":
		return has{a.path(word)}
	case "$equals":
		e := equals{get: a.path(word)}
		text, ok := a.take("to")
		if !ok || text[0] == '{' || text[0] == '[' {
			a.fail(`"to" is a string, a number, true, false or null`)
		}
		e.to = text
		return e
	case "$when":
		return when{a.path(word), a.sub("then", false), a.sub("else", true)}
	case "$each":
		e := each{get: a.path(word)}
		a.each++
		e.to = a.sub("to", false)
		a.each--
		return e
	case "$need":
		n := need{of: a.sub(word, false), failure: &Failure{Code: wire.Code(a.word("else")), Why: a.word("why")}}
		if n.failure.Code == "" {
			n.failure.Code = wire.NotFound
		}
		if n.failure.Code != wire.NotFound && n.failure.Code != wire.Permanent {
			a.fail(`"else" is not_found or permanent`)
		}
		if len(n.failure.Why) > 200 {
			a.fail(`"why" is longer than 200 bytes`)
		}
		return n
	case "$quote":
		text, _ := a.take(word)
		return literal(text)
	}
	a.fail("there is no such word; there are $each, $equals, $first, $get, $has, $join, $list, $need, $quote, $when")
	return nil
}

// get is the value at a path.
type get struct {
	path Path
	of   string
	as   func([]byte) []byte
	null bool // null counts as there
	or   expression
}

// at is the text of the value; nil for nothing.
func (g get) at(m *maker) []byte {
	text := g.path.in(m.text(g.of))
	if !there(text) && (!g.null || len(text) == 0) {
		return nil
	}
	if g.as != nil {
		return g.as(text)
	}
	return text
}

func (g get) make(m *maker, dst []byte) ([]byte, bool, error) {
	text := g.at(m)
	switch {
	case text != nil:
		dst = append(dst, text...)
		return dst, true, room(dst)
	case g.or != nil:
		return g.or.make(m, dst)
	}
	return dst, false, nil
}

// known is what is known of the value as it is found.
func (g get) known(source func(string) Facts) Facts { return source(g.of).At(g.path) }

func (g get) facts(source func(string) Facts) Facts {
	f := g.known(source)
	if g.as != nil {
		f = f.decides()
	}
	if g.or != nil {
		f = f.decides().or(g.or.facts(source))
	}
	return f
}

// first is the first that is there.
type first []expression

func (x first) make(m *maker, dst []byte) ([]byte, bool, error) {
	for _, e := range x {
		if out, ok, err := e.make(m, dst); ok || err != nil {
			return out, ok, err
		}
	}
	return dst, false, nil
}

func (x first) facts(source func(string) Facts) Facts { return decided(x, source) }

// decided is what is known of a value that all of several decide.
func decided(list []expression, source func(string) Facts) Facts {
	all := constant
	for _, e := range list {
		all = all.or(e.facts(source).decides())
	}
	return all.decides()
}

// list is an array of those that are there, arrays spliced, texts that are equal but for
// letter case once.
type list []expression

func (x list) make(m *maker, dst []byte) ([]byte, bool, error) {
	before := len(dst)
	dst = append(dst, '[')
	var seen []string
	n := 0
	add := func(value []byte) {
		if !there(value) {
			return
		}
		if plain, ok := plainString(value); ok {
			for _, s := range seen {
				if strings.EqualFold(s, plain) {
					return
				}
			}
			seen = append(seen, plain)
		}
		if n++; n > 1 {
			dst = append(dst, ',')
		}
		dst = append(dst, value...)
	}
	for _, e := range x {
		value, ok, err := e.make(m, nil)
		if err != nil {
			return dst, false, err
		}
		switch {
		case !ok:
		case value[0] == '[':
			elements(value, func(item []byte) bool { add(item); return len(dst) <= MaxSize && len(seen) <= maxListed })
		default:
			add(value)
		}
		if len(seen) > maxListed {
			return dst, false, &Failure{Code: wire.Permanent, Why: "a list that is made has more than 1000 texts"}
		}
		if err := room(dst); err != nil {
			return dst, false, err
		}
	}
	if n == 0 {
		return dst[:before], false, nil
	}
	return append(dst, ']'), true, nil
}

// maxListed bounds what a list compares with each other.
const maxListed = 1000

func (x list) facts(source func(string) Facts) Facts { return decided(x, source) }

// join is the texts that are there, in one.
type join struct {
	of   []expression
	with string
}

func (x join) make(m *maker, dst []byte) ([]byte, bool, error) {
	var all []byte
	n := 0
	for _, e := range x.of {
		value, ok, err := e.make(m, nil)
		if err != nil {
			return dst, false, err
		}
		plain, isText := "", false
		if ok {
			plain, isText = plainString(value)
		}
		if !isText {
			continue
		}
		if n++; n > 1 {
			all = append(all, x.with...)
		}
		if all = append(all, plain...); len(all) > MaxSize {
			return dst, false, room(all)
		}
	}
	if n == 0 {
		return dst, false, nil
	}
	dst, err := jsontext.AppendQuote(dst, all)
	return dst, err == nil, errors.Join(err, room(dst))
}

func (x join) facts(source func(string) Facts) Facts { return decided(x.of, source) }

// has says whether something is there.
type has struct{ get get }

func (x has) make(m *maker, dst []byte) ([]byte, bool, error) {
	return appendBool(dst, x.get.at(m) != nil), true, nil
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, "true"...)
	}
	return append(dst, "false"...)
}

func (x has) facts(source func(string) Facts) Facts { return x.get.known(source).decides() }

// equals says whether something is what the author wrote. Texts are equal whatever their
// escapes.
type equals struct {
	get get
	to  []byte
}

func (x equals) make(m *maker, dst []byte) ([]byte, bool, error) {
	got := x.get.path.in(m.text(x.get.of))
	if x.get.as != nil && there(got) {
		got = x.get.as(got)
	}
	same := bytes.Equal(got, x.to)
	if a, ok := plainString(got); ok {
		b, isText := plainString(x.to)
		same = isText && a == b
	}
	return appendBool(dst, same), true, nil
}

func (x equals) facts(source func(string) Facts) Facts { return x.get.known(source).decides() }

// when is one of two.
type when struct {
	get         get
	then, other expression // other may be nil
}

func (x when) make(m *maker, dst []byte) ([]byte, bool, error) {
	switch {
	case x.get.at(m) != nil:
		return x.then.make(m, dst)
	case x.other != nil:
		return x.other.make(m, dst)
	}
	return dst, false, nil
}

func (x when) facts(source func(string) Facts) Facts {
	asked := x.get.known(source).decides()
	f := x.then.facts(source)
	if x.other != nil {
		f = f.or(x.other.facts(source))
	}
	return asked.or(f)
}

// each is an array of what is made of each element of another.
type each struct {
	get get
	to  expression
}

func (x each) make(m *maker, dst []byte) ([]byte, bool, error) {
	before := len(dst)
	dst = append(dst, '[')
	n := 0
	var failed error
	outer := *m
	defer func() { *m = outer }()
	elements(x.get.at(&outer), func(item []byte) bool {
		m.each, m.within = item, true
		at := len(dst)
		if n > 0 {
			dst = append(dst, ',')
		}
		out, ok, err := x.to.make(m, dst)
		switch {
		case err != nil:
			failed = err
		case ok:
			dst, n = out, n+1
		default:
			dst = out[:at]
		}
		return failed == nil
	})
	if failed != nil {
		return dst, false, failed
	}
	if n == 0 {
		return dst[:before], false, nil
	}
	dst = append(dst, ']')
	return dst, true, room(dst)
}

func (x each) facts(source func(string) Facts) Facts {
	items := x.get.known(source)
	element := Facts{items.Labels, items.Shown.Elements()}
	f := x.to.facts(func(name string) Facts {
		if name == "" {
			return element
		}
		return source(name)
	})
	f = f.decides() // which elements there are, all of them decide
	return f.or(items.decides())
}

// need fails where nothing is, or a text that says nothing.
type need struct {
	of      expression
	failure *Failure
}

func (x need) make(m *maker, dst []byte) ([]byte, bool, error) {
	out, ok, err := x.of.make(m, dst)
	if err == nil && (!ok || !there(out[len(dst):]) || string(out[len(dst):]) == `""`) {
		return dst, false, x.failure
	}
	return out, ok, err
}

func (x need) facts(source func(string) Facts) Facts { return x.of.facts(source) }
