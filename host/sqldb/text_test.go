package sqldb_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"pointsman/host/broker"
	"pointsman/host/sqldb"
)

// compiled opens a database of one statement, which is never reached.
func compiled(driver string, s sqldb.Statement, folder string) (*sqldb.DB, error) {
	c := sqldb.Config{Name: "store", Driver: driver, Statements: map[string]sqldb.Statement{"s": s}}
	if driver == sqldb.SQLite {
		c.Folder, c.File = folder, "x.db"
	} else {
		c.Address, c.Database, c.User = "db.example:1", "d", "u"
		c.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, fmt.Errorf("not here") }
	}
	return sqldb.Open(c)
}

func TestStatementsRefused(t *testing.T) {
	id := []sqldb.Param{{Name: "id", Type: sqldb.Integer}}
	tests := []struct {
		name, driver, sql string
		params            []sqldb.Param
		write             bool
	}{
		{"nothing", sqldb.Postgres, "", nil, false},
		{"a comment", sqldb.Postgres, "-- SELECT 1", nil, false},
		{"two statements", sqldb.Postgres, "SELECT 1; DELETE FROM x", nil, false},
		{"two behind a comment", sqldb.Postgres, "SELECT 1 /* ; */ ; -- x\n DELETE FROM x", nil, false},
		{"two behind a nested comment", sqldb.MySQL, "SELECT 1 /* /* */ ; DELETE FROM x -- */", nil, false},
		{"two behind a backslash", sqldb.Postgres, `SELECT '\'; DELETE FROM x; --'`, nil, false},
		{"two behind a quote", sqldb.MySQL, `SELECT '\\'; DELETE FROM x; -- '`, nil, false},
		{"two semicolons", sqldb.SQLite, "SELECT 1;;", nil, false},
		{"two behind a word with dollars", sqldb.Postgres, "SELECT a$$; DELETE FROM x; --$$", nil, false},
		{"commit", sqldb.Postgres, "COMMIT", nil, true},
		{"commit in brackets", sqldb.Postgres, "(COMMIT)", nil, true},
		{"set", sqldb.Postgres, "SET ROLE postgres", nil, true},
		{"copy", sqldb.Postgres, "COPY x TO PROGRAM 'sh'", nil, true},
		{"do", sqldb.Postgres, "DO 'x'", nil, true},
		{"explain", sqldb.Postgres, "EXPLAIN ANALYZE DELETE FROM x", nil, true},
		{"attach", sqldb.SQLite, "ATTACH 'x' AS y", nil, true},
		{"pragma", sqldb.SQLite, "PRAGMA query_only = 0", nil, true},
		{"vacuum into", sqldb.SQLite, "VACUUM INTO 'x'", nil, true},
		{"extension", sqldb.SQLite, "SELECT load_extension('x')", nil, false},
		{"load data", sqldb.MySQL, "LOAD DATA LOCAL INFILE 'x' INTO TABLE y", nil, true},
		{"outfile", sqldb.MySQL, "SELECT 1 INTO OUTFILE 'x'", nil, false},
		{"variable", sqldb.MySQL, "SELECT @x := 1", nil, false},
		{"lock", sqldb.MySQL, "SELECT get_lock('x', 1)", nil, false},
		{"comment that runs", sqldb.MySQL, "SELECT 1 /*!50000 ; DELETE FROM x */", nil, false},
		{"comment that MariaDB runs", sqldb.MySQL, "SELECT 1 /*M!100 ; DELETE FROM x */", nil, false},
		{"two minus signs", sqldb.MySQL, "SELECT 5--1", nil, false},
		{"write unsaid", sqldb.Postgres, "DELETE FROM x", nil, false},
		{"open quote", sqldb.Postgres, "SELECT 'x", nil, false},
		{"open dollar quote", sqldb.Postgres, "SELECT $a$ x $b$", nil, false},
		{"open comment", sqldb.Postgres, "SELECT 1 /* /* */", nil, false},
		{"open bracket", sqldb.SQLite, "SELECT [x", nil, false},
		{"placeholder without param", sqldb.Postgres, "SELECT $1", nil, false},
		{"param without placeholder", sqldb.Postgres, "SELECT 1", id, false},
		{"a gap", sqldb.Postgres, "SELECT $1, $3", []sqldb.Param{{Name: "a", Type: sqldb.Text}, {Name: "b", Type: sqldb.Text}, {Name: "c", Type: sqldb.Text}}, false},
		{"placeholder in quotes", sqldb.Postgres, "SELECT '$1'", id, false},
		{"placeholder of another driver", sqldb.Postgres, "SELECT ?", id, false},
		{"numbered", sqldb.SQLite, "SELECT ?1", id, false},
		{"named", sqldb.SQLite, "SELECT :id", id, false},
		{"huge number", sqldb.Postgres, "SELECT $99999999999999999999", id, false},
		{"choice that there is not", sqldb.Postgres, "SELECT 1 ORDER BY {order}", nil, false},
		{"brace", sqldb.Postgres, "SELECT { 1", nil, false},
		{"NUL", sqldb.Postgres, "SELECT 1\x00", nil, false},
		{"not UTF-8", sqldb.Postgres, "SELECT '\xff'", nil, false},
		{"long", sqldb.Postgres, "SELECT '" + strings.Repeat("x", 65<<10) + "'", nil, false},
		{"param twice", sqldb.MySQL, "SELECT ?, ?", []sqldb.Param{{Name: "a", Type: sqldb.Text}, {Name: "a", Type: sqldb.Text}}, false},
		{"param without type", sqldb.MySQL, "SELECT ?", []sqldb.Param{{Name: "a"}}, false},
		{"maxLength of a number", sqldb.MySQL, "SELECT ?", []sqldb.Param{{Name: "a", Type: sqldb.Integer, MaxLength: 4}}, false},
	}
	folder := sqliteFolder(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if db, err := compiled(tt.driver, sqldb.Statement{SQL: tt.sql, Params: tt.params, Write: tt.write}, folder); err == nil {
				db.Close()
				t.Error("opened, want a refusal")
			}
		})
	}
}

