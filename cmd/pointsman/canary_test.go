package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pointsman/cmd/backends/sim"
	"pointsman/pdk/wire"
)

// canaryManifests are what the broker of TestCanary serves; GRANTS and BACKENDS stand for
// what the kinds need.
const canaryManifests = `
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: canary}
spec: {module: {path: canary.wasm}, grants: GRANTS, limits: {time: 10s}}
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: prober}
spec: {module: {path: prober.wasm}, grants: GRANTS, limits: {memory: 64MiB, time: 10s}}
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: send}
spec:
  path: GET /v1/send
  params: {backend: {in: query, required: true}, path: {in: query, required: true}}
  scopes: [use]
  deadline: 20s
  steps: {x: {call: canary.send, with: {backend: "${params.backend}", method: GET, path: "${params.path}"}, required: true}}
  answer: "${x}"
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: search}
spec:
  path: GET /v1/search
  params: {backend: {in: query, required: true}, path: {in: query, required: true}}
  scopes: [use]
  deadline: 20s
  steps: {x: {call: canary.search, with: {backend: "${params.backend}", method: GET, path: "${params.path}"}, required: true}}
  answer: "${x}"
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: brief}
spec:
  path: GET /v1/brief
  params: {backend: {in: query, required: true}, path: {in: query, required: true}}
  scopes: [use]
  deadline: 500ms
  steps: {x: {call: canary.send, with: {backend: "${params.backend}", method: GET, path: "${params.path}"}, required: true}}
  answer: "${x}"
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: scan}
spec:
  path: GET /v1/scan
  params: {text: {in: query, default: nothing}}
  scopes: [use]
  deadline: 20s
  steps: {x: {call: canary.scan, with: "${params.text}", required: true}}
  answer: "${x}"
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: strict}
spec:
  path: GET /v1/strict
  params: {backend: {in: query, required: true}, path: {in: query, required: true}, q: {in: query, required: true}}
  scopes: [use]
  deadline: 20s
  steps: {x: {call: prober.fetch, with: {backend: "${params.backend}", method: GET, path: "${params.path}", query: [{name: q, value: "${params.q}"}], strict: true}, required: true}}
  answer: "${x}"
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: optional}
spec:
  path: GET /v1/optional
  params: {backend: {in: query, required: true}, path: {in: query, required: true}, q: {in: query, required: true}}
  scopes: [use]
  deadline: 20s
  steps: {x: {call: prober.fetch, with: {backend: "${params.backend}", method: GET, path: "${params.path}", query: [{name: q, value: "${params.q}"}], strict: true}}}
  answer: {x: "${x}"}
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: person}
spec:
  path: GET /v1/person/{who}
  params: {who: {in: path, pattern: "[^x].*"}, backend: {in: query, required: true}}
  scopes: [use]
  deadline: 20s
  steps: {x: {call: prober.fetch, with: {backend: "${params.backend}", method: GET, path: /allowed/echo, query: [{name: q, value: "${params.who}"}]}, required: true}}
  answer: "${x}"
---
apiVersion: pointsman/v1
kind: Consumer
metadata: {name: shop}
spec: {auth: {apiKey: {}}, scopes: [use]}
---
apiVersion: pointsman/v1
kind: Consumer
metadata: {name: till}
spec: {auth: {apiKey: {}}, scopes: [use]}
BACKENDS`

// oracleRun is one life of the world that TestCanary looks through.
type oracleRun struct {
	*running
	t       *testing.T
	modules string
	c       *canary
	began   time.Time
	answers *output // every byte that the broker sent to consumers, but for those of private
	private *output // those that may hold a person's data
	printed *output // what commands wrote
	people  []*mark // data of people in requests, that may be in private
	strays  []*mark // data of people in requests, that are to be in no answer
	keys    []*mark // consumers', and their own answers
	guests  *output // what the guests were given, as it was
}

