package store_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"pointsman/cmd/backends/sim"
	"pointsman/cmd/backends/store"
	"pointsman/host/sqldb"
)

// TestSQLite reads the file as a broker does: every column comes back as what it is.
func TestSQLite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a folder?x=1") // no part of a path is a setting
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	rows := sim.NewData(1, 60).Store()
	file := filepath.Join(dir, "customers.db")
	if err := store.WriteSQLite(t.Context(), file, rows); err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(sqldb.Config{Name: "store", Driver: sqldb.SQLite, Folder: dir, File: "customers.db", Statements: map[string]sqldb.Statement{
		"one": {SQL: "SELECT * FROM customers WHERE number = ?", Params: []sqldb.Param{{Name: "number", Type: sqldb.Text}}},
		"all": {SQL: "SELECT count(*) AS n FROM customers"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ask := func(statement string, args map[string]jsontext.Value) string {
		t.Helper()
		use, err := db.Plan(sqldb.Request{Statement: statement, Args: args})
		if err != nil {
			t.Fatal(err)
		}
		r, err := use.Do(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return string(r.Rows)
	}
	updated := ""
	for _, r := range rows {
		if r.Number == "C-100042" {
			updated = r.Updated.Format("2006-01-02T15:04:05Z")
		}
	}
	want := `[{"number":"C-100042","given":"Amelia","family":"Hart","email":"amelia.hart@example.com","phone":"+13125550142",` +
		`"street":"142 North Wells Street","city":"Evanston","region":"IL","postal_code":"60201","country":"United States",` +
		`"language":"en-US","birthday":"1984-05-12","email_opt_out":false,"updated":"` + updated + `"}]`
	if got := ask("one", map[string]jsontext.Value{"number": jsontext.Value(`"C-100042"`)}); got != want || updated == "" {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := ask("all", nil); !strings.Contains(got, `"n":5`) { // of 60, most
		t.Errorf("the file has %s", got)
	}
}

func TestSQLiteRefusals(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there.db")
	if err := os.WriteFile(there, []byte("somebody's"), 0o600); err != nil {
		t.Fatal(err)
	}
	rows := sim.NewData(1, 50).Store()
	if err := store.WriteSQLite(t.Context(), there, rows); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file that is there: %v", err)
	}
	if text, err := os.ReadFile(there); err != nil || string(text) != "somebody's" {
		t.Errorf("the file that was there is %q, %v", text, err)
	}
	if err := store.WriteSQLite(t.Context(), filepath.Join(dir, "none", "x.db"), rows); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, write := range map[string]func(file string) error{
		"a number twice":   func(file string) error { return store.WriteSQLite(t.Context(), file, append(rows, rows[0])) },
		"an ended context": func(file string) error { return store.WriteSQLite(ended, file, rows) },
	} {
		file := filepath.Join(dir, "half.db")
		if err := write(file); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a file is left: %v", name, err)
		}
	}
}

// TestParseURLRefusals: what no manifest can say is refused in words, and none of them holds
// the password.
func TestParseURLRefusals(t *testing.T) {
	clearEnvironment(t)
	t.Setenv("PGHOST", "/run/postgresql") // for a URL without a host
	const word = "p4ss-CANARY-word"
	tests := []struct{ name, url, want string }{
		{"nothing", "", "expected a URL such as"},
		{"keywords and values", "host=db password=" + word, "expected a URL such as"},
		{"another scheme", "mysql://u:" + word + "@db/x", "expected a URL such as"},
		{"a broken URL", "postgres://u:" + word + "@db:port/x%zz", "expected a URL such as"},
		{"no slashes", "postgres:u:" + word + "@db/x", "expected a URL such as"},
		{"no sslmode", "postgres://u:" + word + "@db/x", "write ?sslmode=disable"},
		{"TLS without a check", "postgres://u:" + word + "@db/x?sslmode=require", "sslmode must be"},
		{"TLS if there is some", "postgres://u:" + word + "@db/x?sslmode=prefer", "sslmode must be"},
		{"a check of half", "postgres://u:" + word + "@db/x?sslmode=verify-ca", "sslmode must be"},
		{"another setting", "postgres://u:" + word + "@db/x?sslmode=disable&options=-csearch_path%3Dx", `sets "options"`},
		{"a password among the settings", "postgres://u@db/x?sslmode=disable&password=" + word, `sets "password"`},
		{"two hosts", "postgres://u:" + word + "@a,b/x?sslmode=disable", "more than one host"},
		{"a socket", "postgres:///x?sslmode=disable", "must name a host"},
		{"a port that is none", "postgres://u:" + word + "@db:99999/x?sslmode=disable", "cannot be understood"},
		{"no database", "postgres://u:" + word + "@db?sslmode=disable", "a database"},
		{"no file of roots", "postgres://u:" + word + "@db/x?sslmode=verify-full&sslrootcert=/nowhere/ca.pem", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := store.ParseURL(tt.url)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want an error with %q", err, tt.want)
			}
			if strings.Contains(err.Error(), word) {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
}

func TestParseURL(t *testing.T) {
	clearEnvironment(t)
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	pem := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(pem, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := store.ParseURL("postgres://me:p%40ss@localhost:5433/shop?sslmode=disable")
	if err != nil || got.Address != "localhost:5433" || got.User != "me" || got.Password != "p@ss" || got.Database != "shop" || !got.Insecure || got.CA != nil {
		t.Errorf("without TLS: %+v, %v", got, err)
	}
	t.Setenv("PGPASSWORD", "of the environment")
	got, err = store.ParseURL("postgresql://me@[::1]/shop?sslmode=verify-full&sslrootcert=" + pem)
	if err != nil || got.Address != "[::1]:5432" || got.Password != "of the environment" || got.Insecure || string(got.CA) != string(ca.PEM()) {
		t.Errorf("with TLS: %+v, %v", got, err)
	}
	t.Setenv("PGSSLMODE", "verify-full")
	if got, err = store.ParseURL("postgres://me@db.example/shop"); err != nil || got.Insecure || got.CA != nil {
		t.Errorf("with the system's roots: %+v, %v", got, err)
	}
}

// clearEnvironment takes away what libpq's variables say on this machine.
func clearEnvironment(t *testing.T) {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "PG") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	t.Setenv("HOME", t.TempDir()) // ~/.pgpass
	t.Setenv("USER", "")
}
