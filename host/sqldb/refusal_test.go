package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"pointsman/host/broker"
	"pointsman/host/sqldb"
)

func TestOpenRefuses(t *testing.T) {
	good := sqldb.Config{
		Name: "store", Driver: sqldb.Postgres, Address: "db.example:5432", Database: "d", User: "u", Dial: plainDial,
		Statements: map[string]sqldb.Statement{"one": {SQL: "SELECT 1"}},
	}
	for name, edit := range map[string]func(*sqldb.Config){
		"no driver":           func(c *sqldb.Config) { c.Driver = "" },
		"another driver":      func(c *sqldb.Config) { c.Driver = "oracle" },
		"no statements":       func(c *sqldb.Config) { c.Statements = nil },
		"nothing to dial":     func(c *sqldb.Config) { c.Dial = nil },
		"two hosts":           func(c *sqldb.Config) { c.Address = "a.example,b.example:5432" },
		"a socket":            func(c *sqldb.Config) { c.Address = "/run/postgresql:5432" },
		"no port":             func(c *sqldb.Config) { c.Address = "db.example" },
		"port 0":              func(c *sqldb.Config) { c.Address = "db.example:0" },
		"parameters":          func(c *sqldb.Config) { c.Address = "db.example sslmode=disable:5432" },
		"no user":             func(c *sqldb.Config) { c.User = "" },
		"a file":              func(c *sqldb.Config) { c.File = "x.db" },
		"TLS 1.0":             func(c *sqldb.Config) { c.TLS.MinVersion = 0x0301 },
		"TLS and insecure":    func(c *sqldb.Config) { c.TLS.ServerName, c.Insecure = "x", true },
		"a role with a quote": func(c *sqldb.Config) { c.ReadRole = `x"; DROP` },
		"time too long":       func(c *sqldb.Config) { c.Limits.Time = time.Minute },
		"rows too many":       func(c *sqldb.Config) { c.Limits.Rows = 1e6 },
		"bytes too many":      func(c *sqldb.Config) { c.Limits.Bytes = 1 << 30 },
		"cell above bytes":    func(c *sqldb.Config) { c.Limits.Bytes, c.Limits.Cell = 10, 11 },
		"role of MySQL":       func(c *sqldb.Config) { c.Driver, c.ReadRole = sqldb.MySQL, "r" },
		"SQLite at an address": func(c *sqldb.Config) {
			c.Driver, c.Folder, c.File = sqldb.SQLite, t.TempDir(), "x.db"
		},
	} {
		c := good
		edit(&c)
		if db, err := sqldb.Open(c); err == nil {
			db.Close()
			t.Errorf("%s: opened, want a refusal", name)
		}
	}
	db, err := sqldb.Open(good)
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
}

