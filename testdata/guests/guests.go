// Package guests owns the plugins in several languages that tests build. Each is written, as
// any plugin for Extism is, against the interface that Extism's hosts offer, and knows
// nothing of this one. All have the same functions:
//
//	echo    answers its input
//	count   adds one to the variable n and answers it: 1, whatever was called before
//	config  answers the setting greeting, or null
//	log     logs its input and answers true
//	fail    fails with its input as the error
//	trap    breaks off
//	fetch   sends its input as a request; answers {"status": , "headers": , "body": }
package guests

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Required is the environment variable that lists names, with spaces between them: there, a
// missing compiler fails the test instead of skipping it.
const Required = "POINTSMAN_REQUIRE_GUESTS"

// Names are the plugins that there are, by language and, after it, target.
func Names() []string { return []string{"assemblyscript", "c", "go", "rust", "rust-wasi"} }

// Build returns the compiled plugin. It skips the test when there is no compiler for it.
func Build(t testing.TB, name string) []byte {
	t.Helper()
	b, _ := built.LoadOrStore(name, &build{})
	module, err := b.(*build).module(name)
	var absent *absentError
	switch {
	case errors.As(err, &absent) && slices.Contains(strings.Fields(os.Getenv(Required)), name):
		t.Fatalf("%v, and %s names %s", err, Required, name)
	case errors.As(err, &absent):
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	return module
}

// built holds a *build by name: each is made once for the tests of a process.
var built sync.Map

type build struct {
	once  sync.Once
	bytes []byte
	err   error
}

// absentError is a compiler that there is not.
type absentError struct{ what string }

func (e *absentError) Error() string { return "no " + e.what }

func (b *build) module(name string) ([]byte, error) {
	b.once.Do(func() {
		dir, err := os.MkdirTemp("", "guest")
		if err != nil {
			b.err = err
			return
		}
		defer os.RemoveAll(dir)
		b.bytes, b.err = compile(name, filepath.Join(dir, "guest.wasm"))
	})
	return b.bytes, b.err
}

func compile(name, to string) ([]byte, error) {
	root, err := root()
	if err != nil {
		return nil, err
	}
	command, err := map[string]func(root, to string) (*exec.Cmd, error){
		"assemblyscript": assemblyscript,
		"c":              c,
		"go":             golang,
		"rust":           rust("wasm32-unknown-unknown"),
		"rust-wasi":      rust("wasm32-wasi"),
	}[name](root, to)
	if err != nil {
		return nil, err
	}
	if command.Dir == "" {
		command.Dir = filepath.Join(root, "testdata", "guests")
	}
	if text, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(command.Args, " "), err, text)
	}
	return os.ReadFile(to)
}

// root is the folder of go.mod above the test's own.
func root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod above the test's folder")
		}
	}
}

func c(_, to string) (*exec.Cmd, error) {
	for _, program := range []string{"clang", "wasm-ld"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, &absentError{program}
		}
	}
	return exec.Command("clang", "--target=wasm32", "-O2", "-nostdlib", "-fno-builtin", "-Wl,--no-entry", "-o", to, "c/guest.c"), nil
}

func golang(_, to string) (*exec.Cmd, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return nil, &absentError{"go"}
	}
	command := exec.Command("go", "build", "-buildmode=c-shared", "-o", to, "./go")
	command.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	return command, nil
}

// rust compiles with the first rustc that has the target's standard library.
func rust(target string) func(root, to string) (*exec.Cmd, error) {
	return func(_, to string) (*exec.Cmd, error) {
		for _, program := range []string{"rustc", "/usr/bin/rustc"} {
			out, err := exec.Command(program, "--print", "sysroot").Output()
			if err != nil {
				continue
			}
			library := filepath.Join(strings.TrimSpace(string(out)), "lib", "rustlib", target, "lib")
			if _, err := os.Stat(library); err != nil {
				continue
			}
			return exec.Command(program, "--target", target, "--crate-type", "cdylib", "--edition", "2021",
				"-O", "-C", "panic=abort", "-C", "link-arg=--strip-debug", "-o", to, "rust/guest.rs"), nil
		}
		return nil, &absentError{"rustc for " + target}
	}
}

// assemblyscript compiles with what .ci/run installs below bin/guests.
func assemblyscript(root, to string) (*exec.Cmd, error) {
	modules := filepath.Join(root, "bin", "guests", "node_modules")
	compiler := filepath.Join(modules, "assemblyscript", "bin", "asc.js")
	if _, err := os.Stat(compiler); err != nil {
		return nil, &absentError{"AssemblyScript in bin/guests; testdata/guests/assemblyscript/install puts it there"}
	}
	if _, err := exec.LookPath("node"); err != nil {
		return nil, &absentError{"node"}
	}
	return exec.Command("node", compiler, "assemblyscript/guest.ts", "-O", "-o", to, "--path", modules,
		"--use", "abort=assemblyscript/guest/abort_"), nil
}
