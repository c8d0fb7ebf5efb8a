package sqldb

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// link is a connection over the network that reads no more than it is allowed. Drivers
// buffer a row before anyone can look at it, and read what is left of a result when it is
// closed: here a row of a gigabyte and ten million rows end.
type link struct {
	net.Conn
	left atomic.Int64 // bytes that may still be read
}

var errFlood = errors.New("the database sends more than a result may have")

func (l *link) Read(b []byte) (int, error) {
	left := l.left.Load()
	if left <= 0 {
		return 0, errFlood
	}
	if int64(len(b)) > left {
		b = b[:left]
	}
	n, err := l.Conn.Read(b)
	l.left.Add(-int64(n))
	return n, err
}

const (
	// helloBytes is what a server may send until it is ready: certificates, parameters.
	helloBytes = 1 << 20
	// drainBytes is what is read of rows that nobody will see, so that the connection can be
	// used again. More costs more than a new connection.
	drainBytes = 256 << 10
)

// resultBytes is what a result of n bytes of JSON may take on the wire: bytea is written
// with two letters for a byte, and every value has a length before it.
func resultBytes(n int64) int64 { return 4*n + helloBytes }

// drain allows only a little more to be read.
func (l *link) drain() {
	for {
		left := l.left.Load()
		if left <= drainBytes || l.left.CompareAndSwap(left, drainBytes) {
			return
		}
	}
}

// remote is what the engines that use a network share.
type remote struct {
	host    string
	port    uint16
	config  Config
	limits  Limits
	tls     *tls.Config  // nil: none
	expires atomic.Int64 // when the first certificate of the last handshake's chain ends, Unix seconds; 0: none seen
	pool    *sql.DB
}

func newRemote(c Config, limits Limits) (*remote, error) {
	host, portText, err := net.SplitHostPort(c.Address)
	port, portErr := strconv.ParseUint(portText, 10, 16)
	switch {
	case err != nil || portErr != nil || host == "" || port == 0:
		return nil, errors.New("address must be host:port")
	case host[0] == '/' || host[0] == '@' || strings.ContainsFunc(host, func(c rune) bool { return c == ',' || c <= ' ' || c > '~' }):
		return nil, errors.New("address must be one host and a port")
	case c.Database == "" || c.User == "":
		return nil, errors.New("database and user are missing")
	case c.Dial == nil:
		return nil, errors.New("it has nothing to dial with")
	case c.File != "":
		return nil, errors.New("file belongs to sqlite")
	}
	r := &remote{host: host, port: uint16(port), config: c, limits: limits}
	if c.Insecure {
		if c.TLS != (TLS{}) {
			return nil, errors.New("tls contradicts insecure")
		}
		return r, nil
	}
	switch c.TLS.MinVersion {
	case 0, tls.VersionTLS12, tls.VersionTLS13:
	default:
		return nil, errors.New("tls: the least version must be TLS 1.2 or 1.3")
	}
	r.tls = &tls.Config{
		RootCAs: c.TLS.RootCAs, ServerName: c.TLS.ServerName, MinVersion: max(c.TLS.MinVersion, tls.VersionTLS12),
		VerifyConnection: func(state tls.ConnectionState) error {
			first := int64(0)
			for _, cert := range state.PeerCertificates {
				if at := cert.NotAfter.Unix(); first == 0 || at < first {
					first = at
				}
			}
			r.expires.Store(first)
			return nil
		},
	}
	if r.tls.ServerName == "" {
		r.tls.ServerName = host
	}
	return r, nil
}

// open makes the pool. connector makes its connections.
func (r *remote) open(connector driver.Connector) {
	r.pool = sql.OpenDB(connector)
	r.pool.SetMaxOpenConns(r.limits.Connections)
	r.pool.SetMaxIdleConns(r.limits.Connections)
	r.pool.SetConnMaxIdleTime(idleTime)
	r.pool.SetConnMaxLifetime(lifeTime)
}

// dial reaches the server. Only the first connection is the session's: later ones carry
// words about it.
func (r *remote) dial(first *atomic.Pointer[link]) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := r.config.Dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		l := &link{Conn: conn}
		l.left.Store(helloBytes)
		first.CompareAndSwap(nil, l)
		return l, nil
	}
}

func (r *remote) password(ctx context.Context) (string, error) {
	if r.config.Password == nil {
		return "", nil
	}
	b, err := r.config.Password(ctx)
	if err != nil {
		return "", fmt.Errorf("the password: %w", err)
	}
	defer clear(b)
	return string(b), nil // drivers take strings
}

// use lends a connection of the pool to f. If f says that it is spent, it is closed.
func use[C any](ctx context.Context, pool *sql.DB, f func(C) error) error {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return raw(conn, f)
}

// raw is use of a connection that was taken from its pool, and is given back.
func raw[C any](conn *sql.Conn, f func(C) error) error {
	defer conn.Close()
	var result error
	err := conn.Raw(func(c any) error {
		err := f(c.(C))
		if spent, ok := errors.AsType[*spentError](err); ok {
			result = spent.err
			return driver.ErrBadConn
		}
		result = err
		return nil
	})
	if result == nil && err != nil && !errors.Is(err, driver.ErrBadConn) {
		result = err
	}
	return result
}

// spentError says that a connection is to be closed, and what was the matter, if anything.
type spentError struct{ err error }

func (s *spentError) Error() string { return "the connection is spent" }

func spent(err error) error { return &spentError{err} }

// serverTime is how long a server may work on a statement: as long as we wait, and never
// less than what servers can count.
func (l Limits) serverTime() time.Duration { return max(l.Time, time.Millisecond) }

// lockTime is how long a statement may wait for a lock: half of the time, so that there is
// some left to say so.
func (l Limits) lockTime() time.Duration { return max(l.Time/2, time.Millisecond) }
