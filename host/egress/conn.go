package egress

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

const (
	// settleTime is how long a connection that is used again may take to be seen idle. It
	// takes one turn of the scheduler; longer means that something is wrong with it.
	settleTime = 100 * time.Millisecond
	settlePoll = 20 * time.Microsecond // about as long as a turn takes on a busy machine
)

// conn is a connection that knows whether all it received was consumed.
//
// net/http hands a connection to the next request as soon as it has read an answer, and
// only then looks whether more came behind it. In between, what a broken or hostile back
// end sent too much would be taken for the answer to the next request, which may be
// another consumer's. So before a connection is used again, it must be seen waiting for
// bytes: the reader above waits only when it holds none.
type conn struct {
	net.Conn
	reading atomic.Bool
	closed  atomic.Bool
}

func (c *conn) Read(p []byte) (int, error) {
	c.reading.Store(true)
	n, err := c.Conn.Read(p)
	c.reading.Store(false)
	return n, err
}

func (c *conn) Close() error {
	c.closed.Store(true)
	return c.Conn.Close()
}

// settle returns when c is waiting for bytes or closed. It closes c, which makes net/http
// take another one, when neither happens in time.
func (c *conn) settle() {
	for end := time.Now().Add(settleTime); !c.reading.Load() && !c.closed.Load(); time.Sleep(settlePoll) {
		if time.Now().After(end) {
			_ = c.Close() // the exchange that gets it fails, which is reported there
			return
		}
	}
}

// withSettled returns a context whose exchange lets a connection settle before it is used
// again. net/http calls GotConn after it took the connection and before it expects an
// answer on it, so that bytes left over are still known to be nobody's.
func withSettled(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if !info.Reused {
			return
		}
		under := info.Conn
		if t, ok := under.(*tls.Conn); ok {
			under = t.NetConn()
		}
		if c, ok := under.(*conn); ok {
			c.settle()
		}
	}})
}