// TestCanary runs a broker with every kind of credential against back ends that repeat it,
// fail, redirect and lie about TLS, with guests that hand on all they get, through all that
// an operator does, and then looks for each secret in everything that came out of it: it
// may be found at its own back end, in its own place, and nowhere else. The same for what
// it knows of people, but that those who asked for it got it.
func TestCanary(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	c := newCanary(t, ca)
	manifests := strings.NewReplacer("GRANTS", c.grants(), "BACKENDS", c.documents()).Replace(canaryManifests)
	modules := t.TempDir()
	for name, from := range map[string]string{"prober.wasm": filepath.Join(buildPlugins(t), "prober.wasm"), "canary.wasm": "testdata/canary/canary.wasm"} {
		module, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(modules, name), withoutAbout(t, module), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := &oracleRun{
		running: newBroker(t, ca, setup{manifests: manifests, modules: modules}), t: t, modules: modules, c: c, began: time.Now().Add(-2 * time.Second),
		answers: &output{}, private: &output{}, printed: &output{}, guests: &output{},
	}
	o.tempFolder()
	for name, value := range c.secrets {
		o.command(value, 0, "secret", "set", name)
	}
	o.newKey("shop")
	o.newKey("till", "--json")
	flags := slices.Clone(o.cmd.Args[1:])

	ok := t.Run("text log", func(t *testing.T) {
		o.in(t)
		o.start()
		o.traffic(behaviours)
		o.operate(manifests)
		o.lookIntoProcess()
	})
	ok = ok && t.Run("JSON log", func(t *testing.T) {
		c.another()
		o.in(t)
		o.cmd = exec.Command(o.cmd.Path, append(flags, "--log-json")...)
		o.tempFolder()
		o.cmd.Stdout, o.cmd.Stderr = o.output, o.output
		o.startJSON()
		o.traffic([]string{"echo", "fail", "garbage", "moved"})
		o.lookIntoProcess()
	})
	o.in(t)
	if ok || o.origin != "" {
		o.judge()
	}
}

// withoutAbout is a module without what its author says that it wants, so that it can be
// granted more.
func withoutAbout(t *testing.T, module []byte) []byte {
	t.Helper()
	const head = 8 // magic and version
	out := bytes.Clone(module[:head])
	for at := head; at < len(module); {
		size, n := binary.Uvarint(module[at+1:])
		end := at + 1 + n + int(size)
		if n <= 0 || end > len(module) {
			t.Fatal("not a module")
		}
		if section := module[at:end]; section[0] != 0 || !bytes.Contains(section[:min(len(section), 40)], []byte(wire.PluginSection)) {
			out = append(out, section...)
		}
		at = end
	}
	return out
}

func (o *oracleRun) in(t *testing.T) { o.t, o.running.t = t, t }

// tempFolder gives the broker a folder for temporary files that nobody else uses.
func (o *oracleRun) tempFolder() {
	dir := filepath.Join(o.dir, "tmp")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		o.t.Fatal(err)
	}
	o.cmd.Env = append(asPointsman(), "TMPDIR="+dir)
}

// startJSON is start for a broker that logs JSON.
func (o *oracleRun) startJSON() {
	o.t.Helper()
	from := o.output.len()
	if err := o.cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() {
		o.client.CloseIdleConnections()
		_ = o.cmd.Process.Signal(os.Interrupt)
		if err := o.cmd.Wait(); err != nil {
			o.t.Errorf("the broker ended with %v after SIGINT", err)
		}
	})
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if m := servingJSON.FindStringSubmatch(o.output.since(from)); m != nil {
			o.origin = "https://localhost:" + m[1]
			return
		}
		if time.Since(began) > time.Minute {
			o.t.Fatalf("the broker does not serve\n%s", tail(o.output.String()))
		}
	}
}

