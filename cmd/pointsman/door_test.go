package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pointsman/cmd/backends/sim"
	"pointsman/host/clientcert"
	"pointsman/host/gateway"
)

// doorBase are two routes, each with a scope of its own.
const doorBase = `
apiVersion: pointsman/v1
kind: Backend
metadata: {name: none}
spec: {http: {url: "https://crm.acme.example"}}
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: prober}
spec: {module: {path: prober.wasm}, grants: {http: [{backend: none, as: target, allow: ["GET /allowed"], view: all}], log: {}}}
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: orders}
spec: {path: GET /v1/orders, scopes: [orders.read], deadline: 10s, steps: {say: {call: prober.say, with: {orders: true}, required: true}}, answer: "${say}", view: all}
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: stock}
spec: {path: GET /v1/stock, scopes: [stock.read], deadline: 10s, steps: {say: {call: prober.say, with: {stock: true}, required: true}}, answer: "${say}", view: all}
`

const (
	gatewayKey   = "a key of both sides, 0123456789"
	gatewayToken = "a token that is sent, 0123456789"
)

// docBlocks are the manifests of docs/DOOR.md: consumers with a key, a token and a
// certificate, and gateways with a certificate, a signature and a token.
func docBlocks(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/DOOR.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, m[1])
	}
	if len(blocks) != 6 {
		t.Fatalf("docs/DOOR.md has %d manifests, want 6", len(blocks))
	}
	return blocks
}

// authority issues certificates of clients.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "callers"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

func (a authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// client returns a certificate of a client, or of another use.
func (a authority) client(t *testing.T, name string, ends time.Duration, use x509.ExtKeyUsage) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "till-7.acme.example"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(ends), DNSNames: []string{name}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{use}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// login is an issuer that a server of the test stands for.
type login struct {
	key   *ecdsa.PrivateKey
	url   string
	down  atomic.Bool
	asked atomic.Int64
}

func startLogin(t *testing.T, ca *sim.CA) *login {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	l := &login{key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		l.asked.Add(1)
		if l.down.Load() {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, l.url, l.url+"/keys")
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		point, err := key.PublicKey.Bytes()
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprintf(w, `{"keys":[{"kty":"EC","crv":"P-256","kid":"k1","use":"sig","alg":"ES256","x":%q,"y":%q}]}`, b64(point[1:33]), b64(point[33:]))
	})
	l.url = listen(t, mux, ca)
	return l
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// token returns one of till-app's for the scope orders:read, with changes.
func (l *login) token(t *testing.T, changes map[string]any) string {
	t.Helper()
	claims := map[string]any{"iss": l.url, "aud": "https://api.acme.example", "exp": time.Now().Add(time.Hour).Unix(), "azp": "till-app", "scope": "orders:read admin"}
	for name, v := range changes {
		if claims[name] = v; v == nil {
			delete(claims, name)
		}
	}
	text, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	message := b64([]byte(`{"alg":"ES256","kid":"k1","typ":"JWT"}`)) + "." + b64(text)
	sum := sha256.Sum256([]byte(message))
	r, s, err := ecdsa.Sign(rand.Reader, l.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return message + "." + b64(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// doorway is a broker and all who come to its door.
type doorway struct {
	*running
	login              *login
	consumers, gateway authority
	blocks             []string
	releases           int
	refused            reply // the one 401
}

func startDoor(t *testing.T) *doorway {
	t.Helper()
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	d := &doorway{login: startLogin(t, ca), consumers: newAuthority(t), gateway: newAuthority(t), blocks: docBlocks(t), releases: 1}
	d.blocks[1] = d.issuerAt(d.login.url)
	d.running = startBroker(t, ca, setup{
		manifests: d.text(0, 1, 2), modules: buildPlugins(t), consumers: []string{"web-shop", "stranger"},
		files:   map[string][]byte{"consumers-ca.pem": d.consumers.pem(), "gateway-ca.pem": d.gateway.pem()},
		secrets: map[string]string{"gateway-key": gatewayKey, "gateway-token": gatewayToken},
	})
	d.refused = anonymous(d.ask(t, nil, nil))
	if d.refused.status != http.StatusUnauthorized {
		t.Fatalf("who shows nothing got %v", d.refused)
	}
	return d
}

// issuerAt is the issuer of the manual, at a server on this machine.
func (d *doorway) issuerAt(url string) string {
	text := strings.Replace(d.blocks[1], "issuer: https://login.acme.example", "issuer: "+url, 1)
	return strings.Replace(text, "  audience:", "  private: [127.0.0.0/8]\n  tls: {ca: ca.pem}\n  audience:", 1)
}

func (d *doorway) text(blocks ...int) string {
	text := doorBase
	for _, i := range blocks {
		text += "---\n" + d.blocks[i]
	}
	return text
}

// deploy makes these blocks of the manual, and more, the live release.
func (d *doorway) deploy(more string, blocks ...int) {
	d.t.Helper()
	d.write("manifests/all.yaml", []byte(d.text(blocks...)+more))
	d.releases++
	d.reload(fmt.Sprintf(`release is live" release=%d `, d.releases))
}

// ask sends GET /v1/orders as change makes it, over a connection that shows cert.
func (d *doorway) ask(t *testing.T, cert *tls.Certificate, change func(*http.Request)) reply {
	t.Helper()
	return d.send(t, cert, http.MethodGet, "/v1/orders", "", change)
}

func (d *doorway) send(t *testing.T, cert *tls.Certificate, method, path, body string, change func(*http.Request)) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, d.origin+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(req)
	}
	client := d.client
	if cert != nil {
		c := &tls.Config{RootCAs: d.ca.Pool(), GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }}
		client = &http.Client{Transport: &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}}
		defer client.CloseIdleConnections()
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(text)}
}