func sqliteFolder(t testing.TB) string {
	to := sqliteTarget(t)
	to.config.File = "x.db"
	if _, err := to.admin.Exec("VACUUM INTO '" + to.config.Folder + "/x.db'"); err != nil {
		t.Fatal(err)
	}
	return to.config.Folder
}

func TestStatementsTaken(t *testing.T) {
	folder := sqliteFolder(t)
	for driver, texts := range map[string][]string{
		sqldb.Postgres: {"SELECT $1;", "(SELECT $1) -- x", "/* /* x */ ; */ WITH a AS (SELECT $1) SELECT * FROM a", `SELECT $1, ';', E'\';', "a;b", $x$ ; $1 $x$, '''$2'`, "TABLE x WHERE $1", "SELECT x::text, $1 FROM y WHERE a ->> 'b' = $1"},
		sqldb.MySQL:    {"SELECT ?", "SELECT ? # ; x", "SELECT ?, '?', \"?\", `?` -- ?", `SELECT ?, '\';'`, "SELECT ? /* ; */"},
		sqldb.SQLite:   {"SELECT ?", "SELECT ?, [a;b], `;`, ';' /* ? */", "VALUES (?)"},
	} {
		for _, text := range texts {
			db, err := compiled(driver, sqldb.Statement{SQL: text, Params: []sqldb.Param{{Name: "a", Type: sqldb.Text}}}, folder)
			if err != nil {
				t.Errorf("%s: %s: %v", driver, text, err)
				continue
			}
			db.Close()
		}
	}
}

