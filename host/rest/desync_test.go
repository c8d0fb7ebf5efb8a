package rest_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// corpus has requests on whose length two programs may disagree. It lies beside the
// project and is not part of it.
const corpus = "../../../shared/corpus/http-desync"

type desyncCase struct {
	Name, URI, Method, Version string
	Headers                    []struct{ Name, Value string }
	Expected                   struct{ Tier, Reason string }
}

// A request that no program should understand is never served. One on whose end two
// programs may disagree is refused or is the last on its connection: what may or may not be
// its body is never answered with data. The routes exist and the credential is good, so
// that only the framing can be the reason.
func TestDesync(t *testing.T) {
	if _, err := os.Stat(corpus); errors.Is(err, fs.ErrNotExist) {
		t.Skip(corpus + " not present")
	}
	files, err := filepath.Glob(filepath.Join(corpus, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", corpus, err)
	}
	var all []*route
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		for _, path := range []string{"/foo/bar", "/endpoint_a", "/a", "/"} {
			all = append(all, &route{name: "any", method: method, path: path})
		}
	}
	s := start(t, newFixture(all...))
	const smuggled = "GET /foo/bar HTTP/1.1\r\nHost: x\r\nX-Api-Key: " + key + "\r\nX-Smuggled: 1\r\n\r\n"
	tried := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases []desyncCase
		if err := yaml.Unmarshal(text, &cases); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, c := range cases {
			if c.Expected.Tier != "Severe" && c.Expected.Tier != "Ambiguous" {
				continue
			}
			tried++
			var raw strings.Builder
			raw.WriteString(c.Method + " " + c.URI + " " + c.Version + "\r\nHost: x\r\nX-Api-Key: " + key + "\r\n")
			for _, h := range c.Headers {
				raw.WriteString(h.Name + ": " + h.Value + "\r\n")
			}
			raw.WriteString("\r\n" + smuggled)
			answers := exchange(t, s.addr, raw.String())
			served := 0
			for _, a := range answers {
				if a.StatusCode < 300 {
					served++
				}
			}
			last := c.Expected.Tier == "Ambiguous" && len(answers) == 1
			if served > 0 && !last {
				t.Errorf("%s: %s (%s): %d answers, %d with data, to %q", filepath.Base(file), c.Name, c.Expected.Tier,
					len(answers), served, raw.String())
			}
		}
	}
	if tried < 20 {
		t.Errorf("%d cases tried, want the whole corpus", tried)
	}
}
