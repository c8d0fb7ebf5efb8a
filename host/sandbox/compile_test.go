package sandbox_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/sandbox"
	"pointsman/host/wasm"
)

// macWith is a keyed hash as that of secret.Keyring.
func macWith(key string) func(string, []byte) []byte {
	return func(purpose string, data []byte) []byte {
		h := hmac.New(sha256.New, []byte(key))
		fmt.Fprintf(h, "%q", purpose)
		h.Write(data)
		return h.Sum(nil)
	}
}

// messages counts what a compiler logs.
type messages struct {
	slog.Handler
	mu   sync.Mutex
	seen []string // guarded by mu
}

func newMessages() *messages { return &messages{Handler: slog.DiscardHandler} }

func (m *messages) Enabled(context.Context, slog.Level) bool { return true }

func (m *messages) Handle(_ context.Context, r slog.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = append(m.seen, r.Message)
	return nil
}

func (m *messages) count(part string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, s := range m.seen {
		if strings.Contains(s, part) {
			n++
		}
	}
	return n
}

// What a compiler logs when it compiled a module, and when it found a file that it cannot use.
const (
	compiledOne = "compiled a module"
	threwAway   = "is made again"
)

// newCompiler returns a compiler with a worker, and what it logs.
func newCompiler(t testing.TB, o sandbox.CompilerOptions) (*sandbox.Compiler, *messages) {
	t.Helper()
	said := newMessages()
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "compiled")
	}
	if o.MAC == nil {
		o.MAC = macWith("key")
	}
	o.Log, o.Worker = slog.New(said), true
	c, err := sandbox.NewCompiler(o)
	if err != nil {
		t.Fatal(err)
	}
	return c, said
}

// echoes compiles the echo module with c and calls it.
func echoes(t testing.TB, c *sandbox.Compiler) {
	t.Helper()
	m := compile(t, sandbox.Options{Compiler: c}, testModule(t, "echo"), nil, sandbox.Limits{})
	if out, err := m.Call(context.Background(), "echo", []byte("x")); string(out) != "x" || err != nil {
		t.Errorf("got %q, %v", out, err)
	}
}

func compileError(t testing.TB, c *sandbox.Compiler, module []byte) error {
	t.Helper()
	m, err := newEngine(t, sandbox.Options{Compiler: c}).Compile(context.Background(), module, sandbox.Terms{})
	if err == nil {
		m.Close(context.Background())
	}
	return err
}

func TestCompilerOptionsAreChecked(t *testing.T) {
	mac := macWith("key")
	open := t.TempDir()
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(t.TempDir(), "foreign")
	if err := os.Mkdir(foreign, 0o700); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		options sandbox.CompilerOptions
		refused string
	}{
		{"no key", sandbox.CompilerOptions{Dir: t.TempDir()}, "no key"},
		{"no folder", sandbox.CompilerOptions{MAC: mac}, "folder"},
		{"folder that others may read", sandbox.CompilerOptions{Dir: open, MAC: mac}, "mode 0755"},
		{"file", sandbox.CompilerOptions{Dir: file, MAC: mac}, "folder"},
		{"no time", sandbox.CompilerOptions{Dir: foreign, MAC: mac, Time: -1}, "time limit"},
		{"half a second of processor", sandbox.CompilerOptions{Dir: foreign, MAC: mac, CPU: time.Second / 2}, "whole seconds"},
		{"keep less than nothing", sandbox.CompilerOptions{Dir: foreign, MAC: mac, Keep: -1}, "cannot keep"},
		{"too little memory", sandbox.CompilerOptions{Dir: foreign, MAC: mac, Memory: 1 << 20}, "memory limit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := sandbox.NewCompiler(tt.options); err == nil || !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("got %v, want an error with %q", err, tt.refused)
			}
		})
	}
	t.Run("folder of another user", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root can give a folder away")
		}
		if err := os.Chown(foreign, 65534, -1); err != nil {
			t.Fatal(err)
		}
		if _, err := sandbox.NewCompiler(sandbox.CompilerOptions{Dir: foreign, MAC: mac}); err == nil {
			t.Error("accepted")
		}
	})
}

func TestNobodyElseIsAWorker(t *testing.T) {
	for _, args := range [][]string{nil, {""}, {"serve"}, {"serve", "sandbox-compile-worker"}} {
		if isWorker, code := sandbox.CompileWorker(args); isWorker || code != 0 {
			t.Errorf("%q: got %v, %d", args, isWorker, code)
		}
	}
}

func TestModuleThatNoRuntimeAcceptsIsRefused(t *testing.T) {
	onEngines(t, testModuleThatNoRuntimeAcceptsIsRefused)
}

