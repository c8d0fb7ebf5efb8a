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
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"

	"pointsman/cmd/backends/sim"
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
	name     string
	address  string
	pid      int  // of its process; 0 if nobody wants to know what it uses
	pointers bool // it answers with pointers in place of customer numbers
}

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
		w.contenders = append(w.contenders, contender{name: name, address: address, pid: pid})
	}
	return errors.Join(
		w.startPointsman(ctx, o, "pointsman", "manifests", w.data()),
		w.startPointsman(ctx, o, "bytes", "bytes", w.data()+"-bytes"))
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

// startPointsman starts the broker on the manifests in a folder of w.
func (w *world) startPointsman(ctx context.Context, o options, name, manifests, data string) error {
	cmd := exec.Command(o.pointsman, "serve",
		"--manifests", filepath.Join(w.dir, manifests), "--modules", o.modules, "--data", data, "--databases", filepath.Join(w.dir, "databases"), "--listen", "127.0.0.1:0",
		"--tls-cert", filepath.Join(w.dir, "cert.pem"), "--tls-key", filepath.Join(w.dir, "key.pem"))
	p, address, err := start(ctx, cmd, regexp.MustCompile(`msg="serving consumers" address=(\S+)`))
	if err != nil {
		return fmt.Errorf("start pointsman: %w", err)
	}
	w.processes = append(w.processes, p)
	w.contenders = append(w.contenders, contender{name: name, address: address, pid: cmd.Process.Pid, pointers: true})
	return nil
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