func TestChoicesAreBounded(t *testing.T) {
	many := map[string]string{}
	for i := range 9 {
		many[fmt.Sprintf("c%d", i)] = fmt.Sprint(i)
	}
	for name, s := range map[string]sqldb.Statement{
		"81 texts":           {SQL: "SELECT {a}, {b}", Choices: map[string]map[string]string{"a": many, "b": many}},
		"unused":             {SQL: "SELECT 1", Choices: map[string]map[string]string{"a": many}},
		"empty":              {SQL: "SELECT {a}", Choices: map[string]map[string]string{"a": {}}},
		"one breaks out":     {SQL: "SELECT 1 ORDER BY {a}", Choices: map[string]map[string]string{"a": {"x": "1", "y": "1; DROP TABLE x"}}},
		"one opens a quote":  {SQL: "SELECT 1 ORDER BY {a}", Choices: map[string]map[string]string{"a": {"y": "'"}}},
		"a choice in one":    {SQL: "SELECT {a}", Choices: map[string]map[string]string{"a": {"y": "{a}"}}},
		"one needs an arg":   {SQL: "SELECT {a}", Choices: map[string]map[string]string{"a": {"y": "$1"}}},
		"a word is no name":  {SQL: "SELECT {a}", Choices: map[string]map[string]string{"a": {"y z": "1"}}},
		"rows above limits":  {SQL: "SELECT 1", Rows: 2000},
		"rows below nothing": {SQL: "SELECT 1", Rows: -1},
	} {
		if db, err := compiled(sqldb.Postgres, s, ""); err == nil {
			db.Close()
			t.Errorf("%s: opened, want a refusal", name)
		}
	}
}

