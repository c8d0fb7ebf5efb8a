package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pointsman/cmd/backends/sim"
)

// station is a simulated system that keeps all that it gets, by the place where it stood.
type station struct {
	name, origin string
	answer       http.HandlerFunc

	mu  sync.Mutex
	got []arrival // guarded by mu
}

type arrival struct{ place, text string }

func (s *station) keep(place, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, arrival{place, text})
}

func (s *station) arrivals() []arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func (s *station) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // a request that breaks off is kept as far as it came
	s.keep("method", r.Method)
	s.keep("target", r.RequestURI)
	s.keep("host", r.Host)
	s.keep("body", string(body))
	for _, fields := range []http.Header{r.Header, r.Trailer} {
		for name, values := range fields {
			s.keep("header "+name, strings.Join(values, "\n"))
		}
	}
	for _, cert := range r.TLS.PeerCertificates {
		s.keep("certificate", string(cert.Raw))
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	s.answer(w, r)
}

// openStation starts one that shows a certificate of ca for localhost.
func openStation(t *testing.T, name string, ca *sim.CA, answer http.HandlerFunc) *station {
	t.Helper()
	leaf, err := ca.Leaf()
	if err != nil {
		t.Fatal(err)
	}
	s := &station{name: name, answer: answer}
	srv := httptest.NewUnstartedServer(s)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{leaf}, ClientAuth: tls.RequestClientCert}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	s.origin = "https://localhost:" + srv.URL[strings.LastIndex(srv.URL, ":")+1:]
	return s
}

// openPlain starts one that answers a TLS handshake in plain HTTP.
func openPlain(t *testing.T, name string) *station {
	t.Helper()
	s := &station{name: name}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(5 * time.Second))
				buf := make([]byte, 16<<10)
				n, _ := c.Read(buf)
				s.keep("connection", string(buf[:n]))
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				n, _ = c.Read(buf)
				s.keep("connection", string(buf[:n]))
			}()
		}
	}()
	s.origin = "https://localhost:" + l.Addr().String()[strings.LastIndex(l.Addr().String(), ":")+1:]
	return s
}

// kind is a back end with one kind of credential.
type kind struct {
	name    string
	auth    string   // of its manifest
	tls     string   // more of spec.http.tls
	station *station // nil: it never answers, for want of a credential

	// knows is what the back end can repeat: what it was shown in r, and what both sides know.
	knows func(r *http.Request) []string
}

// canary is everything behind the broker, and what must not leave it.
type canary struct {
	t       *testing.T
	ca      *sim.CA
	kinds   []*kind
	secrets map[string]string // what the broker is given, by name
	// at tells where each secret may arrive: station, place.
	at    map[*mark]map[string]bool
	held  *mark // of a person, in the back ends' data
	leaky *mark // a credential that its back end gives away in a form that is not taken out
	evil  *station

	mu       sync.Mutex
	marks    []*mark              // guarded by mu
	issued   map[string][]session // guarded by mu: by kind
	process  int                  // guarded by mu: counts who may ask for sessions
	former   int                  // guarded by mu: how often a session that had ended was repeated
	stations []*station           // guarded by mu
}

// session is what one process was given at one time.
type session struct {
	process int
	brought []*mark
	used    bool // at the back end: one that is checked with TLS gone wrong has sessions too
}

// another tells that from now on another process asks: it has nothing of the former's.
func (c *canary) another() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.process++
}

// mark makes one more secret.
func (c *canary) mark(name, specials string) *mark {
	m := newMark(name, secretFront, specials)
	c.add(m)
	return m
}

func (c *canary) add(m *mark, at ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.marks, m) {
		c.marks = append(c.marks, m)
		c.at[m] = map[string]bool{}
	}
	for _, place := range at {
		c.at[m][place] = true
	}
}

// specials are what a credential can be made of, by where it goes.
const (
	anySpecials    = `+/=%"\& <>'?:`
	bearerSpecials = `+/=%"\&<>'?:`
	pathSpecials   = `+=":& <>'`
	cookieSpecials = `+/=%&<>'?:`
	noColon        = `+/=%"\&<>'?`
)

func newCanary(t *testing.T, ca *sim.CA) *canary {
	c := &canary{t: t, ca: ca, secrets: map[string]string{}, at: map[*mark]map[string]bool{}, issued: map[string][]session{}}
	c.held = newMark("a person's data in a back end", personFront, " é ")
	c.evil = openStation(t, "evil", ca, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) })
	c.stations = append(c.stations, c.evil)
	c.fixed()
	c.signed()
	c.sessions()
	c.withoutCredential()
	return c
}

