package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
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
  view: all
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
  view: all
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
  view: all
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
  view: all
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
  view: all
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
  view: all
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
  view: all
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