var instance = regexp.MustCompile(`"instance":"[0-9A-Z]{26}"`)

// anonymous is a reply without what is another for every request.
func anonymous(r reply) reply {
	r.header = r.header.Clone()
	r.header.Del("Request-Id")
	r.header.Del("Date")
	r.body = instance.ReplaceAllString(r.body, "")
	return r
}

// denied fails t unless got is the one 401.
func (d *doorway) denied(t *testing.T, got reply) {
	t.Helper()
	if a, want := anonymous(got), d.refused; a.String() != want.String() {
		t.Errorf("got %v\nwant the one 401, %v", a, want)
	}
}

func granted(t *testing.T, got reply) {
	t.Helper()
	if got.status != http.StatusOK {
		t.Errorf("got %v, want 200", got)
	}
}

func bearer(text string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+text) }
}

// both does one after the other; what signs comes last.
func both(changes ...func(*http.Request)) func(*http.Request) {
	return func(r *http.Request) {
		for _, c := range changes {
			if c != nil {
				c(r)
			}
		}
	}
}

func signed(secret string) func(*http.Request) {
	return func(r *http.Request) { gateway.Signer{Secret: []byte(secret)}.Sign(r, nil) }
}

func shows(header string, cert *tls.Certificate) func(*http.Request) {
	return func(r *http.Request) {
		r.Header[header] = []string{":" + base64.StdEncoding.EncodeToString(cert.Certificate[0]) + ":"}
	}
}

// TestDoor runs one broker, and deploys one release after the other to it.
func TestDoor(t *testing.T) {
	d := startDoor(t)
	t.Run("direct", func(t *testing.T) { testDirect(t, d) })
	t.Run("signed", func(t *testing.T) { testSigned(t, d) })
	t.Run("rotated", func(t *testing.T) { testGatewayRotated(t, d) })
	t.Run("static", func(t *testing.T) { testStaticGateway(t, d) })
	t.Run("certificate", func(t *testing.T) { testCertificateGateway(t, d) })
	t.Run("reload", func(t *testing.T) { testDoorReload(t, d) })
	t.Run("closed", func(t *testing.T) { testFailsClosed(t, d) })
	log := d.output.String()
	for _, secret := range []string{gatewayKey, gatewayToken, d.keys["web-shop"]} {
		if strings.Contains(log, secret) {
			t.Error("the log holds a credential")
		}
	}
	for _, reason := range []string{"gateway=missing", "gateway=signature", "gateway=replayed", "gateway=body", "gateway=certificate", "token=expired", "token=audience"} {
		if !strings.Contains(log, reason) {
			t.Errorf("the log does not say %s", reason)
		}
	}
}

