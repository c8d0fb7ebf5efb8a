package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pointsman/cmd/backends/sim"
)

// running is a broker in a process of its own, as an operator runs it.
type running struct {
	t      *testing.T
	dir    string
	ca     *sim.CA
	cmd    *exec.Cmd
	output *output
	origin string
	keys   map[string]string
	client *http.Client
}

// setup is what a broker is started with.
type setup struct {
	manifests string            // one file of documents; CA stands for ca.pem's name
	files     map[string][]byte // more files of the manifests' folder
	secrets   map[string]string
	consumers []string
	modules   string
	databases string // folder of SQLite files; "": none
}

// startBroker does what the README tells an admin to do, with the command line alone.
func startBroker(t *testing.T, ca *sim.CA, s setup) *running {
	t.Helper()
	r := newBroker(t, ca, s)
	r.start()
	return r
}

// newBroker prepares everything but does not start the server.
func newBroker(t *testing.T, ca *sim.CA, s setup) *running {
	t.Helper()
	r := &running{t: t, dir: t.TempDir(), ca: ca, keys: map[string]string{}, output: &output{}}
	if err := shareCompiled(r.data()); err != nil {
		t.Fatal(err)
	}
	r.write("manifests/all.yaml", []byte(s.manifests))
	r.write("manifests/ca.pem", ca.PEM())
	for name, text := range s.files {
		r.write("manifests/"+name, text)
	}
	for name, value := range s.secrets {
		r.mustRun(value, "secret", "set", name, "--data", r.data())
	}
	for _, name := range s.consumers {
		r.keys[name] = strings.TrimSpace(r.mustRun("", "consumer", "key", name, "--data", r.data()))
	}
	leaf, err := ca.Leaf("localhost")
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	r.write("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Certificate[0]}))
	r.write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	r.cmd = exec.Command(self(t), "serve", "--manifests", filepath.Join(r.dir, "manifests"), "--modules", s.modules,
		"--data", r.data(), "--databases", s.databases, "--listen", "127.0.0.1:0",
		"--tls-cert", filepath.Join(r.dir, "cert.pem"), "--tls-key", filepath.Join(r.dir, "key.pem"))
	r.cmd.Env = asPointsman()
	r.cmd.Stdout, r.cmd.Stderr = r.output, r.output
	r.client = &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, ForceAttemptHTTP2: true},
		Timeout:   time.Minute,
	}
	return r
}

var serving = regexp.MustCompile(`msg="serving consumers" address=127\.0\.0\.1:(\d+)`)

func (r *running) start() {
	r.t.Helper()
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- r.cmd.Wait() }()
	r.t.Cleanup(func() {
		r.client.CloseIdleConnections()
		r.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-exited:
			if err != nil && !r.t.Failed() {
				r.t.Errorf("the broker ended with %v after SIGTERM\n%s", err, r.output)
			}
		case <-time.After(20 * time.Second): // 15 s is what a stop may take
			r.cmd.Process.Kill()
			r.t.Error("the broker did not stop within 20 s of SIGTERM")
		}
	})
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if m := serving.FindStringSubmatch(r.output.String()); m != nil {
			r.origin = "https://localhost:" + m[1]
			return
		}
		select {
		case err := <-exited:
			exited <- err
			r.t.Fatalf("the broker ended with %v before it served\n%s", err, r.output)
		default:
		}
		if time.Since(began) > 2*time.Minute {
			r.t.Fatalf("the broker does not serve\n%s", r.output)
		}
	}
}

// reply is what a consumer got.
type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) String() string { return fmt.Sprintf("%d %v %s", r.status, r.header, r.body) }

// get asks as a consumer; no key when the name is empty.
func (r *running) get(consumer, path string, query ...string) reply {
	r.t.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(query); i += 2 {
		values.Add(query[i], query[i+1])
	}
	if len(values) > 0 {
		path += "?" + values.Encode()
	}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.origin+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if consumer != "" {
		key, ok := r.keys[consumer]
		if !ok {
			key = consumer // a key as it is
		}
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := r.client.Do(req)
	if err != nil {
		r.t.Fatalf("GET %s: %v\n%s", path, err, r.output)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatalf("GET %s: %v", path, err)
	}
	return reply{res.StatusCode, res.Header, string(body)}
}

// everything is all that the broker wrote: its folder and its output.
func (r *running) everything() map[string][]byte {
	r.t.Helper()
	all := map[string][]byte{"output": []byte(r.output.String())}
	err := filepath.WalkDir(r.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() { // compiled is a link to what all tests share
			return err
		}
		text, err := os.ReadFile(path)
		all[path] = text
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

func (r *running) data() string { return filepath.Join(r.dir, "data") }

func (r *running) write(name string, text []byte) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// mustRun runs one command line and returns its standard output.
func (r *running) mustRun(stdin string, args ...string) string {
	r.t.Helper()
	cmd := exec.Command(self(r.t), args...)
	cmd.Env = asPointsman()
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		r.t.Fatalf("pointsman %s: %v\n%s", strings.Join(args, " "), err, &errs)
	}
	r.output.Write(errs.Bytes())
	return out.String()
}

// self is the binary under test: the one that was built when POINTSMAN_BINARY names it,
// else this test binary, which is the same program (see TestMain).
func self(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("POINTSMAN_BINARY"); path != "" {
		return path
	}
	path, err := exec.LookPath("pointsman") // put on the PATH by testscript.Main
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func asPointsman() []string { return os.Environ() }

// output collects what a process writes. Safe for concurrent use.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
