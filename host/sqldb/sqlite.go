package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"time"

	"modernc.org/libc"
	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"

	"pointsman/host/broker"
)

// sqliteLength is the most that SQLite handles as one value or row, in bytes: it reads a
// value as a whole, so this is what a use can take of memory beside its result.
const sqliteLength = 32 << 20

type sqliteEngine struct {
	reader, writer *sql.DB // writer is nil if nothing writes
	limits         Limits
}

func openSQLite(c Config, limits Limits, writes bool) (engine, error) {
	if c.Address != "" || c.Database != "" || c.User != "" || c.Password != nil || c.TLS != (TLS{}) || c.Insecure || c.ReadRole != "" || c.Dial != nil {
		return nil, errors.New("sqlite has a folder and a file, and nothing that belongs to a network")
	}
	path, err := locate(c.Folder, c.File)
	if err != nil {
		return nil, err
	}
	e := &sqliteEngine{limits: limits}
	if e.reader, err = openFile(path, "ro", limits); err != nil {
		return nil, err
	}
	if writes {
		if e.writer, err = openFile(path, "rw", limits); err != nil {
			return nil, errors.Join(err, e.reader.Close())
		}
		e.writer.SetMaxOpenConns(1) // SQLite has one writer at a time
	}
	return e, nil
}

// handleOf is the driver's pointer to its connection, 0 if it has none. The driver ends a
// statement only until its first row; the rest is ended by SQLite's own function.
func handleOf(conn driver.Conn) uintptr {
	v := reflect.ValueOf(conn)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return 0
	}
	if db := v.Elem().FieldByName("db"); db.IsValid() && db.Kind() == reflect.Uintptr {
		return uintptr(db.Uint())
	}
	return 0
}

// watch interrupts what the connection does once ctx is done, until stop is called. It asks
// again: an interrupt between two statements is lost.
func watch(ctx context.Context, handle uintptr) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-ctx.Done():
		case <-quit:
			return
		}
		tls := libc.NewTLS()
		defer tls.Close()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			sqlitelib.Xsqlite3_interrupt(tls, handle)
			select {
			case <-quit:
				return
			case <-tick.C:
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// sqliteConn is what the driver's connections offer.
type sqliteConn interface {
	driver.Conn
	driver.ExecerContext
	driver.QueryerContext
	driver.ConnPrepareContext
}

func (e *sqliteEngine) query(ctx context.Context, s *statement, text string, args []any, out *result) error {
	pool, begin, end := e.reader, "BEGIN", "ROLLBACK"
	if s.Write {
		pool, begin, end = e.writer, "BEGIN IMMEDIATE", "COMMIT"
	}
	return lend(ctx, pool, func(c sqliteConn) error {
		stop := watch(ctx, handleOf(c))
		err := func() error {
			if _, err := c.ExecContext(ctx, begin, nil); err != nil {
				return err
			}
			return sqliteRun(ctx, c, s, text, sqliteArgs(args), out)
		}()
		if err == nil && s.Write {
			_, err = c.ExecContext(ctx, end, nil)
		}
		stop() // before the clean-up, which must not be interrupted
		switch {
		case err == nil && s.Write:
			return nil
		case errors.Is(err, errFull) && s.Write:
			err = &broker.Error{Kind: broker.Upstream, Detail: fmt.Sprintf("the statement answers more than %d rows: nothing was changed", out.rows)}
		case errors.Is(err, errFull):
			err = nil
		}
		if _, e := c.ExecContext(context.WithoutCancel(ctx), "ROLLBACK", nil); e != nil {
			return spent(err) // closing ends the transaction, too
		}
		return err
	})
}

// lend is use, with SQLite's own limits set.
func lend(ctx context.Context, pool *sql.DB, f func(sqliteConn) error) error {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	for id, most := range map[int]int{sqlitelib.SQLITE_LIMIT_LENGTH: sqliteLength, sqlitelib.SQLITE_LIMIT_ATTACHED: 0, sqlitelib.SQLITE_LIMIT_WORKER_THREADS: 0} {
		if _, err := sqlite.Limit(conn, id, most); err != nil {
			conn.Close()
			return err
		}
	}
	return raw(conn, f)
}

func sqliteRun(ctx context.Context, c sqliteConn, s *statement, text string, args []driver.NamedValue, out *result) error {
	if !s.yield[text] {
		done, err := c.ExecContext(ctx, text, args)
		if err != nil {
			return err
		}
		out.affected, err = done.RowsAffected()
		return err
	}
	rows, err := c.QueryContext(ctx, text, args)
	if err != nil {
		return err
	}
	err = driverRows(rows, out, sqliteValue)
	if e := rows.Close(); err == nil {
		err = e
	}
	if err == nil && s.Write {
		out.affected = int64(out.count)
	}
	return err
}

func sqliteArgs(args []any) []driver.NamedValue {
	values := make([]driver.NamedValue, len(args))
	for i, a := range args {
		switch v := a.(type) {
		case number:
			a = v.sqlite()
		case time.Time:
			a = v.Format(time.RFC3339Nano)
		}
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	return values
}

// sqliteValue writes a value of a column that was declared as kind. SQLite has no types for
// time, boolean and JSON: what the declaration says decides.
func sqliteValue(out *result, kind string, v driver.Value) error {
	switch v := v.(type) {
	case nil:
		out.null()
	case int64:
		if (kind == "BOOLEAN" || kind == "BOOL") && (v == 0 || v == 1) {
			out.boolean(v == 1)
			return nil
		}
		out.integer(v)
	case float64:
		out.float(v, 64)
	case bool:
		out.boolean(v)
	case []byte:
		return out.bytes(v)
	case string:
		if kind == "JSON" {
			return out.json([]byte(v))
		}
		return out.string([]byte(v))
	case time.Time: // the driver reads columns declared DATE, DATETIME and TIMESTAMP
		if h, m, sec := v.Clock(); kind == "DATE" && h == 0 && m == 0 && sec == 0 && v.Nanosecond() == 0 {
			return out.string([]byte(v.Format(time.DateOnly)))
		}
		return out.string([]byte(v.Format(time.RFC3339Nano)))
	default:
		return refused("a value of the result is of an unknown type", nil)
	}
	return nil
}

func (e *sqliteEngine) check(ctx context.Context, report *Report) error {
	pool := e.reader
	if e.writer != nil {
		pool = e.writer
	}
	return lend(ctx, pool, func(c sqliteConn) error {
		report.Server, report.ReadOnly = "SQLite "+sqlitelib.SQLITE_VERSION, e.writer == nil
		rows, err := c.QueryContext(ctx, "SELECT count(*) FROM sqlite_schema", nil) // reads the file's head
		if err != nil {
			return spent(err)
		}
		if err := rows.Close(); err != nil {
			return spent(err)
		}
		for _, t := range report.texts {
			stmt, err := c.PrepareContext(ctx, t.text)
			if err != nil {
				report.fault(t, err)
				continue
			}
			if err := stmt.Close(); err != nil {
				return spent(err)
			}
		}
		return nil
	})
}

func (e *sqliteEngine) close() error {
	err := e.reader.Close()
	if e.writer != nil {
		err = errors.Join(err, e.writer.Close())
	}
	return err
}