// spellings are headers that say who the client is.
var spellings = []string{
	"Client-Cert", "client-cert", "CLIENT-CERT", "Client_Cert", "client_cert", "Client-Cert-Chain", "X-Forwarded-Client-Cert", "X-Client-Cert",
	"X-SSL-Client-Cert", "Ssl-Client-Cert", "X_Client_Cert", "X-Amzn-Mtls-Clientcert", "X-Arr-Clientcert",
}

func testDirect(t *testing.T, d *doorway) {
	client := func(a authority, name string) *tls.Certificate {
		return a.client(t, name, time.Hour, x509.ExtKeyUsageClientAuth)
	}
	till := client(d.consumers, "till-7.acme.example")
	key := d.keys["web-shop"]
	token := func(name string, v any) func(*http.Request) { return bearer(d.login.token(t, map[string]any{name: v})) }
	other := &login{key: newAuthority(t).key, url: d.login.url}
	good := d.login.token(t, nil)
	parts := strings.Split(good, ".")
	for name, tt := range map[string]struct {
		cert   *tls.Certificate
		change func(*http.Request)
	}{
		"a key of nobody":                    {nil, bearer(d.keys["stranger"])},
		"a key with another end":             {nil, bearer(key[:len(key)-1] + "!")},
		"a token that is over":               {nil, token("exp", time.Now().Add(-time.Hour).Unix())},
		"a token without end":                {nil, token("exp", nil)},
		"a token for others":                 {nil, token("aud", "https://other.example")},
		"a token of another issuer":          {nil, token("iss", "https://other.example")},
		"a token of no consumer":             {nil, token("azp", "other")},
		"a token that another key signed":    {nil, bearer(other.token(t, nil))},
		"a token that nobody signed":         {nil, bearer(b64([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".")},
		"a token and a key":                  {nil, both(bearer(good), func(r *http.Request) { r.Header.Set("X-Api-Key", key) })},
		"a certificate of another authority": {client(newAuthority(t), "till-7.acme.example"), nil},
		"a certificate with another name":    {client(d.consumers, "till-8.acme.example"), nil},
		"a certificate that is over":         {d.consumers.client(t, "till-7.acme.example", -time.Minute, x509.ExtKeyUsageClientAuth), nil},
		"a server's certificate":             {d.consumers.client(t, "till-7.acme.example", time.Hour, x509.ExtKeyUsageServerAuth), nil},
		"till's certificate, shop's key":     {till, bearer(key)},
		"till's certificate, a wrong key":    {till, bearer("pmk_x")},
		"till's certificate, Basic":          {till, func(r *http.Request) { r.SetBasicAuth("a", "b") }},
	} {
		t.Run(name, func(t *testing.T) { d.denied(t, d.ask(t, tt.cert, tt.change)) })
	}
	for _, name := range spellings {
		d.denied(t, d.ask(t, nil, shows(name, till)))
	}
	granted(t, d.ask(t, nil, bearer(key)))
	granted(t, d.ask(t, till, nil))
	granted(t, d.ask(t, client(newAuthority(t), "laptop.example"), bearer(key)))
	granted(t, d.ask(t, nil, bearer(good)))
	// The token has orders:read, and the consumer stock.read too: it has what both have.
	if got := d.send(t, nil, http.MethodGet, "/v1/stock", "", bearer(good)); got.status != http.StatusNotFound {
		t.Errorf("a scope that the token lacks: %v", got)
	}
	granted(t, d.send(t, nil, http.MethodGet, "/v1/stock", "", token("scope", []string{"stock:read"})))
	if got := d.ask(t, nil, token("scope", "orders.read")); got.status != http.StatusNotFound {
		t.Errorf("a scope that the map does not have: %v", got)
	}
	if n := d.login.asked.Load(); n != 1 {
		t.Errorf("the issuer was asked %d times for one set of keys", n)
	}
	if log := d.output.String(); !strings.Contains(log, "no Gateway is declared") {
		t.Error("the log does not say that the broker can be reached directly")
	}
}

func testSigned(t *testing.T, d *doorway) {
	d.deploy("", 0, 1, 2, 4)
	key, till := d.keys["web-shop"], d.consumers.client(t, "till-7.acme.example", time.Hour, x509.ExtKeyUsageClientAuth)
	consumers := map[string]struct {
		change func(*http.Request)
		right  bool
	}{
		"nobody": {nil, false}, "wrong key": {bearer(d.keys["stranger"]), false}, "old token": {bearer(d.login.token(t, map[string]any{"exp": 1})), false},
		"key": {bearer(key), true}, "token": {bearer(d.login.token(t, nil)), true}, "certificate": {shows(clientcert.Header, till), true},
	}
	copied := func(change func(*http.Request), edit func(*http.Request)) func(*http.Request) {
		return func(r *http.Request) { // the proof of a request that edit made
			o := r.Clone(r.Context())
			both(change, edit, signed(gatewayKey))(o)
			r.Header.Set(gateway.Header, o.Header.Get(gateway.Header))
		}
	}
	for name, c := range consumers {
		gateways := map[string]func(*http.Request){
			"missing":          nil,
			"empty":            func(r *http.Request) { r.Header.Set(gateway.Header, "") },
			"the secret":       func(r *http.Request) { r.Header.Set(gateway.Header, gatewayKey) },
			"wrong":            signed("another key of some length"),
			"another path":     copied(c.change, func(r *http.Request) { r.URL.Path = "/v1/stock" }),
			"another query":    copied(c.change, func(r *http.Request) { r.URL.RawQuery = "a=b" }),
			"another method":   copied(c.change, func(r *http.Request) { r.Method = http.MethodHead }),
			"another consumer": copied(c.change, func(r *http.Request) { r.Header.Set("X-Api-Key", "other") }),
			"an old one": func(r *http.Request) {
				gateway.Signer{Secret: []byte(gatewayKey), Now: func() time.Time { return time.Now().Add(-time.Minute) }}.Sign(r, nil)
			},
			"of a hop":        both(signed(gatewayKey), func(r *http.Request) { r.Header.Set("Connection", "pointsman-gateway") }),
			"twice":           both(signed(gatewayKey), func(r *http.Request) { r.Header.Add(gateway.Header, r.Header.Get(gateway.Header)) }),
			"of another body": func(r *http.Request) { gateway.Signer{Secret: []byte(gatewayKey)}.Sign(r, []byte("x")) },
		}
		for how, g := range gateways {
			t.Run(how+"/"+name, func(t *testing.T) {
				if how == "of a hop" { // HTTP/2 has no such header
					old := *d.running
					old.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: d.ca.Pool()}}}
					defer old.client.CloseIdleConnections()
					d := *d
					d.running = &old
					d.denied(t, d.ask(t, nil, both(c.change, g)))
					return
				}
				d.denied(t, d.ask(t, nil, both(c.change, g)))
			})
		}
		t.Run("right/"+name, func(t *testing.T) {
			var proof string
			got := d.ask(t, nil, both(c.change, signed(gatewayKey), func(r *http.Request) { proof = r.Header.Get(gateway.Header) }))
			if !c.right {
				d.denied(t, got)
				return
			}
			granted(t, got)
			d.denied(t, d.ask(t, nil, both(c.change, func(r *http.Request) { r.Header.Set(gateway.Header, proof) })))
		})
	}
	t.Run("spellings", func(t *testing.T) {
		for _, name := range spellings {
			d.denied(t, d.ask(t, nil, shows(name, till)))
			if http.CanonicalHeaderKey(name) != clientcert.Header {
				d.denied(t, d.ask(t, nil, both(shows(name, till), signed(gatewayKey))))
			}
		}
		d.denied(t, d.ask(t, nil, both(signed(gatewayKey), shows(clientcert.Header, till)))) // put in behind the gateway
		d.denied(t, d.ask(t, till, signed(gatewayKey)))                                      // of the connection, which is the gateway's
		d.denied(t, d.ask(t, nil, both(bearer(key), func(r *http.Request) { r.Header.Set(clientcert.Header, "till") }, signed(gatewayKey))))
		d.denied(t, d.ask(t, nil, both(bearer(key), shows(clientcert.Header, till), signed(gatewayKey))))
	})
	t.Run("body", func(t *testing.T) {
		const body = `{"pointers":["x"]}`
		ask := func(sent, signedBody string, change func(*http.Request)) reply {
			return d.send(t, nil, http.MethodPost, "/pointers:rewrap", sent, both(bearer(key), func(r *http.Request) {
				r.Header.Set("Content-Type", "application/json")
				gateway.Signer{Secret: []byte(gatewayKey)}.Sign(r, []byte(signedBody))
			}, change))
		}
		granted(t, ask(body, body, nil))
		d.denied(t, ask(body, `{"pointers":["y"]}`, nil))
		d.denied(t, ask(body, "", nil))
		trailer := func(r *http.Request) {
			r.Header.Del("Authorization")
			r.ContentLength = -1
			r.Trailer = http.Header{}
			shows(clientcert.Header, till)(&http.Request{Header: r.Trailer})
			r.Trailer.Set("X-Api-Key", key)
			gateway.Signer{Secret: []byte(gatewayKey)}.Sign(r, []byte(body))
		}
		d.denied(t, ask(body, body, trailer))
	})
}