// command runs one command line and keeps what it wrote. A code of -1 is any.
func (o *oracleRun) command(stdin string, code int, args ...string) string {
	o.t.Helper()
	if args[0] != "validate" {
		args = append(args, "--data", o.data())
	}
	cmd := exec.Command(self(o.t), args...)
	cmd.Env, cmd.Stdin = o.cmd.Env, strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else if err != nil {
		o.t.Fatal(err)
	}
	if code >= 0 && got != code {
		o.t.Errorf("pointsman %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, &out, &errs)
	}
	if args[0] != "consumer" { // which prints a key, once
		_, _ = o.printed.Write(out.Bytes())
	}
	_, _ = o.printed.Write(errs.Bytes())
	return out.String()
}

var consumerKey = regexp.MustCompile(`pmk_[0-9A-Za-z]{8}_([0-9A-Za-z]{43})_[0-9A-Za-z]{6}`)

// newKey gives a consumer a key, which is a secret from then on.
func (o *oracleRun) newKey(name string, flags ...string) {
	o.t.Helper()
	out := o.command("", 0, append([]string{"consumer", "key", name}, flags...)...)
	m := consumerKey.FindStringSubmatch(out)
	if m == nil {
		o.t.Fatalf("no key in %q", out)
	}
	o.running.keys[name] = m[0]
	o.keys = append(o.keys, &mark{"the key of " + name, m[0], [][]byte{[]byte(m[1])}})
}

// person makes a mark for data of a person.
func person(name string) *mark { return newMark(name, personFront, "+=&<>' é") }

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

// traffic is what consumers do: every back end in every mood, by each guest.
func (o *oracleRun) traffic(moods []string) {
	o.t.Helper()
	open, private := o.wiretap(o.answers), o.wiretap(o.private)
	defer open.CloseIdleConnections()
	defer private.CloseIdleConnections()
	work := make(chan func())
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			for f := range work {
				f()
			}
		})
	}
	asked := person("a person's data in a query")
	o.people = append(o.people, asked)
	for _, k := range o.c.kinds {
		lost := strings.HasSuffix(k.station.name, "(never)")
		for _, mood := range moods {
			if lost && mood != "echo" {
				continue
			}
			work <- func() {
				if mood == "slow" {
					o.call(open, "shop", targetOf("brief", "backend", k.name, "path", "/allowed/slow"), nil)
					return
				}
				got := o.call(private, "shop", targetOf("send", "backend", k.name, "path", "/allowed/"+mood), nil)
				reply, err := hex.DecodeString(strings.Trim(got.body, `"`))
				if got.status != http.StatusOK || err != nil {
					o.t.Errorf("%s, %s: %v\n%s", k.name, mood, got, tail(o.output.String()))
				}
				_, _ = o.guests.Write(append(reply, '\n'))
				if mood == "echo" && !lost && (!bytes.Contains(reply, []byte(said)) || bytes.Count(reply, []byte("[redacted]")) < 10) &&
					k.name != "certificate" {
					o.t.Errorf("%s: the guest did not get an answer from which much was taken out: %.3000s", k.name, reply)
				}
			}
			work <- func() {
				if mood == "slow" {
					return
				}
				client := open // a failure tells nothing of a person
				if slices.Contains([]string{"echo", "gzip", "early", "status"}, mood) {
					client = private
				}
				for _, route := range []string{"strict", "optional"} {
					got := o.call(client, "till", targetOf(route, "backend", k.name, "path", "/allowed/"+mood, "q", asked.text), nil)
					if got.status == http.StatusInternalServerError || got.status == 0 {
						o.t.Errorf("%s, %s, %s: %v", route, k.name, mood, got)
					}
				}
			}
		}
		work <- func() {
			if k.name == "oauth-own" {
				return
			}
			got := o.call(open, "shop", targetOf("send", "backend", k.name+"-tls", "path", "/allowed/echo"), nil)
			if reply, err := hex.DecodeString(strings.Trim(got.body, `"`)); err != nil || len(reply) == 0 || reply[0] != 1 {
				o.t.Errorf("%s: %v, want a failure", k.name, got)
			}
		}
		work <- func() {
			if got := o.call(open, "shop", targetOf("search", "backend", k.name, "path", "/allowed/echo"), nil); got.body != `"00"` {
				o.t.Errorf("%s: a guest finds %s secrets in its memory", k.name, got.body)
			}
		}
		work <- func() {
			who := person("a person's data in a path, for " + k.name)
			got := o.call(private, "shop", "/v1/person/"+url.PathEscape(who.text)+"?backend="+k.name, nil)
			if !lost && (got.status != http.StatusOK || !strings.Contains(got.body, said)) {
				o.t.Errorf("%s: %v", k.name, got)
			}
			o.c.mu.Lock()
			o.people = append(o.people, who)
			o.c.mu.Unlock()
		}
	}
	close(work)
	group.Wait()
	o.residue(open)
	o.strangers(open)
}

