package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"

	"pointsman/host/sqldb"
)

const (
	testUser     = "pointsman"
	testPassword = "p4ss-CANARY-word"
	testDatabase = "customers"
)

// server is a database in a container, one for all tests of a kind.
type server struct {
	once      sync.Once
	container testcontainers.Container
	address   string
	authority *authority
	skip      string // why there is none
	err       error
}

var postgresServer, mysqlServer server

func stopContainers() {
	for _, s := range []*server{&postgresServer, &mysqlServer} {
		if s.container != nil {
			if err := s.container.Terminate(context.Background()); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	}
}

func (s *server) start(t testing.TB, r func(image string, a *authority) testcontainers.ContainerRequest, variable, image, port string, ready func(*authority) error) {
	t.Helper()
	s.once.Do(func() {
		named := os.Getenv(variable)
		if named != "" {
			image = named
		}
		s.authority = newAuthority(t)
		ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
		defer cancel()
		provider, err := testcontainers.NewDockerProvider()
		if err == nil {
			defer provider.Close()
			err = provider.Health(ctx)
		}
		if err != nil {
			s.skip = "no engine of containers runs"
			return
		}
		if _, err := provider.Client().ImageInspect(ctx, image); err != nil && named == "" {
			s.skip = "there is no image " + image + ": .ci/images makes it, " + variable + " names another"
			return
		}
		request := r(image, s.authority)
		request.ExposedPorts = []string{port}
		s.container, err = testcontainers.GenericContainer(ctx, testcontainers.GenericContainerRequest{
			ContainerRequest: request, Started: true, Logger: log.NewNoopLogger(),
		})
		if err != nil {
			s.err = err
			return
		}
		host, err := s.container.Host(ctx)
		if err != nil {
			s.err = err
			return
		}
		mapped, err := s.container.MappedPort(ctx, port)
		if err != nil {
			s.err = err
			return
		}
		s.address = net.JoinHostPort(host, mapped.Port())
		for {
			if err := ready(s.authority); err == nil {
				return
			} else if ctx.Err() != nil {
				s.err = fmt.Errorf("%s is not ready: %w", image, err)
				return
			}
			time.Sleep(200 * time.Millisecond)
		}
	})
	switch {
	case s.err != nil:
		t.Fatal(s.err)
	case s.skip != "" && os.Getenv("POINTSMAN_REQUIRE_CONTAINERS") != "":
		t.Fatal(s.skip)
	case s.skip != "":
		t.Skip(s.skip)
	}
}

func postgresTarget(t testing.TB) *target {
	t.Helper()
	s := &postgresServer
	s.start(t, func(image string, a *authority) testcontainers.ContainerRequest {
		return testcontainers.ContainerRequest{
			Image: image, Entrypoint: []string{"sh", "-c", "install -o postgres -m 600 /tls.key /server.key && exec docker-entrypoint.sh postgres -c ssl=on -c ssl_cert_file=/tls.crt -c ssl_key_file=/server.key -c fsync=off"},
			Env:   map[string]string{"POSTGRES_USER": testUser, "POSTGRES_PASSWORD": testPassword, "POSTGRES_DB": testDatabase},
			Files: a.files(),
		}
	}, "POINTSMAN_TEST_POSTGRES_IMAGE", "pointsman-test/postgres:debian", "5432/tcp", func(*authority) error {
		return s.admin(t, sqldb.Postgres).Ping()
	})
	return s.target(t, sqldb.Postgres)
}

func mysqlTarget(t testing.TB) *target {
	t.Helper()
	s := &mysqlServer
	s.start(t, func(image string, a *authority) testcontainers.ContainerRequest {
		env := map[string]string{}
		for _, prefix := range []string{"MYSQL", "MARIADB"} {
			env[prefix+"_USER"], env[prefix+"_PASSWORD"], env[prefix+"_DATABASE"], env[prefix+"_ROOT_PASSWORD"] = testUser, testPassword, testDatabase, testPassword
		}
		return testcontainers.ContainerRequest{
			Image: image, Cmd: []string{"--ssl-cert=/tls.crt", "--ssl-key=/tls.key", "--max-connections=60", "--max-allowed-packet=1G"}, Env: env, Files: a.files(),
		}
	}, "POINTSMAN_TEST_MYSQL_IMAGE", "pointsman-test/mariadb:debian", "3306/tcp", func(*authority) error {
		return s.admin(t, sqldb.MySQL).Ping()
	})
	return s.target(t, sqldb.MySQL)
}

func (a *authority) files() []testcontainers.ContainerFile {
	return []testcontainers.ContainerFile{
		{Reader: strings.NewReader(string(a.cert)), ContainerFilePath: "/tls.crt", FileMode: 0o644},
		{Reader: strings.NewReader(string(a.key)), ContainerFilePath: "/tls.key", FileMode: 0o644},
	}
}

// admin connects without what is under test. Tests that end close it.
func (s *server) admin(t testing.TB, driver string) *sql.DB {
	t.Helper()
	var db *sql.DB
	var err error
	if driver == sqldb.Postgres {
		config, e := pgx.ParseConfig(fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", testUser, testPassword, s.address, testDatabase))
		if err = e; err == nil {
			db = stdlib.OpenDB(*config)
		}
	} else {
		config := mysql.NewConfig()
		config.User, config.Passwd, config.Net, config.Addr, config.DBName = testUser, testPassword, "tcp", s.address, testDatabase
		config.Logger = &mysql.NopLogger{}
		connector, e := mysql.NewConnector(config)
		if err = e; err == nil {
			db = sql.OpenDB(connector)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// target empties the database for one test.
func (s *server) target(t testing.TB, driver string) *target {
	t.Helper()
	admin := s.admin(t, driver)
	if err := empty(admin, driver); err != nil {
		t.Fatal(err)
	}
	return &target{driver: driver, admin: admin, config: sqldb.Config{
		Name: "store", Driver: driver, Address: s.address, Database: testDatabase, User: testUser,
		Password: func(context.Context) ([]byte, error) { return []byte(testPassword), nil },
		TLS:      sqldb.TLS{RootCAs: s.authority.pool}, Dial: plainDial,
	}}
}

func empty(admin *sql.DB, driver string) error {
	schema := "DATABASE()"
	if driver == sqldb.Postgres {
		schema = "'public'"
	}
	rows, err := admin.Query("SELECT table_name FROM information_schema.tables WHERE table_schema = " + schema)
	if err != nil {
		return err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		names = append(names, name)
	}
	var faults []error
	for _, name := range names {
		_, err := admin.Exec("DROP TABLE " + name)
		faults = append(faults, err)
	}
	return errors.Join(append(faults, rows.Err())...)
}