func testModuleThatNoRuntimeAcceptsIsRefused(t *testing.T) {
	// An i64 where an i32 has to be: host/wasm does not check types.
	module := []byte("\x00asm\x01\x00\x00\x00\x01\x05\x01\x60\x00\x01\x7f\x03\x02\x01\x00\x0a\x06\x01\x04\x00\x42\x00\x0b")
	c, _ := newCompiler(t, sandbox.CompilerOptions{})
	err := compileError(t, c, module)
	var refused *sandbox.CompileError
	if !errors.As(err, &refused) || !strings.Contains(refused.Reason, "invalid function") {
		t.Errorf("got %v", err)
	}
	echoes(t, c) // the next one is not affected
}

func TestASecondStartDoesNotCompile(t *testing.T) { onEngines(t, testASecondStartDoesNotCompile) }

func testASecondStartDoesNotCompile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "compiled")
	c, said := newCompiler(t, sandbox.CompilerOptions{Dir: dir})
	echoes(t, c)
	first := said.count(compiledOne) // with the self-test of an engine that has one
	echoes(t, c)
	if n := said.count(compiledOne); n != first || n == 0 {
		t.Errorf("compiled %d, then %d modules", first, n-first)
	}
	c, said = newCompiler(t, sandbox.CompilerOptions{Dir: dir})
	echoes(t, c)
	if n := said.count(compiledOne) + said.count(threwAway); n != 0 {
		t.Errorf("the second start said %q", said.seen)
	}
	if left := kept(t, dir, "work-*"); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestOtherTermsAreAnotherModule(t *testing.T) {
	c, said := newCompiler(t, sandbox.CompilerOptions{})
	for _, pages := range []uint64{1, 2, 1} {
		compile(t, sandbox.Options{Compiler: c}, testModule(t, "echo"), nil, sandbox.Limits{Memory: pages << 16})
	}
	if n := said.count(compiledOne); n != 2 {
		t.Errorf("compiled %d times, want once for each limit of memory", n)
	}
}

func TestManyAtOnceCompileOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "compiled")
	var group sync.WaitGroup
	var said []*messages
	for range 2 { // as two processes that share a folder
		c, s := newCompiler(t, sandbox.CompilerOptions{Dir: dir})
		said = append(said, s)
		for range 4 {
			group.Go(func() { echoes(t, c) })
		}
	}
	group.Wait()
	for _, s := range said {
		if n := s.count(compiledOne); n > 1 || s.count(threwAway) > 0 {
			t.Errorf("said %q", s.seen)
		}
	}
}

func TestWhatWasNotUsedForLongestGoes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "compiled")
	c, said := newCompiler(t, sandbox.CompilerOptions{Dir: dir, Keep: 1})
	echoes(t, c)
	if left := kept(t, dir, "*"); len(left) != 1 || filepath.Ext(left[0]) != ".code" {
		t.Errorf("kept %q, want nothing but the file that was written last", left)
	}
	echoes(t, c)
	compile(t, sandbox.Options{Compiler: c}, testModule(t, "counter"), nil, sandbox.Limits{})
	if n := said.count(threwAway); n != 0 {
		t.Errorf("said %q", said.seen)
	}
}

func TestWithoutAWorkerItCompilesHere(t *testing.T) {
	said := newMessages()
	o := sandbox.CompilerOptions{Dir: filepath.Join(t.TempDir(), "compiled"), MAC: macWith("key"), Log: slog.New(said)}
	for range 2 {
		c, err := sandbox.NewCompiler(o)
		if err != nil {
			t.Fatal(err)
		}
		echoes(t, c)
	}
	if warned, compiled := said.count("without limits"), said.count(compiledOne); warned != 2 || compiled != 1 {
		t.Errorf("said %q, want a warning for each compiler and one compilation", said.seen)
	}
}