func testGatewayRotated(t *testing.T, d *doorway) {
	const next = "the next key of both sides, 012345"
	key := bearer(d.keys["web-shop"])
	until := func(secret string, status int) {
		t.Helper()
		for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
			got := d.ask(t, nil, both(key, signed(secret)))
			if got.status == status {
				return
			}
			if time.Since(began) > time.Minute {
				t.Fatalf("got %v, want %d", got, status)
			}
		}
	}
	d.mustRun(gatewayKey+"\n"+next+"\n", "secret", "set", "gateway-key", "--data", d.data())
	until(next, http.StatusOK)
	until(gatewayKey, http.StatusOK)
	d.mustRun(next+"\n", "secret", "set", "gateway-key", "--data", d.data())
	until(gatewayKey, http.StatusUnauthorized)
	until(next, http.StatusOK)
}

func testStaticGateway(t *testing.T, d *doorway) {
	d.deploy("", 0, 1, 2, 5)
	key, till := bearer(d.keys["web-shop"]), d.consumers.client(t, "till-7.acme.example", time.Hour, x509.ExtKeyUsageClientAuth)
	sends := func(text string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(gateway.Header, text) }
	}
	for _, consumer := range []func(*http.Request){nil, key, shows(clientcert.Header, till)} {
		for _, text := range []string{"", gatewayToken + "x", gatewayToken[1:], gatewayKey} {
			d.denied(t, d.ask(t, nil, both(consumer, sends(text))))
		}
		d.denied(t, d.ask(t, nil, both(consumer, signed(gatewayToken))))
	}
	d.denied(t, d.ask(t, nil, sends(gatewayToken)))
	granted(t, d.ask(t, nil, both(key, sends(gatewayToken))))
	granted(t, d.ask(t, nil, both(shows(clientcert.Header, till), sends(gatewayToken))))
}

