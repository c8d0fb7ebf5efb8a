package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pointsman/cmd/backends/sim"
)

// elsewhere is a server that nobody was granted, with a certificate that everybody trusts:
// nothing but the broker's rules keeps a request from it. It counts connections.
type elsewhere struct {
	net.Listener
	host     string // localhost and port
	accepted atomic.Int64
	heard    atomic.Int64 // requests
}

func (e *elsewhere) Accept() (net.Conn, error) {
	c, err := e.Listener.Accept()
	if err == nil {
		e.accepted.Add(1)
	}
	return c, err
}

// openElsewhere serves TLS, and plain HTTP to who speaks that: a proxy would be asked so.
func openElsewhere(t *testing.T, ca *sim.CA, plain bool) *elsewhere {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Leaf()
	if err != nil {
		t.Fatal(err)
	}
	e := &elsewhere{Listener: l, host: "localhost" + l.Addr().String()[strings.LastIndex(l.Addr().String(), ":"):]}
	srv := &http.Server{ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		e.heard.Add(1)
		_, _ = io.WriteString(w, "{}")
	})}
	go func() {
		if plain {
			_ = srv.Serve(e) // ends when it is closed
		} else {
			_ = srv.Serve(tls.NewListener(e, &tls.Config{Certificates: []tls.Certificate{leaf}}))
		}
	}()
	t.Cleanup(func() { srv.Close() })
	return e
}

// TestSecretGoesNowhereElse: a granted secret cannot be sent to another host. Whatever a back
// end answers and whatever a plugin asks for, a second server that listens and is trusted
// gets not even a connection.
func TestSecretGoesNowhereElse(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a broker")
	}
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	tg := &target{}
	evil, proxy := openElsewhere(t, ca, false), openElsewhere(t, ca, true)
	own := listen(t, tg, ca)
	// A second place of the same secret's: what its token endpoint redirects to is not asked.
	moved := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://"+evil.host+"/token", http.StatusTemporaryRedirect)
	}), ca)
	manifests := strings.NewReplacer("TARGET", own, "CLOSED", own, "RUNAWAYS\n", "").Replace(probeManifests) + fmt.Sprintf(`
---
apiVersion: pointsman/v1
kind: Backend
metadata: {name: asks}
spec: {http: {url: %q, tls: {ca: ca.pem}, private: [127.0.0.0/8], auth: {oauth2: {token: %q, private: [127.0.0.0/8], tls: {ca: ca.pem}, grant: client_credentials, client: {id: shop, secret: target-token}}}}}
---
apiVersion: pointsman/v1
kind: Backend
metadata: {name: logs-in}
spec: {http: {url: %q, tls: {ca: ca.pem}, private: [127.0.0.0/8], auth: {login: {url: %q, private: [127.0.0.0/8], tls: {ca: ca.pem}, fields: {password: {secret: target-token}}, token: /t, as: bearer}}}}
---
apiVersion: pointsman/v1
kind: Backend
metadata: {name: away} # a name that nobody has: only a proxy could be asked for it
spec: {http: {url: "https://crm.acme.invalid", auth: {secret: target-token, as: bearer}}}
`, own, moved+"/token", own, moved+"/login")
	for _, name := range []string{"asks", "logs-in", "away"} {
		manifests += fmt.Sprintf(`---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: %[1]s}
spec: {module: {path: prober.wasm}, grants: {http: [{backend: %[1]s, as: target, allow: ["GET /allowed"], view: all}], log: {}}}
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: %[1]s}
spec:
  path: GET /v1/%[1]s
  scopes: [probe]
  deadline: 5s
  steps: {fetch: {call: %[1]s.fetch, with: {backend: target, method: GET, path: /allowed}, required: true}}
  answer: "${fetch}"
  view: all
`, name)
	}
	r := newBroker(t, ca, setup{manifests: manifests, modules: buildPlugins(t), consumers: []string{"prober"}, secrets: map[string]string{"target-token": targetToken}})
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy"} {
		r.cmd.Env = append(r.cmd.Env, name+"=http://"+proxy.host)
	}
	r.cmd.Env = append(r.cmd.Env, "NO_PROXY=", "no_proxy=")
	r.start()
	nothing := func(t *testing.T, got reply) {
		t.Helper()
		if n, m := evil.accepted.Load(), proxy.accepted.Load(); n+m != 0 {
			t.Fatalf("%d connections to another host, %d to a proxy; the answer was %v", n, m, got)
		}
		if strings.Contains(got.String(), targetToken) {
			t.Errorf("the secret is in the answer: %v", got)
		}
	}

	t.Run("the back end says so", func(t *testing.T) { testBackendPointsElsewhere(t, r, tg, evil, nothing) })
	t.Run("the plugin asks for it", func(t *testing.T) { testPluginPointsElsewhere(t, r, tg, evil, nothing) })
	t.Run("where the credential comes from says so, and the environment", func(t *testing.T) {
		for _, path := range []string{"/v1/asks", "/v1/logs-in", "/v1/away"} {
			before := tg.hits.Load()
			got := r.get("prober", path)
			nothing(t, got)
			if !strings.Contains(got.body, `"error"`) || tg.hits.Load() != before {
				t.Errorf("%s: %v, want that it fails", path, got)
			}
		}
	})
	// What counts does count: the servers are there, and would have been believed.
	through := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: proxy.host}), DisableKeepAlives: true}}
	if res, err := through.Get("http://crm.acme.invalid/"); err != nil || proxy.accepted.Load() != 1 {
		t.Errorf("the proxy: %v, %d connections", err, proxy.accepted.Load())
	} else {
		res.Body.Close()
	}
	if res, err := r.client.Get("https://" + evil.host); err != nil || evil.accepted.Load() != 1 || evil.heard.Load() != 1 {
		t.Errorf("the other server: %v, %d connections", err, evil.accepted.Load())
	} else {
		res.Body.Close()
	}
	if got := r.get("prober", "/v1/probe", "backend", "target", "method", "GET", "path", "/allowed"); !strings.Contains(got.body, `"status":200`) {
		t.Errorf("what is granted: %v", got) // tg wants the secret
	}
}

