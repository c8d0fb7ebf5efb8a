package main

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

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
