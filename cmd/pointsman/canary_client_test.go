package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// wiretap is a client that keeps every byte of what it is answered.
func (o *oracleRun) wiretap(into *output) *http.Client {
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: o.ca.Pool(), ServerName: "localhost", NextProtos: []string{"http/1.1"}}}
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DisableCompression: true, MaxIdleConnsPerHost: 16,
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &tapped{Conn: conn, into: into}, nil
		},
	}}
}

// tapped writes what is read from it, once it is closed or every so often: in one piece.
type tapped struct {
	net.Conn
	into *output
	mu   sync.Mutex
	held []byte // guarded by mu
}

func (t *tapped) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held = append(t.held, b[:n]...)
	if err != nil {
		t.flush()
	}
	return n, err
}

func (t *tapped) Close() error {
	t.mu.Lock()
	t.flush()
	t.mu.Unlock()
	return t.Conn.Close()
}

func (t *tapped) flush() {
	_, _ = t.into.Write(append(t.held, "\n\n"...))
	t.held = nil
}

// call is one request of a consumer.
func (o *oracleRun) call(client *http.Client, consumer, path string, header http.Header) reply {
	req, err := http.NewRequestWithContext(o.t.Context(), http.MethodGet, o.origin+path, nil)
	if err != nil {
		o.t.Error(err)
		return reply{}
	}
	req.Header.Set("Authorization", "Bearer "+o.running.keys[consumer])
	for name, values := range header {
		req.Header[name] = values
	}
	res, err := client.Do(req)
	if err != nil {
		o.t.Errorf("GET %s: %v", path, err)
		return reply{}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		o.t.Errorf("GET %s: %v", path, err)
	}
	return reply{res.StatusCode, res.Header, string(body)}
}

func targetOf(route string, query ...string) string {
	values := url.Values{}
	for i := 0; i+1 < len(query); i += 2 {
		values.Set(query[i], query[i+1])
	}
	return "/v1/" + route + "?" + values.Encode()
}
