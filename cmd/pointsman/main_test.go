package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"pointsman/host/sandbox"
	"pointsman/host/secret"
)

// TestMain lets scripts and other tests run this test binary as pointsman: a process of its
// own, with its own signals and exit code.
func TestMain(m *testing.M) {
	if isWorker, code := sandbox.CompileWorker(os.Args[1:]); isWorker {
		os.Exit(code)
	}
	testscript.Main(m, map[string]func(){"pointsman": main})
}

func TestScript(t *testing.T) {
	modules := buildPlugins(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			root, err := filepath.Abs("../..")
			if err != nil {
				return err
			}
			env.Setenv("ROOT", root)
			env.Setenv("MODULES", modules)
			return shareCompiled(filepath.Join(env.WorkDir, "data"))
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"waitfor": waitFor,
		},
	})
}

// waitFor GLOB REGEXP waits until a file has a matching line.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: waitfor FILE REGEXP")
	}
	re, err := regexp.Compile(args[1])
	ts.Check(err)
	const patience = 2 * time.Minute // compiling Go guests on a busy machine
	for began := time.Now(); time.Since(began) < patience; time.Sleep(50 * time.Millisecond) {
		found, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		for _, name := range found {
			if text, err := os.ReadFile(name); err == nil && re.Match(text) {
				return
			}
		}
	}
	ts.Fatalf("%s has no line that matches %s", args[0], args[1])
}

// work is where what is slow to make is kept from one test to the next: below bin, which
// make clean removes.
const work = "../../bin/test"

// plugins builds every plugin of the project and those for tests, once.
var plugins = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(work, "plugins")
	for _, pattern := range []string{"../../plugins/*/plugin.yaml", "../../testdata/plugins/*/plugin.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			return "", fmt.Errorf("no plugins at %s: %v", pattern, err)
		}
		for _, about := range found {
			source := filepath.Dir(about)
			var diagnostics bytes.Buffer
			if err := buildPlugin(context.Background(), source, filepath.Join(dir, filepath.Base(source)+".wasm"), &diagnostics); err != nil {
				return "", fmt.Errorf("build %s: %w\n%s", source, err, &diagnostics)
			}
		}
	}
	return filepath.Abs(dir)
})

// buildPlugins returns the folder of the built plugins.
func buildPlugins(t *testing.T) string {
	t.Helper()
	dir, err := plugins()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// shareCompiled lets the broker with that data folder use what others compiled: a cold
// start compiles some seconds for each plugin. It takes their keyring for that, as a
// broker believes only what carries the MAC of its own.
func shareCompiled(data string) error {
	keyring, err := sharedKeyring()
	if err != nil {
		return err
	}
	shared, err := filepath.Abs(filepath.Join(work, "compiled"))
	if err != nil {
		return err
	}
	if err := errors.Join(os.MkdirAll(shared, 0o700), os.MkdirAll(data, 0o700)); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(data, "keyring.json"), keyring, 0o600),
		os.Symlink(shared, filepath.Join(data, "compiled")))
}

// sharedKeyring is the keyring of all brokers that share, made once.
var sharedKeyring = sync.OnceValues(func() ([]byte, error) {
	path := filepath.Join(work, "keyring.json")
	_, err := os.Stat(path)
	missing := errors.Is(err, os.ErrNotExist)
	if err := os.MkdirAll(work, 0o755); err != nil {
		return nil, err
	}
	if _, err := secret.OpenKeyring(path, missing); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})