// residue looks for what calls before this one left in the memory that a guest gets.
func (o *oracleRun) residue(client *http.Client) {
	o.t.Helper()
	for _, consumer := range []string{"shop", "till", "shop", "till"} {
		if got := o.call(client, consumer, targetOf("scan"), nil); got.body != `"00"` {
			o.t.Errorf("a guest finds data of others in its memory: %s", got.body)
		}
	}
	if got := o.call(client, "shop", targetOf("scan", "text", personFront+secretFront), nil); got.body != `"02"` {
		o.t.Errorf("a guest that has both marks in its memory finds %s", got.body)
	}
	// A credential that its back end gives away in ways that nobody can know: the oracle sees
	// it in the answer and in the log, so it would see others.
	tap := &output{}
	got := o.call(o.wiretap(tap), "shop", targetOf("send", "backend", "leaky", "path", "/allowed/given-away"), nil)
	reply, err := hex.DecodeString(strings.Trim(got.body, `"`))
	if err != nil {
		o.t.Fatal(err)
	}
	eye := newOracle(o.c.leaky)
	if len(eye.search("the answer", reply)) < 3 {
		o.t.Errorf("a credential that was given away is not seen in the answer: %q", reply)
	}
	for began := time.Now(); len(eye.search("the log", []byte(o.output.String()))) < 3; time.Sleep(50 * time.Millisecond) { // the log comes through a pipe
		if time.Since(began) > 20*time.Second {
			o.t.Error("a credential that was given away is not seen in the log")
			break
		}
	}
	var through []string
	for how, write := range residue {
		if strings.Contains(string(reply), write(o.c.leaky.text)) {
			through = append(through, how)
		}
	}
	slices.Sort(through)
	o.t.Logf("a back end can hand on its credential as: %s", strings.Join(through, "; "))
}

