package sqldb_test

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"pointsman/host/broker"
	"pointsman/host/sqldb"
)

func text(name string) sqldb.Param { return sqldb.Param{Name: name, Type: sqldb.Text} }

// A statement that is not declared to write changes nothing, whatever its text says.
func TestReadingChangesNothing(t *testing.T) {
	eachTarget(t, func(t *testing.T, to *target) {
		to.exec(t, "CREATE TABLE stays (v INTEGER)")
		to.exec(t, "INSERT INTO stays VALUES (1)")
		statements := map[string]sqldb.Statement{"all": {SQL: "SELECT v FROM stays"}}
		if to.driver == sqldb.Postgres { // others have no text that reads and changes
			statements["sneaky"] = sqldb.Statement{SQL: "WITH gone AS (DELETE FROM stays RETURNING v) SELECT v FROM gone"}
			to.exec(t, "CREATE OR REPLACE FUNCTION clean() RETURNS integer LANGUAGE plpgsql AS 'BEGIN DELETE FROM stays; RETURN 1; END'")
			statements["function"] = sqldb.Statement{SQL: "SELECT clean()"}
		} else {
			statements["sneaky"] = sqldb.Statement{SQL: "WITH one AS (SELECT 1 AS v) DELETE FROM stays WHERE v IN (SELECT v FROM one)"}
		}
		db := to.open(t, statements)
		for name := range statements {
			if name != "all" {
				r, err := ask(t, db, name, nil)
				wantKind(t, err, broker.Upstream)
				if err == nil {
					t.Errorf("%s answered %s", name, r.Rows)
				}
			}
		}
		r, err := ask(t, db, "all", nil)
		want(t, r, err, `[{"v":1}]`)
	})
}

func TestReadRole(t *testing.T) {
	to := postgresTarget(t)
	to.exec(t, "CREATE TABLE stays (v INTEGER)")
	to.exec(t, "DROP ROLE IF EXISTS nobody_here")
	to.exec(t, "CREATE ROLE nobody_here")
	db := to.open(t, map[string]sqldb.Statement{"all": {SQL: "SELECT v FROM stays"}, "who": {SQL: "SELECT current_user::text AS who"}},
		func(c *sqldb.Config) { c.ReadRole = "nobody_here" })
	_, err := ask(t, db, "all", nil)
	wantKind(t, err, broker.Upstream)
	r, err := ask(t, db, "who", nil)
	want(t, r, err, `[{"who":"nobody_here"}]`)
}

// Every payload comes back as it was sent, or is refused, and the table still stands.
func TestArgumentsAreNeverSQL(t *testing.T) {
	eachTarget(t, func(t *testing.T, to *target) {
		to.exec(t, "CREATE TABLE stays (id INTEGER, v TEXT)")
		to.exec(t, "INSERT INTO stays VALUES (0, 'here')")
		db := to.open(t, map[string]sqldb.Statement{
			"put":  {SQL: "INSERT INTO stays (id, v) VALUES (?, ?)", Params: []sqldb.Param{{Name: "id", Type: sqldb.Integer}, text("v")}, Write: true},
			"get":  {SQL: "SELECT v FROM stays WHERE id = ?", Params: []sqldb.Param{{Name: "id", Type: sqldb.Integer}}},
			"find": {SQL: "SELECT id FROM stays WHERE v = ? AND id > 0 ORDER BY id LIMIT 1", Params: []sqldb.Param{text("v")}},
			"left": {SQL: "SELECT v FROM stays WHERE id = 0"},
		}, func(c *sqldb.Config) { c.Limits.Time = 30 * time.Second }) // a busy disk is no refusal
		refused := 0
		for i, p := range payloads(t) {
			if testing.Short() && i > 40 && i%10 != 0 { // each is a write to the disk
				continue
			}
			quoted, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			if !utf8.ValidString(p) {
				quoted = []byte(`"` + p + `"`)
			}
			put, err := ask(t, db, "put", map[string]string{"id": fmt.Sprint(i + 1), "v": string(quoted)})
			if err != nil {
				wantKind(t, err, broker.Invalid)
				refused++
				continue
			}
			if put.Affected != 1 {
				t.Errorf("%q: %d rows affected", p, put.Affected)
			}
			r, err := ask(t, db, "get", map[string]string{"id": fmt.Sprint(i + 1)})
			if err != nil {
				t.Errorf("%q: %v", p, err)
				continue
			}
			var rows []struct{ V string }
			if err := json.Unmarshal(r.Rows, &rows); err != nil || len(rows) != 1 || rows[0].V != p {
				t.Errorf("%q came back as %s (%v)", p, r.Rows, err)
			}
			if r, err := ask(t, db, "find", map[string]string{"v": string(quoted)}); err != nil || r.Count != 1 {
				t.Errorf("%q was found %d times, %v", p, r.Count, err)
			}
		}
		t.Logf("%d refused", refused)
		r, err := ask(t, db, "left", nil)
		want(t, r, err, `[{"v":"here"}]`)
	})
}

