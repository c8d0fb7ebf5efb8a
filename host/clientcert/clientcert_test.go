package clientcert_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pointsman/host/broker"
	"pointsman/host/clientcert"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// signer is a certificate and its key.
type signer struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (s signer) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.cert.Raw})
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a certificate; by is its issuer, zero for one that signs itself.
func issue(t testing.TB, by signer, key crypto.Signer, change func(c *x509.Certificate)) signer {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "till-7.example"},
		NotBefore: start.Add(-time.Hour), NotAfter: start.Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		DNSNames: []string{"till-7.example"},
	}
	change(c)
	parent, with := by.cert, by.key
	if parent == nil {
		parent, with = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), with)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return signer{cert, key}
}

func asCA(name string) func(c *x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject.CommonName, c.DNSNames, c.ExtKeyUsage = name, nil, nil
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
		c.NotAfter = start.Add(48 * time.Hour)
	}
}

func same(*x509.Certificate) {}

func chain(of ...signer) (c clientcert.Chain) {
	for _, s := range of {
		c = append(c, s.cert.Raw)
	}
	return c
}

func TestNames(t *testing.T) {
	root := issue(t, signer{}, newKey(t), asCA("root"))
	middle := issue(t, root, newKey(t), asCA("middle"))
	narrow := issue(t, root, newKey(t), func(c *x509.Certificate) {
		asCA("narrow")(c)
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"shops.example"}
	})
	mallory := issue(t, signer{}, newKey(t), asCA("root"))
	notCA := issue(t, root, newKey(t), same)
	t.Setenv("GODEBUG", "rsa1024min=0")
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	now := start
	trust, err := clientcert.NewTrust(root.pem(), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	good := issue(t, root, newKey(t), same)
	uri, err := url.Parse("spiffe://acme.example/till/7")
	if err != nil {
		t.Fatal(err)
	}
	changed := slices.Clone(good.cert.Raw)
	changed[len(changed)-1] ^= 1
	tests := []struct {
		name  string
		chain clientcert.Chain
		want  []string // nil: refused
	}{
		{"good", chain(good), []string{"till-7.example"}},
		{"names and URIs", chain(issue(t, root, newKey(t), func(c *x509.Certificate) {
			c.DNSNames, c.URIs, c.EmailAddresses = []string{"a.example", "b.example"}, []*url.URL{uri}, []string{"c@example"}
		})), []string{"a.example", "b.example", "spiffe://acme.example/till/7"}},
		{"by an intermediate", chain(issue(t, middle, newKey(t), same), middle), []string{"till-7.example"}},
		{"with the root", chain(good, root), []string{"till-7.example"}},
		{"a name as common name only", chain(issue(t, root, newKey(t), func(c *x509.Certificate) { c.DNSNames = nil })), []string{}},
		{"none", nil, nil},
		{"empty", clientcert.Chain{{}}, nil},
		{"intermediate left out", chain(issue(t, middle, newKey(t), same)), nil},
		{"another root of the same name", chain(issue(t, mallory, newKey(t), same), mallory), nil},
		{"signs itself", chain(issue(t, signer{}, newKey(t), same)), nil},
		{"by a certificate that may not", chain(issue(t, notCA, newKey(t), same), notCA), nil},
		{"the authority itself", chain(root), nil},
		{"an intermediate itself", chain(middle), nil},
		{"over", chain(issue(t, root, newKey(t), func(c *x509.Certificate) { c.NotAfter = start.Add(-time.Minute) })), nil},
		{"to come", chain(issue(t, root, newKey(t), func(c *x509.Certificate) { c.NotBefore = start.Add(time.Minute) })), nil},
		{"for servers", chain(issue(t, root, newKey(t), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })), nil},
		{"outside of what its authority may", chain(issue(t, narrow, newKey(t), same), narrow), nil},
		{"RSA of 1024 bits", chain(issue(t, root, small, same)), nil},
		{"changed", clientcert.Chain{changed}, nil},
		{"something behind it", clientcert.Chain{append(slices.Clone(good.cert.Raw), 0)}, nil},
		{"not a certificate", clientcert.Chain{[]byte("x")}, nil},
		{"not a certificate above it", clientcert.Chain{good.cert.Raw, []byte("x")}, nil},
		{"too many", chain(append([]signer{good}, slices.Repeat([]signer{root}, 10)...)...), nil},
		{"too large", clientcert.Chain{good.cert.Raw, make([]byte, 64<<10)}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 { // the second from memory, if it is good
				names, err := trust.Names(tt.chain)
				if (err == nil) != (tt.want != nil) || !slices.Equal(names, tt.want) {
					t.Errorf("names %q, error %v; want %q", names, err, tt.want)
				}
			}
		})
	}
	now = start.Add(time.Hour - 10*time.Second)
	if _, err := trust.Names(chain(good)); err != nil {
		t.Error(err)
	}
	now = start.Add(time.Hour + time.Second) // within the time that it is remembered
	if _, err := trust.Names(chain(good)); err == nil {
		t.Error("a certificate that is over holds by memory")
	}
	for _, none := range []*clientcert.Trust{nil, new(clientcert.Trust)} {
		if _, err := none.Names(chain(good)); err == nil {
			t.Error("the zero Trust trusts")
		}
	}
}

