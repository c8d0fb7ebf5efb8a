package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"

	"pointsman/cmd/backends/sim"
	"pointsman/cmd/backends/store"
	"pointsman/host/manifest"
)

const (
	postgresImage    = "pointsman-test/postgres:debian" // .ci/images makes it
	postgresVariable = "POINTSMAN_TEST_POSTGRES_IMAGE"  // names another
	postgresPassword = "p4ss-CANARY-word"
)

// startPostgres starts a server with TLS in a container and returns the URL of a database in
// it, and of the same without TLS. Without an engine of containers the test is skipped.
func startPostgres(t *testing.T) (checked, plain string) {
	t.Helper()
	skip := func(why string) {
		if os.Getenv("POINTSMAN_REQUIRE_CONTAINERS") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	ctx, cancel := context.WithTimeout(t.Context(), demoTime)
	defer cancel()
	if os.Getenv("TESTCONTAINERS_RYUK_DISABLED") == "" {
		t.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true") // the test removes its container, and that one would have to be pulled
	}
	log.SetDefault(log.NewNoopLogger())
	image, named := os.LookupEnv(postgresVariable)
	if !named {
		image = postgresImage
	}
	provider, err := testcontainers.NewDockerProvider()
	if err == nil {
		defer provider.Close()
		err = provider.Health(ctx)
	}
	if err != nil {
		skip("no engine of containers runs")
	}
	if _, err := provider.Client().ImageInspect(ctx, image); err != nil && !named {
		skip("there is no image " + image + ": .ci/images makes it, " + postgresVariable + " names another")
	}
	ca, files := postgresFiles(t)
	c, err := testcontainers.GenericContainer(ctx, testcontainers.GenericContainerRequest{
		Started: true, Logger: log.NewNoopLogger(),
		ContainerRequest: testcontainers.ContainerRequest{
			Image: image, ExposedPorts: []string{"5432/tcp"}, Files: files,
			Entrypoint: []string{"sh", "-c", "install -o postgres -m 600 /tls.key /server.key && exec docker-entrypoint.sh postgres -c ssl=on -c ssl_cert_file=/tls.crt -c ssl_key_file=/server.key -c fsync=off"},
			Env:        map[string]string{"POSTGRES_USER": "me", "POSTGRES_PASSWORD": postgresPassword, "POSTGRES_DB": "shop"},
		},
	})
	testcontainers.CleanupContainer(t, c)
	if err != nil {
		t.Fatal(err)
	}
	mapped, err := c.MappedPort(ctx, "5432/tcp")
	if err != nil {
		t.Fatal(err)
	}
	base := "postgres://me@" + net.JoinHostPort("localhost", mapped.Port()) + "/shop?sslmode="
	plain = strings.Replace(base, "me@", "me:"+postgresPassword+"@", 1) + "disable"
	for {
		conn, err := pgx.Connect(ctx, plain)
		if err == nil {
			conn.Close(ctx)
			return base + "verify-full&sslrootcert=" + ca, plain
		}
		if ctx.Err() != nil {
			t.Fatalf("the database is not ready: %v", err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// postgresFiles are a server's certificate and key, and the name of the file with whom to trust.
func postgresFiles(t *testing.T) (ca string, files []testcontainers.ContainerFile) {
	t.Helper()
	authority, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.Leaf("localhost")
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	file := func(name, kind string, der []byte) testcontainers.ContainerFile {
		return testcontainers.ContainerFile{Reader: bytes.NewReader(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})), ContainerFilePath: name, FileMode: 0o644}
	}
	return ca, []testcontainers.ContainerFile{file("/tls.crt", "CERTIFICATE", leaf.Certificate[0]), file("/tls.key", "PRIVATE KEY", key)}
}

// TestDemoPostgres: the customer store is a table in somebody's database, and everything else
// that is there stays.
func TestDemoPostgres(t *testing.T) {
	checked, plain := startPostgres(t)
	conn, err := pgx.Connect(t.Context(), plain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	do := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	number := func(sql string) (n int) {
		t.Helper()
		if err := conn.QueryRow(t.Context(), sql).Scan(&n); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		return n
	}
	target, err := store.ParseURL(plain)
	if err != nil {
		t.Fatal(err)
	}
	rows := sim.NewData(demoSeed, demoCustomers).Store()
	const ours = "SELECT count(*) FROM pointsman_demo.customers"
	const schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'pointsman_demo'"

	t.Run("made, kept, made anew, removed", func(t *testing.T) {
		p, err := store.Fill(t.Context(), target, rows[:10])
		if err != nil || number(ours) != 10 {
			t.Fatalf("%d rows, %v", number(ours), err)
		}
		if _, err := store.Fill(t.Context(), target, rows); !errors.Is(err, store.ErrTaken) {
			t.Errorf("while somebody has it: %v", err)
		}
		if err := p.Close(true); err != nil || number(ours) != 10 {
			t.Errorf("kept: %d rows, %v", number(ours), err)
		}
		if p, err = store.Fill(t.Context(), target, rows); err != nil || number(ours) != len(rows) {
			t.Fatalf("anew: %d rows, %v", number(ours), err)
		}
		do("CREATE VIEW pointsman_demo.mine AS SELECT 1 AS one")
		if err := p.Close(false); err != nil || number("SELECT one FROM pointsman_demo.mine") != 1 {
			t.Errorf("removed: %v", err)
		}
		do("DROP SCHEMA pointsman_demo CASCADE")
	})
	t.Run("somebody's table of that name", func(t *testing.T) {
		do("CREATE SCHEMA pointsman_demo")
		for _, theirs := range []string{"CREATE TABLE pointsman_demo.customers AS SELECT 7 AS n", "CREATE VIEW pointsman_demo.customers AS SELECT 7 AS n"} {
			do(theirs)
			code, out := runOnce(t, "demo", "--once", "--postgres", plain, "--manifests", "../../manifests/demo", "--modules", buildPlugins(t), "--listen", "127.0.0.1:0")
			if code != exitRefused || !strings.Contains(out, "did not make") || strings.Contains(out, postgresPassword) {
				t.Errorf("exit code %d: %s", code, out)
			}
			if n := number("SELECT n FROM pointsman_demo.customers"); n != 7 {
				t.Errorf("it holds %d now", n)
			}
			do("DROP " + strings.Fields(theirs)[1] + " pointsman_demo.customers")
		}
		do("DROP SCHEMA pointsman_demo")
	})
	t.Run("the demo", func(t *testing.T) {
		if _, err := exec.LookPath("curl"); err != nil {
			t.Skip("the demo's lines are not tried: no curl")
		}
		t.Setenv("PGPASSWORD", postgresPassword)
		parent := t.TempDir()
		t.Setenv("TMPDIR", parent)
		d := startDemo(t, "--postgres", checked)
		if number(ours) != len(rows) {
			t.Errorf("%d rows, want %d", number(ours), len(rows))
		}
		testDemoAnswers(t, d)
		testNoPassword(t, parent)
		d.end()
		if number(schemas) != 0 {
			t.Error("the schema is left")
		}
		if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	})
}

// testNoPassword looks for the database's password in every file of the demo.
func testNoPassword(t *testing.T, dir string) {
	t.Helper()
	manifests := 0
	err := filepath.WalkDir(dir, func(name string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(name)
		if strings.HasSuffix(name, ".yaml") && bytes.Contains(text, []byte("driver: postgres")) {
			manifests++
		}
		if bytes.Contains(text, []byte(postgresPassword)) {
			t.Errorf("%s holds the password", name)
		}
		return err
	})
	if err != nil || manifests != 1 {
		t.Errorf("%d manifests name PostgreSQL, %v", manifests, err)
	}
}

// TestToPostgres: the demo's own manifests stay what they are but for where the database is.
func TestToPostgres(t *testing.T) {
	text, err := os.ReadFile("../../manifests/demo/backends.yaml")
	if err != nil {
		t.Fatal(err)
	}
	set, faults := manifest.Load(os.DirFS("../../manifests/demo"))
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	line := 0
	for _, b := range set.Backends {
		if b.SQL != nil {
			line = b.Pos.Line
		}
	}
	tests := []struct {
		name, url string
		want      []string
	}{
		{"without TLS", "postgres://me:word@localhost:5433/shop?sslmode=disable", []string{"address: \"localhost:5433\"\n", "database: \"shop\"\n", "user: \"me\"\n", "password: {secret: customer-store-password}\n", "insecure: true\n"}},
		{"with TLS", "postgres://me:word@db.example/the%20shop%22?sslmode=verify-full", []string{"address: \"db.example:5432\"\n", "database: \"the shop\\\"\"\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			target, err := store.ParseURL(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			got, err := toPostgres(string(text), line, target)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range append(tt.want, "driver: postgres\n", "FROM pointsman_demo.customers WHERE number = $1 ") {
				if strings.Count(got, "    "+want) != 1 && !strings.Contains(got, want) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
			if strings.Contains(got, "word\"") || strings.Contains(got, ":word") || strings.Contains(got, "sqlite") || strings.Contains(got, "customers.db") {
				t.Errorf("it holds what it must not:\n%s", got)
			}
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS("../../manifests/demo")); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "backends.yaml"), []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
			is, faults := manifest.Load(os.DirFS(dir))
			if err := faults.Err(); err != nil {
				t.Fatal(err)
			}
			for i, b := range is.Backends {
				if b.HTTP != nil && fmt.Sprint(*b.HTTP) != fmt.Sprint(*set.Backends[i].HTTP) && b.HTTP.URL != set.Backends[i].HTTP.URL {
					t.Errorf("back end %s changed", b.Name)
				}
				if b.SQL != nil && (b.SQL.Driver != manifest.DriverPostgres || b.SQL.File != "" || fmt.Sprint(b.SQL.Limits) != fmt.Sprint(set.Backends[i].SQL.Limits)) {
					t.Errorf("the database is %+v", *b.SQL)
				}
			}
		})
	}
	for name, changed := range map[string]string{
		"no table that it knows":          strings.Replace(string(text), "FROM customers", "FROM clients", 1),
		"a file that is not where it was": strings.Replace(string(text), "    file: customers.db", "    \"file\": customers.db", 1),
	} {
		if _, err := toPostgres(changed, line, store.Target{}); err == nil || !strings.Contains(err.Error(), "found 0 times") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
