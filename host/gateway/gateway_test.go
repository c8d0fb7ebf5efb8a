package gateway_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pointsman/host/broker"
	"pointsman/host/gateway"
)

var (
	key   = []byte("a key that both sides know, of 41 bytes...")
	other = []byte("another key of more than sixteen bytes")
	start = time.Date(2026, 3, 1, 12, 0, 7, 123456789, time.UTC)
)

type clock struct{ now atomic.Pointer[time.Time] }

func clockAt(t time.Time) *clock { c := &clock{}; c.set(t); return c }

func (c *clock) set(t time.Time)      { c.now.Store(&t) }
func (c *clock) Now() time.Time       { return *c.now.Load() }
func (c *clock) add(d time.Duration)  { c.set(c.Now().Add(d)) }
func at(t time.Time) func() time.Time { return func() time.Time { return t } }

func signed(t testing.TB, now func() time.Time) *gateway.Gateway {
	t.Helper()
	g, err := gateway.New(gateway.Config{Signed: &gateway.Signed{Secrets: [][]byte{key}}, Now: now}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// request is what a server sees of a request that a client signs.
func request(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer pmk_1")
	return r
}

func refused(t *testing.T, err error, want gateway.Reason) {
	t.Helper()
	kind := broker.Unauthenticated
	if want == gateway.Full {
		kind = broker.Unavailable
	}
	e, ok := errors.AsType[*broker.Error](err)
	if gateway.ReasonOf(err) != want || !ok || e.Kind != kind || kind == broker.Unauthenticated && e.Detail != "no valid credential" {
		t.Errorf("error %v; want refusal %q", err, want)
	}
}

// The format is written out here anew, as a gateway in another language would have it.
func TestSignatureFormat(t *testing.T) {
	const empty = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
	millis := fmt.Sprint(start.UnixMilli())
	cred := sha256.Sum256([]byte("authorization:Bearer pmk_1\nclient-cert::AAAA:\n"))
	text := strings.Join([]string{"pointsman-gateway/v1", millis, "nonce_-1", "GET", "/v1/a?b=c%20d", empty, hex.EncodeToString(cred[:]), ""}, "\n")
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	r := request("GET", "/v1/a?b=c%20d", "")
	r.Header.Set("Client-Cert", ":AAAA:")
	r.Header.Set("Pointsman-Gateway", "t="+millis+",n=nonce_-1,bd="+empty+",v1="+base64.RawURLEncoding.EncodeToString(h.Sum(nil)))
	p, err := signed(t, at(start)).Verify(gateway.FromHTTP(r))
	if err != nil || !p.Verified() {
		t.Errorf("proof %v, error %v", p, err)
	}
}

func TestSignatureRefused(t *testing.T) {
	tests := []struct {
		name   string
		change func(r *http.Request)
		want   gateway.Reason
	}{
		{"method", func(r *http.Request) { r.Method = "PUT" }, gateway.Signature},
		{"path", func(r *http.Request) { r.RequestURI = "/v1/b?c=d" }, gateway.Signature},
		{"query", func(r *http.Request) { r.RequestURI = "/v1/a?c=e" }, gateway.Signature},
		{"path in another spelling", func(r *http.Request) { r.RequestURI = "/v1/%61?c=d" }, gateway.Signature},
		{"absolute target", func(r *http.Request) { r.RequestURI = "http://a.example/v1/a?c=d" }, gateway.Signature},
		{"consumer's credential", func(r *http.Request) { r.Header.Set("Authorization", "Bearer pmk_2") }, gateway.Signature},
		{"consumer's credential gone", func(r *http.Request) { r.Header.Del("Authorization") }, gateway.Signature},
		{"a second credential", func(r *http.Request) { r.Header.Add("Authorization", "Bearer pmk_2") }, gateway.Signature},
		{"credential in another header", func(r *http.Request) { r.Header.Set("X-Api-Key", "pmk_2") }, gateway.Signature},
		{"certificate header", func(r *http.Request) { r.Header.Set("Client-Cert", ":AAAA:") }, gateway.Signature},
		{"chain header", func(r *http.Request) { r.Header.Set("Client-Cert-Chain", ":AAAA:") }, gateway.Signature},
		{"no header", func(r *http.Request) { r.Header.Del(gateway.Header) }, gateway.Missing},
		{"empty header", func(r *http.Request) { r.Header.Set(gateway.Header, "") }, gateway.Missing},
		{"two headers", func(r *http.Request) { r.Header.Add(gateway.Header, r.Header.Get(gateway.Header)) }, gateway.Missing},
		{"the secret itself", func(r *http.Request) { r.Header.Set(gateway.Header, string(key)) }, gateway.Missing},
		{"another order", edit("bd=", "bd=", func(v string) string { return v[strings.Index(v, ",")+1:] + "," + v[:strings.Index(v, ",")] }), gateway.Missing},
		{"another version", edit("v1=", "v2=", nil), gateway.Missing},
		{"something behind it", edit("", "", func(v string) string { return v + "," }), gateway.Missing},
		{"line feed", edit("", "", func(v string) string { return v + "\n" }), gateway.Missing},
		{"padding", edit("", "", func(v string) string { return v + "=" }), gateway.Missing},
		{"long", edit("n=", "n="+strings.Repeat("x", 600), nil), gateway.Missing},
		{"time changed", edit("t=1", "t=2", nil), gateway.Signature},
		{"nonce changed", edit("n=", "n=x", nil), gateway.Signature},
		{"named in Connection", func(r *http.Request) { r.Header.Set("Connection", "close, pointsman-gateway") }, gateway.Missing},
		{"certificate named in Connection", func(r *http.Request) { r.Header.Add("Connection", " Client-CERT") }, gateway.Missing},
		{"a body where none was signed", func(r *http.Request) { r.ContentLength = 0 }, gateway.Body},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := signed(t, at(start))
			r := request("POST", "/v1/a?c=d", "body")
			gateway.Signer{Secret: key, Now: at(start)}.Sign(r, []byte("body"))
			tt.change(r)
			p, err := g.Verify(gateway.FromHTTP(r))
			refused(t, err, tt.want)
			if p.Verified() {
				t.Error("it is verified")
			}
		})
	}
	g := signed(t, at(start))
	r := request("GET", "/", "")
	gateway.Signer{Secret: other, Now: at(start)}.Sign(r, nil)
	_, err := g.Verify(gateway.FromHTTP(r))
	refused(t, err, gateway.Signature)
}

