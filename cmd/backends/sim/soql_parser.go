package sim

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// soqlLexer cuts a query into tokens.
type soqlLexer struct {
	text string
	at   int
}

type soqlToken struct {
	kind tokenKind
	text string // of a quoted string what stands between the quotes, escapes and all
	at   int    // offset in the query
}

type tokenKind uint8

const (
	endToken tokenKind = iota
	nameToken
	stringToken
	valueToken // a number, date or time
	signToken  // , ( ) or a comparison
	badToken   // an unclosed string or a foreign character
)

// next returns the next token. At the end it returns endToken for ever.
func (l *soqlLexer) next() soqlToken {
	for l.at < len(l.text) && strings.IndexByte(" \t\r\n", l.text[l.at]) >= 0 {
		l.at++
	}
	start := l.at
	if start == len(l.text) {
		return soqlToken{endToken, "<EOF>", start}
	}
	token := func(kind tokenKind) soqlToken { return soqlToken{kind, l.text[start:l.at], start} }
	span := func(part func(byte) bool) {
		for l.at < len(l.text) && part(l.text[l.at]) {
			l.at++
		}
	}
	switch c := l.text[start]; {
	case isLetter(c):
		span(func(c byte) bool { return isLetter(c) || isDigit(c) || c == '_' || c == '.' })
		return token(nameToken)
	case isDigit(c) || c == '+' || c == '-':
		l.at++
		span(func(c byte) bool { return isDigit(c) || isLetter(c) || strings.IndexByte(".:+-", c) >= 0 })
		return token(valueToken)
	case c == '\'':
		return l.quoted()
	case strings.IndexByte(",()=", c) >= 0:
		l.at++
		return token(signToken)
	case strings.IndexByte("<>!", c) >= 0:
		l.at++
		if l.at < len(l.text) && (l.text[l.at] == '=' || c == '<' && l.text[l.at] == '>') {
			l.at++
		}
		if t := token(signToken); t.text != "!" {
			return t
		}
		return token(badToken)
	default:
		_, size := utf8.DecodeRuneInString(l.text[start:])
		l.at += size
		return token(badToken)
	}
}

// quoted reads a string up to its closing quote.
func (l *soqlLexer) quoted() soqlToken {
	start := l.at
	for i := start + 1; i < len(l.text); i++ {
		switch l.text[i] {
		case '\\':
			i++
		case '\'':
			l.at = i + 1
			return soqlToken{stringToken, l.text[start+1 : i], start}
		}
	}
	l.at = len(l.text)
	return soqlToken{badToken, "<EOF>", start}
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }

// soqlParser reads tokens into a query. After the first error it reads no further.
type soqlParser struct {
	lexer soqlLexer
	token soqlToken
	query *Query
	err   error
}

func (p *soqlParser) next() { p.token = p.lexer.next() }

// unexpected reports the current token.
func (p *soqlParser) unexpected() {
	p.fail("unexpected token: '" + p.token.text + "'")
}

func (p *soqlParser) fail(message string) {
	if p.err == nil {
		p.err = p.query.errorAt(p.token.at, "MALFORMED_QUERY", message)
	}
}

// keyword consumes the word if it is the current token.
func (p *soqlParser) keyword(word string) bool {
	if p.err != nil || p.token.kind != nameToken || !strings.EqualFold(p.token.text, word) {
		return false
	}
	p.next()
	return true
}

// sign consumes the sign if it is the current token.
func (p *soqlParser) sign(sign string) bool {
	if p.err != nil || p.token.kind != signToken || p.token.text != sign {
		return false
	}
	p.next()
	return true
}

// require consumes the keyword or reports what stands in its place.
func (p *soqlParser) require(word string) {
	if !p.keyword(word) {
		p.unexpected()
	}
}

// name consumes the name of a field or object and remembers where it stood.
func (p *soqlParser) name() string {
	if p.err != nil {
		return ""
	}
	name := p.token.text
	if p.token.kind != nameToken || isReserved(name) || strings.HasSuffix(name, ".") || strings.Contains(name, "..") {
		p.unexpected()
		return ""
	}
	if _, seen := p.query.positions[name]; !seen {
		p.query.positions[name] = p.token.at
	}
	p.next()
	return name
}

