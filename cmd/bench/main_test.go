package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets the benchmark start this test binary as its children.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-as" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestFlagsRefused(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"-duration", "0s"}, {"-duration", "-1s"}, {"-connections", "0"}, {"-speed", "1"}, {"more"}} {
		if _, err := parse(args, &bytes.Buffer{}); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}

// What was begun is ended when something is missing: no process, no file is left.
func TestBenchWithoutBinary(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	err := run(t.Context(), []string{"-pointsman", filepath.Join(dir, "missing"), "-manifests", "../../manifests/demo"}, &bytes.Buffer{}, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "make build?") {
		t.Errorf("got %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// The whole of it, short: every contender answers alike and every number is there.
func TestBench(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the broker and the plugins")
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "pointsman")
	command(t, "go", "build", "-o", binary, "pointsman/cmd/pointsman")
	abouts, err := filepath.Glob("../../plugins/*/plugin.yaml")
	if err != nil || len(abouts) == 0 {
		t.Fatalf("no plugins: %v", err)
	}
	for _, about := range abouts {
		source := filepath.Dir(about)
		command(t, binary, "plugin", "build", source, "--output", filepath.Join(dir, "modules", filepath.Base(source)+".wasm"))
	}
	out := filepath.Join(dir, "bench.json")
	var table, progress bytes.Buffer
	err = run(t.Context(), []string{
		"-rounds", "1", "-duration", "200ms", "-connections", "2", "-bars=false", "-out", out,
		"-pointsman", binary, "-modules", filepath.Join(dir, "modules"), "-manifests", "../../manifests/demo",
	}, &table, &progress)
	if err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var got []metric
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, m := range got {
		values[m.Name] = m.Value
	}
	for _, name := range []string{"go", "naive", "pointsman"} {
		if values["profile."+name+".throughput"] <= 0 || values["profile."+name+".p99"] < values["profile."+name+".p50"] {
			t.Errorf("%s: %v", name, values)
		}
		if !strings.Contains(table.String(), name+" ") {
			t.Errorf("the table lacks %s:\n%s", name, &table)
		}
	}
	if values["profile.pointsman.throughput vs go"] <= 0 || values["profile.pointsman.throughput vs naive"] <= 0 {
		t.Errorf("no ratios: %v", values)
	}
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}