// edit changes the header's text.
func edit(old, text string, f func(string) string) func(*http.Request) {
	return func(r *http.Request) {
		v := strings.Replace(r.Header.Get(gateway.Header), old, text, 1)
		if f != nil {
			v = f(v)
		}
		r.Header.Set(gateway.Header, v)
	}
}

// A signature holds for one request, within the skew; while it could be sent again it is
// known, however many others come.
func TestReplay(t *testing.T) {
	c := clockAt(start)
	g := signed(t, c.Now)
	sign := func(at time.Time) gateway.Request {
		r := request("GET", "/v1/a", "")
		gateway.Signer{Secret: key, Now: func() time.Time { return at }}.Sign(r, nil)
		return gateway.FromHTTP(r)
	}
	skew := gateway.DefaultSkew
	for _, early := range []time.Duration{-skew + time.Millisecond, 0, skew - time.Millisecond} {
		first := sign(c.Now().Add(early))
		if _, err := g.Verify(first); err != nil {
			t.Fatalf("made %s from now: %v", early, err)
		}
		for range 70 {
			_, err := g.Verify(first)
			if r := gateway.ReasonOf(err); r != gateway.Replayed && r != gateway.Time {
				t.Fatalf("made %s from then, again: %v", early, err)
			}
			c.add(time.Second)
			if _, err := g.Verify(sign(c.Now())); err != nil {
				t.Fatal(err)
			}
		}
		_, err := g.Verify(first)
		refused(t, err, gateway.Time)
	}
	for _, off := range []time.Duration{-skew - time.Second, skew + time.Second, -time.Hour, 24 * 365 * time.Hour} {
		_, err := g.Verify(sign(c.Now().Add(off)))
		refused(t, err, gateway.Time)
	}
	// Two requests that are alike, made in one moment, are two.
	for range 2 {
		if _, err := g.Verify(sign(c.Now())); err != nil {
			t.Error(err)
		}
	}
	// The next release knows what this one has seen.
	held := sign(c.Now())
	if _, err := g.Verify(held); err != nil {
		t.Fatal(err)
	}
	next, err := gateway.New(gateway.Config{Signed: &gateway.Signed{Secrets: [][]byte{key}}, Now: c.Now}, g)
	if err != nil {
		t.Fatal(err)
	}
	_, err = next.Verify(held)
	refused(t, err, gateway.Replayed)
}

