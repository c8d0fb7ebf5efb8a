package rest_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"pointsman/host/broker"
	"pointsman/host/pipeline"
	"pointsman/host/rest"
)

// wait is how long a test waits for what should happen at once.
const wait = 5 * time.Second

// running is a server on a listener of its own.
type running struct {
	*fixture
	server *rest.Server
	addr   string
	client *http.Client
	pool   *x509.CertPool
}

// start serves f over TLS unless f says Plain, and shuts down when the test ends.
func start(t *testing.T, f *fixture) *running {
	t.Helper()
	// httptest has a certificate for 127.0.0.1 and example.com.
	borrowed := httptest.NewUnstartedServer(nil)
	borrowed.StartTLS()
	certificate, pool := borrowed.TLS.Certificates[0], x509.NewCertPool()
	pool.AddCert(borrowed.Certificate())
	borrowed.Close()
	if !f.options.Plain {
		f.options.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS10}
	}
	s, err := rest.New(f.options)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return &running{f, s, l.Addr().String(), &http.Client{Transport: transport, Timeout: wait}, pool}
}

func (s *running) get(ctx context.Context, path string) (*http.Response, error) {
	scheme := "https"
	if s.options.Plain {
		scheme = "http"
	}
	r, err := http.NewRequestWithContext(ctx, "GET", scheme+"://"+s.addr+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-Api-Key", key)
	return s.client.Do(r)
}

// slow is a route that says when it began and waits to be told to go on, or for its context.
type slow struct {
	began, goOn chan struct{}
	ended       chan error // why it ended
}

func newSlow() *slow {
	return &slow{make(chan struct{}, 1), make(chan struct{}), make(chan error, 1)}
}

func (s *slow) route() *route {
	return &route{name: "slow", method: "GET", path: "/slow",
		serve: func(ctx context.Context, _ broker.Call, _ map[string]string) (pipeline.Result, error) {
			s.began <- struct{}{}
			select {
			case <-s.goOn:
				s.ended <- nil
				return pipeline.Result{Answer: []byte(`"done"`), Complete: true}, nil
			case <-ctx.Done():
				s.ended <- ctx.Err()
				return pipeline.Result{}, ctx.Err()
			}
		}}
}

func receive[T any](t *testing.T, what string, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(wait):
		t.Fatalf("%s: not within %v", what, wait)
	}
	return v
}

func TestNewRefuses(t *testing.T) {
	f := newFixture()
	good := f.options
	tests := []struct {
		name   string
		change func(*rest.Options)
	}{
		{"no TLS and not plain", func(o *rest.Options) { o.Plain = false }},
		{"TLS and plain", func(o *rest.Options) { o.TLS = &tls.Config{} }},
		{"a way around the TLS versions", func(o *rest.Options) {
			o.Plain, o.TLS = false, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil }}
		}},
		{"no broker", func(o *rest.Options) { o.Broker = nil }},
		{"no recorder", func(o *rest.Options) { o.Recorder = nil }},
		{"no log", func(o *rest.Options) { o.Log = nil }},
	}
	for _, tt := range tests {
		o := good
		tt.change(&o)
		if _, err := rest.New(o); err == nil {
			t.Errorf("%s: accepted", tt.name)
		}
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	f := newFixture(routes()...)
	f.options.Plain = false
	s := start(t, f)
	_, err := tls.Dial("tcp", s.addr, &tls.Config{RootCAs: s.pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err == nil {
		t.Error("TLS 1.1 was accepted")
	}
	c, err := tls.Dial("tcp", s.addr, &tls.Config{RootCAs: s.pool, MaxVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatalf("TLS 1.2: %v", err)
	}
	_ = c.Close()
	deadline := time.Now().Add(wait)
	for !strings.Contains(f.log.String(), `"class":"tls handshake"`) {
		if time.Now().After(deadline) {
			t.Fatalf("the handshake is not logged: %s", f.log)
		}
		time.Sleep(time.Millisecond)
	}
	if strings.Contains(f.log.String(), "127.0.0.1") {
		t.Errorf("the log has an address: %s", f.log)
	}
}

// A client that makes connections fail cannot fill the log.
func TestConnectionLogIsCapped(t *testing.T) {
	f := newFixture(routes()...)
	f.options.Plain = false
	now := time.Now()
	f.options.Now = func() time.Time { return now }
	s := start(t, f)
	for range 20 {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, "GET / HTTP/1.0\r\n\r\n")
		_, _ = io.Copy(io.Discard, c) // until the server hangs up
		_ = c.Close()
	}
	if n := strings.Count(f.log.String(), "connection failed"); n != 1 {
		t.Errorf("%d lines within a second, want 1: %s", n, f.log)
	}
}

func TestHTTP2(t *testing.T) {
	f := newFixture(routes()...)
	f.options.Plain = false
	s := start(t, f)
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			r, err := s.get(t.Context(), "/v1/items/1")
			if err != nil {
				t.Error(err)
				return
			}
			body, err := io.ReadAll(r.Body)
			_ = r.Body.Close()
			if err != nil || r.ProtoMajor != 2 || r.StatusCode != 200 || string(body) != `{"ok":true}` {
				t.Errorf("%s %s %q %v, want 200 over HTTP/2", r.Proto, r.Status, body, err)
			}
		})
	}
	group.Wait()
	for _, path := range []string{"/v1/../items", "/v1/items/%2e%2e", "/v1/items/%2F"} {
		r, err := s.get(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if r.StatusCode != 400 || r.Header.Get("Request-Id") == "" {
			t.Errorf("GET %s over HTTP/2: %s, want 400", path, r.Status)
		}
	}
}

