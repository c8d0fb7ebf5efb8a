package deploy_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pointsman/host/credential"
	"pointsman/host/deploy"
	"pointsman/host/egress"
)

// opened is a secret in memory.
type opened string

func (o opened) Expose() []byte { return []byte(o) }

const clientSecret = "canary-client-secret-0123456789"

// vendor is a back end with an authorization server of its own. It answers with the target
// and the header of each request that is not for a token.
func vendor(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	id, secret, basic := r.BasicAuth()
	switch {
	case r.URL.Path == "/basic/token" && basic && id == "shop" && secret == clientSecret && form.Get("client_secret") == "",
		r.URL.Path == "/post/token" && !basic && form.Get("client_secret") == clientSecret,
		r.URL.Path == "/signed/token" && strings.Count(form.Get("client_assertion"), ".") == 2,
		r.URL.Path == "/certified/token" && r.TLS != nil && len(r.TLS.PeerCertificates) == 1 && form.Get("client_id") == "shop":
		_, _ = io.WriteString(w, `{"access_token":"token-of`+strings.ReplaceAll(r.URL.Path, "/", "-")+`","token_type":"bearer"}`)
	case r.URL.Path == "/session" && string(body) == `{"password":"`+clientSecret+`","user":"shop"}`:
		_, _ = io.WriteString(w, `{"session":{"id":"session-0123456789"}}`)
	case strings.HasSuffix(r.URL.Path, "/token"), r.URL.Path == "/session":
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
	default:
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, r.RequestURI)
		for _, name := range []string{"Authorization", "Cookie", "X-Key", "X-Session", "X-Signature", "X-Time", "X-Amz-Date"} {
			if v := r.Header.Get(name); v != "" { // spelt so that it is not taken out
				_, _ = io.WriteString(w, "\n"+name+": "+strings.Join(strings.Split(v, ""), "."))
			}
		}
	}
}

func backendYAML(origin, auth string) fstest.MapFS {
	return fstest.MapFS{"a.yaml": {Data: []byte("apiVersion: pointsman/v1\nkind: Backend\nmetadata: {name: crm}\nspec:\n  http:\n    url: " +
		origin + "/api\n    insecure: true\n    private: [127.0.0.0/8]\n    auth: " + auth + "\n")}}
}

// TestCredentials opens a back end for every way of auth, from a manifest, and looks at what
// reaches it.
func TestCredentials(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(vendor))
	defer plain.Close()
	certified := httptest.NewUnstartedServer(http.HandlerFunc(vendor))
	certified.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
	certified.StartTLS()
	defer certified.Close()
	certificate, key := clientPair(t)
	secrets := map[string]string{
		"client": clientSecret, "key": key, "pair": certificate + key, "aws": "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
	}
	tests := []struct{ name, auth, want string }{
		{"bearer", "{secret: client, as: bearer}", `^/api/x\nAuthorization: B.e.a.r.e.r. .c.a.n.a.r.y`},
		{"password", "{secret: client, as: basic, user: shop}", `^/api/x\nAuthorization: B.a.s.i.c. .c.2.h.v.c.D`},
		{"header", "{secret: client, as: header, name: X-Key, prefix: 'Key '}", `^/api/x\nX-Key: K.e.y. .c.a.n`},
		{"query", "{secret: client, as: query, name: key}", `^/api/x\?key=\[redacted\]$`},
		{"path", "{secret: client, as: path, prefix: bot}", `^/api/bot\[redacted\]/x$`},
		{"hmac", "{hmac: {secret: client, over: [method, path, timestamp], timestamp: {header: X-Time}, signature: {header: X-Signature}}}", `^/api/x\nX-Signature: [^\n]*\nX-Time: 1`},
		{"sigv4", "{sigv4: {secret: aws, region: eu-central-1, service: execute-api}}", `^/api/x\nAuthorization: A.W.S.4[^\n]*\nX-Amz-Date: `},
		{"oauth2", "{oauth2: {token: /basic/token, grant: client_credentials, client: {id: shop, secret: client}}}", `^/api/x\nAuthorization: B.e.a.r.e.r. .t.o.k.e.n.-.o.f.-.b.a.s.i.c`},
		{"oauth2 in the form", "{oauth2: {token: /post/token, grant: client_credentials, client: {id: shop, secret: client, send: post}, as: header, name: X-Key}}", `^/api/x\nX-Key: t.o.k.e.n.-.o.f.-.p.o.s.t`},
		{"oauth2 signed", "{oauth2: {token: ORIGIN/signed/token, insecure: true, private: [127.0.0.1/32], grant: client_credentials, client: {id: shop, privateKeyJWT: {secret: key, alg: ES256}}}}", `^/api/x\nAuthorization: B.e.a.r.e.r. .t.o.k.e.n.-.o.f.-.s.i.g.n.e.d`},
		{"oauth2 by certificate", "{oauth2: {token: CERTIFIED/certified/token, tls: {ca: ca.pem, clientCertificate: {secret: pair}}, private: [127.0.0.1/32], grant: client_credentials, client: {id: shop}}}", `^/api/x\nAuthorization: B.e.a.r.e.r. .t.o.k.e.n.-.o.f.-.c.e.r.t`},
		{"login", "{login: {url: /session, fields: {user: shop, password: {secret: client}}, token: /session/id, as: cookie, name: SID}}", `^/api/x\nCookie: S.I.D.=.s.e.s.s.i.o.n`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := backendYAML(plain.URL, strings.NewReplacer("ORIGIN", plain.URL, "CERTIFIED", certified.URL).Replace(tt.auth))
			files["ca.pem"] = &fstest.MapFile{Data: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certified.Certificate().Raw})}
			b, _, faults := deploy.Opener{Manifests: files, Secret: secretsOf(secrets), Log: slog.New(slog.DiscardHandler)}.Open("crm")
			if b == nil {
				t.Fatal(faults)
			}
			defer b.Close()
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			for range 2 {
				a, err := b.Do(ctx, egress.Request{Method: "GET", Path: "/x"})
				if err != nil {
					t.Fatal(err)
				}
				if !regexp.MustCompile(tt.want).Match(a.Body) || strings.Contains(string(a.Body), clientSecret) {
					t.Errorf("the back end saw\n%s\nwant %s", a.Body, tt.want)
				}
			}
		})
	}
}

