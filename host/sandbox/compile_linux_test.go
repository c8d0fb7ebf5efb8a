package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pointsman/host/sandbox"
)

func TestLimitsOfCompilingHold(t *testing.T) {
	tests := []struct {
		name    string
		module  []byte
		options sandbox.CompilerOptions
		want    string
	}{
		{"time", attack(), sandbox.CompilerOptions{Time: 500 * time.Millisecond}, "takes more than 500ms"},
		{"processor", attack(), sandbox.CompilerOptions{CPU: time.Second}, "takes more than 1s of processor time"},
		{"memory", slowModule(35_000, 1, 60), sandbox.CompilerOptions{Memory: 128 << 20}, "takes more than 128 MiB of memory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := descriptors(t)
			c, _ := newCompiler(t, tt.options)
			err := compileError(t, c, tt.module)
			var refused *sandbox.CompileError
			if !errors.As(err, &refused) || refused.Reason != tt.want {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if left := children(t, os.Getpid()); len(left) != 0 {
				t.Errorf("processes left: %v", left)
			}
			if now := descriptors(t); now != files {
				t.Errorf("%d descriptors open, %d before", now, files)
			}
			tt.options.Time = 0
			c, _ = newCompiler(t, tt.options)
			echoes(t, c)
		})
	}
}

// While a module is compiled that takes all it can get, another one answers as ever.
func TestCallsDoNotWaitForTheCompiler(t *testing.T) {
	c, _ := newCompiler(t, sandbox.CompilerOptions{Time: 3 * time.Second})
	m := compile(t, sandbox.Options{Compiler: c}, testModule(t, "echo"), nil, sandbox.Limits{})
	refused := make(chan error, 1)
	module := attack()
	go func() { refused <- compileError(t, c, module) }()
	worker(t, os.Getpid())
	var answered int
	var worst time.Duration
	for {
		select {
		case err := <-refused:
			var limit *sandbox.CompileError
			if !errors.As(err, &limit) {
				t.Errorf("got %v", err)
			}
			// Three seconds have room for 150 calls; a machine that is busy still does ten.
			if t.Logf("%d calls, the slowest %v", answered, worst); answered < 10 {
				t.Errorf("%d calls were answered while another module was compiled, want at least 10", answered)
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
		began := time.Now()
		if _, err := m.Call(context.Background(), "echo", []byte("x")); err != nil {
			t.Fatal(err)
		}
		answered++
		worst = max(worst, time.Since(began))
	}
}

func TestCanceledCompilationEndsItsWorker(t *testing.T) {
	c, said := newCompiler(t, sandbox.CompilerOptions{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	e, module := newEngine(t, sandbox.Options{Compiler: c}), attack()
	go func() {
		_, err := e.Compile(ctx, module, sandbox.Terms{})
		done <- err
	}()
	worker(t, os.Getpid())

	// Another one waits for its turn, no longer than it wants to.
	impatient, cancel2 := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel2()
	if _, err := e.Compile(impatient, testModule(t, "echo"), sandbox.Terms{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for a turn: %v", err)
	}

	began := time.Now()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("took %v to end", took)
	}
	if left := children(t, os.Getpid()); len(left) != 0 {
		t.Errorf("processes left: %v", left)
	}
	if n := said.count(compiledOne); n != 0 {
		t.Errorf("said %q", said.seen)
	}
	echoes(t, c)
}

// What a worker has of the broker: its three streams, and nothing else.
func TestWorkerIsConfined(t *testing.T) {
	t.Setenv("POINTSMAN_TEST_SECRET", "hunter2")
	inherited, err := unix.Dup(1) // not closed by exec
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(inherited)

	c, _ := newCompiler(t, sandbox.CompilerOptions{Memory: 1 << 30, CPU: 7 * time.Second})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	e, module := newEngine(t, sandbox.Options{Compiler: c}), attack()
	go func() {
		_, err := e.Compile(ctx, module, sandbox.Terms{})
		done <- err
	}()
	defer func() { cancel(); <-done }()
	pid := worker(t, os.Getpid())
	proc := func(name string) string {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
		if errors.Is(err, os.ErrPermission) {
			t.Skip("not even readable:", err) // it is not dumpable: only root may look
		}
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	// Its limits are the last but one thing it sets.
	waitUntil(t, "the worker is confined", func() bool { return strings.Contains(squeeze(proc("limits")), "Max core file size 0 0") })

	limits := squeeze(proc("limits"))
	for _, want := range []string{
		"Max cpu time 7 7 seconds", "Max file size 268435456 268435456 bytes", "Max open files 32 32 files",
	} {
		if !strings.Contains(limits, want) {
			t.Errorf("limits lack %q:\n%s", want, limits)
		}
	}
	// These two come on top of what it had mapped before: terabytes with the race detector.
	var data, space uint64
	for line := range strings.Lines(proc("limits")) {
		fmt.Sscanf(line, "Max data size %d", &data)
		fmt.Sscanf(line, "Max address space %d", &space)
	}
	if space < 1<<40 && (data < 1<<30 || data > 2<<30 || space < data || space > 9<<30) {
		t.Errorf("it may use %d bytes of memory and %d of address space", data, space)
	}
	if status := squeeze(proc("status")); !strings.Contains(status, "NoNewPrivs: 1") {
		t.Errorf("it may gain privileges:\n%s", status)
	}
	if env := proc("environ"); env != "" {
		t.Errorf("it has an environment: %q", env)
	}
	fields := strings.Fields(proc("stat"))
	if group := fields[4]; group != strconv.Itoa(pid) {
		t.Errorf("its process group is %s, want its own, %d", group, pid)
	}
	if nice := fields[18]; nice != "10" {
		t.Errorf("its niceness is %s, want 10", nice)
	}
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, e.Name()))
		// Go's runtime polls, and looks at the processors that its group may use.
		own := strings.HasPrefix(to, "anon_inode:") || strings.HasPrefix(to, "/sys/fs/cgroup/") || strings.Contains(to, "/work-")
		if fd, err := strconv.Atoi(e.Name()); err != nil || fd > 2 && !own {
			t.Errorf("it holds descriptor %s: %s", e.Name(), to)
		}
	}
}

func TestWorkerOnGarbage(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	memory, seconds := strconv.Itoa(1<<30), "5"
	tests := []struct {
		name  string
		args  []string
		stdin []byte
		code  int
	}{
		{"no module", []string{memory, seconds}, nil, 1},
		{"no Wasm", []string{memory, seconds}, bytes.Repeat([]byte("garbage\n\x00"), 1<<16), 1},
		{"half a module", []string{memory, seconds}, testModule(t, "echo")[:100], 1},
		{"no limits", nil, testModule(t, "echo"), 3},
		{"limits that are none", []string{"-1", "x"}, testModule(t, "echo"), 3},
		{"a module", []string{memory, seconds}, testModule(t, "echo"), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.Command(exe, append([]string{"sandbox-compile-worker"}, tt.args...)...)
			cmd.Dir = t.TempDir()
			cmd.Env = []string{}
			cmd.Stdin = bytes.NewReader(tt.stdin)
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			_ = cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != tt.code {
				t.Errorf("exit code %d, want %d: %s%s", code, tt.code, &out, &errs)
			}
			if lines := strings.Count(out.String(), "\n"); lines != min(tt.code, 1) || errs.Len() > 0 {
				t.Errorf("want one line when it fails: %q, %q", &out, &errs)
			}
		})
	}
}

func TestWorkerDiesWithTheBroker(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "compiled")
	broker := exec.Command(exe, compileSlowly, dir)
	if err := broker.Start(); err != nil {
		t.Fatal(err)
	}
	pid := worker(t, broker.Process.Pid)
	if err := broker.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = broker.Wait()
	waitUntil(t, "the worker is dead", func() bool { return !alive(pid) })

	// It could not tidy up. The next start does, once nobody can be at it any more.
	left := kept(t, dir, "work-*")
	if len(left) == 0 {
		t.Fatal("nothing was left to tidy up")
	}
	newCompiler(t, sandbox.CompilerOptions{Dir: dir})
	if now := kept(t, dir, "work-*"); !slices.Equal(now, left) {
		t.Errorf("took away a folder that may be in use: %q of %q are left", now, left)
	}
	long := time.Now().Add(-2 * time.Hour)
	for _, f := range left {
		if err := os.Chtimes(f, long, long); err != nil {
			t.Fatal(err)
		}
	}
	newCompiler(t, sandbox.CompilerOptions{Dir: dir})
	if now := kept(t, dir, "work-*"); len(now) != 0 {
		t.Errorf("left behind for good: %q", now)
	}
}