func TestFileRefuses(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	for _, f := range []string{filepath.Join(dir, "good.db"), filepath.Join(dir, "mode=rwc&x.db"), filepath.Join(outside, "out.db")} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"link.db": filepath.Join(outside, "out.db"), "up.db": "../" + filepath.Base(outside) + "/out.db", "dir": outside} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	open := func(file string) error {
		db, err := sqldb.Open(sqldb.Config{Name: "s", Driver: sqldb.SQLite, Folder: dir, File: file, Statements: map[string]sqldb.Statement{"one": {SQL: "SELECT 1 AS one"}}})
		if err == nil {
			_, err = ask(t, db, "one", nil)
			db.Close()
		}
		return err
	}
	for _, file := range []string{"", ".", "..", "/etc/passwd", "../" + filepath.Base(outside) + "/out.db", "link.db", "up.db", "dir/out.db", "dir", "none.db",
		"good.db?mode=rwc", "good.db?vfs=memdb", "file:good.db", ":memory:", "good.db\x00", `..\out.db`, "./good.db", "a//b"} {
		if err := open(file); err == nil {
			t.Errorf("%q was opened, want a refusal", file)
		}
	}
	for _, file := range []string{"good.db", "mode=rwc&x.db"} { // the second is a name and no parameter
		if err := open(file); err != nil {
			t.Errorf("%q: %v", file, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*wal")); len(left) > 0 {
		t.Errorf("%v was written", left)
	}
}

// What a statement of SQLite could do to the process is refused by the driver's authorizer,
// even where the text's check has nothing against it.
func TestSQLiteIsConfined(t *testing.T) {
	to := sqliteTarget(t)
	db := to.open(t, map[string]sqldb.Statement{
		"extension": {SQL: `SELECT "load_extension"('/tmp/x.so')`}, "pragma": {SQL: "SELECT * FROM pragma_database_list"},
		"changes": {SQL: `SELECT "total_changes"() AS n`}, "rowid": {SQL: "SELECT \"last_insert_rowid\"() AS n"},
		"schema": {SQL: "DELETE FROM sqlite_schema", Write: true},
		"one":    {SQL: "SELECT 1 AS one"},
	})
	for _, name := range []string{"extension", "pragma", "changes", "rowid", "schema"} {
		r, err := ask(t, db, name, nil)
		wantKind(t, err, broker.Upstream)
		if err == nil {
			t.Errorf("%s: %s", name, r.Rows)
		}
	}
	r, err := ask(t, db, "one", nil)
	want(t, r, err, `[{"one":1}]`)
}

// plainServer says that it has no TLS, in the words of the driver's protocol, and counts what
// it is told besides.
func plainServer(t *testing.T, driver string) (address string, told chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	told = make(chan string, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			buffer := make([]byte, 4096)
			if driver == sqldb.Postgres {
				_, _ = c.Read(buffer) // SSLRequest
				fmt.Fprint(c, "N")
			} else { // a greeting without CLIENT_SSL
				greeting := "\x0a8.0.36\x00\x01\x00\x00\x00abcdefgh\x00\xff\xf7\xff\x02\x00\xff\xc1\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00abcdefghijkl\x00mysql_clear_password\x00"
				fmt.Fprintf(c, "%c\x00\x00\x00%s", len(greeting), greeting)
			}
			if n, err := c.Read(buffer); err == nil {
				told <- string(buffer[:n])
			}
			c.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String(), told
}

// A server without TLS gets no password and no statement: there is no way back to plain text.
func TestServerWithoutTLS(t *testing.T) {
	for _, driver := range []string{sqldb.Postgres, sqldb.MySQL} {
		t.Run(driver, func(t *testing.T) {
			address, told := plainServer(t, driver)
			db, err := sqldb.Open(sqldb.Config{
				Name: "s", Driver: driver, Address: address, Database: "d", User: "CANARY-user", Dial: plainDial,
				Password:   func(context.Context) ([]byte, error) { return []byte("CANARY-password"), nil },
				Statements: map[string]sqldb.Statement{"one": {SQL: "SELECT 1"}},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			_, err = ask(t, db, "one", nil)
			wantKind(t, err, broker.Upstream, "CANARY")
			select {
			case text := <-told:
				t.Errorf("the server was told %q", text)
			case <-time.After(100 * time.Millisecond):
			}
		})
	}
}

// The environment and files of the user that the broker runs as are not asked.
func TestEnvironmentIsNotRead(t *testing.T) {
	address, _ := plainServer(t, sqldb.Postgres)
	passfile := filepath.Join(t.TempDir(), "pgpass")
	if err := os.WriteFile(passfile, []byte("*:*:*:*:CANARY\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dialled := ""
	for name, value := range map[string]string{"PGHOST": "127.0.0.2", "PGPORT": "1", "PGPASSFILE": passfile, "PGPASSWORD": "CANARY", "PGSSLMODE": "disable", "PGUSER": "x", "PGOPTIONS": "-c x", "PGSSLROOTCERT": "/none", "PGTARGETSESSIONATTRS": "standby"} {
		t.Setenv(name, value)
	}
	db, err := sqldb.Open(sqldb.Config{
		Name: "s", Driver: sqldb.Postgres, Address: address, Database: "d", User: "u",
		Dial: func(ctx context.Context, network, to string) (net.Conn, error) {
			dialled = to
			return plainDial(ctx, network, to)
		},
		Statements: map[string]sqldb.Statement{"one": {SQL: "SELECT 1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = ask(t, db, "one", nil)
	wantKind(t, err, broker.Upstream)
	if err == nil || !strings.Contains(err.Error(), "TLS") || dialled != address {
		t.Errorf("dialled %s: %v", dialled, err)
	}
}

func TestWrongCredentialAndAuthority(t *testing.T) {
	eachTarget(t, func(t *testing.T, to *target) {
		if to.driver == sqldb.SQLite {
			t.Skip("a file has neither")
		}
		one := map[string]sqldb.Statement{"one": {SQL: "SELECT 1 AS one"}}
		word := "wr0ng-CANARY"
		db := to.open(t, one, func(c *sqldb.Config) {
			c.Password = func(context.Context) ([]byte, error) { return []byte(word), nil }
		})
		_, err := ask(t, db, "one", nil)
		wantKind(t, err, broker.Upstream, word)
		if strings.Contains(err.Error(), word) {
			t.Errorf("the error holds the password: %v", err)
		}
		word = testPassword // rotated: the next connection takes it up
		r, err := ask(t, db, "one", nil)
		want(t, r, err, `[{"one":1}]`)

		asked := false
		for name, edit := range map[string]func(*sqldb.Config){
			"another authority": func(c *sqldb.Config) { c.TLS.RootCAs = newAuthority(t).pool },
			"the system's":      func(c *sqldb.Config) { c.TLS.RootCAs = nil },
			"another name":      func(c *sqldb.Config) { c.TLS.ServerName = "db.example" },
			"no such address": func(c *sqldb.Config) {
				c.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("not allowed") }
			},
			"no password to be had": func(c *sqldb.Config) {
				c.Password = func(context.Context) ([]byte, error) { asked = true; return nil, errors.New("sealed") }
			},
		} {
			db := to.open(t, one, edit)
			if _, err := ask(t, db, "one", nil); err == nil {
				t.Errorf("%s: it answered", name)
			} else {
				wantKind(t, err, broker.Upstream)
			}
		}
		if !asked {
			t.Error("the password was not asked for")
		}
	})
}

// A database that goes away in the middle, and comes back.
func TestDatabaseDies(t *testing.T) {
	eachTarget(t, func(t *testing.T, to *target) {
		if to.driver == sqldb.SQLite {
			t.Skip("a file has no connection")
		}
		proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "db", "127.0.0.1:0", to.config.Address)
		if err := proxy.Start(); err != nil {
			t.Fatal(err)
		}
		defer proxy.Stop()
		db := to.open(t, map[string]sqldb.Statement{"slow": {SQL: slow(to.driver)}, "one": {SQL: "SELECT 1 AS one"}}, func(c *sqldb.Config) {
			c.Address, c.Limits = proxy.Listen, sqldb.Limits{Time: 20 * time.Second}
		})
		r, err := ask(t, db, "one", nil)
		want(t, r, err, `[{"one":1}]`)
		stopped := make(chan struct{})
		time.AfterFunc(300*time.Millisecond, func() {
			proxy.Stop()
			close(stopped)
		})
		start := time.Now()
		_, err = ask(t, db, "slow", nil)
		wantKind(t, err, broker.Upstream)
		if d := time.Since(start); d > 15*time.Second {
			t.Errorf("it was noticed after %v", d)
		}
		<-stopped
		_, err = ask(t, db, "one", nil)
		wantKind(t, err, broker.Upstream)
		if err := proxy.Start(); err != nil {
			t.Fatal(err)
		}
		r, err = ask(t, db, "one", nil)
		want(t, r, err, `[{"one":1}]`)
	})
}
