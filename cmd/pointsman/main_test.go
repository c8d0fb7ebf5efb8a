package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets scripts and other tests run this test binary as pointsman: a process of its
// own, with its own signals and exit code.
func TestMain(m *testing.M) {
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
			env.Setenv("GOCACHE", os.Getenv("GOCACHE"))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"waitfor": waitFor,
		},
	})
}

// waitFor FILE REGEXP waits until the file has a matching line.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: waitfor FILE REGEXP")
	}
	re, err := regexp.Compile(args[1])
	ts.Check(err)
	const patience = 2 * time.Minute // compiling Go guests on a busy machine
	for began := time.Now(); time.Since(began) < patience; time.Sleep(50 * time.Millisecond) {
		if text, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && re.Match(text) {
			return
		}
	}
	ts.Fatalf("%s has no line that matches %s", args[0], args[1])
}

// buildPlugins builds every plugin of the project and those for tests, and returns their folder.
func buildPlugins(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, pattern := range []string{"../../plugins/*/plugin.yaml", "../../testdata/plugins/*/plugin.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no plugins at %s: %v", pattern, err)
		}
		for _, about := range found {
			source := filepath.Dir(about)
			out := filepath.Join(dir, filepath.Base(source)+".wasm")
			var diagnostics bytes.Buffer
			if err := buildPlugin(context.Background(), source, out, &diagnostics); err != nil {
				t.Fatalf("build %s: %v\n%s", source, err, &diagnostics)
			}
		}
	}
	fixtures, err := filepath.Glob("../../testdata/wasm/*.wasm")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fixtures {
		if err := copyFile(filepath.Join(dir, filepath.Base(f)), f); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return out.Close()
}
