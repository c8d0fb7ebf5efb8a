package sandbox_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pointsman/host/sandbox"
	"pointsman/pdk/wire"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if goBuild.dir != "" {
			os.RemoveAll(goBuild.dir)
		}
		os.Exit(code)
	}))
}

// testModule reads a module of testdata/wasm.
func testModule(t testing.TB, name string) []byte {
	t.Helper()
	module, err := os.ReadFile(filepath.Join("../../testdata/wasm", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func newEngine(t testing.TB, o sandbox.ExtismOptions) *sandbox.Extism {
	t.Helper()
	e, err := sandbox.NewExtism(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// compile returns a module that is closed at the end of the test.
func compile(t testing.TB, o sandbox.ExtismOptions, module []byte, imports []sandbox.Import, limits sandbox.Limits) sandbox.Module {
	t.Helper()
	m, err := newEngine(t, o).Compile(context.Background(), module, sandbox.Terms{Imports: imports, Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return m
}

// load compiles a fixture that is lent an http.request which answers "ok:" and the request.
func load(t testing.TB, name string, limits sandbox.Limits) sandbox.Module {
	t.Helper()
	return compile(t, sandbox.ExtismOptions{}, testModule(t, name), []sandbox.Import{okHTTP}, limits)
}

var okHTTP = sandbox.Import{Capability: "http", Op: "request", Do: func(_ context.Context, request []byte) []byte {
	return wire.Done(append([]byte("ok:"), request...))
}}

// kind is the fault's kind, "" if err is none, or the error's text.
func kind(err error) sandbox.FaultKind {
	var f *sandbox.Fault
	switch {
	case err == nil:
		return ""
	case errors.As(err, &f):
		return f.Kind
	}
	return sandbox.FaultKind("not a fault: " + err.Error())
}

// logLines collects what guests write.
type logLines struct {
	mu    sync.Mutex
	lines []string // guarded by mu; level, colon, text
}

func (l *logLines) GuestLog(_ context.Context, level, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, level+":"+text)
}

// goBuild is testdata/goguest, built once.
var goBuild struct {
	once   sync.Once
	dir    string
	module []byte
	err    error
}

func goModule(t testing.TB) []byte {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("go not present")
	}
	g := &goBuild
	g.once.Do(func() {
		if g.dir, g.err = os.MkdirTemp("", "goguest"); g.err != nil {
			return
		}
		out := filepath.Join(g.dir, "guest.wasm")
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		build := exec.CommandContext(ctx, "go", "build", "-buildmode=c-shared", "-o", out, "./testdata/goguest")
		build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
		if text, err := build.CombinedOutput(); err != nil {
			g.err = errors.New(err.Error() + ": " + string(text))
			return
		}
		g.module, g.err = os.ReadFile(out)
	})
	if g.err != nil {
		t.Fatal(g.err)
	}
	return g.module
}