func testCertificateGateway(t *testing.T, d *doorway) {
	d.deploy("", 0, 1, 2, 3)
	client := func(a authority, name string) *tls.Certificate {
		return a.client(t, name, time.Hour, x509.ExtKeyUsageClientAuth)
	}
	edge, till := client(d.gateway, "gateway.acme.example"), client(d.consumers, "till-7.acme.example")
	key := bearer(d.keys["web-shop"])
	for name, cert := range map[string]*tls.Certificate{
		"missing": nil, "of another authority": client(d.consumers, "gateway.acme.example"), "of another name": client(d.gateway, "other.acme.example"), "till's": till,
	} {
		t.Run(name, func(t *testing.T) {
			for _, consumer := range []func(*http.Request){nil, bearer(d.keys["stranger"]), key, shows(clientcert.Header, till)} {
				d.denied(t, d.ask(t, cert, consumer))
			}
		})
	}
	d.denied(t, d.ask(t, edge, nil))
	d.denied(t, d.ask(t, edge, bearer(d.keys["stranger"])))
	d.denied(t, d.ask(t, edge, shows(clientcert.Header, edge)))
	granted(t, d.ask(t, edge, key))
	granted(t, d.ask(t, edge, bearer(d.login.token(t, nil))))
	granted(t, d.ask(t, edge, shows(clientcert.Header, till)))
}

