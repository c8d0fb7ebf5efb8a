package host_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"pointsman/host"
	"pointsman/host/broker"
	"pointsman/host/deploy"
	"pointsman/host/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const manifests = `
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: echo}
spec: {module: {path: echo.wasm}}
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: say}
spec:
  path: GET /say
  scopes: [read]
  steps: {s: {call: echo.echo, with: {said: hello}, required: true}}
  answer: "${s}"
  view: all
`

var admin = broker.Principal{ID: "admin"}

// config is that of a broker on a folder of its own, with a keyring.
func config(t *testing.T) host.Config {
	t.Helper()
	c := host.Config{Data: t.TempDir(), Plain: true, Log: slog.New(slog.DiscardHandler)}
	if _, err := secret.OpenKeyring(c.KeyringPath(), true); err != nil {
		t.Fatal(err)
	}
	return c
}

func source(t *testing.T) deploy.Source {
	t.Helper()
	module, err := os.ReadFile(filepath.Join("..", "testdata", "wasm", "echo.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return deploy.Source{
		Manifests: fstest.MapFS{"all.yaml": &fstest.MapFile{Data: []byte(manifests)}},
		Modules:   fstest.MapFS{"echo.wasm": &fstest.MapFile{Data: module}},
	}
}

func newHost(t *testing.T, c host.Config) *host.Host {
	t.Helper()
	h, err := host.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func closeHost(t *testing.T, h *host.Host) {
	t.Helper()
	ctx, cancel := host.StopContext()
	defer cancel()
	if err := h.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(t *testing.T, c *host.Config)
		want  string // in the error
	}{
		{"no keyring", func(t *testing.T, c *host.Config) { c.Keyring = filepath.Join(c.Data, "gone.json") }, "open the keyring"},
		{"another keyring", func(t *testing.T, c *host.Config) {
			closeHost(t, newHost(t, *c))
			c.Keyring = filepath.Join(t.TempDir(), "other.json")
			if _, err := secret.OpenKeyring(c.Keyring, true); err != nil {
				t.Fatal(err)
			}
		}, "sealed with another keyring"},
		{"no TLS and not plain", func(_ *testing.T, c *host.Config) { c.Plain = false }, "TLS"},
		{"compiled modules that others may change", func(t *testing.T, c *host.Config) {
			if err := os.Mkdir(filepath.Join(c.Data, "compiled"), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(filepath.Join(c.Data, "compiled"), 0o777); err != nil {
				t.Fatal(err)
			}
		}, "must be 0700"},
		{"an audit log that does not hold", func(t *testing.T, c *host.Config) {
			if err := os.WriteFile(filepath.Join(c.Data, "audit.jsonl"), []byte("{}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "open the audit log"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := config(t)
			tt.spoil(t, &c)
			h, err := host.New(c)
			if err == nil {
				closeHost(t, h)
				t.Fatal("it starts, want a refusal")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%q does not say %q", err, tt.want)
			}
		})
	}
}

// TestOneBrokerPerFolder: two would write one audit log.
func TestOneBrokerPerFolder(t *testing.T) {
	c := config(t)
	first := newHost(t, c)
	if second, err := host.New(c); err == nil {
		closeHost(t, second)
		t.Error("a second broker starts on the folder of the first")
	}
	if err := first.Apply(context.Background(), admin, source(t)); err != nil {
		t.Errorf("the first does not work any more: %v", err)
	}
	closeHost(t, first)
	closeHost(t, newHost(t, c)) // the folder is free again
}

// TestLife: serve, refuse strangers, stop. What is left is found by goleak.
func TestLife(t *testing.T) {
	h := newHost(t, config(t))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- h.Serve(l) }()
	client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	ask := func() int {
		res, err := client.Get("http://" + l.Addr().String() + "/say")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode
	}
	if got := ask(); got != http.StatusServiceUnavailable {
		t.Errorf("before a deployment: %d, want 503", got)
	}
	for range 2 {
		if err := h.Apply(context.Background(), admin, source(t)); err != nil {
			t.Fatal(err)
		}
	}
	if got := ask(); got != http.StatusUnauthorized {
		t.Errorf("without a key: %d, want 401", got)
	}
	closeHost(t, h)
	if err := <-served; err != nil && !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve ended with %v", err)
	}
	if err := h.Apply(context.Background(), admin, source(t)); !errors.Is(err, deploy.ErrClosed) {
		t.Errorf("a deployment after Close: %v, want a refusal", err)
	}
	closeHost(t, h)
}

// TestCloseWithoutServe: a broker whose first deployment fails is closed all the same.
func TestCloseWithoutServe(t *testing.T) {
	h := newHost(t, config(t))
	if err := h.Apply(context.Background(), admin, deploy.Source{Manifests: fstest.MapFS{}, Modules: fstest.MapFS{}}); err == nil {
		t.Error("an empty folder is deployed")
	}
	closeHost(t, h)
}

func TestOffered(t *testing.T) {
	if got := strings.Join(host.Offered(), " "); got != "http sql kv call parcel pointer log" {
		t.Errorf("offered: %s, want http sql kv call parcel pointer log", got)
	}
	for _, imp := range host.Lendable() {
		if reply := imp.Do(context.Background(), nil); len(reply) == 0 || reply[0] != 1 {
			t.Errorf("%s.%s does not refuse: %q", imp.Capability, imp.Op, reply)
		}
	}
}