// TestCredentialsRefused: what is missing or cannot be used is found before anything is
// deployed, and told without a value.
func TestCredentialsRefused(t *testing.T) {
	secrets := map[string]string{"client": clientSecret, "newline": clientSecret + "\n"}
	tests := []struct{ name, auth, want string }{
		{"secret", "{secret: absent, as: bearer}", "absent"},
		{"a secret that cannot be placed", "{secret: newline, as: bearer}", "newline"},
		{"not a pair", "{secret: client, as: basic}", "client"},
		{"key of hmac", "{hmac: {secret: absent, over: [path], signature: {header: X-S}}}", "absent"},
		{"not a pair for AWS", "{sigv4: {secret: client, region: a, service: b}}", "client"},
		{"client's secret", "{oauth2: {token: /token, grant: client_credentials, client: {id: a, secret: absent}}}", "absent"},
		{"refresh token", "{oauth2: {token: /token, grant: refresh_token, refreshToken: absent, client: {id: a, secret: client}}}", "absent"},
		{"not a key", "{oauth2: {token: /token, grant: client_credentials, client: {id: a, privateKeyJWT: {secret: client, alg: ES256}}}}", "client"},
		{"no certificate", "{oauth2: {token: 'https://login.example/token', tls: {clientCertificate: {secret: client}}, grant: client_credentials, client: {id: a}}}", "client"},
		{"password", "{login: {url: /s, fields: {p: {secret: absent}}, token: /t, as: bearer}}", "absent"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, _, faults := deploy.Opener{Manifests: backendYAML("http://127.0.0.1:1", tt.auth), Secret: secretsOf(secrets)}.Open("crm")
			if b != nil {
				b.Close()
				t.Fatal("opened")
			}
			if faults.Err() == nil || !strings.Contains(faults.Error(), tt.want) || strings.Contains(faults.Error(), "canary") {
				t.Errorf("faults %v, want one that names %q and no value", faults, tt.want)
			}
		})
	}
}

func secretsOf(values map[string]string) func(string) (credential.Secret, error) {
	return func(name string) (credential.Secret, error) {
		if v, ok := values[name]; ok {
			return opened(v), nil
		}
		return nil, errors.New("there is none")
	}
}

// clientPair makes a client's certificate and its key, in PEM.
func clientPair(t *testing.T) (certificate, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}
