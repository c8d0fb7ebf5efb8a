package egress_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/broker"
	"pointsman/host/egress"
	"pointsman/pdk/wire"
)

// TestBytesOnTheWire compares the whole head of requests with what a raw server got.
func TestBytesOnTheWire(t *testing.T) {
	tests := []struct {
		name string
		edit func(*egress.Config)
		req  egress.Request
		want string // lines, HOST stands for the address
	}{
		{"plain", nil, egress.Request{Method: "GET", Path: "/v1/x"},
			"GET /v1/x HTTP/1.1|Host: HOST|User-Agent: pointsman|Accept-Encoding: gzip"},
		{"path as checked", nil, egress.Request{Method: "GET", Path: "/v1/M%c3%bcller/%41/a:b@c,d=$&'()*+!~"},
			"GET /v1/M%c3%bcller/%41/a:b@c,d=$&'()*+!~ HTTP/1.1|Host: HOST|User-Agent: pointsman|Accept-Encoding: gzip"},
		{"colon in the first segment", nil, egress.Request{Method: "GET", Path: "/a:b"},
			"GET /a:b HTTP/1.1|Host: HOST|User-Agent: pointsman|Accept-Encoding: gzip"},
		{"base path", func(c *egress.Config) { c.URL += "/api/v2/" }, egress.Request{Method: "DELETE", Path: "/x"},
			"DELETE /api/v2/x HTTP/1.1|Host: HOST|User-Agent: pointsman|Accept-Encoding: gzip"},
		{"base path alone", func(c *egress.Config) { c.URL += "/api" }, egress.Request{Method: "GET", Path: "/"},
			"GET /api HTTP/1.1|Host: HOST|User-Agent: pointsman|Accept-Encoding: gzip"},
		{"query", nil, egress.Request{Method: "GET", Path: "/x", Query: []wire.Field{{Name: "q", Value: "a b&c=d#e?f/ü+%"}, {Name: "q", Value: ""}, {Name: "filter[x]", Value: "1"}}},
			"GET /x?q=a%20b%26c%3Dd%23e%3Ff%2F%C3%BC%2B%25&q=&filter%5Bx%5D=1 HTTP/1.1|Host: HOST|User-Agent: pointsman|Accept-Encoding: gzip"},
		{"header", nil, egress.Request{Method: "GET", Path: "/x", Header: []wire.Field{{Name: "square-version", Value: "2024-01-18"}}},
			"GET /x HTTP/1.1|Host: HOST|User-Agent: pointsman|Accept-Encoding: gzip|Square-Version: 2024-01-18"},
		{"empty POST", nil, egress.Request{Method: "POST", Path: "/x"},
			"POST /x HTTP/1.1|Host: HOST|User-Agent: pointsman|Content-Length: 0|Accept-Encoding: gzip"},
		{"body", nil, egress.Request{Method: "PUT", Path: "/x", Body: []byte("{}")},
			"PUT /x HTTP/1.1|Host: HOST|User-Agent: pointsman|Content-Length: 2|Accept-Encoding: gzip"},
		{"bearer", func(c *egress.Config) { c.Placement = auth(t, "bearer", "", "tok-en") }, egress.Request{Method: "GET", Path: "/x"},
			"GET /x HTTP/1.1|Host: HOST|User-Agent: pointsman|Accept-Encoding: gzip|Authorization: Bearer tok-en"},
		{"basic", func(c *egress.Config) { c.Placement = auth(t, "basic", "", "user:pass") }, egress.Request{Method: "GET", Path: "/x"},
			"GET /x HTTP/1.1|Host: HOST|User-Agent: pointsman|Accept-Encoding: gzip|Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("user:pass"))},
		{"credential header", func(c *egress.Config) { c.Placement = auth(t, "header", "x-api-key", "k") }, egress.Request{Method: "GET", Path: "/x"},
			"GET /x HTTP/1.1|Host: HOST|User-Agent: pointsman|Accept-Encoding: gzip|X-Api-Key: k"},
		{"credential in the query", func(c *egress.Config) { c.Placement = auth(t, "query", "key", "a&b=c d") }, egress.Request{Method: "GET", Path: "/x", Query: []wire.Field{{Name: "q", Value: "1"}}},
			"GET /x?q=1&key=a%26b%3Dc%20d HTTP/1.1|Host: HOST|User-Agent: pointsman|Accept-Encoding: gzip"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			heads := make(chan string, 1)
			addr := rawServer(t, func(c net.Conn, head string) {
				heads <- head
				fmt.Fprint(c, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
			})
			if _, err := backend(t, addr, tt.edit).Do(context.Background(), tt.req); err != nil {
				t.Fatal(err)
			}
			want := strings.ReplaceAll(strings.ReplaceAll(tt.want, "HOST", addr), "|", "\r\n") + "\r\n\r\n"
			if diff := cmp.Diff(want, <-heads); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestRequestsRefused(t *testing.T) {
	addr := rawServer(t, func(net.Conn, string) { t.Error("something was sent") })
	field := func(name, value string) []wire.Field { return []wire.Field{{Name: name, Value: value}} }
	canary := "canary-value"
	tests := []struct {
		name string
		auth egress.Placement
		req  egress.Request
	}{
		{"no method", nil, egress.Request{Path: "/x"}},
		{"TRACE", nil, egress.Request{Method: "TRACE", Path: "/x"}},
		{"CONNECT", nil, egress.Request{Method: "CONNECT", Path: "/x"}},
		{"lower-case method", nil, egress.Request{Method: "get", Path: "/x"}},
		{"method with a line end", nil, egress.Request{Method: "GET / HTTP/1.1\r\nX: ", Path: "/x"}},
		{"body of a GET", nil, egress.Request{Method: "GET", Path: "/x", Body: []byte(canary)}},
		{"body too large", nil, egress.Request{Method: "POST", Path: "/x", Body: make([]byte, 1<<20+1)}},
		{"no path", nil, egress.Request{Method: "GET"}},
		{"dots", nil, egress.Request{Method: "GET", Path: "/" + canary + "/../x"}},
		{"absolute form", nil, egress.Request{Method: "GET", Path: "https://evil.example/" + canary}},
		{"network path", nil, egress.Request{Method: "GET", Path: "//evil.example/x"}},
		{"query name missing", nil, egress.Request{Method: "GET", Path: "/x", Query: field("", canary)}},
		{"query with a line end", nil, egress.Request{Method: "GET", Path: "/x", Query: field("q", canary+"\n")}},
		{"query not UTF-8", nil, egress.Request{Method: "GET", Path: "/x", Query: field("q", canary+"\xff")}},
		{"query too large", nil, egress.Request{Method: "GET", Path: "/x", Query: field("q", strings.Repeat("a", 9<<10))}},
		{"query where the credential goes", auth(t, "query", "key", "secret"), egress.Request{Method: "GET", Path: "/x", Query: field("KEY", canary)}},
		{"header where the credential goes", auth(t, "header", "X-Api-Key", "secret"), egress.Request{Method: "GET", Path: "/x", Header: field("x-api-key", canary)}},
		{"header twice", nil, egress.Request{Method: "GET", Path: "/x", Header: append(field("Accept", canary), field("accept", "b")...)}},
		{"header with CR LF", nil, egress.Request{Method: "GET", Path: "/x", Header: field("Accept", canary+"\r\nX: y")}},
		{"header with NUL", nil, egress.Request{Method: "GET", Path: "/x", Header: field("Accept", canary+"\x00")}},
		{"header with a tab", nil, egress.Request{Method: "GET", Path: "/x", Header: field("Accept", canary+"\ta")}},
		{"header ends in a space", nil, egress.Request{Method: "GET", Path: "/x", Header: field("Accept", canary+" ")}},
		{"header too long", nil, egress.Request{Method: "GET", Path: "/x", Header: field("Accept", strings.Repeat("a", 5<<10))}},
		{"header name with a space", nil, egress.Request{Method: "GET", Path: "/x", Header: field("Accept :", canary)}},
		{"header name with an underscore", nil, egress.Request{Method: "GET", Path: "/x", Header: field("X_Forwarded_For", canary)}},
		{"header name with a line end", nil, egress.Request{Method: "GET", Path: "/x", Header: field("X\r\nY", canary)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := backend(t, addr, func(c *egress.Config) { c.Placement = tt.auth })
			_, err := b.Do(context.Background(), tt.req)
			wantKind(t, err, broker.Denied, canary, "secret")
		})
	}
}

func TestHeaderVectors(t *testing.T) {
	b := backend(t, "127.0.0.1:1", nil)
	for _, row := range vectors(t, "header-deny.tsv") {
		names := []string{strings.ReplaceAll(row[0], "*", "Anything")}
		if _, others, ok := strings.Cut(row[1], "also "); ok {
			for _, n := range strings.FieldsFunc(others, func(r rune) bool { return r == ',' || r == ' ' }) {
				if strings.HasPrefix(n, "X-") || strings.HasSuffix(n, "-IP") || n == "Forwarded" {
					names = append(names, n)
				}
			}
		}
		for _, name := range names {
			for _, n := range []string{name, strings.ToLower(name), strings.ToUpper(name), strings.ReplaceAll(name, "-", "_")} {
				if !egress.HostHeader(n) {
					t.Errorf("%s can be granted, want it the host's: %s", n, row[1])
				}
				err := b.Check(egress.Request{Method: "GET", Path: "/x", Header: []wire.Field{{Name: n, Value: "v"}}})
				wantKind(t, err, broker.Denied)
			}
		}
	}
	for _, name := range []string{"Accept", "Content-Type", "Square-Version", "If-None-Match", "Idempotency-Key", "X-Api-Key"} {
		if egress.HostHeader(name) {
			t.Errorf("%s is the host's, want that it can be granted", name)
		}
	}
}

func TestReplyHeader(t *testing.T) {
	var addr string
	addr = rawServer(t, func(c net.Conn, _ string) {
		fmt.Fprintf(c, "HTTP/1.1 200 secret words\r\nContent-Type: text/plain\r\nSet-Cookie: s=1\r\nServer: apache\r\nX-Powered-By: php\r\nLocation: http://x\r\n"+
			"WWW-Authenticate: Basic\r\nVia: proxy\r\nX-RateLimit-Remaining: 4\r\nRetry-After: 2\r\nETag: \"\xff\"\r\n"+
			"Link: <http://%s/api/items?page=2>; rel=\"next\"\r\nLink: <http://other.example/>; rel=\"next\"\r\nContent-Length: 2\r\n\r\nok", addr)
	})
	a, err := get(t, backend(t, addr, func(c *egress.Config) { c.URL += "/api" }))
	if err != nil {
		t.Fatal(err)
	}
	want := egress.Answer{Status: 200, Body: []byte("ok"), After: 2 * time.Second, Header: []wire.Field{
		{Name: "content-type", Value: "text/plain"}, {Name: "link", Value: `</items?page=2>; rel="next"`},
		{Name: "retry-after", Value: "2"}, {Name: "x-ratelimit-remaining", Value: "4"},
	}}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestCredentialIsTakenOutOfTheAnswer(t *testing.T) {
	const credential = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"
	for name, edit := range map[string]func(*egress.Config){
		"bearer": func(c *egress.Config) { c.Placement = auth(t, "bearer", "", credential) },
		"header": func(c *egress.Config) { c.Placement = auth(t, "header", "X-Api-Key", credential) },
		"basic":  func(c *egress.Config) { c.Placement = auth(t, "basic", "", "user:"+credential) },
		"query":  func(c *egress.Config) { c.Placement = auth(t, "query", "key", credential) },
	} {
		t.Run(name, func(t *testing.T) {
			addr := rawServer(t, func(c net.Conn, head string) { // echoes the whole request
				fmt.Fprintf(c, "HTTP/1.1 200 %s\r\nETag: \"%s\"\r\nContent-Length: %d\r\n\r\n%s", credential, credential, len(head), head)
			})
			a, err := get(t, backend(t, addr, edit))
			if err != nil {
				t.Fatal(err)
			}
			text := fmt.Sprintf("%v %s", a.Header, a.Body)
			for _, form := range []string{credential, base64.StdEncoding.EncodeToString([]byte("user:" + credential)), base64.StdEncoding.EncodeToString([]byte(credential))} {
				if strings.Contains(text, form) {
					t.Errorf("the answer holds %q: %s", form, text)
				}
			}
			if strings.Count(text, "[redacted]") < 2 {
				t.Errorf("nothing was redacted: %s", text)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	sni := make(chan string, 1)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
	srv.TLS = &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) { sni <- h.ServerName; return nil, nil }}
	srv.Config.ErrorLog = discard()
	srv.StartTLS()
	defer srv.Close()
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate()) // for example.com and 127.0.0.1
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	local := answers(func(int32) string { return "127.0.0.1" })
	tests := []struct {
		name, url string
		pool      *x509.CertPool
		wantSNI   string
		wantKind  broker.Kind
		wantOK    bool
	}{
		{"unknown authority", "https://example.com:" + port, nil, "example.com", broker.Upstream, false},
		{"another name", "https://crm.example:" + port, pool, "crm.example", broker.Upstream, false},
		{"unknown authority, insecure is for plain HTTP only", "https://127.0.0.1:" + port, nil, "", broker.Upstream, false},
		{"right name", "https://example.com:" + port, pool, "example.com", 0, true},
		{"address", "https://127.0.0.1:" + port, pool, "", 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := backend(t, "", func(c *egress.Config) { c.URL, c.TLS.RootCAs, c.Resolver = tt.url, tt.pool, local })
			a, err := get(t, b)
			if !tt.wantOK {
				wantKind(t, err, tt.wantKind, "example")
			} else if err != nil || string(a.Body) != "ok" {
				t.Errorf("got %q, %v", a.Body, err)
			}
			if got := <-sni; got != tt.wantSNI {
				t.Errorf("SNI %q, want %q", got, tt.wantSNI)
			}
		})
	}
}

func TestTLSTooOld(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	srv.Config.ErrorLog = discard()
	srv.StartTLS()
	defer srv.Close()
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	_, err := get(t, backend(t, "", func(c *egress.Config) { c.URL, c.TLS.RootCAs = srv.URL, pool }))
	wantKind(t, err, broker.Upstream)
}

func TestPlainServerBehindHTTPS(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	_, err := get(t, backend(t, "", func(c *egress.Config) { c.URL = "https://" + srv.Listener.Addr().String() }))
	wantKind(t, err, broker.Upstream)
}