func TestTypesAreLossless(t *testing.T) {
	eachTarget(t, func(t *testing.T, to *target) {
		columns := map[string]string{
			sqldb.SQLite:   "i INTEGER, f REAL, d INTEGER, b BOOLEAN, t TEXT, ts TIMESTAMP, dt DATE, x BLOB, j JSON, n TEXT",
			sqldb.Postgres: "i BIGINT, f DOUBLE PRECISION, d NUMERIC(40,10), b BOOLEAN, t TEXT, ts TIMESTAMPTZ, dt DATE, x BYTEA, j JSONB, n TEXT",
			sqldb.MySQL:    "i BIGINT, f DOUBLE, d DECIMAL(40,10), b BOOLEAN, t LONGTEXT, ts TIMESTAMP(6) NULL, dt DATE, x LONGBLOB, j JSON, n LONGTEXT",
		}
		if _, err := to.admin.Exec("CREATE TABLE vals (" + columns[to.driver] + ")"); err != nil {
			t.Fatal(err)
		}
		date := sqldb.Param{Name: "dt", Type: sqldb.Text}
		db := to.open(t, map[string]sqldb.Statement{
			"put": {SQL: "INSERT INTO vals VALUES (?,?,?,?,?,?,?,?," + map[bool]string{true: "$9::jsonb", false: "?"}[to.driver == sqldb.Postgres] + ",NULL)", Write: true, Params: []sqldb.Param{
				{Name: "i", Type: sqldb.Integer}, {Name: "f", Type: sqldb.Number}, {Name: "d", Type: sqldb.Number}, {Name: "b", Type: sqldb.Boolean},
				text("t"), {Name: "ts", Type: sqldb.Timestamp}, date, {Name: "x", Type: sqldb.Bytes}, text("j")}},
			"get": {SQL: "SELECT i, f, d, b, t, ts, dt, x, j, n FROM vals"},
		})
		decimal := "123456789012345678901234567890.0123456789"
		if to.driver == sqldb.SQLite { // which has 64 bits
			decimal = "9007199254740993"
		}
		r, err := ask(t, db, "put", map[string]string{
			"i": "-9223372036854775808", "f": "0.1", "d": decimal, "b": "true", "t": `"ä\"\\\n€"`, "ts": `"2025-11-20T19:30:00.123456+01:00"`,
			"dt": `"1984-05-12"`, "x": `"AP8="`, "j": `"{\"a\": [1, 2.50]}"`})
		if err != nil || r.Affected != 1 {
			t.Fatalf("%d affected, %v", r.Affected, err)
		}
		b, j := "true", `{"a": [1, 2.50]}`
		if to.driver == sqldb.MySQL { // TINYINT(1), and MariaDB's JSON is text
			b, j = "1", `"{\"a\": [1, 2.50]}"`
			if v := to.version(t); !strings.Contains(v, "MariaDB") {
				j = `{"a": [1, 2.50]}`
			}
		}
		r, err = ask(t, db, "get", nil)
		want(t, r, err, `[{"i":-9223372036854775808,"f":0.1,"d":`+decimal+`,"b":`+b+`,"t":"ä\"\\\n€","ts":"2025-11-20T18:30:00.123456Z","dt":"1984-05-12","x":"AP8=","j":`+j+`,"n":null}]`)
	})
}

