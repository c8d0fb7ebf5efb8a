package sandbox_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pointsman/host/sandbox"
	"pointsman/pdk/wire"
)

func TestMain(m *testing.M) {
	if isWorker, code := sandbox.CompileWorker(os.Args[1:]); isWorker {
		os.Exit(code)
	}
	if len(os.Args) == 3 && os.Args[1] == compileSlowly {
		compileSlowModule(os.Args[2])
	}
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

// onEngines runs a test on each engine, as a subtest of the engine's name.
func onEngines(t *testing.T, test func(*testing.T)) {
	for _, name := range sandbox.Engines() {
		if name != "auto" {
			t.Run(name, test)
		}
	}
}

// newEngine returns the engine that t is a subtest of, the portable one otherwise.
func newEngine(t testing.TB, o sandbox.Options) sandbox.Engine {
	t.Helper()
	e, err := openEngine(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func openEngine(t testing.TB, o sandbox.Options) (sandbox.Engine, error) {
	o.Engine = "extism"
	if parts := strings.Split(t.Name(), "/"); len(parts) > 1 && parts[1] == "snapshot" {
		o.Engine = "snapshot"
	}
	e, err := sandbox.New(o)
	if c, ok := e.(io.Closer); ok {
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return e, err
}

// compile returns a module that is closed at the end of the test.
func compile(t testing.TB, o sandbox.Options, module []byte, imports []sandbox.Import, limits sandbox.Limits) sandbox.Module {
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
	return compile(t, sandbox.Options{}, testModule(t, name), []sandbox.Import{okHTTP}, limits)
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