// A consumer that goes away stops the work done for it, and the record says so.
func TestDisconnectCancels(t *testing.T) {
	for _, plain := range []bool{true, false} {
		t.Run(fmt.Sprintf("plain %v", plain), func(t *testing.T) {
			work := newSlow()
			f := newFixture(work.route())
			f.options.Plain = plain
			s := start(t, f)
			ctx, leave := context.WithCancel(t.Context())
			answered := make(chan error, 1)
			go func() {
				r, err := s.get(ctx, "/slow")
				if err == nil {
					_ = r.Body.Close()
				}
				answered <- err
			}()
			receive(t, "request begins", work.began)
			leave()
			if err := receive(t, "work ends", work.ended); err != context.Canceled {
				t.Errorf("the work ended with %v, want canceled", err)
			}
			if err := receive(t, "client returns", answered); err == nil {
				t.Error("the client got an answer")
			}
			deadline := time.Now().Add(wait)
			for len(f.recorder.all()) == 0 && time.Now().Before(deadline) {
				time.Sleep(time.Millisecond)
			}
			if r := f.recorder.all(); len(r) != 1 || r[0].Status != 499 || r[0].Outcome != "canceled" {
				t.Errorf("recorded %+v, want one canceled request", r)
			}
		})
	}
}

// A client that closes only its sending half is cancelled too, and must not take the end
// of the connection for an answer.
func TestHalfClosedGetsNoAnswer(t *testing.T) {
	work := newSlow()
	s := start(t, newFixture(work.route()))
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(wait))
	fmt.Fprintf(c, "GET /slow HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\n\r\n", key)
	receive(t, "request begins", work.began)
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(c); len(got) != 0 {
		t.Errorf("got %q, want nothing", got)
	}
}

