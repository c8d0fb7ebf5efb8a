package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pointsman/host/audit"
)

// command runs one command line in this process.
func command(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = run(args, streams{strings.NewReader(""), &o, &e})
	return code, o.String(), e.String()
}

const suggestManifests = `apiVersion: pointsman/v1
kind: Backend
metadata: {name: crm}
spec: {http: {url: https://crm.acme.example, labels: {pii.contact: [email]}}}
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: contact}
spec:
  module: {path: contact.wasm}
  grants: {http: [{backend: crm, allow: ["GET /contacts/{id}"], view: [email]}]}
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: contact}
spec:
  path: GET /v1/contact
  scopes: [contact.read]
  steps: {contact: {call: contact.get}}
  answer: "${contact}"
  view: [email]
  clear: [pii.contact]
---
apiVersion: pointsman/v1
kind: Consumer
metadata: {name: till}
spec: {auth: {apiKey: {}}, scopes: [contact.read]}
`

// TestSuggest: refusals of an audit log become the YAML that would allow them, with what that
// opens; nothing is suggested from a log that somebody changed.
func TestSuggest(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "all.yaml"), []byte(suggestManifests), 0o600); err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile(filepath.Join(buildPlugins(t), "salesforce.wasm")) // what it imports is all that counts here
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "contact.wasm"), module, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := command("suggest", dir, "--data", data); code != exitFailed || !strings.Contains(errs, "no such file") {
		t.Errorf("without a log: exit code %d, %s", code, errs)
	}
	log, err := audit.Open(data, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range []audit.Use{
		{Plugin: "contact", Capability: "http", Op: "request", Resource: "crm GET /contacts/{id}", Decision: audit.Allowed},
		{Plugin: "contact", Capability: "http", Op: "request", Resource: "crm GET /contacts", Decision: audit.Denied, Reason: "not granted"},
		{Plugin: "contact", Capability: "http", Op: "request", Resource: "crm GET /contacts", Decision: audit.Denied, Reason: "not granted"},
		{Plugin: "contact", Route: "contact", Capability: "answer", Op: "output", Decision: audit.Denied, Labels: "pii.contact"},
		{Plugin: "contact", Capability: "http", Op: "request", Decision: audit.Denied, Reason: "a back end that it was not granted"},
	} {
		if err := log.Use(context.Background(), u); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	code, out, errs := command("suggest", dir, "--data", data)
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	for _, want := range []string{
		"#   http.request crm GET /contacts (2 times)\n",
		"#   consumer till can see crm.email [pii.contact] by route contact\n",
		"#   plugin contact can use http crm GET /contacts\n",
		"kind: Plugin\nmetadata: {name: contact}\nspec:\n  clear: [\"pii.contact\"]\n  grants:\n    http:\n      - backend: crm\n        allow: [\"GET /contacts\"]\n",
		"# Refused, and nothing is suggested:\n#   plugin contact: http.request (once): neither its grant nor its author names what it asked for\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say\n%s\nit says\n%s", want, out)
		}
	}
	path := filepath.Join(data, audit.FileName)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(text, []byte("GET /contacts\""), []byte("GET /anything\""), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := command("suggest", dir, "--data", data); code != exitRefused || !strings.Contains(errs, "chain breaks at line 2") || strings.Contains(out, "allow") {
		t.Errorf("of a log that was changed: exit code %d, %s%s", code, out, errs)
	}
}

var docCommand = regexp.MustCompile(`(?m)^    \$ pointsman ((?:reach|plugin run) .*)\n((?:    [^$\n].*\n|    \n)*)`)

// TestReachDoc runs what docs/REACH.md shows and looks for every line that it shows of the
// answers, but for the spaces between their columns.
func TestReachDoc(t *testing.T) {
	doc, err := os.ReadFile("../../docs/REACH.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(doc), "```yaml\n")
	if !ok {
		t.Fatal("docs/REACH.md shows no claims")
	}
	shown, _, _ := strings.Cut(rest, "```")
	claims := filepath.Join(t.TempDir(), "claims.yaml")
	if err := os.WriteFile(claims, []byte(shown), 0o600); err != nil {
		t.Fatal(err)
	}
	found := docCommand.FindAllSubmatch(doc, -1)
	if len(found) < 4 {
		t.Fatalf("docs/REACH.md shows %d commands, want 4 or more", len(found))
	}
	modules := buildPlugins(t)
	here := strings.NewReplacer("manifests/demo", "../../manifests/demo", "bin/plugins", modules, "claims.yaml", claims, "plugins/hubspot/testdata", "../../plugins/hubspot/testdata")
	for _, m := range found {
		line := here.Replace(string(m[1]))
		var args []string
		for i, part := range strings.Split(line, `"`) { // every second one is in quotes
			if i%2 == 1 {
				args = append(args, part)
			} else {
				args = append(args, strings.Fields(part)...)
			}
		}
		code, out, errs := command(args...)
		if code != exitOK {
			t.Errorf("%s: exit code %d: %s", m[1], code, errs)
		}
		got := squeeze(out)
		for want := range strings.Lines(here.Replace(string(m[2]))) {
			if want = strings.TrimSpace(squeeze(want)); want != "" && want != "…" && !strings.Contains(got, want) {
				t.Errorf("%s: the answer has no line %q:\n%s", m[1], want, out)
			}
		}
	}
}

var spaces = regexp.MustCompile(` +`)

func squeeze(s string) string { return spaces.ReplaceAllString(s, " ") }