func TestReplayedAtOnce(t *testing.T) {
	g := signed(t, at(start))
	r := request("GET", "/v1/a", "")
	gateway.Signer{Secret: key, Now: at(start)}.Sign(r, nil)
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := g.Verify(gateway.FromHTTP(r)); err == nil {
				passed.Add(1)
			}
		})
	}
	wg.Wait()
	if passed.Load() != 1 {
		t.Errorf("%d of 50 passed", passed.Load())
	}
}

// What cannot be remembered is not let in; strangers cannot fill the memory.
func TestMemoryIsBounded(t *testing.T) {
	c := clockAt(start)
	g, err := gateway.New(gateway.Config{Signed: &gateway.Signed{Secrets: [][]byte{key}, Seen: 10}, Now: c.Now}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(secret []byte) error {
		r := request("GET", "/v1/a", "")
		gateway.Signer{Secret: secret, Now: c.Now}.Sign(r, nil)
		_, err := g.Verify(gateway.FromHTTP(r))
		return err
	}
	for range 100 {
		refused(t, ask(other), gateway.Signature)
	}
	for range 10 {
		if err := ask(key); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, ask(key), gateway.Full)
	c.add(4 * gateway.DefaultSkew)
	if err := ask(key); err != nil {
		t.Error(err)
	}
}

func TestBody(t *testing.T) {
	tests := []struct {
		name, signed, sent string
		want               gateway.Reason
	}{
		{"the same", "hello", "hello", ""},
		{"empty", "", "", ""},
		{"changed", "hello", "hallo", gateway.Body},
		{"shorter", "hello", "hell", gateway.Body},
		{"longer", "hello", "hello ", gateway.Body},
		{"none", "hello", "", gateway.Body},
		{"one where there was none", "", "x", gateway.Body},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := signed(t, at(start))
			r := request("POST", "/v1/a", tt.sent)
			r.ContentLength = -1
			gateway.Signer{Secret: key, Now: at(start)}.Sign(r, []byte(tt.signed))
			p, err := g.Verify(gateway.FromHTTP(r))
			if err != nil {
				t.Fatal(err)
			}
			body := p.Body(r.Body)
			got, err := io.ReadAll(body)
			if tt.want != "" {
				refused(t, err, tt.want)
				_, err = body.Read(make([]byte, 1))
				refused(t, err, tt.want) // and stays so
				return
			}
			if err != nil || string(got) != tt.sent {
				t.Errorf("body %q, error %v", got, err)
			}
		})
	}
	var none gateway.Proof
	if got, err := io.ReadAll(none.Body(io.NopCloser(strings.NewReader("x")))); string(got) != "x" || err != nil || none.Verified() {
		t.Errorf("the zero Proof: body %q, error %v", got, err)
	}
}