// open adds a kind with a station of its own.
func (c *canary) open(name, auth string, knows func(*http.Request) []string) *kind {
	k := &kind{name: name, auth: auth, knows: knows}
	k.station = openStation(c.t, name, c.ca, c.behave(k))
	c.kinds = append(c.kinds, k)
	c.stations = append(c.stations, k.station)
	return k
}

// fixed are the credentials that are sent as they are.
func (c *canary) fixed() {
	static := func(name, auth, place, specials string, value func(*mark) string) *mark {
		m := c.mark(name, specials)
		c.secrets[name] = value(m)
		c.add(m, name+" "+place)
		c.open(name, auth, func(*http.Request) []string { return []string{m.text, value(m)} })
		return m
	}
	itself := func(m *mark) string { return m.text }
	static("bearer", "{secret: bearer, as: bearer}", "header Authorization", bearerSpecials, itself)
	static("header", `{secret: header, as: header, name: X-Api-Key, prefix: "Key "}`, "header X-Api-Key", anySpecials, itself)
	static("query", "{secret: query, as: query, name: api_key}", "target", anySpecials, itself)
	static("path", "{secret: path, as: path, prefix: bot}", "target", pathSpecials, itself)
	static("basic", "{secret: basic, as: basic, user: shop}", "header Authorization", anySpecials, itself)
	static("pair", "{secret: pair, as: basic}", "header Authorization", anySpecials, func(m *mark) string { return "shop:" + m.text })
	c.leaky = static("leaky", "{secret: leaky, as: bearer}", "header Authorization", bearerSpecials, itself)
}

// signed are those that never travel.
func (c *canary) signed() {
	text := c.mark("hmac", anySpecials)
	c.secrets["hmac"] = text.text
	c.open("hmac", `{hmac: {secret: hmac, over: [method, host, path, query, timestamp, nonce, digest], signature: {header: X-Signature, encoding: base64}, digest: {header: X-Digest}, timestamp: {header: X-Timestamp}, nonce: {header: X-Nonce}}}`,
		func(*http.Request) []string { return []string{text.text} })
	raw := make([]byte, 32)
	rand.Read(raw)
	c.add(markOf("hmac-raw", raw))
	c.secrets["hmac-raw"] = base64.StdEncoding.EncodeToString(raw)
	c.open("hmac-raw", `{hmac: {secret: hmac-raw, key: base64, hash: sha512, over: [target], signature: {header: X-Signature}}}`,
		func(*http.Request) []string { return []string{string(raw), c.secrets["hmac-raw"]} })
	key, session := c.mark("aws-key", noColon), c.mark("aws-session", noColon)
	c.secrets["sigv4"] = "AKIDEXAMPLE:" + key.text + ":" + session.text
	c.add(session, "sigv4 header X-Amz-Security-Token")
	c.open("sigv4", "{sigv4: {secret: sigv4, region: eu-central-1, service: execute-api}}",
		func(*http.Request) []string { return []string{key.text, session.text, c.secrets["sigv4"]} })
	certificate := c.key("certificate")
	c.secrets["certificate"] = pemOf(c.t, signedFor(c.t, certificate))
	own := c.mark("certificate-bearer", bearerSpecials)
	c.secrets["certificate-bearer"] = own.text
	c.add(own, "certificate header Authorization")
	k := c.open("certificate", "{secret: certificate-bearer, as: bearer}", func(*http.Request) []string { return []string{own.text} })
	k.tls = ", clientCertificate: {secret: certificate}"
}

// key makes a private key whose bytes are a secret.
func (c *canary) key(name string) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	raw, err := key.Bytes()
	if err != nil {
		c.t.Fatal(err)
	}
	c.add(markOf(name+"'s private key", raw))
	return key
}

