package egress_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pointsman/host/broker"
	"pointsman/host/egress"
	"pointsman/pdk/wire"
)

func discard() *log.Logger { return log.New(io.Discard, "", 0) }

func TestRedirectsComeBackAsErrors(t *testing.T) {
	var hits atomic.Int32
	for _, status := range []int{300, 301, 302, 303, 307, 308} {
		for name, location := range map[string]string{"outside": "http://canary.example/", "same host": "/admin", "downgrade": "http://127.0.0.1:1/canary", "none": ""} {
			t.Run(fmt.Sprint(status, " ", name), func(t *testing.T) {
				hits.Store(0)
				srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					hits.Add(1)
					if location != "" {
						w.Header().Set("Location", location)
					}
					w.WriteHeader(status)
					fmt.Fprint(w, "canary")
				}))
				defer srv.Close()
				_, err := get(t, backend(t, srv.Listener.Addr().String(), nil))
				wantKind(t, err, broker.Upstream, "canary", "admin")
				if hits.Load() != 1 {
					t.Errorf("%d requests, want 1", hits.Load())
				}
			})
		}
	}
}

// TestHostileAnswers: whatever a back end sends, the plugin gets an error that repeats
// nothing of it, and soon.
func TestHostileAnswers(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	var bomb, ratio bytes.Buffer
	squeeze(&bomb, make([]byte, 2<<20))
	squeeze(&ratio, make([]byte, 512<<10))
	gz := ok + "Content-Encoding: gzip\r\nConnection: close\r\n"
	tests := []struct {
		name   string
		answer func(net.Conn, string)
		want   broker.Kind
	}{
		{"nothing", say(""), broker.Upstream},
		{"garbage", say("canary \x00\x01\x02\r\n\r\n"), broker.Upstream},
		{"another protocol", say("SSH-2.0-canary\r\n"), broker.Upstream},
		{"HTTP/0.9", say("<html>canary</html>"), broker.Upstream},
		{"status 99", say("HTTP/1.1 099 canary\r\n\r\n"), broker.Upstream},
		{"status 600", say("HTTP/1.1 600 canary\r\nContent-Length: 0\r\n\r\n"), broker.Upstream},
		{"status of letters", say("HTTP/1.1 abc canary\r\n\r\n"), broker.Upstream},
		{"switching protocols", say("HTTP/1.1 101 canary\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"), broker.Upstream},
		{"part", say("HTTP/1.1 206 canary\r\nContent-Range: bytes 0-5/9\r\nContent-Length: 6\r\n\r\ncanary"), broker.Upstream},
		{"header without colon", say(ok + "canary\r\n\r\n"), broker.Upstream},
		{"header with a space", say(ok + "Content-Length : 6\r\n\r\ncanary"), broker.Upstream},
		{"half a header", say(ok + "Content-Type: canary"), broker.Upstream},
		{"header too large", say(ok + "X: " + strings.Repeat("a", 100<<10) + "\r\n\r\n"), broker.Upstream},
		{"half a body", say(ok + "Content-Length: 100\r\n\r\ncanary"), broker.Upstream},
		{"two lengths", say(ok + "Content-Length: 6\r\nContent-Length: 7\r\n\r\ncanary!"), broker.Upstream},
		{"negative length", say(ok + "Content-Length: -1\r\n\r\ncanary"), broker.Upstream},
		{"signed length", say(ok + "Content-Length: +6\r\n\r\ncanary"), broker.Upstream},
		{"length too large", say(ok + "Content-Length: 99999999999999999999\r\n\r\ncanary"), broker.Upstream},
		{"unknown transfer encoding", say(ok + "Transfer-Encoding: canary, chunked\r\n\r\n0\r\n\r\n"), broker.Upstream},
		{"bad chunk", say(ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\ncanary"), broker.Upstream},
		{"chunks cut off", say(ok + "Transfer-Encoding: chunked\r\n\r\n6\r\ncanary\r\n"), broker.Upstream},
		{"too large", say(ok + "Connection: close\r\n\r\n" + strings.Repeat("canary", 200<<10)), broker.Upstream},
		{"unasked encoding", say(ok + "Content-Encoding: br\r\nContent-Length: 6\r\n\r\ncanary"), broker.Upstream},
		{"two encodings", say(ok + "Content-Encoding: gzip, gzip\r\nContent-Length: 6\r\n\r\ncanary"), broker.Upstream},
		{"not gzip", say(gz + "\r\ncanary"), broker.Upstream},
		{"half a gzip", say(gz + "\r\n" + ratio.String()[:200]), broker.Upstream},
		{"gzip bomb", say(gz + "\r\n" + bomb.String()), broker.Upstream},
		{"gzip past the ratio", say(gz + "\r\n" + ratio.String()), broker.Upstream},
		{"reset", func(c net.Conn, _ string) {
			fmt.Fprint(c, ok+"Content-Length: 100\r\n\r\ncanary")
			_ = c.(*net.TCPConn).SetLinger(0)
		}, broker.Upstream},
		{"endless header", func(c net.Conn, _ string) {
			fmt.Fprint(c, ok)
			for range 10000 {
				if _, err := fmt.Fprint(c, "X-A: canary canary canary\r\n"); err != nil {
					return
				}
			}
		}, broker.Upstream},
		{"endless interim answers", func(c net.Conn, _ string) {
			for range 100000 {
				if _, err := fmt.Fprint(c, "HTTP/1.1 103 canary\r\nLink: canary\r\n\r\n"); err != nil {
					return
				}
			}
		}, broker.Upstream},
		{"silence", func(c net.Conn, _ string) { _, _ = io.Copy(io.Discard, c) }, broker.UpstreamTimeout},
		{"drip", func(c net.Conn, _ string) {
			fmt.Fprint(c, ok+"Content-Length: 1000\r\n\r\n")
			for {
				if _, err := fmt.Fprint(c, "c"); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}, broker.UpstreamTimeout},
		{"header drip", func(c net.Conn, _ string) {
			fmt.Fprint(c, ok+"X: ")
			for {
				if _, err := fmt.Fprint(c, "a"); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}, broker.UpstreamTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			limit := 5 * time.Second // only the slow ones may come near it
			if tt.want == broker.UpstreamTimeout {
				limit = 300 * time.Millisecond
			}
			b := backend(t, rawServer(t, tt.answer), func(c *egress.Config) { c.Time = limit })
			start := time.Now()
			a, err := b.Do(context.Background(), egress.Request{Method: "GET", Path: "/secret-id", Query: []wire.Field{{Name: "q", Value: "secret-query"}}})
			if err == nil {
				t.Fatalf("got %d %q, want an error", a.Status, a.Body)
			}
			wantKind(t, err, tt.want, "canary", "secret-id", "secret-query", "gzip:", "EOF")
			if took := time.Since(start); took > 4*time.Second {
				t.Errorf("took %v, want an end soon", took)
			}
		})
	}
}

// TestBytesBehindAnAnswer: what a back end sends behind an answer is never taken for the
// answer to the next request, which may be another consumer's.
func TestBytesBehindAnAnswer(t *testing.T) {
	const smuggled = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"
	for name, answer := range map[string]string{
		"behind a length":        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" + smuggled,
		"behind chunks":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + smuggled,
		"a length and chunks":    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + smuggled,
		"behind an empty answer": "HTTP/1.1 204 No Content\r\n\r\n" + smuggled,
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, TLS %v", name, secure), func(t *testing.T) {
				b := hijacked(t, secure, answer)
				for range 40 {
					a, err := get(t, b)
					if err == nil && strings.Contains(string(a.Body), "smuggled") {
						t.Fatal("another answer's bytes came back")
					}
				}
			})
		}
	}
}

