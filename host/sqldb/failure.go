package sqldb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"

	"pointsman/host/broker"
)

// What a plugin and an integrator are told. The database's own words are told nobody but who
// checks a database: they quote values.
const (
	saidLate       = "the database did not answer in time"
	saidDown       = "the database cannot be reached"
	saidBusy       = "the database has no connection left"
	saidConstraint = "a constraint of the database refuses this"
	saidArgument   = "the database does not take an argument"
	saidLocked     = "what the statement needs is locked by another"
	saidStatement  = "the database does not take the statement"
	saidReadOnly   = "the statement tried to change something, which it is not declared for"
)

// failure turns err, of any driver, into the error that Do promises.
func failure(ctx context.Context, err error) error {
	if e, ok := errors.AsType[*broker.Error](err); ok {
		return &broker.Error{Kind: e.Kind, Detail: e.Detail, Err: wordless(err)}
	}
	kind, said := judge(err)
	if cause := ctx.Err(); cause != nil { // whatever it looks like: the reason is that it was ended
		kind, said = broker.UpstreamTimeout, saidLate
		if errors.Is(cause, context.Canceled) {
			kind, said = broker.Canceled, ""
		}
	}
	return &broker.Error{Kind: kind, Detail: said, Err: wordless(err)}
}

// wordless is err as it may be logged. A database quotes values in its own words, arguments
// and rows: of those the code stays, and what the schema calls the thing.
func wordless(err error) error {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return fmt.Errorf("PostgreSQL says %s (table %q, column %q, constraint %q)", e.Code, e.TableName, e.ColumnName, e.ConstraintName)
	}
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return fmt.Errorf("MySQL says %d (%s)", e.Number, e.SQLState[:])
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return fmt.Errorf("SQLite says %d (%s)", e.Code(), sqlite.ErrorCodeString[e.Code()&0xff])
	}
	return err
}

func judge(err error) (broker.Kind, string) {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return judgePostgres(e.Code)
	}
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return judgeMySQL(e.Number)
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return judgeSQLite(e.Code())
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return broker.UpstreamTimeout, saidLate
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return broker.UpstreamTimeout, saidLate
	}
	return broker.Upstream, saidDown
}

// judgePostgres reads a SQLSTATE: PostgreSQL's manual, appendix A.
func judgePostgres(code string) (broker.Kind, string) {
	switch code {
	case "57014": // query_canceled, which statement_timeout is
		return broker.UpstreamTimeout, saidLate
	case "55P03", "40P01", "40001": // lock_not_available, deadlock_detected, serialization_failure
		return broker.Unavailable, saidLocked
	case "25006": // read_only_sql_transaction
		return broker.Upstream, saidReadOnly
	}
	if len(code) != 5 {
		return broker.Upstream, saidDown
	}
	switch code[:2] {
	case "22": // data exception
		return broker.Invalid, saidArgument
	case "23":
		return broker.Invalid, saidConstraint
	case "53": // insufficient resources
		return broker.Unavailable, saidBusy
	case "42", "0A", "26":
		return broker.Upstream, saidStatement
	}
	return broker.Upstream, saidDown
}

// judgeMySQL reads a number of MySQL's error reference; MariaDB has the same below 1900.
func judgeMySQL(n uint16) (broker.Kind, string) {
	switch n {
	case 3024, 1969, 1317, 1028: // query timeout (MySQL, MariaDB), interrupted
		return broker.UpstreamTimeout, saidLate
	case 1205, 1213: // lock wait timeout, deadlock
		return broker.Unavailable, saidLocked
	case 1792: // read only transaction
		return broker.Upstream, saidReadOnly
	case 1040, 1203, 1226: // too many connections
		return broker.Unavailable, saidBusy
	case 1022, 1048, 1062, 1169, 1216, 1217, 1364, 1451, 1452, 1557, 1586, 1761, 1762, 3819, 4025:
		return broker.Invalid, saidConstraint
	case 1264, 1265, 1292, 1366, 1406, 1411, 1690:
		return broker.Invalid, saidArgument
	case 1054, 1064, 1146, 1142, 1143, 1305, 1370:
		return broker.Upstream, saidStatement
	}
	return broker.Upstream, saidDown
}

func judgeSQLite(code int) (broker.Kind, string) {
	switch code & 0xff { // the rest tells more of the same
	case sqlitelib.SQLITE_INTERRUPT:
		return broker.UpstreamTimeout, saidLate
	case sqlitelib.SQLITE_BUSY, sqlitelib.SQLITE_LOCKED:
		return broker.Unavailable, saidLocked
	case sqlitelib.SQLITE_CONSTRAINT:
		return broker.Invalid, saidConstraint
	case sqlitelib.SQLITE_MISMATCH, sqlitelib.SQLITE_RANGE:
		return broker.Invalid, saidArgument
	case sqlitelib.SQLITE_READONLY:
		return broker.Upstream, saidReadOnly
	case sqlitelib.SQLITE_TOOBIG:
		return broker.Upstream, "a value of the database is too large"
	case sqlitelib.SQLITE_ERROR, sqlitelib.SQLITE_AUTH:
		return broker.Upstream, saidStatement
	}
	return broker.Upstream, saidDown
}