// signedFor is a certificate that the key made for itself.
func signedFor(t *testing.T, key *ecdsa.PrivateKey) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big1, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func pemKey(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// sessions are the credentials that somebody gives: each token and session is a mark too.
func (c *canary) sessions() {
	oauth := func(name, more, client, place string, as string, specials string) {
		issuer := c.issuer(name, place, specials, "access_token")
		c.open(name, fmt.Sprintf("{oauth2: {token: %q, private: [127.0.0.0/8], tls: {ca: ca.pem}, %s, client: %s, lifetime: 3s, %s}}", issuer.origin+"/token", more, client, as),
			c.fromSession(name))
	}
	const credentials = "grant: client_credentials"
	for name, send := range map[string]string{"oauth-basic": "basic", "oauth-post": "post"} {
		secret := c.mark(name, anySpecials)
		c.secrets[name] = secret.text
		place := "header Authorization"
		if send == "post" {
			place = "body"
		}
		c.add(secret, name+"-token "+place)
		oauth(name, credentials, fmt.Sprintf("{id: shop, secret: %s, send: %s}", name, send), "header Authorization", "as: bearer", bearerSpecials)
	}
	c.secrets["oauth-jwt"] = pemKey(c.t, c.key("oauth-jwt"))
	oauth("oauth-jwt", credentials, "{id: shop, privateKeyJWT: {secret: oauth-jwt, alg: ES256}}", "header X-Token", "as: header, name: X-Token", anySpecials)
	c.secrets["jwt-bearer"] = pemKey(c.t, c.key("jwt-bearer"))
	oauth("jwt-bearer", "grant: jwt_bearer, assertion: {key: {secret: jwt-bearer, alg: ES256}}", "{id: shop}", "target", "as: query, name: access_token", anySpecials)
	refresh := c.mark("refresh", anySpecials)
	c.secrets["refresh"] = refresh.text
	c.add(refresh, "refresh-token body")
	oauth("refresh", "grant: refresh_token, refreshToken: refresh", "{id: shop}", "header Authorization", "as: bearer", bearerSpecials)

	login := func(name, place, fields, as, specials string) {
		password := c.mark(name, anySpecials)
		c.secrets[name] = password.text
		c.add(password, name+"-token body")
		issuer := c.issuer(name, place, specials, "session")
		c.open(name, fmt.Sprintf("{login: {url: %q, private: [127.0.0.0/8], tls: {ca: ca.pem}, %s, token: /session, lifetime: 3s, %s}}", issuer.origin+"/login", fields, as),
			c.fromSession(name))
	}
	login("login-json", "header Cookie", "fields: {user: shop, password: {secret: login-json}}", "as: cookie, name: SID", cookieSpecials)
	login("login-form", "target", "send: form, fields: {user: shop, password: {secret: login-form}}", "as: path, prefix: s-", pathSpecials)

	// One whose token endpoint is the back end's own, which can repeat what it was shown there.
	const name = "oauth-own"
	secret := c.mark(name, anySpecials)
	c.secrets[name] = secret.text
	c.add(secret, name+" header Authorization")
	knows := c.fromSession(name)
	k := c.open(name, "{oauth2: {token: /token, grant: client_credentials, client: {id: shop, secret: oauth-own}, lifetime: 3s}}", nil)
	var mu sync.Mutex
	shown := "" // guarded by mu
	k.knows = func(r *http.Request) []string {
		mu.Lock()
		defer mu.Unlock()
		return append(knows(r), strings.TrimPrefix(shown, "Basic "))
	}
	give, behave := c.give(name, "header Authorization", bearerSpecials, "access_token"), k.station.answer
	k.station.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/token" {
			behave(w, r)
			return
		}
		mu.Lock()
		shown = r.Header.Get("Authorization")
		mu.Unlock()
		give(w, r)
	}
}

// issuer is the token endpoint or login of a kind.
func (c *canary) issuer(kind, place, specials, member string) *station {
	s := openStation(c.t, kind+"-token", c.ca, c.give(kind, place, specials, member))
	c.stations = append(c.stations, s)
	return s
}

// give answers every question with another token, and keeps what it was asked with.
func (c *canary) give(kind, place, specials, member string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		n := len(c.issued[kind])
		c.mu.Unlock()
		token := c.mark(fmt.Sprintf("%s, token %d", kind, n+1), specials)
		c.add(token, kind+" "+place)
		brought := []*mark{token}
		answer := map[string]any{member: token.text, "token_type": "Bearer", "expires_in": 3}
		if kind == "refresh" {
			next := c.mark(fmt.Sprintf("refresh, refresh token %d", n+1), anySpecials)
			c.add(next, "refresh-token body")
			answer["refresh_token"] = next.text
			brought = append(brought, next)
		}
		_ = r.ParseForm()
		for _, name := range []string{"assertion", "client_assertion"} {
			if text := r.PostForm.Get(name); text != "" { // only its signature is secret
				signature := text[strings.LastIndex(text, ".")+1:]
				m := &mark{fmt.Sprintf("%s, assertion %d", kind, n+1), text, [][]byte{[]byte(signature)}}
				c.add(m, kind+"-token body")
				brought = append(brought, m)
			}
		}
		c.mu.Lock()
		c.issued[kind] = append(c.issued[kind], session{c.process, brought, false})
		c.mu.Unlock()
		text, err := json.Marshal(answer)
		if err != nil {
			panic(err)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text)
	}
}

// fromSession knows the session that r came with, the one before, and what was sent to get it.
func (c *canary) fromSession(kind string) func(*http.Request) []string {
	return func(r *http.Request) []string {
		c.mu.Lock()
		defer c.mu.Unlock()
		var known []string
		var all strings.Builder
		fmt.Fprint(&all, r.RequestURI, r.Header)
		target, _ := url.PathUnescape(r.RequestURI)
		all.WriteString(target)
		for i, s := range c.issued[kind] {
			if !strings.Contains(all.String(), s.brought[0].text) {
				continue
			}
			for _, m := range s.brought {
				known = append(known, m.text)
			}
			c.issued[kind][i].used = true
			for j := i - 1; j >= 0; j-- {
				if before := c.issued[kind][j]; before.used && before.process == s.process {
					known = append(known, before.brought[0].text)
					c.former++
					break
				}
			}
		}
		if s := c.secrets[kind]; !strings.HasPrefix(s, "-----") { // nobody else has a private key
			known = append(known, s)
		}
		return known
	}
}