func testBackendPointsElsewhere(t *testing.T, r *running, tg *target, evil *elsewhere, nothing func(*testing.T, reply)) {
	defer tg.handler.Store(nil)
	before, asked := tg.hits.Load(), int64(0)
	defer func() {
		if n := tg.hits.Load() - before; n < asked {
			t.Errorf("the back end was asked %d times of %d", n, asked)
		}
	}()
	for _, status := range []int{201, 202, 300, 301, 302, 303, 304, 305, 306, 307, 308, 401, 407, 421, 426, 503} {
		for _, to := range []string{
			"https://EVIL/allowed", "http://EVIL/allowed", "//EVIL/allowed", `\\EVIL\allowed`, `https:\\EVIL\allowed`, "https:EVIL/allowed", "///EVIL/allowed",
			"https://OWN@EVIL/allowed", "https://EVIL#@OWN/", `https://EVIL\@OWN/`, "https://OWN.EVIL/", "HTTPS://EVIL/", " https://EVIL/", "\thttps://EVIL/", "https://%6cocalhost:PORT/",
		} {
			own := strings.TrimPrefix(r.origin, "https://")
			_, port, _ := strings.Cut(evil.host, ":")
			where := strings.NewReplacer("EVIL", evil.host, "OWN", own, "PORT", port).Replace(to)
			tg.answer(func(w http.ResponseWriter, q *http.Request) {
				h := w.Header()
				for _, name := range []string{"Location", "Content-Location", "Refresh", "Link", "X-Accel-Redirect", "Proxy-Authenticate", "Upgrade"} {
					h[name] = []string{where}
				}
				h["Refresh"], h["Link"] = []string{"0; url=" + where}, []string{"<" + where + ">; rel=preconnect", "<" + where + ">; rel=next"}
				h["Alt-Svc"] = []string{`h2="` + evil.host + `"; ma=86400; persist=1`, `h3="` + evil.host + `"`}
				h["Strict-Transport-Security"], h["WWW-Authenticate"] = []string{"max-age=1"}, []string{`Bearer realm="` + where + `"`}
				h["Set-Cookie"] = []string{"a=b; Domain=localhost"}
				w.WriteHeader(status)
			})
			asked++
			nothing(t, r.get("prober", "/v1/probe", "backend", "target", "method", "GET", "path", "/allowed"))
		}
	}
}