func TestShutdownFinishesWhatHasBegun(t *testing.T) {
	for _, plain := range []bool{true, false} {
		t.Run(fmt.Sprintf("plain %v", plain), func(t *testing.T) {
			work := newSlow()
			f := newFixture(work.route())
			f.options.Plain = plain
			unready := make(chan struct{})
			f.options.Unready = func() { close(unready) }
			s := start(t, f)
			answered := make(chan string, 1)
			go func() {
				r, err := s.get(t.Context(), "/slow")
				if err != nil {
					answered <- err.Error()
					return
				}
				body, _ := io.ReadAll(r.Body)
				_ = r.Body.Close()
				answered <- string(body)
			}()
			receive(t, "request begins", work.began)
			stopped := make(chan error, 1)
			go func() { stopped <- s.server.Shutdown(t.Context()) }()
			receive(t, "unready", unready)
			deadline := time.Now().Add(wait)
			for {
				c, err := net.Dial("tcp", s.addr)
				if err != nil {
					break
				}
				_ = c.Close()
				if time.Now().After(deadline) {
					t.Fatal("connections are still accepted")
				}
				time.Sleep(time.Millisecond)
			}
			select {
			case err := <-stopped:
				t.Fatalf("Shutdown returned %v while a request runs", err)
			default:
			}
			close(work.goOn)
			if got := receive(t, "answer", answered); got != `"done"` {
				t.Errorf("answer %q, want the whole", got)
			}
			if err := receive(t, "shutdown", stopped); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
	}
}

func TestLameDuckStillServes(t *testing.T) {
	f := newFixture(routes()...)
	unready := make(chan struct{})
	f.options.Unready = func() { close(unready) }
	f.options.LameDuck = 300 * time.Millisecond
	s := start(t, f)
	stopped := make(chan error, 1)
	go func() { stopped <- s.server.Shutdown(t.Context()) }()
	receive(t, "unready", unready)
	r, err := s.get(t.Context(), "/v1/items/1")
	if err != nil {
		t.Fatalf("refused while a lame duck: %v", err)
	}
	_ = r.Body.Close()
	if err := receive(t, "shutdown", stopped); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestShutdownAbortsWhatDoesNotEnd(t *testing.T) {
	work := newSlow()
	s := start(t, newFixture(work.route()))
	answered := make(chan error, 1)
	go func() {
		r, err := s.get(t.Context(), "/slow")
		if err == nil {
			_ = r.Body.Close()
		}
		answered <- err
	}()
	receive(t, "request begins", work.began)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.server.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "1 requests aborted") {
		t.Errorf("Shutdown: %v, want that one request was aborted", err)
	}
	if err := receive(t, "work ends", work.ended); err != context.Canceled {
		t.Errorf("the work ended with %v, want canceled", err)
	}
	if err := receive(t, "client returns", answered); err == nil {
		t.Error("the client got an answer")
	}
	s.checkPins(t)
}

// A body that nobody reads is not taken for the next request.
func TestBodyIsNotTheNextRequest(t *testing.T) {
	s := start(t, newFixture(routes()...))
	inner := "GET /v1/items/2 HTTP/1.1\r\nHost: x\r\nX-Api-Key: " + key + "\r\n\r\n"
	for _, framing := range []string{
		fmt.Sprintf("Content-Length: %d\r\n\r\n", len(inner)),
		"Content-Length: 99999\r\n\r\n",
		"Content-Length: 99999\r\nExpect: 100-continue\r\n\r\n",
		"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		answers := exchange(t, s.addr, "GET /v1/items/1 HTTP/1.1\r\nHost: x\r\nX-Api-Key: "+key+"\r\n"+framing+inner)
		if len(answers) != 1 || answers[0].StatusCode != 413 {
			t.Errorf("%q: %d answers, want a single 413", framing, len(answers))
		}
	}
}

// What is on the wire is what is judged: no part of net/http or Echo repairs it before.
func TestRawTargets(t *testing.T) {
	s := start(t, newFixture(routes()...))
	tests := []struct {
		name, line string
		wantStatus int
	}{
		{"origin form", "GET /v1/items/1 HTTP/1.1", 200},
		{"absolute form", "GET http://x/v1/items/1?lang=de HTTP/1.1", 200},
		{"absolute form of another host", "GET HTTPS://other.example/v1/items/1 HTTP/1.1", 200},
		{"absolute form with dots", "GET http://x/v1/../v1/items/1 HTTP/1.1", 400},
		{"absolute form without a path", "GET http://x HTTP/1.1", 400},
		{"absolute form without a host", "GET http:///v1/items/1 HTTP/1.1", 400},
		{"absolute form of another scheme", "GET ftp://x/v1/items/1 HTTP/1.1", 400},
		{"asterisk", "OPTIONS * HTTP/1.1", 400},
		{"asterisk with GET", "GET * HTTP/1.1", 400},
		{"authority form", "CONNECT x:443 HTTP/1.1", 400},
		{"path for CONNECT", "CONNECT /v1/items/1 HTTP/1.1", 405},
		{"unknown method", "BREW /v1/items/1 HTTP/1.1", 405},
		{"unknown method of an unknown path", "BREW /nowhere HTTP/1.1", 404},
		{"empty query", "GET /v1/items/1? HTTP/1.1", 200},
		{"question mark in the query", "GET /v1/items/1?lang=a?b HTTP/1.1", 200},
		{"fragment", "GET /v1/items/1#x HTTP/1.1", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answers := exchange(t, s.addr, tt.line+"\r\nHost: x\r\nConnection: close\r\nX-Api-Key: "+key+"\r\n\r\n")
			if len(answers) != 1 || answers[0].StatusCode != tt.wantStatus || answers[0].Header.Get("Request-Id") == "" {
				t.Errorf("%+v, want one %d with a Request-Id", answers, tt.wantStatus)
			}
		})
	}
	for _, tt := range hostilePaths {
		t.Run(tt.name, func(t *testing.T) {
			for _, a := range exchange(t, s.addr, "GET "+tt.path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Api-Key: "+key+"\r\n\r\n") {
				if a.StatusCode != 400 {
					t.Errorf("%s, want 400", a.Status)
				}
			}
		})
	}
}

// A header field that other programs take for a length ends the connection, and so does
// HTTP/1.0, whose Transfer-Encoding net/http does not see.
func TestUnsureFraming(t *testing.T) {
	s := start(t, newFixture(routes()...))
	next := "GET /v1/items/2 HTTP/1.1\r\nHost: x\r\nX-Api-Key: " + key + "\r\n\r\n"
	tests := []struct {
		name, version, field string
		wantStatus           int
	}{
		{"underscore", "1.1", "Content_Length: 9", 400},
		{"underscore, other case", "1.1", "tRANSFER_eNCODING: chunked", 400},
		{"hyphens", "1.1", "Transfer---Encoding: chunked", 400},
		{"no hyphen", "1.1", "ContentLength: 9", 400},
		{"folded line", "1.1", "X-A: 1\r\n Transfer-Encoding: chunked", 400},
		{"folded line with a tab", "1.1", "X-A: 1\r\n\tcontent-length: 9", 400},
		{"HTTP/1.0", "1.0", "Connection: keep-alive", 200},
		{"HTTP/1.0 and chunked", "1.0", "Connection: keep-alive\r\nTransfer-Encoding: chunked", 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answers := exchange(t, s.addr,
				"GET /v1/items/1 HTTP/"+tt.version+"\r\nHost: x\r\nX-Api-Key: "+key+"\r\n"+tt.field+"\r\n\r\n"+next)
			if len(answers) != 1 || answers[0].StatusCode != tt.wantStatus {
				t.Errorf("%d answers %+v, want one %d", len(answers), answers, tt.wantStatus)
			}
		})
	}
	// The connection is not closed for a field that only mentions them.
	fine := "GET /v1/items/1 HTTP/1.1\r\nHost: x\r\nX-Api-Key: " + key +
		"\r\nAccess-Control-Request-Headers: content-length\r\nContent-Length: 0\r\nReferer: https://x/?a:b\r\n\r\n"
	if answers := exchange(t, s.addr, fine+next); len(answers) != 2 {
		t.Errorf("%d answers to two good requests on one connection, want 2", len(answers))
	}
}

