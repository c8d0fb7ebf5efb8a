package sim

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// maxSOQL is the most characters a query may have: "SOQL and SOSL Limits", maximum length of SOQL statements.
const maxSOQL = 100_000

// Query is a parsed query of the part of SOQL that is simulated:
//
//	SELECT field {, field} FROM object [WHERE condition {AND condition}]
//	    [ORDER BY field [ASC|DESC] [NULLS FIRST|LAST] {, …}] [LIMIT n]
//
// A condition compares a field with a literal by = != < <= > >= LIKE IN or NOT IN. Keywords come in any case. OR, NOT,
// parentheses, functions, subqueries, relationships, GROUP BY and OFFSET are refused as MALFORMED_QUERY.
type Query struct {
	Fields []string
	Object string
	Where  []Condition
	Order  []Order
	Limit  int // -1 where the query has none

	positions map[string]int // of each name in the text, for error messages
	text      string
}

// Condition is one comparison. Values has one literal, or at least one for IN and NOT IN.
type Condition struct {
	Field, Op string // Op is one of = != < <= > >= LIKE, IN, NOT IN
	Values    []Literal
}

// Order is one term of ORDER BY.
type Order struct {
	Field     string
	Desc      bool
	NullsLast bool // nulls come first unless told otherwise, also with DESC
}

// Literal is a value in a query. Text is decoded, but in a LIKE pattern a backslash still quotes the next character.
type Literal struct {
	Kind LiteralKind
	Text string
}

// LiteralKind is the type of a Literal.
type LiteralKind uint8

const (
	StringLiteral  LiteralKind = iota // 'text'
	NumberLiteral                     // -12.5
	BoolLiteral                       // true, false
	NullLiteral                       // null
	DateLiteral                       // 2026-01-02
	TimeLiteral                       // 2026-01-02T03:04:05Z, with a fraction or an offset if wished
	patternLiteral LiteralKind = 0xff // only inside the parser: a string to be decoded as a LIKE pattern
)

// QueryError says why a query is refused, in the words and with the code of Salesforce.
type QueryError struct {
	Code    string // MALFORMED_QUERY, INVALID_FIELD or INVALID_TYPE
	Message string
}

func (e *QueryError) Error() string { return e.Code + ": " + e.Message }

// ParseSOQL parses a query. It does not know which objects and fields exist. The error is a *QueryError.
func ParseSOQL(text string) (*Query, error) {
	if len(text) > maxSOQL {
		return nil, &QueryError{"QUERY_TOO_COMPLICATED", "SOQL statements cannot be longer than 100000 characters."}
	}
	if !utf8.ValidString(text) {
		return nil, &QueryError{"MALFORMED_QUERY", "invalid character in query"}
	}
	p := &soqlParser{lexer: soqlLexer{text: text}, query: &Query{Limit: -1, text: text, positions: make(map[string]int)}}
	p.next()
	p.parse()
	if p.err != nil {
		return nil, p.err
	}
	return p.query, nil
}

// String renders the query in one canonical form, which parses to the same query.
func (q *Query) String() string {
	var b strings.Builder
	b.WriteString("SELECT " + strings.Join(q.Fields, ", ") + " FROM " + q.Object)
	for i, c := range q.Where {
		b.WriteString([]string{" WHERE ", " AND "}[min(i, 1)] + c.Field + " " + c.Op + " ")
		literals := make([]string, len(c.Values))
		for j, v := range c.Values {
			literals[j] = v.render(c.Op == "LIKE")
		}
		if list := strings.Join(literals, ", "); c.Op == "IN" || c.Op == "NOT IN" {
			b.WriteString("(" + list + ")")
		} else {
			b.WriteString(list)
		}
	}
	for i, o := range q.Order {
		b.WriteString([]string{" ORDER BY ", ", "}[min(i, 1)] + o.Field)
		if o.Desc {
			b.WriteString(" DESC")
		}
		if o.NullsLast {
			b.WriteString(" NULLS LAST")
		}
	}
	if q.Limit >= 0 {
		b.WriteString(" LIMIT " + strconv.Itoa(q.Limit))
	}
	return b.String()
}