// isReserved lists the words that SOQL does not allow as an alias, as far as they could follow a field here.
func isReserved(word string) bool {
	switch strings.ToUpper(word) {
	case "AND", "ASC", "DESC", "EXCLUDES", "FIRST", "FROM", "GROUP", "HAVING", "IN", "INCLUDES", "LAST", "LIKE", "LIMIT", "NOT", "NULL", "NULLS", "OR", "SELECT", "WHERE", "WITH":
		return true
	}
	return false
}

func (p *soqlParser) parse() {
	q := p.query
	p.require("SELECT")
	for more := true; more && p.err == nil; more = p.sign(",") {
		q.Fields = append(q.Fields, p.name())
	}
	p.require("FROM")
	q.Object = p.name()
	if p.keyword("WHERE") {
		for more := true; more && p.err == nil; more = p.keyword("AND") {
			q.Where = append(q.Where, p.condition())
		}
	}
	if p.keyword("ORDER") {
		p.require("BY")
		for more := true; more && p.err == nil; more = p.sign(",") {
			q.Order = append(q.Order, p.order())
		}
	}
	if p.keyword("LIMIT") {
		n, err := strconv.ParseUint(p.token.text, 10, 31)
		if p.token.kind != valueToken || err != nil {
			p.unexpected()
			return
		}
		q.Limit = int(n)
		p.next()
	}
	if p.err == nil && p.token.kind != endToken {
		p.unexpected()
	}
}

func (p *soqlParser) order() Order {
	o := Order{Field: p.name()}
	if p.keyword("DESC") {
		o.Desc = true
	} else {
		p.keyword("ASC")
	}
	if p.keyword("NULLS") && !p.keyword("FIRST") {
		p.require("LAST")
		o.NullsLast = true
	}
	return o
}

func (p *soqlParser) condition() Condition {
	c := Condition{Field: p.name()}
	switch {
	case p.err != nil:
		return c
	case p.keyword("LIKE"):
		c.Op = "LIKE"
		c.Values = []Literal{p.literal(patternLiteral)}
	case p.keyword("IN"):
		c.Op = "IN"
		c.Values = p.list()
	case p.keyword("NOT"):
		c.Op = "NOT IN"
		p.require("IN")
		c.Values = p.list()
	case p.token.kind == signToken && strings.IndexByte("=<>!", p.token.text[0]) >= 0:
		c.Op = strings.Replace(p.token.text, "<>", "!=", 1)
		p.next()
		c.Values = []Literal{p.literal(StringLiteral)}
	default:
		p.unexpected()
	}
	return c
}

func (p *soqlParser) list() []Literal {
	if !p.sign("(") {
		p.unexpected()
		return nil
	}
	var values []Literal
	for more := true; more && p.err == nil; more = p.sign(",") {
		values = append(values, p.literal(StringLiteral))
	}
	if !p.sign(")") {
		p.unexpected()
	}
	return values
}

// literal reads one value; a string as a pattern if that is what is wanted.
func (p *soqlParser) literal(want LiteralKind) Literal {
	if p.err != nil {
		return Literal{}
	}
	switch p.token.kind {
	case stringToken:
		decoded, ok := decodeString(p.token.text, want == patternLiteral)
		if !ok {
			p.fail("Invalid string literal '" + p.token.text + "'. Illegal character sequence '\\' in string literal.")
			return Literal{}
		}
		p.next()
		return Literal{StringLiteral, decoded}
	case nameToken, valueToken:
		kind, ok := classify(p.token.text)
		if !ok || want == patternLiteral {
			break
		}
		text := p.token.text
		if kind == NullLiteral || kind == BoolLiteral {
			text = strings.ToLower(text)
		}
		p.next()
		return Literal{kind, text}
	}
	p.unexpected()
	return Literal{}
}