// strangers ask in all the ways that are refused, and carry what nobody is to keep.
func (o *oracleRun) strangers(client *http.Client) {
	stray := func(name string) string {
		m := newMark(name, personFront, "-._~")
		o.strays = append(o.strays, m)
		return m.text
	}
	bogus := func(name string) string {
		m := newMark(name, secretFront, "-._~")
		o.keys = append(o.keys, m)
		return m.text
	}
	fine := targetOf("scan")
	for path, header := range map[string]http.Header{
		fine:                                {"Authorization": {"Bearer " + bogus("a wrong key")}},
		fine + "&x=1":                       {"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("shop:"+bogus("a password")))}},
		fine + "&x=2":                       {"Cookie": {"session=" + bogus("a cookie")}, "User-Agent": {stray("an agent")}, "Referer": {"https://x.example/" + stray("a referrer")}},
		fine + "&x=3":                       {"X-Forwarded-For": {stray("an address")}, "Traceparent": {stray("a trace")}, "X-Request-Id": {stray("an id")}, "Forwarded": {"for=" + stray("a client")}},
		fine + "&api_key=" + bogus("a key"): {},
		"/v1/" + stray("a path"):            {},
		"/v1/person/x" + stray("a value") + "?backend=bearer":          {}, // does not match
		targetOf("scan", "text", strings.Repeat(stray("a text"), 100)): {}, // too long
		targetOf("send", "backend", stray("a back end"), "path", "/x"): {}, // is not granted: the guest says so
		targetOf("send", "backend", "bearer", "path", "/"+stray("p")):  {},
	} {
		o.call(client, "shop", path, header)
	}
	// What net/http itself answers.
	for _, text := range []string{
		"GET /v1/scan?" + stray("a request line") + " HTTP/9.9\r\n\r\n",
		"GET " + stray("a target") + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\n" + stray("a header's name") + " : x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: " + stray("a host") + "\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"GET /v1/scan HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat(stray("a long header"), 5000) + "\r\n\r\n",
		stray("no HTTP") + "\r\n\r\n",
	} {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(o.origin, "https://"), &tls.Config{RootCAs: o.ca.Pool(), ServerName: "localhost"})
		if err != nil {
			o.t.Error(err)
			continue
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(conn, text)
		answer, _ := io.ReadAll(io.LimitReader(conn, 64<<10)) // whatever comes, until the server closes
		_, _ = o.answers.Write(append(answer, '\n'))
		_ = conn.Close()
	}
}

// operate is what an operator does while the broker serves.
func (o *oracleRun) operate(manifests string) {
	o.t.Helper()
	client := o.wiretap(o.private)
	defer client.CloseIdleConnections()
	echo := func(name string, want int) {
		o.t.Helper()
		got := o.call(client, "shop", targetOf("strict", "backend", name, "path", "/allowed/echo", "q", "x"), nil)
		if got.status != want {
			o.t.Errorf("%s: %v, want %d", name, got, want)
		}
	}
	// A rotated secret: the back end repeats both values, and neither is handed on.
	k := o.c.kinds[slices.IndexFunc(o.c.kinds, func(k *kind) bool { return k.name == "bearer" })]
	old, fresh := o.c.secrets["bearer"], o.c.mark("bearer, rotated", bearerSpecials)
	o.c.add(fresh, "bearer header Authorization")
	k.knows = func(r *http.Request) []string { return []string{old, fresh.text} }
	o.command(fresh.text, 0, "secret", "rotate", "bearer")
	echo("bearer", http.StatusOK)
	set := o.c.mark("header, set anew", anySpecials)
	o.c.add(set, "header header X-Api-Key")
	o.command(set.text, 0, "secret", "set", "header", "--json")
	k = o.c.kinds[slices.IndexFunc(o.c.kinds, func(k *kind) bool { return k.name == "header" })]
	k.knows = func(*http.Request) []string { return []string{set.text} } // a value that was set away is forgotten
	echo("header", http.StatusOK)
	spare := o.c.mark("spare", anySpecials)
	o.command(spare.text, 0, "secret", "set", "spare", "--expires", "90d")
	o.command("", 0, "secret", "revoke", "spare")
	onLine := o.c.mark("a secret on the command line", "")
	o.command("", exitRefused, "secret", "set", "spare", onLine.text)
	o.command(o.c.mark("a secret for no name", "").text, exitRefused, "secret", "set", "No Name")
	for _, args := range [][]string{{"secret", "list"}, {"secret", "check"}, {"secret", "keys", "list"}, {"audit", "verify"}} {
		o.command("", 0, args...)
		o.command("", 0, append(args, "--json")...)
	}
	o.newKey("till")
	o.call(client, "till", targetOf("scan"), nil)
	o.command("", 0, "validate", filepath.Join(o.dir, "manifests"), "--modules", o.modules)

	o.traffic([]string{"echo"}) // with sessions that were renewed

	// Each back end by itself; well, and behind TLS that is wrong.
	o.c.another()
	var group sync.WaitGroup
	names := make(chan string)
	for range 3 {
		group.Go(func() {
			for name := range names {
				args := []string{"backend", "check", name, "--manifests", filepath.Join(o.dir, "manifests")}
				if len(name)%2 == 0 {
					args = append(args, "--json")
				}
				o.command("", -1, args...)
			}
		})
	}
	for i, k := range o.c.kinds {
		names <- k.name
		if i%3 == 0 && k.name != "oauth-own" {
			names <- k.name + "-tls"
		}
	}
	close(names)
	group.Wait()
	o.c.another()

	// Deployments: refused ones, one that lacks a secret, and one that is well.
	for _, wrong := range []struct{ text, want string }{
		{strings.Replace(manifests, "scopes: [use]", "scopes: [use]\n  deadlin: 1s", 1), `unknown key \"deadlin\"`},
		{strings.Replace(manifests, "{secret: query,", "{secret: missing,", 1), "pointsman secret set missing"},
		{strings.Replace(manifests, "{hmac: {secret: hmac-raw, key: base64", "{hmac: {secret: hmac-raw, key: hex", 1), "hmac-raw is not hex"},
		{strings.Replace(manifests, "clientCertificate: {secret: certificate}", "clientCertificate: {secret: bearer}", 1), "not a PEM certificate"},
		{strings.Replace(manifests, "privateKeyJWT: {secret: oauth-jwt, alg: ES256}", "privateKeyJWT: {secret: bearer, alg: ES256}", 1), "PEM"},
		{strings.Replace(manifests, "{secret: pair, as: basic}", "{secret: query, as: bearer}", 1), "bearer token has no space"},
	} {
		if wrong.text == manifests {
			o.t.Errorf("nothing to replace for %s", wrong.want)
		}
		o.write("manifests/all.yaml", []byte(wrong.text))
		o.reload(wrong.want)
	}
	o.write("manifests/all.yaml", []byte(strings.Replace(manifests, "deadline: 500ms", "deadline: 400ms", 1)))
	o.reload(`release is live" release=2`)
	echo("query", http.StatusOK)
	echo("login-json", http.StatusOK)
	o.command("", 0, "secret", "revoke", "path")
	echo("path", http.StatusBadGateway) // what the guest made of it
	o.command(o.c.secrets["path"], 0, "secret", "set", "path")
	echo("path", http.StatusOK)
}

// judge looks for every mark wherever something came out.
func (o *oracleRun) judge() {
	o.t.Helper()
	time.Sleep(100 * time.Millisecond) // the last connections close
	secrets := slices.Concat(o.c.allMarks(), o.keys, o.broker())
	secrets = slices.DeleteFunc(secrets, func(m *mark) bool { return m == o.c.leaky })
	people := append(slices.Clone(o.people), o.c.held)
	all := newOracle(slices.Concat(secrets, people, o.strays)...)
	inPrivate := newOracle(slices.Concat(secrets, o.strays)...)
	o.t.Logf("%d secrets and %d marks of people are looked for", len(secrets), len(people)+len(o.strays))

	var found []sighting
	report := func(more ...sighting) { found = append(found, more...) }
	report(all.search("answers", []byte(o.answers.String()))...)
	report(inPrivate.search("answers with people's data", []byte(o.private.String()))...)
	report(inPrivate.search("what guests got", []byte(o.guests.String()))...)
	report(all.search("what commands printed", []byte(o.printed.String()))...)
	// A guest that writes what it gets to the log writes people's data there too, under its name.
	report(inPrivate.search("the broker's log", []byte(o.output.String()))...)
	report(all.search("the broker's log without guests' words", guestWords.ReplaceAll([]byte(o.output.String()), nil))...)
	files, n, err := all.searchFolder(o.dir, o.began)
	if err != nil || n < 8 {
		o.t.Errorf("looked into %d files, which cannot be all: %v", n, err)
	}
	own := map[string]string{"key.pem": "the server's private key", "keyring.json": "master key"}
	report(slices.DeleteFunc(files, func(s sighting) bool {
		what, ok := own[filepath.Base(s.place)]
		return ok && strings.HasPrefix(s.mark.name, what)
	})...)

	arrived := map[string]bool{}
	everything := newOracle(append(secrets, o.c.leaky, o.c.held)...)
	for _, s := range o.c.stations {
		for _, a := range s.arrivals() {
			for _, f := range everything.search(s.name+" "+a.place, []byte(a.text)) {
				if !o.c.belongs(f.mark, s, a.place) {
					report(f)
				}
				arrived[f.mark.name+" at "+f.place] = true
			}
		}
	}
	for _, s := range o.c.stations { // where redirects lead, without a credential, behind TLS that lies
		if n := len(s.arrivals()); n > 0 && (s == o.c.evil || strings.HasSuffix(s.name, "(never)") || s.name == "an unknown authority" || s.name == "another name") {
			o.t.Errorf("%d parts of requests arrived at %s, want none", n, s.name)
		}
	}
	seen := map[string]bool{}
	for _, f := range found {
		if key := f.mark.name + f.how + f.place; !seen[key] {
			seen[key] = true
			o.t.Errorf("leak: %v", f)
		}
	}
	if o.c.former == 0 {
		o.t.Error("no session that had ended was repeated")
	}
	// What is to arrive did, so something was looked for.
	for home := range o.c.homes() {
		if !arrived[home] {
			o.t.Errorf("never arrived: %s", home)
		}
	}
	text := newOracle(people...).search("", []byte(o.private.String()))
	for _, m := range people {
		if m != o.c.held && strings.Contains(m.name, "(never)") {
			continue
		}
		if !slices.ContainsFunc(text, func(f sighting) bool { return f.mark == m }) && !o.lostPerson(m) {
			o.t.Errorf("%s is in no answer", m.name)
		}
	}
}

// lostPerson reports whether a person's data went to a back end that never answers.
func (o *oracleRun) lostPerson(m *mark) bool {
	return slices.ContainsFunc(o.c.kinds, func(k *kind) bool {
		return strings.HasSuffix(m.name, " for "+k.name) && strings.HasSuffix(k.station.name, "(never)")
	})
}

// guestWords are the words of guests in a log of either form.
var guestWords = regexp.MustCompile(`plugin\.msg=("(?:[^"\\]|\\.)*"|\S*)|"plugin":\{[^\n]*"msg":"(?:[^"\\]|\\.)*"`)

// broker are the secrets of the broker itself: its private key, and its master keys.
func (o *oracleRun) broker() []*mark {
	o.t.Helper()
	var ring map[string]json.RawMessage
	if err := json.Unmarshal([]byte(o.file("data/keyring.json")), &ring); err != nil {
		o.t.Fatal(err)
	}
	var marks []*mark
	for purpose, text := range ring {
		var set struct {
			Key []struct{ KeyData struct{ Value []byte } }
		}
		if json.Unmarshal(text, &set) != nil {
			continue // the format's name
		}
		for _, k := range set.Key {
			marks = append(marks, markOf("master key, "+purpose, k.KeyData.Value[len(k.KeyData.Value)-32:]))
		}
	}
	if len(marks) == 0 {
		o.t.Error("no master keys to look for")
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(o.dir, "cert.pem"), filepath.Join(o.dir, "key.pem"))
	if err != nil {
		o.t.Fatal(err)
	}
	raw, err := privateBytes(pair.PrivateKey)
	if err != nil {
		o.t.Fatal(err)
	}
	return append(marks, markOf("the server's private key", raw))
}

func privateBytes(key any) ([]byte, error) {
	if k, ok := key.(*ecdsa.PrivateKey); ok {
		return k.Bytes()
	}
	return nil, errors.New("not an ECDSA key")
}