func TestRootsThatAreRefused(t *testing.T) {
	root := issue(t, signer{}, newKey(t), asCA("root"))
	leaf := issue(t, root, newKey(t), same)
	for name, text := range map[string][]byte{
		"nothing": nil, "no PEM": []byte("x"), "a leaf": leaf.pem(), "a leaf behind a root": append(root.pem(), leaf.pem()...),
		"a key":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: root.cert.Raw}),
		"broken": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}),
	} {
		if _, err := clientcert.NewTrust(text, nil); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	if _, err := clientcert.NewTrust(append(root.pem(), issue(t, signer{}, newKey(t), asCA("other")).pem()...), nil); err != nil {
		t.Error(err)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	root := issue(t, signer{}, newKey(t), asCA("root"))
	good := issue(t, root, newKey(t), same)
	trust, err := clientcert.NewTrust(root.pem(), func() time.Time { return start })
	if err != nil {
		t.Fatal(err)
	}
	other := issue(t, signer{}, newKey(t), asCA("other"))
	for i := range 3000 { // chains that differ, of one certificate: with others above that say nothing
		c := chain(good)
		for range 8 {
			c = append(c, []signer{good, root, other}[i%3].cert.Raw)
			i /= 3
		}
		if _, err := trust.Names(c); err != nil {
			t.Fatal(err)
		}
	}
	if n := clientcert.Remembered(trust); n > clientcert.MostRemembered || n < clientcert.MostRemembered/2 {
		t.Errorf("%d chains are remembered; at most %d may be", n, clientcert.MostRemembered)
	}
}

func consumer(id broker.PrincipalID, root signer, name string) clientcert.Consumer {
	return clientcert.Consumer{Principal: broker.Principal{ID: id}, Roots: root.pem(), Name: name}
}

func TestDirectory(t *testing.T) {
	root, other := issue(t, signer{}, newKey(t), asCA("root")), issue(t, signer{}, newKey(t), asCA("other"))
	now := func() time.Time { return start }
	d, err := clientcert.NewDirectory([]clientcert.Consumer{
		consumer("till", root, "till-7.example"), consumer("shop", root, "shop.example"), consumer("partner", other, "shop.example"),
		consumer("robot", root, "spiffe://acme.example/robot"),
	}, now)
	if err != nil {
		t.Fatal(err)
	}
	names := func(names ...string) func(c *x509.Certificate) {
		return func(c *x509.Certificate) {
			c.DNSNames = nil
			for _, n := range names {
				if u, err := url.Parse(n); err == nil && u.Scheme != "" {
					c.URIs = append(c.URIs, u)
					continue
				}
				c.DNSNames = append(c.DNSNames, n)
			}
		}
	}
	tests := []struct {
		name  string
		chain clientcert.Chain
		want  broker.PrincipalID
	}{
		{"a name", chain(issue(t, root, newKey(t), same)), "till"},
		{"the same name by another authority", chain(issue(t, other, newKey(t), names("shop.example"))), "partner"},
		{"a URI", chain(issue(t, root, newKey(t), names("spiffe://acme.example/robot"))), "robot"},
		{"a name that nobody has beside it", chain(issue(t, root, newKey(t), names("x.example", "shop.example"))), "shop"},
		{"two consumers' names", chain(issue(t, root, newKey(t), names("till-7.example", "shop.example"))), ""},
		{"another name", chain(issue(t, root, newKey(t), names("x.example"))), ""},
		{"a wildcard", chain(issue(t, root, newKey(t), names("*.example"))), ""},
		{"the name of another authority's", chain(issue(t, other, newKey(t), same)), ""},
		{"no authority's", chain(issue(t, signer{}, newKey(t), same)), ""},
		{"none", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := d.Authenticate(tt.chain)
			e, _ := errors.AsType[*broker.Error](err)
			if p.ID != tt.want || (tt.want == "") != (e != nil && e.Kind == broker.Unauthenticated && e.Detail == "no valid credential") {
				t.Errorf("principal %q, error %v; want %q", p.ID, err, tt.want)
			}
		})
	}
	for _, none := range []*clientcert.Directory{nil, new(clientcert.Directory)} {
		if _, err := none.Authenticate(chain(issue(t, root, newKey(t), same))); err == nil {
			t.Error("the zero Directory knows someone")
		}
	}
	for name, twice := range map[string][]clientcert.Consumer{
		"two of one name": {consumer("a", root, "x.example"), consumer("b", root, "x.example")},
		"no name":         {consumer("a", root, "")},
		"nobody":          {consumer("", root, "x.example")},
		"no roots":        {{Principal: broker.Principal{ID: "a"}, Name: "x.example"}},
	} {
		if _, err := clientcert.NewDirectory(twice, now); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
}

func field(der []byte) string { return ":" + base64.StdEncoding.EncodeToString(der) + ":" }

func TestFromHeader(t *testing.T) {
	a, b, c := []byte("first"), []byte("second!"), []byte("third..")
	tests := []struct {
		name   string
		header http.Header
		want   clientcert.Chain
		ok     bool
	}{
		{"none", http.Header{}, nil, true},
		{"one", http.Header{"Client-Cert": {field(a)}}, clientcert.Chain{a}, true},
		{"a chain", http.Header{"Client-Cert": {field(a)}, "Client-Cert-Chain": {field(b) + ", " + field(c)}}, clientcert.Chain{a, b, c}, true},
		{"a chain on two lines", http.Header{"Client-Cert": {field(a)}, "Client-Cert-Chain": {field(b), field(c)}}, clientcert.Chain{a, b, c}, true},
		{"two", http.Header{"Client-Cert": {field(a), field(b)}}, nil, false},
		{"two on a line", http.Header{"Client-Cert": {field(a) + "," + field(b)}}, nil, false},
		{"a chain alone", http.Header{"Client-Cert-Chain": {field(a)}}, nil, false},
		{"empty", http.Header{"Client-Cert": {""}}, nil, false},
		{"empty bytes", http.Header{"Client-Cert": {"::"}}, nil, false},
		{"no colons", http.Header{"Client-Cert": {base64.StdEncoding.EncodeToString(a)}}, nil, false},
		{"PEM", http.Header{"Client-Cert": {"-----BEGIN CERTIFICATE-----"}}, nil, false},
		{"base64url", http.Header{"Client-Cert": {":_-8=:"}}, nil, false},
		{"no padding", http.Header{"Client-Cert": {":YQ:"}}, nil, false},
		{"bits left over", http.Header{"Client-Cert": {":YR==:"}}, nil, false},
		{"line feed", http.Header{"Client-Cert": {":Y\nQ==:"}}, nil, false},
		{"parameters", http.Header{"Client-Cert": {field(a) + ";a=1"}}, nil, false},
		{"an empty item", http.Header{"Client-Cert": {field(a)}, "Client-Cert-Chain": {field(b) + ","}}, nil, false},
		{"too many", http.Header{"Client-Cert": {field(a)}, "Client-Cert-Chain": {strings.Repeat(field(b)+",", 9) + field(b)}}, nil, false},
		{"too large", http.Header{"Client-Cert": {field(make([]byte, 64<<10))}, "Client-Cert-Chain": {field(b)}}, nil, false},
		{"another spelling", http.Header{"Client_cert": {field(a)}, "client-cert": {field(a)}}, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := clientcert.FromHeader(tt.header)
			if (err == nil) != tt.ok || fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("%q, error %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestIdentityHeaders(t *testing.T) {
	for _, name := range []string{"Client-Cert", "CLIENT-CERT", "client_cert", "Client_Cert-Chain", "client-cert-chain", "X-Forwarded-Client-Cert", "x_ssl_client_cert", "X-SSL-Client-Verify", "X-Amzn-Mtls-Clientcert"} {
		h := http.Header{name: {"x"}, "Accept": {"*/*"}}
		clientcert.Drop(h)
		if !clientcert.Identity(name) || len(h) != 1 || h["Accept"] == nil {
			t.Errorf("%s stays: %v", name, h)
		}
	}
	for _, name := range []string{"Authorization", "X-Api-Key", "Client-Certificate-Policy", "Accept", ""} {
		if clientcert.Identity(name) {
			t.Errorf("%s is dropped", name)
		}
	}
}

// FuzzFromHeader: what is read, written again as RFC 9440 says, is read the same, and is
// within the bounds.
func FuzzFromHeader(f *testing.F) {
	f.Add(field([]byte("a")), field([]byte("b"))+", "+field([]byte("c")))
	f.Add(":YR==:", "")
	f.Add("", ":YQ==:,:YQ==:\t,")
	f.Fuzz(func(t *testing.T, leaf, above string) {
		h := http.Header{"Client-Cert": {leaf}}
		if above != "" {
			h.Set("Client-Cert-Chain", above)
		}
		c, err := clientcert.FromHeader(h)
		if err != nil {
			return
		}
		size := 0
		again := http.Header{}
		for i, der := range c {
			size += len(der)
			name := "Client-Cert-Chain"
			if i == 0 {
				name = "Client-Cert"
			}
			again.Add(name, field(der))
		}
		got, err := clientcert.FromHeader(again)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(c) || len(c) == 0 || len(c) > 10 || size > 128<<10 {
			t.Fatalf("%q %q: %q, then %q (%v)", leaf, above, c, got, err)
		}
	})
}

// A certificate that was checked less than a minute ago costs a hash of it.
func BenchmarkAuthenticate(b *testing.B) {
	root := issue(b, signer{}, newKey(b), asCA("root"))
	middle := issue(b, root, newKey(b), asCA("middle"))
	good := chain(issue(b, middle, newKey(b), same), middle)
	d, err := clientcert.NewDirectory([]clientcert.Consumer{consumer("till", root, "till-7.example")}, func() time.Time { return start })
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Authenticate(good); err != nil {
			b.Fatal(err)
		}
	}
}