// testDoorReload: what a release takes away opens nothing any more.
func testDoorReload(t *testing.T, d *doorway) {
	till := d.consumers.client(t, "till-7.acme.example", time.Hour, x509.ExtKeyUsageClientAuth)
	key, token := bearer(d.keys["web-shop"]), bearer(d.login.token(t, nil))
	d.deploy("", 0, 1, 2)
	granted(t, d.ask(t, nil, key))
	granted(t, d.ask(t, nil, token))
	granted(t, d.ask(t, till, nil))
	d.deploy("", 1, 2)
	d.denied(t, d.ask(t, nil, key))
	granted(t, d.ask(t, nil, token))
	d.deploy("", 0, 2)
	d.denied(t, d.ask(t, nil, token))
	granted(t, d.ask(t, nil, key))
	granted(t, d.ask(t, till, nil))
	d.deploy("", 0, 1)
	d.denied(t, d.ask(t, till, nil))

	// An issuer that cannot be reached takes nobody else with it.
	down := startLogin(t, d.ca)
	down.down.Store(true)
	block := d.blocks[1]
	d.blocks[1] = strings.ReplaceAll(block, d.login.url, down.url)
	d.deploy("", 0, 1, 2)
	unreachable := bearer(down.token(t, nil))
	if got := d.ask(t, nil, unreachable); got.status != http.StatusServiceUnavailable {
		t.Errorf("a token of an issuer that is down: %v", got)
	}
	d.denied(t, d.ask(t, nil, token)) // its issuer is gone
	granted(t, d.ask(t, nil, key))
	granted(t, d.ask(t, till, nil))
	d.deploy("", 0, 1, 2, 4)
	d.denied(t, d.ask(t, nil, unreachable)) // a stranger learns nothing of issuers
	d.blocks[1] = block
	if n := down.asked.Load(); n > 2 {
		t.Errorf("an issuer that is down was asked %d times", n)
	}
}

// testFailsClosed: a release whose locks are not whole is not deployed, and the one before
// it goes on, its locks with it.
func testFailsClosed(t *testing.T, d *doorway) {
	d.deploy("", 0, 2, 5)
	key := bearer(d.keys["web-shop"])
	open := both(key, func(r *http.Request) { r.Header.Set(gateway.Header, gatewayToken) })
	door := func(spec string) string {
		return "---\napiVersion: pointsman/v1\nkind: Gateway\nmetadata: {name: edge}\nspec: " + spec + "\n"
	}
	consumer := func(auth string) string {
		return "---\napiVersion: pointsman/v1\nkind: Consumer\nmetadata: {name: open}\nspec: {" + auth + "scopes: [orders.read]}\n"
	}
	d.mustRun("short", "secret", "set", "short-key", "--data", d.data())
	d.write("manifests/no-ca.pem", []byte("nothing"))
	for text, want := range map[string]string{
		door("{}"):                                            "a gateway needs one of",
		door("{signed: {secret: nowhere}}"):                   "codes=PM4004",
		door("{signed: {secret: short-key}}"):                 "a secret has at least 16 bytes",
		door("{mtls: {ca: nowhere.pem, names: [a.example]}}"): "nowhere.pem",
		door("{mtls: {ca: no-ca.pem, names: [a.example]}}"):   "there is no certificate in PEM",
		door("{mtls: {ca: gateway-ca.pem, names: []}}"):       "0 entries; expected 1 to 20",
		consumer(""):             `key \"auth\" is missing`,
		consumer("auth: {}, "):   "nobody gets in without",
		consumer("auth: null, "): "expected a mapping with apiKey, jwt or mtls",
		consumer("auth: {jwt: {issuer: nobody, claims: {azp: a}}}, "):  "nobody",
		consumer("auth: {mtls: {ca: nowhere.pem, name: a.example}}, "): "nowhere.pem",
	} {
		t.Run(want, func(t *testing.T) {
			d.write("manifests/all.yaml", []byte(d.text(0, 2)+text))
			n := strings.Count(d.output.String(), "manifests were not deployed")
			before := len(d.output.String())
			d.reloadRefused(n + 1)
			if said := d.output.String()[before:]; !strings.Contains(said, want) {
				t.Errorf("the log does not say %q:\n%s", want, said)
			}
			d.denied(t, d.ask(t, nil, key))
			granted(t, d.ask(t, nil, open))
		})
	}
	d.deploy("") // nobody is declared, so nobody comes in
	d.denied(t, d.ask(t, nil, nil))
	d.denied(t, d.ask(t, nil, open))
}

// reloadRefused reloads until so many reloads were refused.
func (d *doorway) reloadRefused(n int) {
	d.t.Helper()
	d.reload("")
	for began := time.Now(); strings.Count(d.output.String(), "manifests were not deployed") < n; time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			d.t.Fatalf("the reload was not refused\n%s", d.output)
		}
	}
}
