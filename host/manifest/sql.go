package manifest

import (
	"net/netip"
	"time"
)

// SQLBackend is a database and everything that can be asked of it.
type SQLBackend struct {
	Driver     string         // one of the Driver constants
	File       string         // DriverSQLite: slash-separated path below the folder of databases
	Address    string         // host and port, "db.acme.example:5432"; not DriverSQLite
	Database   string         // name of the database at the address
	User       string         // as whom to connect
	Password   string         // name of the secret; empty: none is sent
	TLS        *TLS           // nil: the system's roots
	Insecure   bool           // a connection without TLS is meant
	Private    []netip.Prefix // private addresses that may be dialled, sorted
	ReadRole   string         // DriverPostgres: the role of statements that do not write; empty: the user's own
	Limits     SQLLimits
	Statements map[string]*Statement // by name; never empty in a Set
}

// Drivers of databases.
const (
	DriverSQLite   = "sqlite"
	DriverPostgres = "postgres"
	DriverMySQL    = "mysql" // and MariaDB
)

// SQLLimits bounds one database. A zero field means the default of host/sqldb.
type SQLLimits struct {
	Time        time.Duration // one statement, at most 30 s
	Rows        int           // of one result; 0: DefaultRows
	Bytes       int64         // one result, at most 8 MiB; 0: DefaultSQLBytes
	Cell        int64         // one value of a result, at most Bytes
	Connections int           // at once
}

// host/sqldb's defaults of SQLLimits.Rows and SQLLimits.Bytes.
const (
	DefaultRows           = 1000
	DefaultSQLBytes int64 = 1 << 20
)

// maxRows is what 8 MiB hold of rows of a few fields.
const maxRows = 100_000

// Statement is one statement that plugins can be granted.
type Statement struct {
	SQL     string           // with the driver's own placeholders, and {name} for each of Choices
	Params  []StatementParam // in the order of the placeholders
	Choices map[string]map[string]string
	Write   bool                // in a transaction that may write and is committed; else in one that only reads
	Rows    int                 // of a result; 0: those of the limits
	Labels  map[string][]string // label: paths into one row that have it, sorted
}

// StatementParam is one argument of a statement.
type StatementParam struct {
	Name      string
	Type      string // one of the Type constants
	MaxLength int    // characters of TypeText, bytes of TypeBytes; 0: as many as host/sqldb takes
	Optional  bool   // may be null
}

// Types of a statement's parameters.
const (
	TypeText      = "text"
	TypeInteger   = "integer" // 64 bits
	TypeNumber    = "number"  // decimal, no digit lost
	TypeBoolean   = "boolean"
	TypeTimestamp = "timestamp" // RFC 3339
	TypeBytes     = "bytes"     // base64
)
