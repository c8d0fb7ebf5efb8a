package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/sandbox"
)

func TestStandardGoGuest(t *testing.T) { onEngines(t, testStandardGoGuest) }

func testStandardGoGuest(t *testing.T) {
	var l logLines
	m := compile(t, sandbox.Options{Logger: &l}, goModule(t), []sandbox.Import{okHTTP}, sandbox.Limits{})

	t.Run("exports", func(t *testing.T) {
		want := []string{"echo", "exits", "fails", "hoards", "http", "panics", "recurses", "report", "sleeps", "spins"}
		if d := cmp.Diff(want, m.Exports()); d != "" {
			t.Error(d)
		}
	})
	t.Run("breaks off", func(t *testing.T) {
		tests := []struct {
			export string
			want   sandbox.FaultKind
			detail string
			log    string // a line of it
		}{
			{"panics", sandbox.Trap, "main.panics", "warn:panic: oh no"},
			{"exits", sandbox.Exit, "with code 0", ""},
			{"sleeps", sandbox.Trap, "unreachable", "warn:fatal error: poll_oneoff failed"},
			{"hoards", sandbox.Trap, "main.hoards", "warn:fatal error: out of memory"},
			{"recurses", sandbox.Depth, "main.deeper x", ""},
		}
		for _, tt := range tests {
			l.lines = nil
			_, err := m.Call(context.Background(), tt.export, nil)
			if kind(err) != tt.want || !strings.Contains(err.Error(), tt.detail) {
				t.Errorf("%s: got %v, want %s with %q", tt.export, err, tt.want, tt.detail)
			}
			if tt.log != "" && !slices.Contains(l.lines, tt.log) {
				t.Errorf("%s: log %q lacks %q", tt.export, l.lines, tt.log)
			}
		}
	})
	t.Run("spins", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if _, err := m.Call(ctx, "spins", nil); kind(err) != sandbox.Timeout {
			t.Errorf("got %v", err)
		}
	})
	t.Run("fails", func(t *testing.T) {
		_, err := m.Call(context.Background(), "fails", nil)
		want := &sandbox.GuestError{Export: "fails", Code: 1, Text: `{"code":"permanent","message":"no"}`, HostCall: "extism:host/env.error_set"}
		if d := cmp.Diff(want, err); d != "" {
			t.Error(d)
		}
	})
	t.Run("reports", func(t *testing.T) {
		// The generator of math/rand is seeded when the guest is initialized, which the
		// snapshot engine does once; crypto/rand asks the host each time.
		secure, seeded := map[uint64]bool{}, map[uint64]bool{}
		for range 3 {
			l.lines = nil
			out, err := m.Call(context.Background(), "report", nil)
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Calls, Args, Env, Year, Goroutine int
				Elapsed                           int64
				Random, Secure                    uint64
				File                              bool
			}
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatal(err)
			}
			seeded[got.Random], secure[got.Secure] = true, true
			got.Random, got.Secure = 0, 0
			want := got
			want.Calls, want.Args, want.Env, want.Goroutine, want.File, want.Elapsed = 1, 0, 0, 42, true, 0
			if got != want || got.Year < 2026 {
				t.Errorf("got %s", out)
			}
			if d := cmp.Diff([]string{"info:to stdout", "warn:to stderr"}, l.lines); d != "" {
				t.Error(d)
			}
		}
		if len(secure) != 3 || len(seeded) != 3 && newEngine(t, sandbox.Options{}).Name() != "snapshot" {
			t.Errorf("random numbers repeat from call to call: %v, %v", secure, seeded)
		}
	})
	t.Run("echo", func(t *testing.T) {
		in := bytes.Repeat([]byte("pointsman "), 5000)
		if out, err := m.Call(context.Background(), "echo", in); err != nil || !bytes.Equal(out, in) {
			t.Errorf("got %d bytes, %v", len(out), err)
		}
	})
	t.Run("http", func(t *testing.T) {
		if out, err := m.Call(context.Background(), "http", []byte("GET /go")); err != nil || string(out) != "\x00ok:GET /go" {
			t.Errorf("got %q, %v", out, err)
		}
	})
}

// cGuest compiles testdata/cguest/NAME.c.
func cGuest(t testing.TB, name string) []byte {
	t.Helper()
	clang, err := exec.LookPath("clang")
	if err != nil {
		t.Skip("clang not present")
	}
	made := filepath.Join(t.TempDir(), "guest.wasm")
	text, err := exec.Command(clang, "--target=wasm32", "-O2", "-nostdlib", "-fno-builtin", "-Wl,--no-entry",
		"-o", made, filepath.Join("testdata/cguest", name+".c")).CombinedOutput()
	if err != nil {
		t.Skipf("clang cannot make Wasm: %v: %s", err, text)
	}
	module, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func TestCGuest(t *testing.T) { onEngines(t, testCGuest) }

func testCGuest(t *testing.T) {
	m := compile(t, sandbox.Options{}, cGuest(t, "guest"), []sandbox.Import{okHTTP}, sandbox.Limits{})
	for _, in := range []string{"", "x", "hello, World of C"} {
		out, err := m.Call(context.Background(), "upper", []byte(in))
		if err != nil || string(out) != strings.ToUpper(in) {
			t.Errorf("got %q, %v", out, err)
		}
	}
	out, err := m.Call(context.Background(), "request", nil)
	if err != nil || string(out) != "\x00ok:GET /c" {
		t.Errorf("got %q, %v", out, err)
	}
}

func BenchmarkColdCall(b *testing.B) {
	in := bytes.Repeat([]byte("x"), 2<<10)
	run := func(module []byte) func(b *testing.B) {
		return func(b *testing.B) {
			m := compile(b, sandbox.Options{}, module, []sandbox.Import{okHTTP}, sandbox.Limits{})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Call(context.Background(), "echo", in); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.Run("wat", run(testModule(b, "echo")))
	b.Run("go", run(goModule(b)))
}
