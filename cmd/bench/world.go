package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"pointsman/cmd/backends/sim"
	"pointsman/host/manifest"
)

// world is the back ends and the contenders, each in a process of its own, and the folder of
// their files.
type world struct {
	dir        string
	ca         *sim.CA
	key        string // the consumer's, the same for all contenders
	processes  []*process
	contenders []contender
}

// contender is one way to serve the profile route.
type contender struct {
	name    string
	address string
	pid     int // of its process; 0 if nobody wants to know what it uses
}

// consumers replaces the manifests' consumers: the demo's has a rate that a benchmark exceeds.
const consumers = `apiVersion: pointsman/v1
kind: Consumer
metadata: {name: bench}
spec: {auth: {apiKey: {}}, scopes: [profile.read], sector: bench}
`

// newWorld starts everything. On an error it has ended what it began.
func newWorld(ctx context.Context, o options) (*world, error) {
	w := &world{}
	if err := w.start(ctx, o); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *world) start(ctx context.Context, o options) (err error) {
	if w.dir, err = os.MkdirTemp("", "pointsman-bench-"); err != nil {
		return err
	}
	if err := w.writeCertificates(); err != nil {
		return err
	}
	c := config{Dir: w.dir, Backends: map[string]backend{}, Guest: filepath.Join(w.dir, "naive.wasm")}
	for _, name := range []string{"salesforce", "hubspot", "square"} {
		c.Backends[name] = backend{Token: rand.Text() + rand.Text()}
	}
	var origins map[string]string
	if _, err = w.startSelf(ctx, "backends", c, &origins); err != nil {
		return err
	}
	for name, origin := range origins {
		c.Backends[name] = backend{URL: origin, Token: c.Backends[name].Token}
	}
	if err := w.prepare(ctx, o, c); err != nil {
		return err
	}
	if err := buildGuest(ctx, c.Guest); err != nil {
		return err
	}
	c.Key = w.key
	for _, name := range []string{"go", "naive"} { // go first: the others are compared with it
		var address string
		pid, err := w.startSelf(ctx, name, c, &address)
		if err != nil {
			return err
		}
		w.contenders = append(w.contenders, contender{name, address, pid})
	}
	return w.startPointsman(ctx, o)
}

// clientTLS is how contenders are asked: HTTP/1.1, as load speaks it.
func (w *world) clientTLS() *tls.Config {
	return &tls.Config{RootCAs: w.ca.Pool(), ServerName: "localhost", NextProtos: []string{"http/1.1"}}
}

func (w *world) writeCertificates() (err error) {
	if w.ca, err = sim.NewCA(); err != nil {
		return err
	}
	leaf, err := w.ca.Leaf("localhost")
	if err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		return err
	}
	return errors.Join(
		w.write("ca.pem", w.ca.PEM()),
		w.write("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Certificate[0]})),
		w.write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
	)
}

// startSelf starts this program as a child, decodes where it serves, and returns its pid.
func (w *world) startSelf(ctx context.Context, part string, c config, where any) (int, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return 0, err
	}
	if err := w.write(part+".json", text); err != nil {
		return 0, err
	}
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(self, "-as", part, "-config", filepath.Join(w.dir, part+".json"))
	p, line, err := start(ctx, cmd, regexp.MustCompile(`^[{"].*`))
	if err != nil {
		return 0, fmt.Errorf("start %s: %w", part, err)
	}
	w.processes = append(w.processes, p)
	if err := json.Unmarshal([]byte(line), where); err != nil {
		return 0, fmt.Errorf("start %s: %w", part, err)
	}
	return cmd.Process.Pid, nil
}

// prepare does what an admin does before the broker starts, with the command line alone.
func (w *world) prepare(ctx context.Context, o options, c config) error {
	if err := w.copyManifests(o.manifests, c); err != nil {
		return err
	}
	for name, secret := range map[string]string{"salesforce": "salesforce-client", "hubspot": "hubspot-token", "square": "square-token"} {
		if _, err := pointsman(ctx, o, c.Backends[name].Token, "secret", "set", secret, "--data", w.data()); err != nil {
			return err
		}
	}
	key, err := pointsman(ctx, o, "", "consumer", "key", "bench", "--data", w.data())
	w.key = strings.TrimSpace(key)
	return err
}

func (w *world) startPointsman(ctx context.Context, o options) error {
	cmd := exec.Command(o.pointsman, "serve",
		"--manifests", filepath.Join(w.dir, "manifests"), "--modules", o.modules, "--data", w.data(), "--listen", "127.0.0.1:0",
		"--tls-cert", filepath.Join(w.dir, "cert.pem"), "--tls-key", filepath.Join(w.dir, "key.pem"))
	p, address, err := start(ctx, cmd, regexp.MustCompile(`msg="serving consumers" address=(\S+)`))
	if err != nil {
		return fmt.Errorf("start pointsman: %w", err)
	}
	w.processes = append(w.processes, p)
	w.contenders = append(w.contenders, contender{"pointsman", address, cmd.Process.Pid})
	return nil
}

// copyManifests puts the manifests into the broker's folder, with the origins that the back
// ends have here and with a consumer of our own.
func (w *world) copyManifests(from string, c config) error {
	root := os.DirFS(from)
	set, faults := manifest.Load(root)
	if err := faults.Err(); err != nil {
		return err
	}
	var moved []string
	for _, b := range set.Backends {
		if b.HTTP != nil {
			moved = append(moved, b.HTTP.URL, c.Backends[b.Name].URL)
		}
	}
	replace := strings.NewReplacer(moved...)
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "consumers.yaml" {
			return err
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		return w.write(filepath.Join("manifests", name), []byte(replace.Replace(string(text))))
	})
	return errors.Join(err,
		w.write("manifests/consumers.yaml", []byte(consumers)),
		w.write("manifests/ca.pem", w.ca.PEM()))
}

// pointsman runs one command line and returns its standard output.
func pointsman(ctx context.Context, o options, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, o.pointsman, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var diagnostics strings.Builder
	cmd.Stderr = &diagnostics
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w (make build?)\n%s", o.pointsman, strings.Join(args, " "), err, &diagnostics)
	}
	return string(out), nil
}

// buildGuest builds the naive contender's module.
func buildGuest(ctx context.Context, to string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildmode=c-shared", "-o", to, "pointsman/cmd/bench/naive")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the naive guest: %w\n%s", err, out)
	}
	return nil
}

func (w *world) write(name string, text []byte) error {
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

func (w *world) data() string { return filepath.Join(w.dir, "data") }

// close ends every process, the last first, and removes the folder.
func (w *world) close() error {
	var errs []error
	for _, p := range slices.Backward(w.processes) {
		errs = append(errs, p.stop())
	}
	if w.dir != "" {
		errs = append(errs, os.RemoveAll(w.dir))
	}
	return errors.Join(errs...)
}