func TestArgumentsRefused(t *testing.T) {
	folder := sqliteFolder(t)
	for _, tt := range []struct {
		driver, kind string
		length       int
		bad          []string
	}{
		{sqldb.Postgres, sqldb.Text, 3, []string{`1`, `null`, `"abcd"`, `"a\u0000"`, "\"\xff\"", `"\ud800"`, `{}`, `[]`, `true`, `"a`, ``, `"a""b"`}},
		{sqldb.Postgres, sqldb.Integer, 0, []string{`"1"`, `1.0`, `1e3`, `9223372036854775808`, `-9223372036854775809`, `1234567890123456789012345678901234567890`, `0x1`, `true`, `null`, `01`}},
		{sqldb.Postgres, sqldb.Number, 0, []string{`"1"`, `1e999`, `-1e999`, `1e-999999999`, strings.Repeat("1", 65), `NaN`, `Infinity`, `null`}},
		{sqldb.Postgres, sqldb.Boolean, 0, []string{`1`, `"true"`, `null`}},
		{sqldb.Postgres, sqldb.Timestamp, 0, []string{`"2025"`, `"2025-01-01"`, `"2025-01-01 00:00:00Z"`, `"2025-01-01T00:00:00"`, `"2025-13-01T00:00:00Z"`, `"2025-01-01T00:00:00.1234567Z"`, `1`, `"2025-01-01T00:00:00,5Z"`, `"2025-01-01T00:00:00.0000000001Z"`}},
		{sqldb.SQLite, sqldb.Bytes, 2, []string{`"AAAA"`, `"AA"`, `"A"`, `"!!"`, `1`, `"AA==\n"`}},
	} {
		placeholder := "$1"
		if tt.driver != sqldb.Postgres {
			placeholder = "?"
		}
		db, err := compiled(tt.driver, sqldb.Statement{SQL: "SELECT " + placeholder, Params: []sqldb.Param{{Name: "a", Type: tt.kind, MaxLength: tt.length}}}, folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range tt.bad {
			if _, err := db.Plan(sqldb.Request{Statement: "s", Args: map[string]jsontext.Value{"a": jsontext.Value(bad)}}); err == nil {
				t.Errorf("%s: %q was taken", tt.kind, bad)
			} else {
				wantKind(t, err, broker.Invalid, "abcd", "99999")
			}
		}
		for name, args := range map[string]map[string]jsontext.Value{"missing": {}, "another": {"b": jsontext.Value("1")}} {
			if _, err := db.Plan(sqldb.Request{Statement: "s", Args: args}); err == nil {
				t.Errorf("%s: taken", name)
			}
		}
		_, err = db.Plan(sqldb.Request{Statement: "none"})
		wantKind(t, err, broker.Denied)
		db.Close()
	}
}

// FuzzArguments: what is taken comes back from a database as the same value.
func FuzzArguments(f *testing.F) {
	to := sqliteTarget(f)
	statements := map[string]sqldb.Statement{}
	kinds := []string{sqldb.Text, sqldb.Integer, sqldb.Number, sqldb.Boolean, sqldb.Timestamp, sqldb.Bytes}
	for _, kind := range kinds {
		statements[kind] = sqldb.Statement{SQL: "SELECT ? AS v", Params: []sqldb.Param{{Name: "v", Type: kind, MaxLength: map[bool]int{true: 100}[kind == sqldb.Text || kind == sqldb.Bytes], Optional: true}}}
	}
	db := to.open(f, statements)
	for i, seed := range []string{`"x' OR 1=1"`, "-9223372036854775808", "0.1", "true", `"2025-01-01T00:00:00.5+01:00"`, `"AAE="`, "null", `"\ud83c\udf88"`} {
		f.Add(uint8(i), []byte(seed))
	}
	f.Fuzz(func(t *testing.T, which uint8, value []byte) {
		kind := kinds[int(which)%len(kinds)]
		use, err := db.Plan(sqldb.Request{Statement: kind, Args: map[string]jsontext.Value{"v": jsontext.Value(value)}})
		if err != nil {
			if broker.KindOf(err) != broker.Invalid {
				t.Fatal(err)
			}
			return
		}
		r, err := use.Do(context.Background())
		if err != nil {
			t.Fatalf("%s %q: %v", kind, value, err)
		}
		var rows []struct{ V any }
		d := json.NewDecoder(strings.NewReader(string(r.Rows)))
		d.UseNumber()
		if err := d.Decode(&rows); err != nil || len(rows) != 1 {
			t.Fatalf("%s: %v", r.Rows, err)
		}
		var sent any
		if err := json.Unmarshal(value, &sent); err != nil {
			t.Fatalf("%q was taken: %v", value, err)
		}
		switch v := rows[0].V.(type) {
		case string:
			if kind == sqldb.Text && v != sent {
				t.Fatalf("sent %q, got %q", sent, v)
			}
			if a, err := base64.StdEncoding.DecodeString(v); kind == sqldb.Bytes && (err != nil || base64.StdEncoding.EncodeToString(a) != sent) {
				t.Fatalf("sent %q, got %q", sent, v)
			}
		case json.Number:
			if trimmed := strings.TrimSpace(string(value)); kind == sqldb.Integer && v.String() != trimmed && trimmed != "-0" {
				t.Fatalf("sent %s, got %s", value, v)
			}
		}
	})
}

// FuzzText: a text that is taken has one statement, and no quote or comment of another
// driver's hides a second one: what follows it is refused.
func FuzzText(f *testing.F) {
	folder := sqliteFolder(f)
	drivers := []string{sqldb.Postgres, sqldb.MySQL, sqldb.SQLite}
	for i, seed := range []string{"SELECT 1", "SELECT ';'", "SELECT $x$;$x$", "SELECT 1 -- x", "SELECT `a`", "SELECT [a]", `SELECT E'\''`, "WITH a AS (SELECT 1) DELETE FROM x", "SELECT 1 /* x */;"} {
		f.Add(uint8(i), seed)
	}
	f.Fuzz(func(t *testing.T, which uint8, text string) {
		driver := drivers[int(which)%len(drivers)]
		db, err := compiled(driver, sqldb.Statement{SQL: text, Write: true}, folder)
		if err != nil {
			return
		}
		db.Close()
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			t.Fatalf("%q was taken", text)
		}
		if db, err := compiled(driver, sqldb.Statement{SQL: text + "\n; DELETE FROM x", Write: true}, folder); err == nil {
			db.Close()
			t.Fatalf("%s: %q hides what follows it", driver, text)
		}
	})
}