// render writes the literal as it would stand in a query.
func (l Literal) render(pattern bool) string {
	if l.Kind != StringLiteral {
		return l.Text
	}
	var b strings.Builder
	b.WriteByte('\'')
	for i := 0; i < len(l.Text); i++ {
		c := l.Text[i]
		if pattern && c == '\\' && i+1 < len(l.Text) && strings.IndexByte(`_%`, l.Text[i+1]) >= 0 {
			b.WriteString(l.Text[i : i+2]) // \_ and \% stay what they are
			i++
			continue
		}
		if pattern && c == '\\' { // a quoted backslash: two in the pattern, two in the query
			i++
		}
		if e := strings.IndexByte("\n\r\t\b\f'\\", c); e >= 0 {
			b.WriteByte('\\')
			c = `nrtbf'\`[e]
		}
		b.WriteByte(c)
	}
	b.WriteByte('\'')
	return b.String()
}

// errorAt makes an error that shows where in the text it was found, as Salesforce does.
func (q *Query) errorAt(position int, code, message string) *QueryError {
	position = min(position, len(q.text))
	lineStart := strings.LastIndexByte(q.text[:position], '\n') + 1
	row := strings.Count(q.text[:position], "\n") + 1
	column := utf8.RuneCountInString(q.text[lineStart:position]) + 1
	line, _, _ := strings.Cut(q.text[lineStart:], "\n")
	return &QueryError{code, fmt.Sprintf("\n%s\n%s^\nERROR at Row:%d:Column:%d\n%s",
		line, strings.Repeat(" ", column-1), row, column, message)}
}

// decodeString takes the escapes out of what stands between quotes. ok is false for an escape that SOQL does not have.
func decodeString(raw string, pattern bool) (decoded string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '\n' || c == '\r' {
			return "", false // a line break must be written as \n
		}
		if c != '\\' {
			b.WriteByte(c)
			continue
		}
		if i++; i == len(raw) {
			return "", false
		}
		switch c = raw[i]; c {
		case 'n', 'N':
			b.WriteByte('\n')
		case 'r', 'R':
			b.WriteByte('\r')
		case 't', 'T':
			b.WriteByte('\t')
		case 'b', 'B':
			b.WriteByte('\b')
		case 'f', 'F':
			b.WriteByte('\f')
		case '"', '\'':
			b.WriteByte(c)
		case '\\':
			b.WriteString(`\\`[:1+btoi(pattern)])
		case '_', '%':
			if !pattern {
				return "", false
			}
			b.WriteString(raw[i-1 : i+1])
		case 'u':
			c1, ok := hex4(raw, i+1)
			if !ok {
				return "", false
			}
			i += 4
			if utf16.IsSurrogate(c1) {
				c2, ok := rune(0), strings.HasPrefix(raw[i+1:], `\u`)
				if ok {
					c2, ok = hex4(raw, i+3)
				}
				if c1 = utf16.DecodeRune(c1, c2); !ok || c1 == utf8.RuneError {
					return "", false
				}
				i += 6
			}
			if pattern && c1 == '\\' {
				b.WriteByte('\\')
			}
			b.WriteRune(c1)
		default:
			return "", false
		}
	}
	return b.String(), true
}

func hex4(s string, i int) (rune, bool) {
	if i+4 > len(s) {
		return 0, false
	}
	n, err := strconv.ParseUint(s[i:i+4], 16, 16)
	return rune(n), err == nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// classify tells which literal an unquoted word is.
func classify(word string) (LiteralKind, bool) {
	switch strings.ToLower(word) {
	case "null":
		return NullLiteral, true
	case "true", "false":
		return BoolLiteral, true
	}
	if isNumber(word) {
		return NumberLiteral, true
	}
	if _, err := time.Parse(time.DateOnly, word); err == nil {
		return DateLiteral, true
	}
	if _, err := time.Parse(time.RFC3339, word); err == nil {
		return TimeLiteral, true
	}
	return 0, false
}

// isNumber accepts digits with a sign and a fraction; no exponent, as SOQL has none.
func isNumber(s string) bool {
	s = strings.TrimPrefix(strings.TrimPrefix(s, "-"), "+")
	whole, fraction, dotted := strings.Cut(s, ".")
	return len(s) <= 40 && isDigits(whole) && (!dotted || isDigits(fraction))
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
