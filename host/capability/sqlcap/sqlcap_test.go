package sqlcap_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/capability/capabilitytest"
	"pointsman/host/capability/sqlcap"
	"pointsman/host/sqldb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is a database of one table, which counts what is written to it.
func store(t testing.TB) (*sqlcap.SQL, func() int) {
	t.Helper()
	dir := t.TempDir()
	admin, err := sql.Open("sqlite", filepath.Join(dir, "c.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close() })
	if _, err := admin.Exec("CREATE TABLE customers (number TEXT, name TEXT, email TEXT, extra JSON); CREATE TABLE uses (number TEXT);" +
		`INSERT INTO customers VALUES ('C-1', 'Amelia', 'a@example.com', '{"a": 1, "b": 2}'), ('C-2', 'Bo', 'b@example.com', NULL)`); err != nil {
		t.Fatal(err)
	}
	number := []sqldb.Param{{Name: "number", Type: sqldb.Text, MaxLength: 40}}
	db, err := sqldb.Open(sqldb.Config{Name: "customer-store", Driver: sqldb.SQLite, Folder: dir, File: "c.db", Statements: map[string]sqldb.Statement{
		"by-number": {SQL: "SELECT number, name, email, extra FROM customers WHERE number = ?", Params: number, Labels: map[string][]string{"pii.contact": {"email"}, "pii.identity": {"name"}}},
		"all":       {SQL: "SELECT number, name FROM customers ORDER BY {order}", Choices: map[string]map[string]string{"order": {"up": "number", "down": "number DESC"}}},
		"use":       {SQL: "INSERT INTO uses VALUES (?)", Params: number, Write: true},
		"other":     {SQL: "SELECT 1 AS one"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return &sqlcap.SQL{Databases: map[string]*sqldb.DB{"customer-store": db}}, func() int {
		var n int
		if err := admin.QueryRow("SELECT count(*) FROM uses").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
}

const grant = `[{"backend":"customer-store","as":"store","statements":["by-number","all","use"],"view":"all"}]`

func TestCapability(t *testing.T) {
	c, uses := store(t)
	capabilitytest.Run(t, c, capabilitytest.Case{
		Name: "write", Grant: grant, Op: "query", Effects: uses, Canaries: []string{"canary-1"},
		Request: []byte(`{"backend":"store","statement":"use","args":{"number":"canary-1"}}`),
	})
}

func TestBindRefuses(t *testing.T) {
	c, _ := store(t)
	for name, g := range map[string]string{
		"no such database":  `[{"backend":"erp","statements":["all"]}]`,
		"no such statement": `[{"backend":"customer-store","statements":["none"]}]`,
		"no statements":     `[{"backend":"customer-store"}]`,
		"statement twice":   `[{"backend":"customer-store","statements":["all","all"]}]`,
		"name twice":        `[{"backend":"customer-store","statements":["all"]},{"backend":"customer-store","statements":["use"]}]`,
		"path that is none": `[{"backend":"customer-store","statements":["all"],"view":["a..b"]}]`,
		"another word":      `[{"backend":"customer-store","statements":["all"],"view":"everything"}]`,
		"unknown key":       `[{"backend":"customer-store","statements":["all"],"sql":"SELECT 1"}]`,
	} {
		if _, err := c.Bind(capability.Scope{Plugin: "p", Grant: json.RawMessage(g)}); err == nil {
			t.Errorf("%s: bound, want a refusal", name)
		}
	}
	if ops, err := c.Bind(capability.Scope{Plugin: "p", Grant: json.RawMessage("[]")}); err != nil || len(ops) > 0 {
		t.Errorf("an empty grant lends %d operations, %v", len(ops), err)
	}
}

func bind(t testing.TB, c *sqlcap.SQL, grant string) capability.Op {
	t.Helper()
	ops, err := c.Bind(capability.Scope{Plugin: "p", Grant: json.RawMessage(grant)})
	if err != nil {
		t.Fatal(err)
	}
	return ops["query"]
}

func TestRefusalsTeach(t *testing.T) {
	c, _ := store(t)
	op := bind(t, c, grant)
	for _, tt := range []struct{ name, request, want string }{
		{"another database", `{"backend":"canary","statement":"all"}`, "granted: store"},
		{"the admin's name", `{"backend":"customer-store","statement":"all"}`, "granted: store"},
		{"statement of another plugin", `{"backend":"store","statement":"other"}`, "granted: all, by-number, use"},
		{"text of SQL", `{"backend":"store","statement":"SELECT 'canary'"}`, "granted: all, by-number, use"},
		{"a key for SQL", `{"backend":"store","statement":"all","sql":"canary"}`, "no unknown"},
		{"argument that there is not", `{"backend":"store","statement":"by-number","args":{"number":"1","canary":"1"}}`, "it takes: number"},
		{"argument missing", `{"backend":"store","statement":"by-number"}`, "argument number is missing"},
		{"argument too long", `{"backend":"store","statement":"by-number","args":{"number":"canary` + strings.Repeat("x", 40) + `"}}`, "at most 40 characters"},
		{"choice missing", `{"backend":"store","statement":"all"}`, "order must be one of down, up"},
		{"choice of SQL", `{"backend":"store","statement":"all","choices":{"order":"canary; DROP TABLE customers"}}`, "order must be one of down, up"},
		{"argument twice", `{"backend":"store","statement":"by-number","args":{"number":"1","number":"canary"}}`, "no unknown, repeated"},
		{"too large", `{"backend":"store","statement":"by-number","args":{"number":"` + strings.Repeat("x", 65<<10) + `"}}`, "larger than"},
	} {
		planned, err := op([]byte(tt.request))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, want a refusal that says %q", tt.name, err, tt.want)
		}
		if planned.Do != nil {
			t.Errorf("%s: planned", tt.name)
		}
	}
}

func TestView(t *testing.T) {
	c, _ := store(t)
	const one = `{"backend":"store","statement":"by-number","args":{"number":"C-1"}}`
	for _, tt := range []struct{ view, want, labels string }{
		{``, `{"rows":[],"count":1,"truncated":false,"affected":0}`, ""},
		{`,"view":[]`, `{"rows":[],"count":1,"truncated":false,"affected":0}`, ""},
		{`,"view":["number"]`, `{"rows":[{"number":"C-1"}],"count":1,"truncated":false,"affected":0}`, ""},
		{`,"view":["number","extra.b"]`, `{"rows":[{"number":"C-1","extra":{"b": 2}}],"count":1,"truncated":false,"affected":0}`, ""},
		{`,"view":["name"]`, `{"rows":[{"name":"Amelia"}],"count":1,"truncated":false,"affected":0}`, "pii.identity"},
		{`,"view":"all"`, `{"rows":[{"number":"C-1","name":"Amelia","email":"a@example.com","extra":{"a": 1, "b": 2}}],"count":1,"truncated":false,"affected":0}`, "pii.contact, pii.identity"},
	} {
		op := bind(t, c, `[{"backend":"customer-store","as":"store","statements":["by-number"]`+tt.view+`,"clear":["x"]}]`)
		planned, err := op([]byte(one))
		if err != nil {
			t.Fatal(err)
		}
		if planned.Yields.String() != tt.labels || planned.Clear.String() != "x" || planned.Inward {
			t.Errorf("%s: yields %v with clearance %v, inward %v; want %s", tt.view, planned.Yields, planned.Clear, planned.Inward, tt.labels)
		}
		got, err := planned.Do(context.Background())
		if strings.ReplaceAll(string(got), " ", "") != strings.ReplaceAll(tt.want, " ", "") || err != nil {
			t.Errorf("%s\ngot  %s, %v\nwant %s", tt.view, got, err, tt.want)
		}
	}
}

func TestFailuresSayNothing(t *testing.T) {
	c, _ := store(t)
	planned, err := bind(t, c, grant)([]byte(`{"backend":"store","statement":"use","args":{"number":"x"}}`))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 1)
	defer cancel()
	_, err = planned.Do(ctx)
	if broker.KindOf(err) != broker.UpstreamTimeout {
		t.Errorf("%v, want an upstream timeout", err)
	}
}

// FuzzQuery: what is planned names a granted statement, and runs or fails as a *broker.Error.
func FuzzQuery(f *testing.F) {
	c, _ := store(f)
	op := bind(f, c, strings.Replace(grant, `,"use"`, "", 1))
	f.Add([]byte(`{"backend":"store","statement":"by-number","args":{"number":"C-1"}}`))
	f.Add([]byte(`{"backend":"store","statement":"all","choices":{"order":"up"}}`))
	f.Add([]byte(`{"backend":"store","statement":"other"}`))
	f.Fuzz(func(t *testing.T, request []byte) {
		planned, err := op(request)
		if err != nil {
			switch broker.KindOf(err) {
			case broker.Denied, broker.Invalid, broker.TooLarge:
				return
			}
			t.Fatal(err)
		}
		if planned.Resource != "customer-store by-number" && planned.Resource != "customer-store all" {
			t.Fatalf("planned %q", planned.Resource)
		}
		reply, err := planned.Do(context.Background())
		if err != nil && broker.KindOf(err) == broker.Internal || err == nil && !json.Valid(reply) {
			t.Fatalf("%s, %v", reply, err)
		}
	})
}
