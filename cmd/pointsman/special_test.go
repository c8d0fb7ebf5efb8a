package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSpecialFiles: a pipe where a manifest or a module is expected is refused; reading it
// would never end.
func TestSpecialFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"pipe.yaml", "pipe.wasm"} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	manifests := t.TempDir()
	text := "apiVersion: pointsman/v1\nkind: Plugin\nmetadata: {name: p}\nspec: {module: {path: pipe.wasm}}\n"
	if err := os.WriteFile(filepath.Join(manifests, "p.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"a manifest":          {"validate", dir},
		"a module":            {"validate", manifests, "--modules", dir},
		"a file to look into": {"plugin", "inspect", filepath.Join(dir, "pipe.wasm")},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(self(t), args...)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			select {
			case err := <-ended:
				if code := cmd.ProcessState.ExitCode(); code != exitRefused || !strings.Contains(out.String(), "pipe") {
					t.Errorf("exit code %d (%v), want %d and the file's name\n%s", code, err, exitRefused, &out)
				}
			case <-time.After(time.Minute):
				cmd.Process.Kill()
				t.Fatalf("it reads for ever\n%s", &out)
			}
		})
	}
}
