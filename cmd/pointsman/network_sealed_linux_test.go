package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pointsman/cmd/backends/sim"
	"pointsman/host/adminsock"
)

// TestSealedStart: a broker without the passphrase of its keyring opens no listener for
// consumers. Its admin socket says so, and hears nothing but the passphrase.
func TestSealedStart(t *testing.T) {
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	manifests := strings.NewReplacer("FIELD", "one", "http: []", `http: [{backend: none, as: target, allow: ["GET /allowed"], view: all}]`).Replace(sayManifests) + `
---
apiVersion: pointsman/v1
kind: Backend
metadata: {name: none}
spec: {http: {url: "https://crm.acme.example"}}
`
	r := newBroker(t, ca, setup{manifests: manifests, modules: buildPlugins(t), consumers: []string{"sayer"}})
	r.write("pass", []byte("a passphrase of some length"))
	r.write("wrong", []byte("a passphrase of another sort"))
	pass := "file:" + filepath.Join(r.dir, "pass")
	r.mustRun("", "secret", "keys", "protect", "--data", r.data(), "--with", pass)

	address := reserved(t)
	for i, arg := range r.cmd.Args {
		if arg == "--listen" {
			r.cmd.Args[i+1] = address
		}
	}
	socket := filepath.Join(r.data(), adminsock.FileName)
	admin := &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	state := func() (int, string) {
		res, err := admin.Get("http://broker/livez")
		if err != nil {
			return 0, err.Error()
		}
		defer res.Body.Close()
		var answer struct{ State string }
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			return res.StatusCode, err.Error()
		}
		return res.StatusCode, answer.State
	}
	sealed := func(when string) {
		t.Helper()
		if status, got := state(); status != http.StatusOK || got != stateSealed {
			t.Errorf("%s: /livez says %d %q, want %q", when, status, got, stateSealed)
		}
		if c, err := net.Dial("tcp", address); err == nil {
			t.Errorf("%s: it accepts consumers", when)
			_ = c.Close()
		}
		if strings.Contains(r.output.String(), "serving consumers") {
			t.Errorf("%s: it says that it serves", when)
		}
	}

	checked := make(chan struct{})
	go func() { // while start waits for it to serve
		defer close(checked)
		for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
			if status, _ := state(); status != 0 {
				break
			}
			if time.Since(began) > time.Minute {
				t.Errorf("there is no admin socket\n%s", r.output)
				return
			}
		}
		sealed("at first")
		for _, req := range []struct{ method, path string }{
			{http.MethodPut, "/v1/secrets/token"}, {http.MethodGet, "/v1/secrets/token"}, {http.MethodGet, "/v1/say"},
			{http.MethodGet, "/readyz"}, {http.MethodGet, "/debug/pprof/"}, {http.MethodGet, "/v1/unseal"}, {http.MethodPost, "/livez"},
		} {
			ask, err := http.NewRequest(req.method, "http://broker"+req.path, strings.NewReader("x"))
			if err != nil {
				t.Error(err)
				return
			}
			res, err := admin.Do(ask)
			if err != nil {
				t.Error(err)
				return
			}
			_ = res.Body.Close()
			if res.StatusCode < 400 {
				t.Errorf("%s %s is answered %d", req.method, req.path, res.StatusCode)
			}
		}
		unseal := func(file string) error {
			cmd := exec.Command(self(t), "unseal", "--data", r.data(), "--from", "file:"+filepath.Join(r.dir, file))
			cmd.Env = asPointsman()
			return cmd.Run()
		}
		if err := unseal("wrong"); err == nil {
			t.Error("a wrong passphrase is taken")
		}
		sealed("after a wrong passphrase")
		if err := unseal("pass"); err != nil {
			t.Errorf("unseal: %v", err)
		}
	}()
	r.start()
	<-checked
	if status, got := state(); status != http.StatusOK || got != stateOpen {
		t.Errorf("unsealed: /livez says %d %q, want %q", status, got, stateOpen)
	}
	if got := r.get("sayer", "/v1/say"); got.status != http.StatusOK {
		t.Errorf("unsealed: %v", got)
	}
}

// reserved is an address that the broker may listen at and nobody else is given: a socket is
// bound to it that does not listen.
func reserved(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), // as net.Listen does
		unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	if err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", at.(*unix.SockaddrInet4).Port)
}