// What is remembered of a module is what was found, but for sections that are large.
func TestInspectIsRemembered(t *testing.T) {
	module, err := wasm.AppendCustom(testModule(t, "init"), "small", []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	if module, err = wasm.AppendCustom(module, "large", make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	want, err := wasm.Inspect(module)
	if err != nil {
		t.Fatal(err)
	}
	delete(want.Custom, "large")
	dir := filepath.Join(t.TempDir(), "compiled")
	for _, when := range []string{"first", "second"} {
		c, _ := newCompiler(t, sandbox.CompilerOptions{Dir: dir})
		got, err := c.Inspect(module)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s time: (-want +got)\n%s", when, diff)
		}
	}
	if n := len(kept(t, dir, "*.info")); n != 1 {
		t.Errorf("%d files", n)
	}
	c, _ := newCompiler(t, sandbox.CompilerOptions{Dir: dir})
	if _, err := c.Inspect(module[:len(module)-1]); err == nil {
		t.Error("accepted another module")
	}
}

func TestAFolderLostMeanwhileIsAnError(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "compiled")
	c, _ := newCompiler(t, sandbox.CompilerOptions{Dir: dir})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	err := compileError(t, c, testModule(t, "echo"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// kept are the files in dir that match.
func kept(t testing.TB, dir, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever happens to what is kept, it is not used, and the module works.
func TestWhatIsKeptMustBeAuthentic(t *testing.T) {
	// What two brokers kept, one of which has another key.
	whole, theirs := filepath.Join(t.TempDir(), "compiled"), filepath.Join(t.TempDir(), "compiled")
	mine, _ := newCompiler(t, sandbox.CompilerOptions{Dir: whole})
	echoes(t, mine)
	echo := map[string]string{} // by kind: the file about the echo module
	for _, kind := range []string{"code", "module", "info"} {
		files := kept(t, whole, "*."+kind)
		if len(files) != 1 {
			t.Fatalf("kept %q", files)
		}
		echo[kind] = files[0]
	}
	compile(t, sandbox.Options{Compiler: mine}, testModule(t, "counter"), nil, sandbox.Limits{})
	another, _ := newCompiler(t, sandbox.CompilerOptions{Dir: theirs, MAC: macWith("other")})
	echoes(t, another)

	other := func(kind string) func(t *testing.T, file string) {
		return func(t *testing.T, file string) {
			for _, f := range kept(t, filepath.Dir(file), "*."+kind) {
				if f != file {
					copyFile(t, f, file)
					return
				}
			}
			t.Fatal("there is no other file")
		}
	}
	edit := func(f func(b []byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, file string) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, f(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	replace := func(with func(file string) error) func(*testing.T, string) {
		return func(t *testing.T, file string) {
			if err := errors.Join(os.Remove(file), with(file)); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name string
		harm func(t *testing.T, file string)
	}{
		{"emptied", edit(func([]byte) []byte { return nil })},
		{"cut in the header", edit(func(b []byte) []byte { return b[:20] })},
		{"cut at the end", edit(func(b []byte) []byte { return b[:len(b)-1] })},
		{"longer", edit(func(b []byte) []byte { return append(b, 0) })},
		{"changed at the end", edit(func(b []byte) []byte { b[len(b)-1] ^= 1; return b })},
		{"changed in the middle", edit(func(b []byte) []byte { b[len(b)/2] ^= 0x80; return b })},
		{"another magic", edit(func(b []byte) []byte { b[0]++; return b })},
		{"another MAC", edit(func(b []byte) []byte { b[8] ^= 1; return b })},
		{"another label", edit(func(b []byte) []byte { b[50] ^= 1; return b })},
		{"a label that leads elsewhere", edit(func(b []byte) []byte { copy(b[40:], "../../../../evil"); return b })},
		{"code of another module", other("code")},
		{"a file of another kind", other("module")},
		{"a folder", replace(func(f string) error { return os.MkdirAll(filepath.Join(f, "sub"), 0o700) })},
		{"a link to the same bytes", func(t *testing.T, file string) {
			elsewhere := filepath.Join(t.TempDir(), "elsewhere")
			copyFile(t, file, elsewhere)
			replace(func(f string) error { return os.Symlink(elsewhere, f) })(t, file)
		}},
		{"made with another key", func(t *testing.T, file string) {
			copyFile(t, filepath.Join(theirs, filepath.Base(file)), file)
		}},
	}
	for _, kind := range []string{"code", "module", "info"} {
		for _, tt := range tests {
			t.Run(kind+"/"+tt.name, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "compiled")
				if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				tt.harm(t, filepath.Join(dir, filepath.Base(echo[kind])))

				c, said := newCompiler(t, sandbox.CompilerOptions{Dir: dir})
				echoes(t, c)
				if n := said.count(threwAway); n != 1 {
					t.Errorf("%d warnings, want one", n)
				}
				want := 0
				if kind == "code" {
					want = 1
				}
				if n := said.count(compiledOne); n != want {
					t.Errorf("compiled %d times, want %d", n, want)
				}
				c, said = newCompiler(t, sandbox.CompilerOptions{Dir: dir})
				echoes(t, c)
				if len(said.seen) != 0 {
					t.Errorf("it was not put right: %q", said.seen)
				}
			})
		}
	}
}
