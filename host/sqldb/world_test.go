package sqldb_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"pointsman/host/broker"
	"pointsman/host/sqldb"
)

// target is one kind of database that the suite runs against.
type target struct {
	driver string
	config sqldb.Config // without statements
	admin  *sql.DB      // does what no statement may
}

// eachTarget runs f against SQLite, and against PostgreSQL and MariaDB where an engine of
// containers runs.
func eachTarget(t *testing.T, f func(t *testing.T, to *target)) {
	t.Run(sqldb.SQLite, func(t *testing.T) { f(t, sqliteTarget(t)) })
	t.Run(sqldb.Postgres, func(t *testing.T) { f(t, postgresTarget(t)) })
	t.Run(sqldb.MySQL, func(t *testing.T) { f(t, mysqlTarget(t)) })
}

func sqliteTarget(t testing.TB) *target {
	t.Helper()
	dir := t.TempDir()
	admin, err := sql.Open("sqlite", filepath.Join(dir, "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close() })
	if _, err := admin.Exec("CREATE TABLE made (x)"); err != nil {
		t.Fatal(err)
	}
	return &target{driver: sqldb.SQLite, config: sqldb.Config{Name: "store", Driver: sqldb.SQLite, Folder: dir, File: "test.db"}, admin: admin}
}

// exec runs the text for the driver, written with ? and the types of SQLite.
func (to *target) exec(t testing.TB, text string, args ...any) {
	t.Helper()
	if _, err := to.admin.Exec(to.sql(text), args...); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// sql writes text in the words of the driver.
func (to *target) sql(text string) string {
	switch to.driver {
	case sqldb.Postgres:
		text = strings.ReplaceAll(text, "BLOB", "BYTEA")
		for i := 1; strings.Contains(text, "?"); i++ {
			text = strings.Replace(text, "?", "$"+string(rune('0'+i)), 1)
		}
	case sqldb.MySQL:
		text = strings.ReplaceAll(text, " TEXT", " LONGTEXT")
		text = strings.ReplaceAll(text, "BLOB", "LONGBLOB")
	}
	return text
}

// open returns the database with these statements.
func (to *target) open(t testing.TB, statements map[string]sqldb.Statement, edit ...func(*sqldb.Config)) *sqldb.DB {
	t.Helper()
	c := to.config
	c.Statements = map[string]sqldb.Statement{}
	for name, s := range statements {
		s.SQL = to.sql(s.SQL)
		c.Statements[name] = s
	}
	for _, f := range edit {
		f(&c)
	}
	db, err := sqldb.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// ask plans and does. args are JSON by name.
func ask(t testing.TB, db *sqldb.DB, statement string, args map[string]string) (sqldb.Result, error) {
	t.Helper()
	return askCtx(context.Background(), db, statement, args, nil)
}

func askCtx(ctx context.Context, db *sqldb.DB, statement string, args, choices map[string]string) (sqldb.Result, error) {
	r := sqldb.Request{Statement: statement, Args: map[string]jsontext.Value{}, Choices: choices}
	for name, value := range args {
		r.Args[name] = jsontext.Value(value)
	}
	use, err := db.Plan(r)
	if err != nil {
		return sqldb.Result{}, err
	}
	return use.Do(ctx)
}

func want(t testing.TB, r sqldb.Result, err error, rows string) {
	t.Helper()
	if err != nil {
		t.Errorf("%v, want %s", err, rows)
	} else if string(r.Rows) != rows {
		t.Errorf("got  %s\nwant %s", r.Rows, rows)
	}
}

// wantKind fails unless err is of that kind, with a Detail that gives nothing away.
func wantKind(t testing.TB, err error, kind broker.Kind, secrets ...string) {
	t.Helper()
	e, ok := errors.AsType[*broker.Error](err)
	if !ok || e.Kind != kind {
		t.Errorf("got %v (%v), want an error of kind %v", err, broker.KindOf(err), kind)
		return
	}
	for _, s := range append(secrets, "127.0.0.1", "SQLSTATE", "syntax", "sqlite", "Error ") {
		if strings.Contains(e.Detail, s) {
			t.Errorf("detail %q holds %q", e.Detail, s)
		}
	}
}

// authority makes certificates for 127.0.0.1.
type authority struct {
	pool      *x509.CertPool
	cert, key []byte // PEM, of the server
	notAfter  time.Time
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool(), notAfter: time.Now().Add(240 * time.Hour).Truncate(time.Second)}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: a.notAfter.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caText, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(caText)
	if err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(parsed)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "database"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: a.notAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	text, err := x509.CreateCertificate(rand.Reader, leaf, parsed, key.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	keyText, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	a.cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: text})
	a.key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyText})
	return a
}

func plainDial(ctx context.Context, network, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, address)
}

// payloads are texts that break programs, those of the shared corpora among them.
func payloads(t testing.TB) []string {
	t.Helper()
	all := []string{"'; DROP TABLE stays; --", `" OR ""="`, "1 OR 1=1", `\'; DELETE FROM stays; -- `, "/*", "--", "$1", "?", "{order}", "%s%n", "\u202e", "ünïcödé", "🎈", "a\nb\rc\td", `\u0000`, "`x`", "$$;$$"}
	for _, file := range []string{"payloads/crlfinjection.txt", "payloads/directory_traversal.txt", "blns/blns.txt"} {
		text, err := os.ReadFile("../../../shared/corpus/" + file)
		if err != nil {
			t.Logf("corpus/%s is not present", file)
			continue
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSuffix(line, "\n"); line != "" && len(line) < 4000 {
				all = append(all, line)
			}
		}
	}
	return all
}
