package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"pointsman/host/gateway"
)

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newCA(t testing.TB) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func (a authority) issue(t testing.TB, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "gateway.example"}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Over real connections of a server that asks for certificates and leaves the judgement here.
func TestMTLS(t *testing.T) {
	ca, mallory := newCA(t), newCA(t)
	g, err := gateway.New(gateway.Config{MTLS: &gateway.MTLS{Roots: ca.pem, Names: []string{"gateway.example", "spare.example"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.SetSecrets([][]byte{key}); err == nil {
		t.Error("it takes secrets")
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := g.Verify(gateway.FromHTTP(r))
		if p.Verified() != (err == nil) {
			t.Errorf("verified %v beside %v", p.Verified(), err)
		}
		_, _ = io.WriteString(w, string(gateway.ReasonOf(err)))
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	defer server.Close()
	tests := []struct {
		name  string
		certs []tls.Certificate
		want  gateway.Reason
	}{
		{"the gateway", []tls.Certificate{ca.issue(t, "gateway.example")}, ""},
		{"one of its names", []tls.Certificate{ca.issue(t, "x.example", "spare.example")}, ""},
		{"none", nil, gateway.Missing},
		{"another name", []tls.Certificate{ca.issue(t, "till.example")}, gateway.Certificate},
		{"the name as common name only", []tls.Certificate{ca.issue(t)}, gateway.Certificate},
		{"a wildcard", []tls.Certificate{ca.issue(t, "*.example")}, gateway.Certificate},
		{"a name below", []tls.Certificate{ca.issue(t, "a.gateway.example")}, gateway.Certificate},
		{"another authority", []tls.Certificate{mallory.issue(t, "gateway.example")}, gateway.Certificate},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool(server), Certificates: tt.certs}}}
			defer client.CloseIdleConnections()
			for range 2 { // the second from memory
				resp, err := client.Get(server.URL)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || gateway.Reason(got) != tt.want {
					t.Errorf("refusal %q, want %q; error %v", got, tt.want, err)
				}
			}
		})
	}
	// A signature is no certificate.
	r := request("GET", "/", "")
	gateway.Signer{Secret: key}.Sign(r, nil)
	_, err = g.Verify(gateway.FromHTTP(r))
	refused(t, err, gateway.Missing)
}

func pool(s *httptest.Server) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(s.Certificate())
	return p
}