// Whoever sends a header byte by byte does not hold a connection.
func TestSlowHeaderIsCutOff(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as the header may")
	}
	s := start(t, newFixture(routes()...))
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET /v1/items/1 HTTP/1.1\r\nHost: x\r\n")
	_ = c.SetDeadline(time.Now().Add(8 * time.Second))
	if got, err := io.ReadAll(c); err != nil || len(got) != 0 {
		t.Errorf("got %q, %v; want the connection closed after 5 s", got, err)
	}
}

func TestLargeHeaderIsCutOff(t *testing.T) {
	s := start(t, newFixture(routes()...))
	answers := exchange(t, s.addr, "GET /v1/items/1 HTTP/1.1\r\nHost: x\r\nX-Api-Key: "+key+
		"\r\nX-Large: "+strings.Repeat("a", 21<<10)+"\r\n\r\n")
	if len(answers) != 1 || answers[0].StatusCode != 431 {
		t.Errorf("%+v, want one 431", answers)
	}
}

// exchange sends raw bytes on a connection of its own and returns every answer to them.
func exchange(t *testing.T, addr, raw string) []*http.Response {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(wait))
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	var answers []*http.Response
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			return answers
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return answers
		}
		answers = append(answers, r)
		// Long enough for another answer to arrive if there is one.
		_ = c.SetDeadline(time.Now().Add(150 * time.Millisecond))
	}
}
