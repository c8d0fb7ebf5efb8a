package plain_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pointsman/host/secret"
	"pointsman/host/secret/plain"
)

// What these providers give is tested by host/secret/secrettest; here is what they refuse.

func TestDirRefuses(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "outside")
	write := func(path, text string, mode os.FileMode) {
		t.Helper()
		if err := errors.Join(os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	write(outside, "outside the folder", 0o600)
	write(filepath.Join(dir, "open"), "canary-of-the-world", 0o644)
	write(filepath.Join(dir, "group"), "canary-of-the-group", 0o640)
	write(filepath.Join(dir, "empty"), "\n", 0o600)
	write(filepath.Join(dir, "large"), strings.Repeat("x", secret.MaxSize+1), 0o600)
	for _, err := range []error{
		os.Symlink(outside, filepath.Join(dir, "link")), os.Mkdir(filepath.Join(dir, "folder"), 0o700),
		syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"open": "mode", "group": "mode", "empty": "empty", "large": "larger", "link": "escapes", "folder": "regular", "pipe": "regular",
	} {
		v, err := plain.Dir{Path: dir}.Get(name)
		if err == nil || !strings.Contains(err.Error(), want) || v.Expose() != nil {
			t.Errorf("%s: %v, want a refusal that says %q", name, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error repeats the value: %v", name, err)
		}
	}
	if _, err := (plain.Dir{Path: dir}).List(); err == nil {
		t.Error("a folder with a file that others may read was listed")
	}
	if _, err := (plain.Dir{Path: filepath.Join(dir, "none")}).List(); err == nil {
		t.Error("a folder that is not there was listed")
	}
}

func TestEnvRefuses(t *testing.T) {
	t.Setenv("PLAINTEST_EMPTY", "")
	t.Setenv("_TOKEN", "without a prefix")
	if v, err := (plain.Env{Prefix: "PLAINTEST"}).Get("empty"); err == nil {
		t.Errorf("an empty one: %v", v)
	}
	if v, err := (plain.Env{}).Get("token"); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("without a prefix: %v, %v, want ErrNotFound", v, err)
	}
	if list, err := (plain.Env{}).List(); len(list) != 0 || err != nil {
		t.Errorf("without a prefix: %v, %v", list, err)
	}
}