func TestRotation(t *testing.T) {
	g := signed(t, at(start))
	ask := func(secret []byte) error {
		r := request("GET", "/", "")
		gateway.Signer{Secret: secret, Now: at(start)}.Sign(r, nil)
		_, err := g.Verify(gateway.FromHTTP(r))
		return err
	}
	if err := g.SetSecrets([][]byte{other, key}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(ask(key), ask(other)); err != nil {
		t.Error(err)
	}
	if err := g.SetSecrets([][]byte{other}); err != nil {
		t.Fatal(err)
	}
	refused(t, ask(key), gateway.Signature)
	if err := ask(other); err != nil {
		t.Error(err)
	}
	for _, bad := range [][][]byte{nil, {}, {[]byte("short")}, {nil}, {key, other, key, other, key}} {
		if err := g.SetSecrets(bad); err == nil {
			t.Errorf("secrets %q are taken", bad)
		}
	}
	if err := ask(other); err != nil {
		t.Errorf("after what was refused: %v", err)
	}
}

func TestStatic(t *testing.T) {
	g, err := gateway.New(gateway.Config{Static: &gateway.Static{Secrets: [][]byte{key, other}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		value []string
		want  gateway.Reason
	}{
		{"the secret", []string{string(key)}, ""},
		{"the other", []string{string(other)}, ""},
		{"none", nil, gateway.Missing},
		{"empty", []string{""}, gateway.Missing},
		{"both", []string{string(key), string(other)}, gateway.Missing},
		{"twice", []string{string(key), string(key)}, gateway.Missing},
		{"a byte less", []string{string(key[:len(key)-1])}, gateway.Signature},
		{"a byte more", []string{string(key) + "x"}, gateway.Signature},
		{"another case", []string{strings.ToUpper(string(key))}, gateway.Signature},
		{"long", []string{strings.Repeat("x", 10000)}, gateway.Missing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := g.Verify(gateway.Request{Method: "GET", Target: "/", Header: http.Header{gateway.Header: tt.value}})
			if tt.want != "" {
				refused(t, err, tt.want)
				return
			}
			if err != nil || !p.Verified() {
				t.Error(err)
			}
		})
	}
}

func TestClosedByDefault(t *testing.T) {
	r := request("GET", "/", "")
	gateway.Signer{Secret: nil}.Sign(r, nil)
	var none *gateway.Gateway
	for _, g := range []*gateway.Gateway{none, new(gateway.Gateway)} {
		_, err := g.Verify(gateway.FromHTTP(r))
		refused(t, err, gateway.Missing)
	}
	ca := newCA(t)
	tests := []struct {
		name   string
		config gateway.Config
	}{
		{"nothing", gateway.Config{}},
		{"two ways", gateway.Config{Signed: &gateway.Signed{Secrets: [][]byte{key}}, Static: &gateway.Static{Secrets: [][]byte{key}}}},
		{"no secret", gateway.Config{Signed: &gateway.Signed{}}},
		{"no secret to send", gateway.Config{Static: &gateway.Static{}}},
		{"empty secret", gateway.Config{Static: &gateway.Static{Secrets: [][]byte{{}}}}},
		{"short secret", gateway.Config{Signed: &gateway.Signed{Secrets: [][]byte{[]byte("fifteen bytes..")}}}},
		{"skew of an hour", gateway.Config{Signed: &gateway.Signed{Secrets: [][]byte{key}, Skew: time.Hour}}},
		{"no names", gateway.Config{MTLS: &gateway.MTLS{Roots: ca.pem}}},
		{"empty name", gateway.Config{MTLS: &gateway.MTLS{Roots: ca.pem, Names: []string{""}}}},
		{"no roots", gateway.Config{MTLS: &gateway.MTLS{Names: []string{"a"}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if g, err := gateway.New(tt.config, nil); err == nil {
				t.Errorf("%+v", g)
			}
		})
	}
}

// Through a real server, as a gateway's client would do it.
func TestSignerOverHTTP(t *testing.T) {
	g := signed(t, nil)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := g.Verify(gateway.FromHTTP(r))
		if err == nil {
			_, err = io.Copy(w, p.Body(r.Body))
		}
		if err != nil {
			http.Error(w, string(gateway.ReasonOf(err)), http.StatusUnauthorized)
		}
	}))
	defer server.Close()
	send := func(body []byte, as []byte) (int, string) {
		r, err := http.NewRequestWithContext(context.Background(), "POST", server.URL+"/v1/a%20b?c=d&e", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Api-Key", "pmk_1")
		gateway.Signer{Secret: key}.Sign(r, as)
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	if status, text := send([]byte("hello"), []byte("hello")); status != 200 || text != "hello" {
		t.Errorf("status %d, %q", status, text)
	}
	if status, _ := send(nil, nil); status != 200 {
		t.Errorf("status %d without a body", status)
	}
	if _, text := send([]byte("hallo"), []byte("hello")); !strings.Contains(text, "body") {
		t.Errorf("answer %q to another body", text)
	}
}

// FuzzSignature: of all headers and targets, only what was signed is taken, and only once.
func FuzzSignature(f *testing.F) {
	// Made once by a Signer, whose nonce is random: every process that fuzzes must have the same.
	const good = "t=1772366407123,n=MYulGjYtd-jyyS3s,bd=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,v1=eUyjnhoR_CeXBg5WkRD-K_Jvc23CJy_3GxVId85XaDs"
	f.Add(good, "GET", "/v1/a?b=c", "Bearer pmk_1")
	f.Add(good, "GET", "/v1/a?b=c\nGET", "Bearer pmk_1")
	f.Add(strings.Replace(good, "n=", "n=\n", 1), "GET", "/v1/a?b=c", "")
	f.Add("t=1,n=,bd=,v1=", "", "", "")
	f.Fuzz(func(t *testing.T, header, method, target, credential string) {
		g := signed(t, at(start))
		h := http.Header{gateway.Header: {header}, "Authorization": {credential}}
		ask := gateway.Request{Method: method, Target: target, Header: h, Length: -1}
		p, err := g.Verify(ask)
		exact := header == good && method == "GET" && target == "/v1/a?b=c" && credential == "Bearer pmk_1"
		if p.Verified() != exact || (err == nil) != exact {
			t.Fatalf("%q %q %q %q: %v", header, method, target, credential, err)
		}
		if _, err := g.Verify(ask); err == nil {
			t.Fatal("taken again")
		}
	})
}

func BenchmarkSigned(b *testing.B) {
	now := time.Now()
	g, err := gateway.New(gateway.Config{Signed: &gateway.Signed{Secrets: [][]byte{key}, Seen: 1 << 30}, Now: at(now)}, nil)
	if err != nil {
		b.Fatal(err)
	}
	r := request("GET", "/v1/customers/abc?limit=10", "")
	sign := gateway.Signer{Secret: key, Now: at(now)}
	var took time.Duration
	for b.Loop() {
		sign.Sign(r, nil)
		begun := time.Now()
		if _, err := g.Verify(gateway.FromHTTP(r)); err != nil {
			b.Fatal(err)
		}
		took += time.Since(begun)
	}
	b.ReportMetric(float64(took.Nanoseconds())/float64(b.N)/1000, "µs/proof")
}

func BenchmarkStatic(b *testing.B) {
	g, err := gateway.New(gateway.Config{Static: &gateway.Static{Secrets: [][]byte{key}}}, nil)
	if err != nil {
		b.Fatal(err)
	}
	ask := gateway.Request{Method: "GET", Target: "/", Header: http.Header{gateway.Header: {string(key)}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.Verify(ask); err != nil {
			b.Fatal(err)
		}
	}
}