func testPluginPointsElsewhere(t *testing.T, r *running, tg *target, evil *elsewhere, nothing func(*testing.T, reply)) {
	// Every host and path that the back end hears of is its own.
	heard := make(chan string, 1000)
	tg.answer(func(w http.ResponseWriter, q *http.Request) { heard <- q.Host + " " + q.RequestURI })
	defer tg.handler.Store(nil)
	type asked struct{ backend, method, path string }
	var all []asked
	for _, path := range []string{
		"https://EVIL/allowed", "http://EVIL/allowed", "//EVIL/allowed", "///EVIL/allowed", `/\EVIL/allowed`, `\\EVIL\allowed`, `\/EVIL/allowed`, "EVIL/allowed", ":PORT/allowed",
		"@EVIL/allowed", "/@EVIL/allowed", "/allowed@EVIL", "?@EVIL/allowed", "#@EVIL/allowed", ".EVIL/allowed", "/.EVIL/", "//user:pass@EVIL/allowed", "/%2f%2fEVIL/allowed", "/%5c%5cEVIL/allowed",
		"/allowed/..//EVIL/", "/allowed/https://EVIL/", "/allowed?url=https://EVIL/", "/allowed#https://EVIL/", "/allowed;@EVIL", "/allowed HTTP/1.1\r\nHost: EVIL\r\nX: ",
		"/allowed\r\nHost: EVIL", "/allowed%0d%0aHost:%20EVIL", "/allowed\nHost: EVIL", "/allowed\x00@EVIL", "", "*", "*EVIL",
	} {
		all = append(all, asked{"target", "GET", path})
	}
	for _, backend := range []string{"EVIL", "https://EVIL", "target@EVIL", "target#@EVIL", "target/../EVIL", "TARGET", "target ", "other", "target\x00EVIL", `target","backend":"EVIL`} {
		all = append(all, asked{backend, "GET", "/allowed"})
	}
	for _, method := range []string{"CONNECT", "CONNECT EVIL", "GET https://EVIL/ HTTP/1.1\r\nX:", "GET //EVIL", "OPTIONS", "TRACE", "PROPFIND"} {
		all = append(all, asked{"target", method, "/allowed"})
	}
	_, port, _ := strings.Cut(evil.host, ":")
	named := strings.NewReplacer("EVIL", evil.host, "PORT", port)
	for _, a := range all {
		got := r.get("prober", "/v1/probe", "backend", named.Replace(a.backend), "method", named.Replace(a.method), "path", named.Replace(a.path))
		nothing(t, got)
		if !strings.Contains(got.body, `"error":"denied: `) && got.status != http.StatusBadRequest {
			t.Errorf("%q: %v, want a denial", a, got)
		}
		select {
		case what := <-heard:
			t.Errorf("%q: the back end heard %s, want nothing", a, what)
		default:
		}
	}
	for _, name := range []string{"Host", "host", "HOST", "X-Forwarded-Host", "X-Host", "Forwarded", "X-Original-URL", "X-Rewrite-URL", ":authority", ":path", "Proxy-Connection", "Proxy-Authorization",
		"Location", "Origin", "Referer", "Upgrade", "X-Forwarded-Server", "Via", `X-Probe\r\nHost`, `Host `, ` Host`, `Host\t`, "Ho_st"} {
		got := r.get("prober", "/v1/probe-header", "name", name, "value", evil.host)
		nothing(t, got)
		if !strings.Contains(got.body, `"error":"denied: `) || len(heard) > 0 {
			t.Errorf("header %q: %v, %d requests, want a denial and none", name, got, len(heard))
		}
	}
	// The one header that is granted goes where everything goes.
	if got := r.get("prober", "/v1/probe-header", "name", "X-Probe", "value", "https://"+evil.host+"/"); !strings.Contains(got.body, `"status":200`) {
		t.Errorf("a header that is granted: %v", got)
	} else if nothing(t, got); len(heard) != 1 {
		t.Errorf("%d requests, want one", len(heard))
	}
	testRawTargets(t, r, evil, nothing)
}

// testRawTargets are consumers who try to make a proxy of the broker.
func testRawTargets(t *testing.T, r *running, evil *elsewhere, nothing func(*testing.T, reply)) {
	for _, line := range []string{
		"GET https://EVIL/v1/probe HTTP/1.1\r\nHost: EVIL", "GET //EVIL/ HTTP/1.1\r\nHost: x", "CONNECT EVIL HTTP/1.1\r\nHost: EVIL", "GET @EVIL/ HTTP/1.1\r\nHost: x",
		"GET /v1/probe?backend=target&method=GET&path=/allowed HTTP/1.1\r\nHost: EVIL\r\nX-Forwarded-Host: EVIL", `GET \\EVIL\ HTTP/1.1` + "\r\nHost: x",
		"GET https://EVIL/v1/probe?backend=target&method=GET&path=/allowed HTTP/1.1\r\nHost: localhost",
	} {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(r.origin, "https://"), &tls.Config{RootCAs: r.ca.Pool(), ServerName: "localhost"})
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "%s\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", strings.ReplaceAll(line, "EVIL", evil.host), r.keys["prober"])
		got := reply{}
		if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
			body, _ := io.ReadAll(res.Body)
			got = reply{res.StatusCode, res.Header, string(body)}
			var answer struct{ Status int }
			if res.StatusCode == http.StatusOK && (json.Unmarshal(body, &answer) != nil || answer.Status != http.StatusOK) {
				t.Errorf("%q: %v", line, got)
			}
		}
		nothing(t, got)
		conn.Close()
	}
}
