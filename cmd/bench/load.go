package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"pointsman/cmd/backends/sim"
)

// load asks a contender over TLS connections that are kept, each one request after the other.
// It writes requests that were made before and does without an http.Client, to leave as much
// of the machine as it can to what is measured.
type load struct {
	tls         *tls.Config
	connections int
	requests    [][]byte
}

// taken is what one contender did in one round.
type taken struct {
	rate      float64         // requests per second
	latencies []time.Duration // of every request
	cpu       time.Duration   // of the contender's process
	cpuKnown  bool
}

// newLoad asks for every customer whom Salesforce knows, the messy ones and those whom the
// others do not know among them: each request is answered 200.
func newLoad(w *world, connections int) *load {
	l := &load{tls: w.clientTLS(), connections: connections}
	for _, c := range sim.NewData(seed, customers).Customers() {
		if c.SalesforceID != "" {
			l.requests = append(l.requests, request(c.Number, w.key))
		}
	}
	return l
}

func request(customer, key string) []byte {
	return fmt.Appendf(nil, "GET /v1/customers/%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nAccept: application/json\r\n\r\n", customer, key)
}

// run asks for as long as d; what is under way then is finished and counts. One request that
// fails fails the run: a fast wrong answer must not look good.
func (l *load) run(ctx context.Context, c contender, d time.Duration) (taken, error) {
	workers := make([]*connection, l.connections)
	for i := range workers {
		w, err := dial(ctx, c.address, l.tls)
		if err != nil {
			return taken{}, fmt.Errorf("%s: %w", c.name, err)
		}
		defer w.conn.Close()
		workers[i] = w
	}
	type share struct {
		latencies []time.Duration
		elapsed   time.Duration
		err       error
	}
	shares := make([]share, len(workers))
	var next atomic.Int64
	var group sync.WaitGroup
	before, known := cpuTime(c.pid)
	began := time.Now()
	for i, w := range workers {
		group.Go(func() {
			s := &shares[i]
			for s.elapsed < d && s.err == nil && ctx.Err() == nil {
				asked := time.Now()
				var status int
				status, _, s.err = w.ask(l.requests[int(next.Add(1)-1)%len(l.requests)])
				if s.err == nil && status != http.StatusOK {
					s.err = fmt.Errorf("answered %d", status)
				}
				s.latencies = append(s.latencies, time.Since(asked))
				s.elapsed = time.Since(began)
			}
		})
	}
	group.Wait()
	after, _ := cpuTime(c.pid)
	t := taken{cpu: after - before, cpuKnown: known}
	var errs []error
	for _, s := range shares {
		if s.err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.name, s.err))
		}
		t.latencies = append(t.latencies, s.latencies...)
		// Each worker over its own time: the end of the round does not depend on how long
		// the slowest request took.
		t.rate += float64(len(s.latencies)) / s.elapsed.Seconds()
	}
	return t, errors.Join(append(errs, ctx.Err())...)
}

// connection is one TLS connection that asks.
type connection struct {
	conn   *tls.Conn
	reader *bufio.Reader
}

// patience is how long a request may take: longer than any deadline of the route.
const patience = 30 * time.Second

func dial(ctx context.Context, address string, c *tls.Config) (*connection, error) {
	conn, err := (&tls.Dialer{Config: c}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &connection{conn.(*tls.Conn), bufio.NewReader(conn)}, nil
}

func (c *connection) ask(request []byte) (status int, body []byte, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, nil, err
	}
	if _, err := c.conn.Write(request); err != nil {
		return 0, nil, err
	}
	res, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0, nil, err
	}
	body, err = io.ReadAll(res.Body)
	return res.StatusCode, body, errors.Join(err, res.Body.Close())
}
