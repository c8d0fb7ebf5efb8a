package egress_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pointsman/host/broker"
	"pointsman/host/egress"
)

// authority is a certificate authority of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB, name string) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a := authority{key: key, pool: x509.NewCertPool()}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

// issue returns PEM: a certificate of that name for good long, and its key.
func (a authority) issue(t testing.TB, name string, good time.Duration) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(good),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...)
}

func (a authority) pair(t testing.TB, name string) tls.Certificate {
	t.Helper()
	cert, err := egress.ParseClientCertificate(a.issue(t, name, time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return *cert
}

// secured serves with config and returns a URL with the name crm.example.
func secured(t testing.TB, config *tls.Config, handler http.HandlerFunc) (url string) {
	t.Helper()
	srv := httptest.NewUnstartedServer(handler)
	srv.TLS, srv.Config.ErrorLog = config, discard()
	srv.StartTLS()
	t.Cleanup(srv.Close)
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return "https://crm.example:" + port
}

func local() *net.Resolver { return answers(func(int32) string { return "127.0.0.1" }) }

func pinOf(cert *x509.Certificate) [32]byte { return sha256.Sum256(cert.RawSubjectPublicKeyInfo) }

func TestPins(t *testing.T) {
	ca, other := newAuthority(t, "ours"), newAuthority(t, "theirs")
	pair := ca.pair(t, "crm.example")
	var hits atomic.Int32
	url := secured(t, &tls.Config{Certificates: []tls.Certificate{pair}}, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	for name, tt := range map[string]struct {
		roots *x509.CertPool
		pins  [][32]byte
		want  bool
	}{
		"another key":                   {ca.pool, [][32]byte{pinOf(other.cert)}, false},
		"the right key of a strange CA": {other.pool, [][32]byte{pinOf(pair.Leaf)}, false},
		"the leaf":                      {ca.pool, [][32]byte{pinOf(pair.Leaf)}, true},
		"the authority":                 {ca.pool, [][32]byte{pinOf(ca.cert)}, true},
		"one of two":                    {ca.pool, [][32]byte{pinOf(other.cert), pinOf(pair.Leaf)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			hits.Store(0)
			b := backend(t, "", func(c *egress.Config) {
				c.URL, c.Resolver, c.Insecure = url, local(), false
				c.TLS = egress.TLS{RootCAs: tt.roots, Pins: tt.pins}
			})
			_, err := get(t, b)
			if tt.want && err != nil {
				t.Error(err)
			}
			if !tt.want {
				wantKind(t, err, broker.Upstream, "crm.example")
				if hits.Load() != 0 {
					t.Error("the request was sent")
				}
			}
		})
	}
}

func TestParsePin(t *testing.T) {
	sum := sha256.Sum256([]byte("x"))
	good := "sha256/" + base64.StdEncoding.EncodeToString(sum[:])
	for _, s := range []string{"", "sha256/", good[7:], "sha1/" + good[7:], good + "A", good[:50], good + "\n", "SHA256/" + good[7:], "sha256/" + base64.URLEncoding.EncodeToString(bytes.Repeat([]byte{0xfb}, 32))} {
		if pin, err := egress.ParsePin(s); err == nil {
			t.Errorf("%q parsed as %x", s, pin)
		}
	}
	if pin, err := egress.ParsePin(good); err != nil || pin != sum {
		t.Errorf("got %x, %v", pin, err)
	}
}

func TestServerNameAndVersion(t *testing.T) {
	ca := newAuthority(t, "ours")
	var host atomic.Value
	var seen atomic.Value
	url := secured(t, &tls.Config{Certificates: []tls.Certificate{ca.pair(t, "inner.example")}, GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		seen.Store(h.ServerName)
		return nil, nil
	}}, func(_ http.ResponseWriter, r *http.Request) { host.Store(r.Host) })
	b := backend(t, "", func(c *egress.Config) {
		c.URL, c.Resolver, c.Insecure, c.TLS = url, local(), false, egress.TLS{RootCAs: ca.pool}
	})
	_, err := get(t, b)
	wantKind(t, err, broker.Upstream, "inner.example") // a certificate for another name
	b = backend(t, "", func(c *egress.Config) {
		c.URL, c.Resolver, c.Insecure = url, local(), false
		c.TLS = egress.TLS{RootCAs: ca.pool, ServerName: "inner.example"}
	})
	if _, err := get(t, b); err != nil || seen.Load() != "inner.example" || !strings.HasPrefix(host.Load().(string), "crm.example:") {
		t.Errorf("%v; asked for %v with the Host %v, want inner.example and crm.example", err, seen.Load(), host.Load())
	}
	old := secured(t, &tls.Config{Certificates: []tls.Certificate{ca.pair(t, "crm.example")}, MaxVersion: tls.VersionTLS12}, func(http.ResponseWriter, *http.Request) {})
	for version, want := range map[uint16]bool{tls.VersionTLS13: false, tls.VersionTLS12: true, 0: true} {
		b := backend(t, "", func(c *egress.Config) {
			c.URL, c.Resolver, c.Insecure, c.TLS = old, local(), false, egress.TLS{RootCAs: ca.pool, MinVersion: version}
		})
		if _, err := get(t, b); (err == nil) != want {
			t.Errorf("least version %x against TLS 1.2: %v", version, err)
		}
	}
}

// TestClientCertificate: it is shown to who asks, a new one is taken up, and connections
// that were made with the old one are not used again.
func TestClientCertificate(t *testing.T) {
	ca := newAuthority(t, "ours")
	var shown atomic.Value
	url := secured(t, &tls.Config{Certificates: []tls.Certificate{ca.pair(t, "crm.example")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool},
		func(_ http.ResponseWriter, r *http.Request) {
			shown.Store(r.TLS.PeerCertificates[0].Subject.CommonName)
		})
	configure := func(get func() (*tls.Certificate, error)) func(*egress.Config) {
		return func(c *egress.Config) {
			c.URL, c.Resolver, c.Insecure = url, local(), false
			c.TLS = egress.TLS{RootCAs: ca.pool, ClientCertificate: get}
		}
	}
	_, err := get(t, backend(t, "", configure(nil)))
	wantKind(t, err, broker.Upstream)
	_, err = get(t, backend(t, "", configure(func() (*tls.Certificate, error) { return nil, errors.New("secret canary is gone") })))
	wantKind(t, err, broker.Unavailable)
	_, err = get(t, backend(t, "", configure(func() (*tls.Certificate, error) { return nil, nil })))
	wantKind(t, err, broker.Unavailable)

	var current atomic.Pointer[tls.Certificate]
	first, second := ca.pair(t, "first"), ca.pair(t, "second")
	current.Store(&first)
	b := backend(t, "", configure(func() (*tls.Certificate, error) { return current.Load(), nil }))
	for range 3 {
		if _, err := get(t, b); err != nil || shown.Load() != "first" {
			t.Fatalf("%v, shown %v, want first", err, shown.Load())
		}
	}
	current.Store(&second)
	for end := time.Now().Add(long); shown.Load() != "second"; time.Sleep(50 * time.Millisecond) {
		if _, err := get(t, b); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(end) {
			t.Fatal("the new certificate was never shown")
		}
	}
	for range 3 {
		if _, err := get(t, b); err != nil || shown.Load() != "second" {
			t.Fatalf("%v, shown %v: a connection with the old certificate was used", err, shown.Load())
		}
	}
}

func TestParseClientCertificate(t *testing.T) {
	ca := newAuthority(t, "ours")
	text := ca.issue(t, "x", time.Hour)
	blocks := bytes.SplitAfter(text, []byte("-----END CERTIFICATE-----\n"))
	for name, bad := range map[string][]byte{"nothing": nil, "no key": blocks[0], "no certificate": blocks[1], "key of another": append(bytes.Clone(blocks[0]), bytes.SplitAfter(ca.issue(t, "y", time.Hour), []byte("-----END CERTIFICATE-----\n"))[1]...), "noise": []byte("canary")} {
		if _, err := egress.ParseClientCertificate(bad); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := egress.ParseClientCertificate(append(bytes.Clone(blocks[1]), blocks[0]...)); err != nil {
		t.Errorf("key first: %v", err)
	}
}

func phases(r egress.Report) string {
	var words []string
	for _, p := range r.Phases {
		word := p.Name
		if !p.OK {
			word += "!" + p.Kind.String()
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestProbe(t *testing.T) {
	ca := newAuthority(t, "ours")
	var asked atomic.Int32
	var answer atomic.Int32
	answer.Store(200)
	url := secured(t, &tls.Config{Certificates: []tls.Certificate{ca.pair(t, "crm.example")}, ClientAuth: tls.RequestClientCert}, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Authorization") != "Bearer the-token-of-the-test" || r.URL.Path != "/health" {
			w.WriteHeader(401)
			return
		}
		w.WriteHeader(int(answer.Load()))
		fmt.Fprint(w, "canary")
	})
	client := ca.pair(t, "broker")
	base := func(c *egress.Config) {
		c.URL, c.Resolver, c.Insecure, c.Check = url, local(), false, "GET /health"
		c.TLS = egress.TLS{RootCAs: ca.pool, Pins: [][32]byte{pinOf(ca.cert)}, ClientCertificate: func() (*tls.Certificate, error) { return &client, nil }}
		c.Placement = auth(t, "bearer", "", "the-token-of-the-test")
	}
	tests := []struct {
		name   string
		edit   func(*egress.Config)
		status int32
		want   string
		words  string // of the last phase
	}{
		{"a name that is not", func(c *egress.Config) {
			c.Resolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("x") }}
		}, 200, "resolve!upstream", "cannot be reached"},
		{"addresses that are not allowed", func(c *egress.Config) { c.Private = nil }, 200, "resolve!denied", "list it under private"},
		{"nobody listens", func(c *egress.Config) { c.URL = "https://crm.example:1" }, 200, "resolve dial!upstream", "refused"},
		{"strange authority", func(c *egress.Config) { c.TLS.RootCAs = nil }, 200, "resolve dial tls!upstream", "tls.ca"},
		{"another key", func(c *egress.Config) { c.TLS.Pins = [][32]byte{{}} }, 200, "resolve dial tls!upstream", "tls.pins"},
		{"no client certificate", func(c *egress.Config) {
			c.TLS.ClientCertificate = func() (*tls.Certificate, error) { return nil, errors.New("x") }
		}, 200, "resolve dial tls!unavailable", "client certificate"},
		{"no credential", func(c *egress.Config) { c.Placement = broken{} }, 200, "resolve dial tls credential!unavailable", "no token"},
		{"another credential", func(c *egress.Config) { c.Placement = auth(t, "bearer", "", "another-token-of-the-test") }, 200, "resolve dial tls credential request!unauthenticated", "does not take the credential"},
		{"not well", nil, 503, "resolve dial tls credential request!upstream", "503"},
		{"wrong path", nil, 404, "resolve dial tls credential request!invalid", "404"},
		{"redirect", nil, 302, "resolve dial tls credential request!upstream", "redirects"},
		{"no check", func(c *egress.Config) { c.Check = "" }, 200, "resolve dial tls credential request", "none was sent"},
		{"well", nil, 200, "resolve dial tls credential request", "GET /health was answered 200"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked.Store(0)
			answer.Store(tt.status)
			b := backend(t, "", func(c *egress.Config) {
				base(c)
				if tt.edit != nil {
					tt.edit(c)
				}
			})
			r := b.Probe(context.Background())
			if got := phases(r); got != tt.want || r.OK() != !strings.Contains(tt.want, "!") {
				t.Errorf("got %s (OK %v), want %s", got, r.OK(), tt.want)
			}
			last := r.Phases[len(r.Phases)-1]
			if !strings.Contains(last.Detail, tt.words) {
				t.Errorf("%q does not say %q", last.Detail, tt.words)
			}
			if wantAsked := strings.Contains(tt.want, "request") && tt.name != "no check"; (asked.Load() > 0) != wantAsked {
				t.Errorf("asked %d times", asked.Load())
			}
			if text := fmt.Sprint(r); strings.Contains(text, "token-of-the-test") || strings.Contains(text, "canary") {
				t.Errorf("the report repeats the credential or the answer: %s", text)
			}
			if len(r.Phases) > 2 && r.Phases[2].OK {
				if p := r.Phases[2].TLS; p.Version != "TLS 1.3" || p.Subject != "CN=crm.example" || p.Issuer != "CN=ours" || p.Pinned == false || p.Client == false || !strings.Contains(r.Phases[2].Detail, "renew it now") {
					t.Errorf("tls says %+v, %s", p, r.Phases[2].Detail)
				}
			}
		})
	}
}

// broken has no credential to place.
type broken struct{}

func (broken) Place(context.Context, *http.Request, []byte) (egress.Used, error) {
	return nil, &broker.Error{Kind: broker.Unavailable, Detail: "no token could be got"}
}
func (broken) Owns(string, string) bool { return false }
func (broken) Current() egress.Used     { return nil }
func (broken) Refused(egress.Used) bool { return false }