func TestPipeInTheFolderIsNotOpened(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "compiled")
	c, said := newCompiler(t, sandbox.CompilerOptions{Dir: dir})
	echoes(t, c)
	file := kept(t, dir, "*.code")[0]
	if err := errors.Join(os.Remove(file), syscall.Mkfifo(file, 0o600)); err != nil {
		t.Fatal(err)
	}
	echoes(t, c) // would wait for ever
	if n := said.count(threwAway); n != 1 {
		t.Errorf("said %q", said.seen)
	}
}

// worker waits for the first child of a process and returns its id.
func worker(t *testing.T, parent int) int {
	t.Helper()
	var found []int
	waitUntil(t, "a worker runs", func() bool {
		found = children(t, parent)
		return len(found) > 0
	})
	return found[0]
}

// children are the processes, dead ones included, that a process has started and that
// have executed what they were started for.
func children(t *testing.T, parent int) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it is gone
		}
		// PID (NAME) STATE PARENT; the name of a worker is that of the link it was started by.
		pid, rest, _ := strings.Cut(string(text), " ")
		if _, after, ok := strings.Cut(rest, "(exe) "); ok && strings.Fields(after)[1] == strconv.Itoa(parent) {
			n, _ := strconv.Atoi(pid)
			found = append(found, n)
		}
	}
	return found
}

// alive reports whether a process exists and is no zombie.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(text), ") Z ")
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

func waitUntil(t *testing.T, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Since(began) > 30*time.Second {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// squeeze replaces runs of white space.
func squeeze(text string) string { return strings.Join(strings.Fields(text), " ") }
