package rest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	// readHeaderTimeout is how long a client may take to send a request's header. There are
	// no bodies; the time to discard one is readTimeout's.
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	// writeTimeout is counted from the end of the header: maxServe, recordTime, and the rest
	// to send the answer in.
	writeTimeout = 45 * time.Second
	idleTimeout  = 60 * time.Second
	// maxHeaderBytes is the URL's cap and as much again for the header fields. net/http
	// allows 4 KiB more before it answers 431 by itself.
	maxHeaderBytes = 16 << 10
	// maxStreams is how many requests one HTTP/2 connection may have open.
	maxStreams = 100
	// abortTime is how long Shutdown waits for requests that it has aborted. Guests notice
	// within milliseconds that their context ended.
	abortTime = 2 * time.Second
)

// Options are the parts of a Server.
type Options struct {
	Broker   Broker
	Recorder Recorder
	Log      *slog.Logger

	// TLS has the certificate. Versions before 1.2 are refused whatever it says. It must be
	// set unless Plain is; GetConfigForClient must not, because its result could allow more.
	TLS *tls.Config
	// Plain means HTTP without TLS, for a gateway on the same host that speaks TLS itself.
	Plain bool

	// Unready is called when Shutdown begins, so that a load balancer looks elsewhere. May
	// be nil.
	Unready func()
	// LameDuck is how long requests are served as before after Unready, so that the load
	// balancer has time to notice. 0 means not at all.
	LameDuck time.Duration

	Now func() time.Time // nil means time.Now
}

// Server answers consumers. Safe for concurrent use.
type Server struct {
	broker   Broker
	recorder Recorder
	log      *slog.Logger
	plain    bool
	unready  func()
	lameDuck time.Duration
	now      func() time.Time

	http     *http.Server
	abort    context.CancelFunc // ends every request
	inFlight atomic.Int64       // requests that have begun and not ended
	stop     sync.Once          // the first Shutdown does it
}

// New returns a server that is not listening yet.
func New(o Options) (*Server, error) {
	switch {
	case o.Broker == nil || o.Recorder == nil || o.Log == nil:
		return nil, errors.New("rest: a part is missing")
	case o.Plain == (o.TLS != nil):
		return nil, errors.New("rest: either TLS or Plain must be given")
	case o.TLS != nil && o.TLS.GetConfigForClient != nil:
		return nil, errors.New("rest: GetConfigForClient could allow more than TLS does")
	}
	s := &Server{
		broker: o.Broker, recorder: o.Recorder, log: o.Log, plain: o.Plain,
		unready: o.Unready, lameDuck: o.LameDuck, now: o.Now,
	}
	if s.unready == nil {
		s.unready = func() {}
	}
	if s.now == nil {
		s.now = time.Now
	}
	every, abort := context.WithCancel(context.Background())
	s.abort = abort
	s.http = &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		Protocols:         protocols(o.Plain),
		BaseContext:       func(net.Listener) context.Context { return every },
		ErrorLog:          log.New(&connectionLog{log: o.Log, now: s.now}, "", 0),
		// OPTIONS * goes the way of all requests; net/http would answer it for us.
		DisableGeneralOptionsHandler: true,
	}
	if o.TLS != nil {
		s.http.TLSConfig = o.TLS.Clone()
		s.http.TLSConfig.MinVersion = max(o.TLS.MinVersion, tls.VersionTLS12)
	}
	return s, nil
}

// protocols are HTTP/1 and, over TLS, HTTP/2. Without TLS there is no HTTP/2: gateways
// speak HTTP/1 to what is on their own host.
func protocols(plain bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(!plain)
	return p
}

// Handler returns what answers requests, for a listener that somebody else owns.
//
// Echo is the shell: its router has a single entry, because the routes belong to a release
// and are swapped with it. What the router cannot hold (a target such as "*") comes back
// as an error and goes through the same door, so that no answer is Echo's own.
func (s *Server) Handler() http.Handler {
	e := echo.New()
	e.Logger.SetOutput(io.Discard)
	e.IPExtractor = echo.ExtractIPDirect()
	e.RouteNotFound("/*", s.handle)
	e.HTTPErrorHandler = func(_ error, c echo.Context) {
		if !c.Response().Committed {
			_ = s.handle(c) // always nil
		}
	}
	return e
}

// Serve answers requests that arrive at l until Shutdown, and closes l. It returns nil
// after Shutdown was called, which may then still be waiting for requests to end.
func (s *Server) Serve(l net.Listener) error {
	var err error
	if s.plain {
		err = s.http.Serve(l)
	} else {
		err = s.http.ServeTLS(l, "", "")
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve consumers: %w", err)
}

// Shutdown ends the server in order: it says that it is not ready, goes on serving for the
// lame duck time, stops accepting, and waits for the requests that have begun. When ctx
// ends first, they are aborted, and the error says so. When it returns, no request runs,
// unless the error says how many do. Later calls wait for the first and return nil.
func (s *Server) Shutdown(ctx context.Context) (err error) {
	s.stop.Do(func() { err = s.shutdown(ctx) })
	return err
}

func (s *Server) shutdown(ctx context.Context) error {
	defer s.abort()
	s.unready()
	select {
	case <-time.After(s.lameDuck):
	case <-ctx.Done():
	}
	err := s.http.Shutdown(ctx)
	if err == nil {
		return s.wait() // answered; their last log lines may be on the way
	}
	// Aborting ends the contexts of requests; closing ends the reads and writes that do not
	// look at them.
	err = fmt.Errorf("stop serving consumers: %d requests aborted: %w", s.inFlight.Load(), err)
	s.abort()
	return errors.Join(err, s.http.Close(), s.wait())
}

// wait returns when no request runs any more, or with an error after abortTime.
func (s *Server) wait() error {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.NewTimer(abortTime)
	defer deadline.Stop()
	for s.inFlight.Load() > 0 {
		select {
		case <-ticker.C:
		case <-deadline.C:
			return fmt.Errorf("stop serving consumers: %d requests run on", s.inFlight.Load())
		}
	}
	return nil
}