// hijacked returns a client of a server that answers each request with these bytes, in one
// write, and keeps the connection open.
func hijacked(t *testing.T, secure bool, answer string) *egress.Backend {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		for {
			if _, err := rw.WriteString(answer); err != nil || rw.Flush() != nil {
				return
			}
			if _, err := http.ReadRequest(rw.Reader); err != nil {
				return
			}
		}
	}))
	srv.Config.ErrorLog = discard()
	if secure {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return backend(t, "", func(c *egress.Config) {
		c.URL = srv.URL
		if secure {
			c.TLS.RootCAs = x509.NewCertPool()
			c.TLS.RootCAs.AddCert(srv.Certificate())
		}
	})
}

// TestConnectionsAreReused keeps the defence against bytes left over from costing a
// connection for each exchange.
func TestConnectionsAreReused(t *testing.T) {
	var conns atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.StartTLS()
	defer srv.Close()
	b := backend(t, "", func(c *egress.Config) {
		c.URL, c.TLS.RootCAs = srv.URL, x509.NewCertPool()
		c.TLS.RootCAs.AddCert(srv.Certificate())
	})
	for range 50 {
		if _, err := get(t, b); err != nil {
			t.Fatal(err)
		}
	}
	if n := conns.Load(); n > 2 { // one, and one more should the machine have stalled
		t.Errorf("%d connections for 50 exchanges in a row, want 1", n)
	}
}

func TestBackEndIsDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = get(t, backend(t, addr, nil))
	wantKind(t, err, broker.Upstream)
	if !strings.Contains(err.Error(), "refused") {
		t.Errorf("%v does not tell the operator that the connection was refused", err)
	}
}

func TestUnknownName(t *testing.T) {
	b := backend(t, "", func(c *egress.Config) {
		c.URL = "https://crm.example"
		c.Resolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no DNS") }}
	})
	_, err := get(t, b)
	wantKind(t, err, broker.Upstream)
}

func TestCancel(t *testing.T) {
	addr := rawServer(t, func(c net.Conn, _ string) { _, _ = io.Copy(io.Discard, c) })
	b := backend(t, addr, nil)
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err := b.Do(ctx, egress.Request{Method: "GET", Path: "/x"})
	wantKind(t, err, broker.Canceled)
	_, err = b.Do(ctx, egress.Request{Method: "GET", Path: "/x"})
	wantKind(t, err, broker.Canceled)
	late, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err = b.Do(late, egress.Request{Method: "GET", Path: "/x"})
	wantKind(t, err, broker.UpstreamTimeout)
}

func TestConcurrencyIsBounded(t *testing.T) {
	var now, most atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(20 * time.Millisecond)
		now.Add(-1)
	}))
	defer srv.Close()
	b := backend(t, srv.Listener.Addr().String(), func(c *egress.Config) { c.Concurrent = 2 })
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := get(t, b); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most.Load() != 2 {
		t.Errorf("%d at the same time, want 2", most.Load())
	}
}

func TestWaitingForASlotEnds(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer srv.Close()
	b := backend(t, srv.Listener.Addr().String(), func(c *egress.Config) { c.Concurrent = 1 })
	done := asking(context.Background(), b)
	time.Sleep(50 * time.Millisecond)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err := b.Do(ctx, egress.Request{Method: "GET", Path: "/x"})
	wantKind(t, err, broker.UpstreamTimeout)
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAnswers(t *testing.T) {
	text := []byte(strings.Repeat("hello ", 100))
	noise := make([]byte, 100<<10)
	_, _ = rand.Read(noise) // never fails
	tests := []struct {
		name, method string
		handler      http.HandlerFunc
		status       int
		body         []byte
	}{
		{"plain", "GET", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) }, 200, text},
		{"gzip", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			squeeze(w, text)
		}, 200, text},
		{"gzip of noise", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			squeeze(w, noise)
		}, 200, noise},
		{"brotli without a body", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			w.WriteHeader(204)
		}, 204, nil},
		{"gzip without a body", "HEAD", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Encoding", "gzip") }, 200, nil},
		{"not modified", "GET", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) }, 304, nil},
		{"not found", "GET", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); _, _ = w.Write(text) }, 404, text},
		{"failure", "POST", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, 500, nil},
		{"early hints", "GET", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); _, _ = w.Write(text) }, 200, text},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(tt.handler)
			defer srv.Close()
			a, err := backend(t, srv.Listener.Addr().String(), nil).Do(context.Background(), egress.Request{Method: tt.method, Path: "/x"})
			if err != nil {
				t.Fatal(err)
			}
			if a.Status != tt.status || !bytes.Equal(a.Body, tt.body) {
				t.Errorf("got %d %.40q, want %d %.40q", a.Status, a.Body, tt.status, tt.body)
			}
		})
	}
}

func TestProxyFromTheEnvironmentIsIgnored(t *testing.T) {
	addr := rawServer(t, say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	b := backend(t, "", func(c *egress.Config) {
		c.URL, c.Resolver = "http://crm.example:"+port, answers(func(int32) string { return "127.0.0.1" })
	})
	if _, err := get(t, b); err != nil {
		t.Error(err)
	}
}

func TestClosedBackendSendsNothing(t *testing.T) {
	addr := rawServer(t, func(net.Conn, string) { t.Error("something was sent") })
	b := backend(t, addr, nil)
	b.Close()
	_, err := get(t, b)
	wantKind(t, err, broker.Unavailable)
}

func squeeze(w io.Writer, text []byte) {
	zw := gzip.NewWriter(w)
	_, _ = zw.Write(text) // a failure shows in what the client reads
	_ = zw.Close()
}

func BenchmarkDo(b *testing.B) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(bytes.Repeat([]byte(`{"id":42},`), 200))
	}))
	defer srv.Close()
	client := backend(b, srv.Listener.Addr().String(), func(c *egress.Config) { c.Placement = auth(b, "bearer", "", "sk_live_4eC39HqLyjWDarjtT1zdp7dc") })
	b.ReportAllocs()
	for b.Loop() {
		if _, err := get(b, client); err != nil {
			b.Fatal(err)
		}
	}
}
