package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"

	"pointsman/host/broker"
)

type mysqlEngine struct {
	*remote
}

func openMySQL(c Config, limits Limits) (engine, error) {
	if c.ReadRole != "" {
		return nil, errors.New("readRole belongs to postgres")
	}
	r, err := newRemote(c, limits)
	if err != nil {
		return nil, err
	}
	e := &mysqlEngine{remote: r}
	e.open(e)
	return e, nil
}

// mysqlSession is a driver.Conn for the pool's sake; statements go to the driver's own.
type mysqlSession struct {
	mysqlConn
	link     *link
	prepared map[string]driver.Stmt
	server   string
}

// mysqlConn is what the driver's connections offer.
type mysqlConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Validator
	driver.SessionResetter
	driver.Pinger
}

// Connect implements driver.Connector.
func (e *mysqlEngine) Connect(ctx context.Context) (driver.Conn, error) {
	config := mysql.NewConfig()
	config.User, config.DBName, config.Net, config.Addr = e.config.User, e.config.Database, "tcp", e.config.Address
	var first atomic.Pointer[link]
	config.DialFunc = e.dial(&first)
	config.TLS = e.tls.Clone() // nil: none
	config.Loc = time.UTC
	config.Logger = &mysql.NopLogger{}
	// What follows is what NewConfig has, and must not have otherwise.
	config.AllowAllFiles, config.AllowCleartextPasswords, config.AllowFallbackToPlaintext = false, false, false
	config.AllowOldPasswords, config.InterpolateParams, config.MultiStatements, config.ParseTime = false, false, false, false
	var err error
	if config.Passwd, err = e.password(ctx); err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	conn, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	inner, ok := conn.(mysqlConn)
	if !ok {
		conn.Close()
		return nil, errors.New("sqldb: the driver's connection lacks a method")
	}
	s := &mysqlSession{mysqlConn: inner, link: first.Load(), prepared: map[string]driver.Stmt{}}
	if err := e.setUp(ctx, s); err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

// Driver implements driver.Connector.
func (e *mysqlEngine) Driver() driver.Driver { return nil }

// setUp gives the session what it keeps: statements cannot change it, see session.
func (e *mysqlEngine) setUp(ctx context.Context, s *mysqlSession) error {
	row, err := s.one(ctx, "SELECT VERSION()", 1)
	if err != nil {
		return err
	}
	s.server = fmt.Sprintf("%s", row[0])
	limit := fmt.Sprintf("max_execution_time=%d", e.limits.serverTime().Milliseconds())
	if strings.Contains(s.server, "MariaDB") {
		limit = fmt.Sprintf("max_statement_time=%g", e.limits.serverTime().Seconds())
	}
	lock := int(math.Ceil(e.limits.lockTime().Seconds())) // whole seconds are all it counts
	_, err = s.ExecContext(ctx, fmt.Sprintf("SET SESSION time_zone='+00:00', sql_mode='TRADITIONAL', autocommit=1, "+
		"innodb_lock_wait_timeout=%d, lock_wait_timeout=%d, %s", lock, lock, limit), nil)
	return err
}

// one returns the only row of a question without arguments.
func (s *mysqlSession) one(ctx context.Context, text string, columns int) ([]driver.Value, error) {
	rows, err := s.QueryContext(ctx, text, nil)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	row := make([]driver.Value, columns)
	if len(rows.Columns()) != columns {
		return nil, errors.New("sqldb: unexpected columns")
	}
	if err := rows.Next(row); err != nil {
		return nil, err
	}
	for i, v := range row {
		if b, ok := v.([]byte); ok {
			row[i] = string(b)
		}
	}
	return row, nil
}

func (e *mysqlEngine) query(ctx context.Context, s *statement, text string, args []any, out *result) error {
	return use(ctx, e.pool, func(c *mysqlSession) error {
		c.link.left.Store(resultBytes(e.limits.Bytes))
		begin, end := "START TRANSACTION READ ONLY", "ROLLBACK"
		if s.Write {
			begin, end = "START TRANSACTION READ WRITE", "COMMIT"
		}
		if _, err := c.ExecContext(ctx, begin, nil); err != nil {
			return spent(err)
		}
		err := c.run(ctx, s, text, mysqlArgs(args), out)
		switch {
		case errors.Is(err, errFull) && s.Write:
			return spent(&broker.Error{Kind: broker.Upstream, Detail: fmt.Sprintf("the statement answers more than %d rows: nothing was changed", out.rows)})
		case errors.Is(err, errFull):
			err = nil
		case err != nil && s.Write:
			return spent(err)
		}
		if _, e := c.ExecContext(ctx, end, nil); e != nil {
			if s.Write {
				err = e
			}
			return spent(err) // the server ends the transaction with the session
		}
		return err
	})
}

func (c *mysqlSession) run(ctx context.Context, s *statement, text string, args []driver.NamedValue, out *result) error {
	stmt := c.prepared[text]
	if stmt == nil {
		var err error
		if stmt, err = c.PrepareContext(ctx, text); err != nil {
			return err
		}
		c.prepared[text] = stmt
	}
	if !s.yield[text] {
		done, err := stmt.(driver.StmtExecContext).ExecContext(ctx, args)
		if err != nil {
			return err
		}
		out.affected, err = done.RowsAffected()
		return err
	}
	rows, err := stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return err
	}
	err = driverRows(rows, out, mysqlValue)
	if err != nil {
		c.link.drain()
	}
	if e := rows.Close(); err == nil {
		err = e
	}
	if err == nil && s.Write {
		out.affected = int64(out.count)
	}
	return err
}

func (e *mysqlEngine) check(ctx context.Context, report *Report) error {
	return use(ctx, e.pool, func(c *mysqlSession) error {
		c.link.left.Store(resultBytes(e.limits.Bytes))
		row, err := c.one(ctx, "SELECT @@global.read_only", 1)
		if err != nil {
			return spent(err)
		}
		report.Server, report.ReadOnly = "MySQL "+c.server, fmt.Sprint(row[0]) == "1"
		if strings.Contains(c.server, "MariaDB") {
			report.Server = "MariaDB " + c.server
		}
		for _, t := range report.texts {
			stmt, err := c.PrepareContext(ctx, t.text)
			if err != nil {
				if !c.IsValid() {
					return spent(err)
				}
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

func (e *mysqlEngine) close() error { return e.pool.Close() }