// withoutCredential are kinds that never get one: who should give it does not do its part.
// Nothing arrives at their back end.
func (c *canary) withoutCredential() {
	shut := func(name string, answer http.HandlerFunc) {
		secret := c.mark(name, anySpecials)
		c.secrets[name] = secret.text
		c.add(secret, name+"-token body")
		s := openStation(c.t, name+"-token", c.ca, answer)
		c.stations = append(c.stations, s)
		c.open(name, fmt.Sprintf("{oauth2: {token: %q, private: [127.0.0.0/8], tls: {ca: ca.pem}, grant: client_credentials, client: {id: shop, secret: %s, send: post}}}", s.origin+"/token", name),
			func(*http.Request) []string { return nil }).station.name = name + " (never)"
	}
	repeat := func(r *http.Request) string { body, _ := io.ReadAll(r.Body); return string(body) }
	shut("refused", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		text, _ := json.Marshal(map[string]string{"error": r.PostForm.Get("client_secret"), "error_description": r.PostForm.Get("client_secret")})
		_, _ = w.Write(text)
	})
	shut("failed", func(w http.ResponseWriter, r *http.Request) { http.Error(w, repeat(r), http.StatusInternalServerError) })
	shut("garbage", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, `{"access_token": `+repeat(r)) })
	shut("moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, c.evil.origin+"/?"+repeat(r), http.StatusTemporaryRedirect)
	})
	shut("broken", func(w http.ResponseWriter, r *http.Request) { raw(w, "HTTP/1.1 2OO "+repeat(r)+"\r\n\r\n") })
}

// documents are the manifests of all back ends: each kind as it is, and once more behind
// each of the ways in which TLS can be wrong.
func (c *canary) documents() string {
	other, err := sim.NewCA()
	if err != nil {
		c.t.Fatal(err)
	}
	fail := func(http.ResponseWriter, *http.Request) {}
	wrong := []*station{openStation(c.t, "an unknown authority", other, fail), openStation(c.t, "another name", c.ca, fail), openPlain(c.t, "no TLS")}
	c.stations = append(c.stations, wrong...)
	names := []string{"", ", serverName: crm.acme.example", ""}
	var b strings.Builder
	for i, k := range c.kinds {
		write := func(name, origin, tls string) {
			fmt.Fprintf(&b, "---\napiVersion: pointsman/v1\nkind: Backend\nmetadata: {name: %s}\nspec:\n  http:\n    url: %s\n    private: [127.0.0.0/8]\n"+
				"    tls: {ca: ca.pem%s%s}\n    auth: %s\n    headers: {answer: [X-Echo]}\n    limits: {time: 8s, bytes: 64KiB}\n    check: GET /allowed/echo\n",
				name, origin, tls, k.tls, k.auth)
		}
		write(k.name, k.station.origin, "")
		if k.name != "oauth-own" { // whose tokens come over the same TLS
			write(k.name+"-tls", wrong[i%3].origin, names[i%3])
		}
	}
	return b.String()
}

// grants are those of a plugin that may do all of it.
func (c *canary) grants() string {
	var list []string
	for _, k := range c.kinds {
		for _, name := range []string{k.name, k.name + "-tls"} {
			if name != "oauth-own-tls" {
				list = append(list, fmt.Sprintf(`{backend: %s, allow: ["GET /allowed/{id}"], query: [q], view: all}`, name))
			}
		}
	}
	return "{http: [" + strings.Join(list, ", ") + "], log: {}}"
}

// allMarks are those so far.
func (c *canary) allMarks() []*mark {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.marks)
}

// belongs reports whether a mark may be found at a station in that place.
func (c *canary) belongs(m *mark, s *station, place string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at[m][s.name+" "+place]
}

// laterSession are the names of sessions after the first.
var laterSession = regexp.MustCompile(`, (refresh token|token ([2-9]|\d\d+))`)

// homes are the places where each mark is to arrive.
func (c *canary) homes() map[string]*mark {
	c.mu.Lock()
	defer c.mu.Unlock()
	homes := map[string]*mark{}
	for m, places := range c.at {
		if laterSession.MatchString(m.name) { // not every one is used
			continue
		}
		for place := range maps.Keys(places) {
			homes[m.name+" at "+place] = m
		}
	}
	return homes
}
