package main

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"pointsman/host/secret/vault/vaulttest"
)

// TestHardened looks from outside at processes that are about to read a secret: whatever
// they were started with, they leave no core and print one goroutine's stack.
func TestHardened(t *testing.T) {
	dir := t.TempDir()
	run := func(stdin string, args ...string) string {
		t.Helper()
		cmd := exec.Command(self(t), args...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return string(out)
	}
	data, public := filepath.Join(dir, "data"), filepath.Join(dir, "broker.pub")
	if err := os.WriteFile(public, []byte(run("", "secret", "keys", "public", "--data", data)), 0o600); err != nil {
		t.Fatal(err)
	}
	run("canary", "secret", "set", "token", "--data", data)
	pass := filepath.Join(dir, "pass")
	if err := os.WriteFile(pass, []byte("a passphrase of some length"), 0o600); err != nil {
		t.Fatal(err)
	}
	run("canary", "secret", "set", "token", "--data", filepath.Join(dir, "sealed"), "--unlock", "file:"+pass)
	tests := []struct {
		name string
		args []string
	}{
		{"set", []string{"secret", "set", "token", "--data", data}},
		{"rotate", []string{"secret", "rotate", "token", "--data", data}},
		{"seal", []string{"secret", "seal", "token", "--for", public}},
		{"a command that opens the keyring", []string{"secret", "keys", "list", "--data", filepath.Join(dir, "sealed"), "--unlock", "fd:0"}},
		{"serve", []string{"serve", "--manifests", dir, "--plain-http", "--data", filepath.Join(dir, "sealed")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			cmd := exec.CommandContext(ctx, self(t), tt.args...) // waits for its standard input, or to be unsealed
			cmd.Env = append(os.Environ(), "GOTRACEBACK=crash")
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { cancel(); _ = cmd.Wait() }() // killed
			read := func(name string) string {
				text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", cmd.Process.Pid, name))
				if err != nil && os.IsPermission(err) {
					t.Skip("only root can look at it: it is not dumpable")
				}
				return string(text)
			}
			hardened := func() bool {
				for line := range strings.Lines(read("limits")) {
					if fields := strings.Fields(strings.TrimPrefix(line, "Max core file size")); strings.HasPrefix(line, "Max core") {
						return fields[0] == "0" && fields[1] == "0"
					}
				}
				return false
			}
			for began := time.Now(); !hardened() || !strings.Contains(read("environ"), "GOTRACEBACK=single\x00"); time.Sleep(10 * time.Millisecond) {
				if time.Since(began) > time.Minute {
					t.Fatalf("not hardened: %s", read("limits"))
				}
			}
			if strings.Contains(read("environ"), "GOTRACEBACK=crash") {
				t.Error("the environment asks for all stacks and a core still")
			}
		})
	}
}

// TestUndumpable asks the kernel from within a hardened process.
func TestUndumpable(t *testing.T) {
	if os.Getenv("POINTSMAN_TEST_UNDUMPABLE") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestUndumpable$")
		cmd.Env = append(os.Environ(), "POINTSMAN_TEST_UNDUMPABLE=1", "GOTRACEBACK=all")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := harden(); err != nil {
		t.Fatal(err)
	}
	if v, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); v != 0 || err != nil {
		t.Errorf("dumpable is %d, %v, want 0", v, err)
	}
	if got := os.Getenv("GOTRACEBACK"); got != "single" {
		t.Errorf("GOTRACEBACK is %q, want single", got)
	}
}

// TestTerminalShowsNothing types a secret on a terminal of its own.
func TestTerminalShowsNothing(t *testing.T) {
	const canary = "canary-typed-on-a-terminal"
	data := filepath.Join(t.TempDir(), "data")
	typed := func(lines ...string) (shown string, err error) {
		master, slave := terminal(t)
		cmd := exec.Command(self(t), "secret", "set", "token", "--data", data)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if err := slave.Close(); err != nil {
			t.Fatal(err)
		}
		out := new(output)
		done := make(chan struct{})
		go func() { defer close(done); _, _ = io.Copy(out, master) }() // ends with EIO when nobody has the terminal any more
		for i, line := range lines {
			prompt := []string{"value of token: ", "again: "}[i]
			for began := time.Now(); !strings.Contains(out.String(), prompt); time.Sleep(10 * time.Millisecond) {
				if time.Since(began) > time.Minute {
					t.Fatalf("no prompt in %q", out)
				}
			}
			time.Sleep(100 * time.Millisecond) // the echo goes off after the prompt, as in every login
			if _, err := io.WriteString(master, line+"\n"); err != nil {
				t.Fatal(err)
			}
		}
		err = cmd.Wait()
		<-done
		return out.String(), err
	}
	shown, err := typed(canary, "something else")
	if err == nil || !strings.Contains(shown, "the two are not the same") {
		t.Errorf("two values: %v, %q", err, shown)
	}
	if shown, err = typed(canary, canary); err != nil || !strings.Contains(shown, "secret token is sealed") {
		t.Errorf("%v, %q", err, shown)
	}
	if strings.Contains(shown, "canary") {
		t.Errorf("the terminal shows the secret: %q", shown)
	}
}

// terminal returns both ends of a new one.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no terminals here: %v", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	raw, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	cerr := raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err != nil || cerr != nil {
		t.Skipf("there are no terminals here: %v, %v", err, cerr)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// TestVaultScript runs the binary against a stand-in for Vault.
func TestVaultScript(t *testing.T) {
	server := vaulttest.Start()
	t.Cleanup(server.Close) // scripts run after this function
	server.Put("acme/crm", map[string]any{"token": "correct-horse-battery-staple"})
	testscript.Run(t, testscript.Params{
		Files:               []string{"testdata/vault.txtar"},
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			config := fmt.Sprintf(`{"address": %q, "ca": "ca.pem", "private": ["127.0.0.0/8"], "role_id": %q, "secret_id": "file:id",
				"secrets": {"crm-token": {"mount": "secret", "path": "acme/crm", "field": "token"}},
				"transit": {"mount": "transit", "key": "pointsman"}}`, server.URL, server.RoleID)
			for name, text := range map[string]string{"vault.json": config, "id": server.SecretID + "\n", "ca.pem": string(certificate(server)),
				"inline.json": strings.Replace(config, "file:id", server.SecretID, 1), "wrong": "not the secret id",
				"wrong.json": strings.Replace(config, "file:id", "file:wrong", 1)} {
				if err := os.WriteFile(filepath.Join(env.WorkDir, name), []byte(text), 0o600); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"waitfor": waitFor,
			"vault": func(ts *testscript.TestScript, _ bool, args []string) {
				switch args[0] {
				case "put":
					server.Put("acme/crm", map[string]any{"token": args[1]})
				case "delete":
					server.Delete("acme/crm")
				case "seal":
					server.Fail(503)
				case "unseal":
					server.Fail(0)
				}
			},
		},
	})
}

func certificate(s *vaulttest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}
