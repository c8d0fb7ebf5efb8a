package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pointsman/host/broker"
)

type postgres struct {
	*remote
	base  *pgconn.Config
	begin string // of a reading transaction
}

func openPostgres(c Config, limits Limits) (engine, error) {
	r, err := newRemote(c, limits)
	if err != nil {
		return nil, err
	}
	// A Config can only be made by parsing, which also looks at the environment and files:
	// they are named here, and everything that they could have set is set below.
	base, err := pgconn.ParseConfig("host=localhost port=5432 user=x password=x dbname=x sslmode=disable sslcert='' sslkey='' sslrootcert='' " +
		"passfile=/dev/null servicefile=/dev/null target_session_attrs=any connect_timeout=30 krbspn='' krbsrvname='' options='' " +
		"min_protocol_version=3.0 max_protocol_version=3.0 channel_binding=prefer sslnegotiation=postgres require_auth=''")
	if err != nil {
		return nil, errors.New("the environment names a service file (PGSERVICE), which is not read")
	}
	base.Host, base.Port, base.Database, base.User = r.host, r.port, c.Database, c.User
	base.Password, base.Fallbacks, base.TLSConfig = "", nil, r.tls
	base.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil } // Dial resolves
	base.SSLNegotiation, base.SSLCertMode, base.KerberosSrvName, base.KerberosSpn = "postgres", "disable", "", ""
	base.ValidateConnect, base.AfterConnect, base.OAuthTokenProvider = nil, nil, nil
	base.ConnectTimeout = 0 // the context's
	base.MaxProtocolMessageBodyLen = int(resultBytes(limits.Bytes))
	base.RequireAuth = "scram-sha-256"
	switch {
	case c.Password == nil:
		base.RequireAuth = "none"
	case r.tls != nil:
		base.RequireAuth = "scram-sha-256,md5"
	}
	milliseconds := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	base.RuntimeParams = map[string]string{ // what RESET ALL goes back to
		"application_name": "pointsman", "client_encoding": "UTF8", "timezone": "UTC", "datestyle": "ISO, YMD", "intervalstyle": "iso_8601",
		"extra_float_digits": "1", "bytea_output": "hex", "standard_conforming_strings": "on",
		"statement_timeout": milliseconds(limits.serverTime()), "lock_timeout": milliseconds(limits.lockTime()),
		"idle_in_transaction_session_timeout": milliseconds(limits.serverTime() + 5*time.Second),
	}
	p := &postgres{remote: r, base: base, begin: "BEGIN READ ONLY"}
	if c.ReadRole != "" {
		if strings.ContainsAny(c.ReadRole, "\x00\"") {
			return nil, errors.New("readRole is not the name of a role")
		}
		p.begin += `; SET LOCAL ROLE "` + c.ReadRole + `"`
	}
	p.open(p)
	return p, nil
}

// pgSession is a driver.Conn for the pool's sake alone: statements go to the session itself.
type pgSession struct {
	*pgconn.PgConn
	link     *link
	prepared map[string]bool
}

// Connect implements driver.Connector.
func (p *postgres) Connect(ctx context.Context) (driver.Conn, error) {
	config := p.base.Copy()
	var first atomic.Pointer[link]
	config.DialFunc = p.dial(&first)
	password, err := p.password(ctx)
	if err != nil {
		return nil, err
	}
	config.Password = password
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &pgSession{PgConn: conn, link: first.Load(), prepared: map[string]bool{}}, nil
}

// Driver implements driver.Connector.
func (p *postgres) Driver() driver.Driver { return nil }

func (s *pgSession) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.PgConn.Close(ctx) // it fails if the server is gone, which is what closing is for
	return nil
}

func (s *pgSession) IsValid() bool { return !s.IsClosed() }

var errPoolOnly = errors.New("sqldb: the pool's connection takes no statements")

func (s *pgSession) Prepare(string) (driver.Stmt, error) { return nil, errPoolOnly }
func (s *pgSession) Begin() (driver.Tx, error)           { return nil, errPoolOnly }

// pgReset is DISCARD ALL without forgetting the prepared statements.
const pgReset = "ROLLBACK; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *; " +
	"SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES"

func (p *postgres) query(ctx context.Context, s *statement, text string, args []any, out *result) error {
	return use(ctx, p.pool, func(c *pgSession) error {
		c.link.left.Store(resultBytes(p.limits.Bytes))
		err := p.run(ctx, c, s, text, args, out)
		if c.IsClosed() {
			return spent(err)
		}
		if _, e := c.Exec(ctx, pgReset).ReadAll(); e != nil {
			return spent(err)
		}
		return err
	})
}

func (p *postgres) run(ctx context.Context, c *pgSession, s *statement, text string, args []any, out *result) error {
	begin := p.begin
	if s.Write {
		begin = "BEGIN READ WRITE"
	}
	if _, err := c.Exec(ctx, begin).ReadAll(); err != nil {
		return err
	}
	id := s.ids[text]
	if !c.prepared[id] {
		if _, err := c.PgConn.Prepare(ctx, id, text, nil); err != nil {
			return err
		}
		c.prepared[id] = true
	}
	reader := c.ExecPrepared(ctx, id, pgArgs(args), nil, nil)
	err := pgRows(reader, out)
	if err != nil {
		c.link.drain()
	}
	tag, closeErr := reader.Close()
	switch {
	case errors.Is(err, errFull) && s.Write:
		return &broker.Error{Kind: broker.Upstream, Detail: fmt.Sprintf("the statement answers more than %d rows: nothing was changed", out.rows)}
	case errors.Is(err, errFull):
		return nil // whether or not the rest could be passed: the session is closed then
	case err != nil:
		return err
	case closeErr != nil:
		if e, ok := errors.AsType[*pgconn.PgError](closeErr); ok && (e.Code == "0A000" || e.Code == "26000") {
			return spent(closeErr) // the table changed since it was prepared
		}
		return closeErr
	case !s.Write:
		return nil
	}
	if _, err := c.Exec(ctx, "COMMIT").ReadAll(); err != nil {
		return err
	}
	if !tag.Select() {
		out.affected = tag.RowsAffected()
	}
	return nil
}

func (p *postgres) check(ctx context.Context, report *Report) error {
	return use(ctx, p.pool, func(c *pgSession) error {
		c.link.left.Store(resultBytes(p.limits.Bytes))
		results, err := c.Exec(ctx, "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool, current_setting('server_version')").ReadAll()
		if err != nil {
			return spent(err)
		}
		if len(results) == 1 && len(results[0].Rows) == 1 {
			row := results[0].Rows[0]
			report.ReadOnly, report.Server = string(row[0]) == "t", "PostgreSQL "+string(row[1])
		}
		for _, t := range report.texts {
			if _, err := c.PgConn.Prepare(ctx, "", t.text, nil); err != nil {
				if c.IsClosed() {
					return spent(err)
				}
				report.fault(t, err)
			}
		}
		return nil
	})
}

func (p *postgres) close() error { return p.pool.Close() }
