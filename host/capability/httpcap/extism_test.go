package httpcap_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"

	"pointsman/host/audit"
	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/capability/httpcap"
	"pointsman/host/egress"
	approval "pointsman/host/grant"
	"pointsman/host/sandbox"
)

const todoHost = "jsonplaceholder.typicode.com"

// todoBackend is a server that has the name and the port that Extism's http.wasm was compiled
// with, and the back end that an admin would describe.
func todoBackend(t *testing.T) (b *egress.Backend, asked func() []string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:443")
	if err != nil {
		t.Skipf("port 443, which http.wasm asks, cannot be had here: %v", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: todoHost}, DNSNames: []string{todoHost},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 10)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lines <- r.Method + " https://" + r.Host + r.RequestURI + " " + r.Header.Get("some-name") + " " + r.Header.Get("another")
		io.WriteString(w, `{"userId":1,"id":1}`)
	}))
	srv.Listener.Close()
	srv.Listener = listener
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	srv.StartTLS()
	t.Cleanup(srv.Close)

	config := egress.Config{Name: "todos", URL: "https://" + todoHost, Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	config.TLS.RootCAs = x509.NewCertPool()
	config.TLS.RootCAs.AddCert(certificate)
	config.Resolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go resolve(far)
		return near, nil
	}}
	if b, err = egress.New(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b, func() (got []string) {
		for {
			select {
			case line := <-lines:
				got = append(got, line)
			default:
				return got
			}
		}
	}
}

// resolve answers one question: every name has the address 127.0.0.1.
func resolve(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 2048)
	n, err := c.Read(buf)
	var q dnsmessage.Message
	if err != nil || n < 2 || q.Unpack(buf[2:n]) != nil || len(q.Questions) == 0 {
		return
	}
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true}, Questions: q.Questions[:1]}
	if q.Questions[0].Type == dnsmessage.TypeA {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Questions[0].Name, Class: dnsmessage.ClassINET},
			Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
		}}
	}
	if text, err := m.Pack(); err == nil {
		_, _ = c.Write(append([]byte{byte(len(text) >> 8), byte(len(text))}, text...))
	}
}

// uses is a Recorder that keeps everything.
type uses []audit.Use

func (u *uses) Use(_ context.Context, use audit.Use) error { *u = append(*u, use); return nil }

// TestPublishedHTTPPlugin runs Extism's own http.wasm, unchanged, from its grant to the back
// end that it was compiled for.
func TestPublishedHTTPPlugin(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector makes compiling it slow")
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/extism/go-sdk").Output()
	if err != nil {
		t.Skip("go list cannot tell where Extism's modules are")
	}
	module, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "wasm", "http.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	backend, asked := todoBackend(t)
	imports := []approval.Import{{Module: "extism:host/env", Name: "http_request"}, {Module: "extism:host/env", Name: "http_status_code"}}
	for _, engine := range []string{"extism", "snapshot"} {
		tests := []struct {
			name, grants string
			out          string
			refusal      string
			asked        []string
			decision     audit.Decision
		}{
			{"another method", `[{"backend":"todos","view":"all","allow":["POST /todos/{id}"],"headers":["some-name","another"]}]`, "", "plugin asked for GET", nil, audit.Denied},
			{"a header too many", `[{"backend":"todos","view":"all","allow":["GET /todos/{id}"],"headers":["another"]}]`, "", "header 2 of GET /todos/{id}", nil, audit.Denied},
			{"granted", `[{"backend":"todos","view":"all","allow":["GET /todos/{id}"],"headers":["some-name","another"]}]`, `{"userId":1,"id":1}`, "",
				[]string{"GET https://" + todoHost + "/todos/1 some-value again"}, audit.Allowed},
		}
		for _, tt := range tests {
			t.Run(engine+"/"+tt.name, func(t *testing.T) {
				var recorded uses
				gate := &capability.Gate{
					Capabilities: []capability.Capability{&httpcap.HTTP{Backends: map[string]*egress.Backend{"todos": backend}}},
					Recorder:     &recorded,
					Fault:        func(_ broker.Call, resource string, err error) { t.Errorf("%s: %v", resource, err) },
				}
				gr, err := approval.Approve(approval.Ask{
					Plugin: "p", Imports: imports, Offered: gate.Names(), Grants: map[string]json.RawMessage{"http": json.RawMessage(tt.grants)},
				})
				if err != nil {
					t.Fatal(err)
				}
				lent, err := gate.Lend(gr)
				if err != nil {
					t.Fatal(err)
				}
				e, err := sandbox.New(sandbox.Options{Engine: engine})
				if err != nil {
					t.Fatal(err)
				}
				if c, ok := e.(io.Closer); ok {
					defer c.Close()
				}
				m, err := e.Compile(context.Background(), module, sandbox.Terms{Imports: lent})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close(context.Background())
				ctx := broker.WithCall(context.Background(), broker.Call{
					Request: "01HZZZZZZZZZZZZZZZZZZZZZZZ", Principal: broker.Principal{ID: "c"}, Plugin: "p", Step: "s", Budget: broker.NewBudget(10),
				})
				got, err := m.Call(ctx, "run_test", nil)
				said, _ := errors.AsType[*sandbox.GuestError](err)
				if string(got) != tt.out || (tt.refusal != "") != (said != nil) || said != nil && !strings.Contains(said.Text, tt.refusal) {
					t.Errorf("got %q, %v, want %q, %q", got, err, tt.out, tt.refusal)
				}
				if d := cmp.Diff(tt.asked, asked()); d != "" {
					t.Error(d)
				}
				if len(recorded) != 1 || recorded[0].Decision != tt.decision || recorded[0].Op != "url" || !strings.Contains(recorded[0].Reason, tt.refusal) {
					t.Errorf("recorded %+v, want one use that was %s", recorded, tt.decision)
				}
			})
		}
	}
}
