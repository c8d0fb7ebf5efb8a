package sim_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pointsman/cmd/backends/sim"
)

func TestParseSOQLRefuses(t *testing.T) {
	tests := []struct{ name, query, want string }{
		{"empty", "", "unexpected token: '<EOF>'"},
		{"no fields", "SELECT FROM Contact", "unexpected token: 'FROM'"},
		{"comma at the end", "SELECT Id, FROM Contact", "unexpected token: 'FROM'"},
		{"star", "SELECT * FROM Contact", "unexpected token: '*'"},
		{"misspelt FROM", "SELECT Id FRM Contact", "Row:1:Column:11\nunexpected token: 'FRM'"},
		{"function", "SELECT COUNT() FROM Contact", "unexpected token: '('"},
		{"OR", "SELECT Id FROM Contact WHERE A = 'x' OR B = 'y'", "unexpected token: 'OR'"},
		{"parentheses", "SELECT Id FROM Contact WHERE (A = 'x')", "unexpected token: '('"},
		{"double quotes", `SELECT Id FROM Contact WHERE A = "x"`, `unexpected token: '"'`},
		{"unclosed string", "SELECT Id FROM Contact WHERE A = 'x", "unexpected token: '<EOF>'"},
		{"quote not escaped", "SELECT Id FROM Contact WHERE A = 'O'Brien'", "unexpected token: 'Brien'"},
		{"unknown escape", `SELECT Id FROM Contact WHERE A = '\x'`, "Illegal character sequence"},
		{"LIKE escape without LIKE", `SELECT Id FROM Contact WHERE A = '\%'`, "Illegal character sequence"},
		{"half a surrogate pair", `SELECT Id FROM Contact WHERE A = '\ud83d'`, "Illegal character sequence"},
		{"raw line break in string", "SELECT Id FROM Contact WHERE A = 'x\ny'", "Illegal character sequence"},
		{"word as value", "SELECT Id FROM Contact WHERE A = x", "unexpected token: 'x'"},
		{"LIKE a number", "SELECT Id FROM Contact WHERE A LIKE 5", "unexpected token: '5'"},
		{"empty list", "SELECT Id FROM Contact WHERE A IN ()", "unexpected token: ')'"},
		{"negative limit", "SELECT Id FROM Contact LIMIT -1", "unexpected token: '-1'"},
		{"limit before order", "SELECT Id FROM Contact LIMIT 1 ORDER BY Id", "unexpected token: 'ORDER'"},
		{"second statement", "SELECT Id FROM Contact; DELETE", "unexpected token: ';'"},
		{"second row", "SELECT Id\nFROM Contact\nWHER", "Row:3:Column:1\nunexpected token: 'WHER'"},
		{"invalid UTF-8", "SELECT Id FROM Contact WHERE A = '\xff'", "invalid character"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q, err := sim.ParseSOQL(tt.query)
			refused := (*sim.QueryError)(nil)
			if !errors.As(err, &refused) || refused.Code != "MALFORMED_QUERY" || !strings.Contains(refused.Message, tt.want) {
				t.Errorf("got %v and error %v, want MALFORMED_QUERY with %q", q, err, tt.want)
			}
		})
	}
	if _, err := sim.ParseSOQL("SELECT " + strings.Repeat("a", 100_001)); err == nil {
		t.Error("a query of more than 100,000 characters is accepted")
	}
}