func (to *target) version(t testing.TB) (v string) {
	t.Helper()
	if err := to.admin.QueryRow("SELECT VERSION()").Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// many answers n rows of a number and a text.
func many(driver string, n int) string {
	switch driver {
	case sqldb.Postgres:
		return fmt.Sprintf("SELECT n, repeat('x', 100) AS pad FROM generate_series(1, %d) AS n", n)
	case sqldb.MySQL: // MariaDB's sequences need a digit table elsewhere
		return fmt.Sprintf("WITH RECURSIVE s AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM s WHERE n < 999) "+
			"SELECT a.n * 1000 + b.n AS n, repeat('x', 100) AS pad FROM s a, s b, s c LIMIT %d", n)
	}
	return fmt.Sprintf("WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < %d) SELECT n, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' AS pad FROM s", n)
}

// Ten million rows, and a row of many megabytes, take no more memory than the limits say.
func TestResultsAreBounded(t *testing.T) {
	eachTarget(t, func(t *testing.T, to *target) {
		huge := map[string]string{
			sqldb.SQLite: "SELECT zeroblob(900000000) AS x", sqldb.Postgres: "SELECT repeat(repeat('x', 10000), 40000) AS x", sqldb.MySQL: "SELECT repeat(repeat('x', 10000), 40000) AS x",
		}[to.driver]
		cell := map[string]string{
			sqldb.SQLite: "SELECT printf('%.*c', 70000, 'x') AS x", sqldb.Postgres: "SELECT repeat('x', 70000) AS x", sqldb.MySQL: "SELECT repeat('x', 70000) AS x",
		}[to.driver]
		db := to.open(t, map[string]sqldb.Statement{
			"some": {SQL: many(to.driver, 10_000_000), Rows: 3}, "all": {SQL: many(to.driver, 10_000_000), Rows: 100_000},
			"huge": {SQL: huge}, "cell": {SQL: cell}, "small": {SQL: "SELECT 1 AS one"},
		}, func(c *sqldb.Config) { c.Limits = sqldb.Limits{Time: 30 * time.Second, Rows: 100_000, Connections: 2} })
		stop := watchHeap(t)
		for range 2 {
			r, err := ask(t, db, "some", nil)
			if err != nil || r.Count != 3 || !r.Truncated {
				t.Errorf("some: %d rows, truncated %v, %v", r.Count, r.Truncated, err)
			}
			for _, name := range []string{"all", "cell", "huge"} {
				r, err := ask(t, db, name, nil)
				wantKind(t, err, broker.Upstream)
				if r.Count > 0 {
					t.Errorf("%s: %d rows", name, r.Count)
				}
			}
			r, err = ask(t, db, "small", nil)
			want(t, r, err, `[{"one":1}]`)
		}
		if most := stop(); most > 150<<20 {
			t.Errorf("the heap grew to %d MiB", most>>20)
		}
	})
}

// watchHeap returns the largest size of the heap that it saw, in bytes.
func watchHeap(t testing.TB) func() uint64 {
	t.Helper()
	quit, done := make(chan struct{}), make(chan uint64)
	go func() {
		most := uint64(0)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
			select {
			case <-quit:
				done <- most
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return func() uint64 {
		close(quit)
		return <-done
	}
}

// slow takes minutes.
func slow(driver string) string {
	switch driver {
	case sqldb.Postgres:
		return "SELECT count(*) FROM generate_series(1, 30000) a, generate_series(1, 1000000) b"
	case sqldb.MySQL:
		return "WITH RECURSIVE s AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM s WHERE n < 900) SELECT count(*) FROM s a, s b, s c, s d"
	}
	// One row at once, and then none for ever: the driver alone ends only what comes before the first.
	return "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 9000000000) SELECT n FROM s WHERE n = 1 OR n = 8999999999"
}

func TestSlowStatementEnds(t *testing.T) {
	eachTarget(t, func(t *testing.T, to *target) {
		db := to.open(t, map[string]sqldb.Statement{"slow": {SQL: slow(to.driver)}, "quick": {SQL: "SELECT 1 AS one"}},
			func(c *sqldb.Config) { c.Limits = sqldb.Limits{Time: 500 * time.Millisecond, Connections: 1} })
		start := time.Now()
		_, err := ask(t, db, "slow", nil)
		wantKind(t, err, broker.UpstreamTimeout)
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("it took %v", d)
		}
		for range 20 { // the server needs a moment to end what it does
			if _, err = ask(t, db, "quick", nil); err == nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(50*time.Millisecond, cancel)
		_, err = askCtx(ctx, db, "slow", nil, nil)
		wantKind(t, err, broker.Canceled)
	})
}

func TestLockedTable(t *testing.T) {
	eachTarget(t, func(t *testing.T, to *target) {
		to.exec(t, "CREATE TABLE stays (id INTEGER PRIMARY KEY, v INTEGER)")
		to.exec(t, "INSERT INTO stays VALUES (1, 1)")
		db := to.open(t, map[string]sqldb.Statement{"up": {SQL: "UPDATE stays SET v = v + 1 WHERE id = 1", Write: true}},
			func(c *sqldb.Config) { c.Limits = sqldb.Limits{Time: 4 * time.Second} })
		conn, err := to.admin.Conn(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		begin := "BEGIN"
		if to.driver == sqldb.SQLite {
			begin = "BEGIN IMMEDIATE"
		}
		for _, text := range []string{begin, "UPDATE stays SET v = 10 WHERE id = 1"} {
			if _, err := conn.ExecContext(context.Background(), text); err != nil {
				t.Fatal(err)
			}
		}
		_, err = ask(t, db, "up", nil)
		wantKind(t, err, broker.Unavailable)
		if _, err := conn.ExecContext(context.Background(), "COMMIT"); err != nil {
			t.Fatal(err)
		}
		if r, err := ask(t, db, "up", nil); err != nil || r.Affected != 1 {
			t.Errorf("when the lock is gone: %d, %v", r.Affected, err)
		}
	})
}

func TestConstraintsAndRollback(t *testing.T) {
	eachTarget(t, func(t *testing.T, to *target) {
		to.exec(t, "CREATE TABLE stays (id INTEGER PRIMARY KEY, v INTEGER NOT NULL)")
		statements := map[string]sqldb.Statement{
			"put": {SQL: "INSERT INTO stays VALUES (?, ?)", Write: true, Params: []sqldb.Param{{Name: "id", Type: sqldb.Integer}, {Name: "v", Type: sqldb.Integer, Optional: true}}},
			"all": {SQL: "SELECT id, v FROM stays ORDER BY id"},
			"del": {SQL: "DELETE FROM stays WHERE id > 0 RETURNING id", Write: true, Rows: 1},
		}
		db := to.open(t, statements)
		for _, id := range []string{"1", "2"} {
			if _, err := ask(t, db, "put", map[string]string{"id": id, "v": "7"}); err != nil {
				t.Fatal(err)
			}
		}
		_, err := ask(t, db, "put", map[string]string{"id": "1", "v": "8"})
		wantKind(t, err, broker.Invalid, "stays", "UNIQUE")
		_, err = ask(t, db, "put", map[string]string{"id": "3", "v": "null"})
		wantKind(t, err, broker.Invalid, "stays")
		_, err = ask(t, db, "del", nil) // answers more rows than it may: nothing is changed
		wantKind(t, err, broker.Upstream)
		r, err := ask(t, db, "all", nil)
		want(t, r, err, `[{"id":1,"v":7},{"id":2,"v":7}]`)
	})
}

// TestFailuresRepeatNothing: a database quotes arguments and rows when it refuses; what is told
// and what is logged does not.
func TestFailuresRepeatNothing(t *testing.T) {
	eachTarget(t, func(t *testing.T, to *target) {
		to.exec(t, "CREATE TABLE quotes (id VARCHAR(40) PRIMARY KEY, n INTEGER)")
		text := sqldb.Param{Name: "id", Type: sqldb.Text}
		db := to.open(t, map[string]sqldb.Statement{
			"put":   {SQL: "INSERT INTO quotes VALUES (?, 1)", Write: true, Params: []sqldb.Param{text}},
			"wrong": {SQL: "INSERT INTO quotes VALUES (?, 'canary-in-a-row')", Write: true, Params: []sqldb.Param{text}},
		})
		args := map[string]string{"id": `"canary-ann"`}
		if _, err := ask(t, db, "put", args); err != nil {
			t.Fatal(err)
		}
		for _, statement := range []string{"put", "wrong"} {
			_, err := ask(t, db, statement, args)
			if err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: %v", statement, err)
			}
		}
	})
}

func TestColumnsOfOneName(t *testing.T) {
	eachTarget(t, func(t *testing.T, to *target) {
		db := to.open(t, map[string]sqldb.Statement{"two": {SQL: "SELECT 1 AS a, 2 AS a"}, "none": {SQL: "SELECT 1 AS a WHERE 1 = 0"}})
		_, err := ask(t, db, "two", nil)
		wantKind(t, err, broker.Upstream)
		r, err := ask(t, db, "none", nil)
		want(t, r, err, `[]`)
	})
}

func TestChoices(t *testing.T) {
	eachTarget(t, func(t *testing.T, to *target) {
		to.exec(t, "CREATE TABLE stays (id INTEGER, v INTEGER)")
		to.exec(t, "INSERT INTO stays VALUES (1, 9), (2, 8)")
		db := to.open(t, map[string]sqldb.Statement{"all": {SQL: "SELECT id FROM stays ORDER BY {order}", Choices: map[string]map[string]string{"order": {"id": "id", "worth": "v"}}}})
		for choice, rows := range map[string]string{"id": `[{"id":1},{"id":2}]`, "worth": `[{"id":2},{"id":1}]`} {
			r, err := askCtx(context.Background(), db, "all", nil, map[string]string{"order": choice})
			want(t, r, err, rows)
		}
		for _, choices := range []map[string]string{nil, {"order": "v"}, {"order": "id; DROP TABLE stays"}, {"order": "id", "more": "x"}, {"other": "id"}} {
			_, err := askCtx(context.Background(), db, "all", nil, choices)
			wantKind(t, err, broker.Invalid, "DROP")
		}
	})
}

// What one use leaves in a session, the next does not meet.
func TestSessionsAreClean(t *testing.T) {
	to := postgresTarget(t)
	db := to.open(t, map[string]sqldb.Statement{
		"set":  {SQL: "SELECT set_config('app.who', $1, false), set_config('statement_timeout', '0', false), pg_advisory_lock(7)::text AS l", Params: []sqldb.Param{text("who")}},
		"set2": {SQL: "SELECT set_config('app.who', $1, false) AS a", Params: []sqldb.Param{text("who")}},
		"get":  {SQL: "SELECT coalesce(current_setting('app.who', true), '') AS who, current_setting('statement_timeout') AS t, (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory') AS n"},
	}, func(c *sqldb.Config) { c.Limits.Connections = 1 })
	for _, name := range []string{"set", "set2"} {
		if _, err := ask(t, db, name, map[string]string{"who": `"CANARY"`}); err != nil && name == "set2" {
			t.Fatal(err)
		}
		r, err := ask(t, db, "get", nil)
		want(t, r, err, `[{"who":"","t":"2s","n":0}]`)
	}
}

func TestManyAtOnce(t *testing.T) {
	eachTarget(t, func(t *testing.T, to *target) {
		db := to.open(t, map[string]sqldb.Statement{"echo": {SQL: map[string]string{sqldb.Postgres: "SELECT $1::text AS v", sqldb.MySQL: "SELECT ? AS v", sqldb.SQLite: "SELECT ? AS v"}[to.driver], Params: []sqldb.Param{text("v")}}},
			func(c *sqldb.Config) { c.Limits = sqldb.Limits{Connections: 4, Time: 30 * time.Second} })
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 50 {
					v := fmt.Sprintf(`"canary-%d-%d"`, g, i)
					r, err := askCtx(context.Background(), db, "echo", map[string]string{"v": v}, nil)
					want(t, r, err, `[{"v":`+v+`}]`)
				}
			})
		}
		wg.Wait()
	})
}

func TestCheck(t *testing.T) {
	eachTarget(t, func(t *testing.T, to *target) {
		db := to.open(t, map[string]sqldb.Statement{"good": {SQL: "SELECT 1 AS one"}, "bad": {SQL: "SELECT v FROM there_is_none"}})
		r, err := db.Check(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Faults) != 1 || !strings.Contains(r.Faults[0].Error(), "statement bad") {
			t.Errorf("faults %v", r.Faults)
		}
		if r.Server == "" || r.Latency <= 0 {
			t.Errorf("%+v", r)
		}
		if to.driver == sqldb.SQLite != r.TLSExpires.IsZero() || to.driver == sqldb.SQLite != r.ReadOnly {
			t.Errorf("TLS until %v, read-only %v", r.TLSExpires, r.ReadOnly)
		}
	})
}
