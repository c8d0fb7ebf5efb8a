// Package sqldb owns the way to databases: named statements with typed arguments over
// PostgreSQL, MySQL or MariaDB, and SQLite, within limits, and nothing else of SQL.
package sqldb

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"
)

// Drivers.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
	MySQL    = "mysql" // and MariaDB
)

// Types of parameters.
const (
	Text      = "text"      // a JSON string
	Integer   = "integer"   // a JSON number without fraction or exponent, 64 bits with sign
	Number    = "number"    // a JSON number, decimal
	Boolean   = "boolean"   // true or false
	Timestamp = "timestamp" // a JSON string, RFC 3339
	Bytes     = "bytes"     // a JSON string, base64
)

// Defaults and ceilings.
const (
	defaultTime        = 2 * time.Second  // as for an HTTP exchange: a route has a second or so
	maxTime            = 30 * time.Second // the longest deadline of a route
	defaultRows        = 1000
	maxRows            = 100_000 // what 8 MiB hold of rows of a few fields
	defaultBytes       = 1 << 20 // bytes of a result, as of an HTTP answer: what a sandbox takes
	maxBytes           = 8 << 20 // SECURITY-RULES §3.6
	defaultCell        = 64 << 10
	defaultConnections = 8    // most servers allow some hundred for all of their clients
	maxConnections     = 1000 //
	maxLength          = 64 << 10
	idleTime           = time.Minute
	lifeTime           = time.Hour // so that a rotated password and a moved server are met
)

// Config describes one database. The zero value of a limit means its default.
type Config struct {
	Name   string // the admin's; for errors of the operator
	Driver string

	// SQLite: File is a slash-separated path below Folder. Links that lead out are refused.
	Folder, File string

	// The others. Address is host:port. Password is asked for each new connection, so that
	// a rotated one is taken up; nil: none is sent. Its result is not kept.
	Address, Database, User string
	Password                func(ctx context.Context) ([]byte, error)
	TLS                     TLS
	Insecure                bool // a connection without TLS is meant
	// Dial makes every connection, also those that cancel a statement. It decides which
	// addresses may be dialled; address is Address, or a numeric one that Dial reached.
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
	ReadRole string // Postgres: the role of statements that do not write; empty: User's

	Limits     Limits
	Statements map[string]Statement
}

// TLS says how the server proves who it is.
type TLS struct {
	RootCAs    *x509.CertPool // nil: the system's
	MinVersion uint16         // tls.VersionTLS12 or tls.VersionTLS13; 0 means TLS 1.2
	ServerName string         // the name in the certificate; empty: the address's host
}

// Limits bounds every statement of one database.
type Limits struct {
	Time        time.Duration // of one use with all its waiting; 0 means 2 s, at most 30 s
	Rows        int           // of a result; 0 means 1000
	Bytes       int64         // of a result, as JSON; 0 means 1 MiB, at most 8 MiB
	Cell        int64         // of one value of a result, as JSON; 0 means 64 KiB, at most Bytes
	Connections int           // at the same time; 0 means 8
}

// Statement is one statement that can be used by its name.
type Statement struct {
	// SQL is exactly one statement, with the driver's own placeholders ($1 or ?) and {name}
	// for each of Choices.
	SQL     string
	Params  []Param                      // in the order of the placeholders
	Choices map[string]map[string]string // choice: word: what takes its place in SQL
	Write   bool                         // in a transaction that may write and is committed; else in one that reads
	Rows    int                          // within Limits.Rows; 0 means that
	Labels  map[string][]string          // label: paths into one row; kept for others, see DB.Labels
}

// Param is one argument.
type Param struct {
	Name      string
	Type      string
	MaxLength int  // characters of Text, bytes of Bytes; 0 means 65536
	Optional  bool // may be null or left out, which is null
}

// DB is one database. Safe for concurrent use.
type DB struct {
	name       string
	driver     string
	limits     Limits
	statements map[string]*statement
	engine     engine
	slots      chan struct{}
}

// engine runs what was planned on one kind of database.
type engine interface {
	// query runs text with args and adds the result to out.
	query(ctx context.Context, s *statement, text string, args []any, out *result) error
	check(ctx context.Context, r *Report) error
	close() error
}

// Open checks c and every statement, completely and without connecting: connections are
// made when they are needed. The error tells every fault.
func Open(c Config) (*DB, error) {
	limits, err := c.Limits.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("database %s: limits: %w", c.Name, err)
	}
	db := &DB{name: c.Name, driver: c.Driver, limits: limits, statements: map[string]*statement{}, slots: make(chan struct{}, limits.Connections)}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(c.Statements)) {
		s, err := compile(c.Driver, name, c.Statements[name], limits)
		if err != nil {
			faults = append(faults, fmt.Errorf("statement %s: %w", name, err))
			continue
		}
		db.statements[name] = s
	}
	if len(c.Statements) == 0 {
		faults = append(faults, errors.New("it has no statements"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("database %s: %w", c.Name, err)
	}
	switch c.Driver {
	case SQLite:
		db.engine, err = openSQLite(c, limits, db.writes())
	case Postgres:
		db.engine, err = openPostgres(c, limits)
	case MySQL:
		db.engine, err = openMySQL(c, limits)
	default:
		err = fmt.Errorf("driver %q is none of sqlite, postgres and mysql", c.Driver)
	}
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", c.Name, err)
	}
	return db, nil
}

// Name is the admin's name for the database.
func (d *DB) Name() string { return d.name }

// Labels are those that the statement of this name was given; nil if there is none.
func (d *DB) Labels(statement string) map[string][]string {
	if s := d.statements[statement]; s != nil {
		return s.Labels
	}
	return nil
}

// Has reports whether there is a statement of this name.
func (d *DB) Has(statement string) bool { return d.statements[statement] != nil }

// Close ends all connections and waits for what is under way.
func (d *DB) Close() error { return d.engine.close() }

func (d *DB) writes() bool {
	for _, s := range d.statements {
		if s.Write {
			return true
		}
	}
	return false
}

func (l Limits) withDefaults() (Limits, error) {
	if l.Time == 0 {
		l.Time = defaultTime
	}
	if l.Rows == 0 {
		l.Rows = defaultRows
	}
	if l.Bytes == 0 {
		l.Bytes = defaultBytes
	}
	if l.Cell == 0 {
		l.Cell = min(defaultCell, l.Bytes)
	}
	if l.Connections == 0 {
		l.Connections = defaultConnections
	}
	switch {
	case l.Time < time.Millisecond || l.Time > maxTime:
		return l, fmt.Errorf("time must be from 1ms to %v", maxTime)
	case l.Rows < 0 || l.Rows > maxRows:
		return l, fmt.Errorf("rows must be from 1 to %d", maxRows)
	case l.Bytes < 0 || l.Bytes > maxBytes:
		return l, fmt.Errorf("bytes must be from 1 to %d", maxBytes)
	case l.Cell < 0 || l.Cell > l.Bytes:
		return l, errors.New("cell must be from 1 to the limit of bytes")
	case l.Connections < 0 || l.Connections > maxConnections:
		return l, fmt.Errorf("connections must be from 1 to %d", maxConnections)
	}
	return l, nil
}