func TestParseSOQL(t *testing.T) {
	tests := []struct {
		query, canonical string
		want             sim.Query
	}{
		{
			"select id , Name\tfrom contact", "SELECT id, Name FROM contact",
			sim.Query{Fields: []string{"id", "Name"}, Object: "contact", Limit: -1},
		},
		{
			`SELECT Id FROM Contact WHERE LastName = 'O\'Brien \\ \u00e9\uD83D\uDE00' and Email!=null LIMIT 10`,
			`SELECT Id FROM Contact WHERE LastName = 'O\'Brien \\ é😀' AND Email != null LIMIT 10`,
			sim.Query{Fields: []string{"Id"}, Object: "Contact", Limit: 10, Where: []sim.Condition{
				{Field: "LastName", Op: "=", Values: []sim.Literal{{Kind: sim.StringLiteral, Text: `O'Brien \ é😀`}}},
				{Field: "Email", Op: "!=", Values: []sim.Literal{{Kind: sim.NullLiteral, Text: "null"}}},
			}},
		},
		{
			`SELECT Id FROM Contact WHERE Name LIKE 'a\%b\_c%\\' AND X NOT IN ('p', 'q')`,
			`SELECT Id FROM Contact WHERE Name LIKE 'a\%b\_c%\\' AND X NOT IN ('p', 'q')`,
			sim.Query{Fields: []string{"Id"}, Object: "Contact", Limit: -1, Where: []sim.Condition{
				{Field: "Name", Op: "LIKE", Values: []sim.Literal{{Kind: sim.StringLiteral, Text: `a\%b\_c%\\`}}},
				{Field: "X", Op: "NOT IN", Values: []sim.Literal{{Text: "p"}, {Text: "q"}}},
			}},
		},
		{
			"SELECT Id FROM Contact WHERE A >= 1.50 AND B <> TRUE AND C < 2026-01-02 AND D = 2026-01-02T03:04:05.000Z ORDER BY A desc nulls last, B asc, C",
			"SELECT Id FROM Contact WHERE A >= 1.50 AND B != true AND C < 2026-01-02 AND D = 2026-01-02T03:04:05.000Z ORDER BY A DESC NULLS LAST, B, C",
			sim.Query{Fields: []string{"Id"}, Object: "Contact", Limit: -1, Where: []sim.Condition{
				{Field: "A", Op: ">=", Values: []sim.Literal{{Kind: sim.NumberLiteral, Text: "1.50"}}},
				{Field: "B", Op: "!=", Values: []sim.Literal{{Kind: sim.BoolLiteral, Text: "true"}}},
				{Field: "C", Op: "<", Values: []sim.Literal{{Kind: sim.DateLiteral, Text: "2026-01-02"}}},
				{Field: "D", Op: "=", Values: []sim.Literal{{Kind: sim.TimeLiteral, Text: "2026-01-02T03:04:05.000Z"}}},
			}, Order: []sim.Order{{Field: "A", Desc: true, NullsLast: true}, {Field: "B"}, {Field: "C"}}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			q, err := sim.ParseSOQL(tt.query)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, *q, cmpopts.IgnoreUnexported(sim.Query{})); diff != "" {
				t.Error(diff)
			}
			if got := q.String(); got != tt.canonical {
				t.Errorf("renders as %s, want %s", got, tt.canonical)
			}
		})
	}
}

// FuzzParseSOQL: what parses renders to text that parses to the same query, and rendering that again changes nothing.
func FuzzParseSOQL(f *testing.F) {
	for _, seed := range []string{
		"SELECT Id FROM Contact",
		`SELECT Id, Name FROM Contact WHERE LastName = 'O\'Brien\n\u00e9' AND A IN ('x', 'y\\') ORDER BY A DESC NULLS LAST LIMIT 5`,
		`SELECT a.b FROM c WHERE d LIKE '%\_\%\\\u005c' AND e <> null AND f >= -1.5 AND g = 2026-01-02T03:04:05+01:00`,
		"SELECT Id FROM Contact WHERE A = 'x", "SELECT\n\xff", `SELECT a FROM b WHERE c = '\ud83d\ude00'`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := sim.ParseSOQL(text)
		if err != nil {
			if refused := (*sim.QueryError)(nil); !errors.As(err, &refused) {
				t.Fatalf("error is a %T", err)
			}
			return
		}
		again, err := sim.ParseSOQL(q.String())
		if err != nil {
			t.Fatalf("%q renders as %q, which is refused: %v", text, q, err)
		}
		if diff := cmp.Diff(q, again, cmpopts.IgnoreUnexported(sim.Query{})); diff != "" || again.String() != q.String() {
			t.Errorf("%q renders as %q, which is another query:\n%s", text, q, diff)
		}
	})
}
