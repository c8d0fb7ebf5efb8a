package main

import (
	"crypto/ecdsa"
	"crypto/tls"
	"encoding/json"
	"errors"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

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
