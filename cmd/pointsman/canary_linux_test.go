package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestUndumpableFromOutside sees from /proc that a broker which serves cannot be dumped: the
// kernel gives its files there to root, though it runs as somebody else.
func TestUndumpableFromOutside(t *testing.T) {
	const nobody = 65534
	if testing.Short() {
		t.Skip("runs a broker")
	}
	if os.Getuid() != 0 {
		t.Skip("only root can run a process as somebody else, and look at it")
	}
	dir, err := os.MkdirTemp("/tmp", "pointsman-undumpable") // below t.TempDir nobody else may go
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	binary, err := os.ReadFile(self(t))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "pointsman")
	manifests := filepath.Join(dir, "manifests")
	for _, err := range []error{
		os.Chmod(dir, 0o755), os.WriteFile(path, binary, 0o755), os.Chmod(path, 0o755), // somebody else runs it
		os.Mkdir(manifests, 0o755), os.WriteFile(filepath.Join(manifests, "all.yaml"), []byte("apiVersion: pointsman/v1\nkind: Consumer\nmetadata: {name: shop}\nspec: {auth: {apiKey: {}}, scopes: [use]}\n"), 0o644),
		os.Mkdir(filepath.Join(dir, "data"), 0o700), os.Chown(filepath.Join(dir, "data"), nobody, nobody),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	as := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOTRACEBACK=crash", "TMPDIR="+dir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		return cmd
	}
	data := []string{"--data", filepath.Join(dir, "data")}
	var errs bytes.Buffer
	set := as(path, append([]string{"secret", "set", "token"}, data...)...)
	set.Stdin, set.Stderr = strings.NewReader("a-secret-of-some-length"), &errs
	if err := set.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &errs)
	}
	owner := func(cmd *exec.Cmd) (uid uint32, limits string) {
		environ := fmt.Sprintf("/proc/%d/environ", cmd.Process.Pid)
		info, err := os.Stat(environ)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(filepath.Dir(environ), "limits"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Uid, string(text)
	}
	end := func(cmd *exec.Cmd) {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}

	// What is not hardened is seen to be dumpable, or this would say nothing.
	other := as("/bin/sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer end(other)
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) { // until it has become sleep
		if uid, _ := owner(other); uid == nobody {
			break
		} else if time.Since(began) > 20*time.Second {
			t.Skipf("the files of a process that can be dumped belong to %d here", uid)
		}
	}

	var log output
	broker := as(path, append([]string{"serve", "--manifests", manifests, "--plain-http", "--listen", "127.0.0.1:0"}, data...)...)
	broker.Stdout, broker.Stderr = &log, &log
	if err := broker.Start(); err != nil {
		t.Fatal(err)
	}
	defer end(broker)
	for began := time.Now(); !strings.Contains(log.String(), `msg="serving consumers"`); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("it does not serve\n%s", &log)
		}
	}
	uid, limits := owner(broker)
	if uid != 0 {
		t.Errorf("the broker's files in /proc belong to %d: it can be dumped", uid)
	}
	if !strings.Contains(strings.Join(strings.Fields(limits), " "), "Max core file size 0 0 bytes") {
		t.Errorf("it may leave a core:\n%s", limits)
	}
}
