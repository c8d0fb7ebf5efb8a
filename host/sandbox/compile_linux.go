package sandbox

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// workersExist says that runWorker can do what it says.
const workersExist = true

// thisProgram is the file that runs, even after another one was installed in its place:
// the worker's wazero must be the broker's.
const thisProgram = "/proc/self/exe"

// programID identifies everything that this program was built from.
func programID() (string, error) {
	exe, err := elf.Open(thisProgram)
	if err != nil {
		return "", err
	}
	defer exe.Close()
	note := exe.Section(".note.go.buildid")
	if note == nil {
		return hashFile(thisProgram)
	}
	id, err := note.Data()
	if err != nil || len(bytes.Trim(id, "\x00")) < 64 { // built with an empty one
		return hashFile(thisProgram)
	}
	return string(id), nil
}

// ownedByUs reports whether a file belongs to the user that this process runs as.
func ownedByUs(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// niceness of a worker: requests go first, but it ends in its time on a busy machine.
const niceness = 10

// errTime is why a worker was killed that took too long.
var errTime = errors.New("out of time")

// runWorker compiles module in a worker, into a cache on dir. The worker has ended when it
// returns. It fails with a *CompileError when the module is at fault.
func (c *Compiler) runWorker(ctx context.Context, dir string, module []byte) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.options.Time, errTime)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		// The worker inherits the properties of the thread that starts it, and dies with
		// it. The thread is not unlocked: it ends with this goroutine.
		runtime.LockOSThread()
		ended <- c.worker(ctx, dir, module)
	}()
	return <-ended
}

// worker does the work of runWorker on a thread that it may spoil.
func (c *Compiler) worker(ctx context.Context, dir string, module []byte) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("compile worker: give up privileges: %w", err)
	}
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, niceness) // of the thread; a kindness, no limit
	if err := closeOnExec(); err != nil {
		return fmt.Errorf("compile worker: %w", err)
	}
	said, died := &head{most: 4 << 10}, &head{most: 4 << 10}
	cmd := exec.CommandContext(ctx, thisProgram, workerArgument,
		strconv.FormatUint(c.options.Memory, 10), strconv.FormatInt(int64(c.options.CPU/time.Second), 10))
	cmd.Dir = dir
	cmd.Env = []string{} // not nil, which means the broker's
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(module), said, died
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second // for pipes that somebody else holds; nobody does
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		if !errors.Is(cause, errTime) {
			return fmt.Errorf("compile: %w", cause)
		}
		return &CompileError{fmt.Sprintf("takes more than %v", c.options.Time)}
	}
	return c.verdict(err, cmd.ProcessState, said.String(), died.String())
}

// verdict says why a worker failed that nobody stopped.
func (c *Compiler) verdict(err error, state *os.ProcessState, said, died string) error {
	if state == nil {
		return fmt.Errorf("start the compile worker: %w", err)
	}
	status, _ := state.Sys().(syscall.WaitStatus)
	switch {
	case state.ExitCode() == workerBroken:
		return fmt.Errorf("compile worker: %s", reason(said))
	// The kernel's clock for the limit is not the one for what it reports.
	case status.Signaled() && state.UserTime()+state.SystemTime() >= c.options.CPU/2:
		return &CompileError{fmt.Sprintf("takes more than %v of processor time", c.options.CPU)}
	case exhausted(died), exhausted(said):
		return &CompileError{fmt.Sprintf("takes more than %d MiB of memory", c.options.Memory>>20)}
	case state.ExitCode() == workerRefused:
		return &CompileError{reason(strings.TrimPrefix(said, "compile: "))}
	}
	return &CompileError{reason(fmt.Sprintf("the compiler broke off (%v): %s", err, died))}
}

// exhausted reports whether text is what Go's runtime or wazero says when there is no more
// memory, be it for the heap, for code or for a stack.
func exhausted(text string) bool {
	for _, sign := range []string{"out of memory", "cannot allocate memory", "failed to reserve", "failed to allocate", "stack overflow", "goroutine stack exceeds"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

// closeOnExec keeps descriptors from workers that this process was itself started with.
// Those that Go opens are never inherited.
func closeOnExec() error {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range open {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// reserved is address space that a worker may take without using it, in bytes: Go's
// runtime had 1.3 GiB. What it uses is bounded by RLIMIT_DATA.
const reserved = 4 << 30

// confine bounds this process before it has read anything that it could be attacked with.
// The worker of a standard Go plugin uses 150 MB and three seconds.
func confine(memory, seconds uint64) error {
	space, data, err := mapped()
	if err != nil {
		return err
	}
	for _, l := range []struct {
		what  int
		limit uint64
	}{
		{unix.RLIMIT_DATA, data + memory},
		{unix.RLIMIT_AS, space + memory + reserved},
		{unix.RLIMIT_CPU, seconds},
		{unix.RLIMIT_FSIZE, maxCode},
		{unix.RLIMIT_NOFILE, 32},
		{unix.RLIMIT_CORE, 0},
	} {
		if err := unix.Setrlimit(l.what, &unix.Rlimit{Cur: l.limit, Max: l.limit}); err != nil {
			return fmt.Errorf("limit %d to %d: %w", l.what, l.limit, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return err
	}
	// No limit for the collector: the memory limit alone decides, and one rule is simpler than two.
	debug.SetMaxStack(int(min(memory/4, math.MaxInt32)))
	return nil
}

// mapped is the address space that this process has, and the part of it that it may write
// to for itself, in bytes: little, unless the race detector is built in.
func mapped() (space, data uint64, err error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, 0, err
	}
	var ignored uint64
	if _, err := fmt.Sscan(string(text), &space, &ignored, &ignored, &ignored, &ignored, &data); err != nil {
		return 0, 0, fmt.Errorf("/proc/self/statm: %w", err)
	}
	size := uint64(os.Getpagesize())
	return space * size, data * size, nil
}

// head keeps the first bytes of what is written to it.
type head struct {
	bytes.Buffer
	most int
}

func (h *head) Write(p []byte) (int, error) {
	h.Buffer.Write(p[:min(len(p), h.most-h.Len())])
	return len(p), nil
}
