package sandbox

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
)

// workerArgument is what a program is started with to be a compile worker:
//
//	PROGRAM sandbox-compile-worker MEMORY-BYTES CPU-SECONDS < module
//
// It compiles into a cache of wazero's in its working folder and exits 0; or it exits 1
// with a line on standard output that says why not. It has no other way to be told or to
// tell anything: no environment, no files, and whoever starts one by hand gains nothing.
const workerArgument = "sandbox-compile-worker"

// Exit codes of a worker. Go's runtime exits with 2 when it has no memory left.
const (
	workerDone    = 0
	workerRefused = 1 // the module; the reason is on standard output
	workerBroken  = 3 // the worker, before it read the module
)

// CompileWorker is the first thing in the main function of a program that sets
// CompilerOptions.Worker, and in its TestMain:
//
//	if isWorker, code := sandbox.CompileWorker(os.Args[1:]); isWorker {
//		os.Exit(code)
//	}
//
// It reports false at once in a process that was started for anything else.
func CompileWorker(args []string) (isWorker bool, code int) {
	if len(args) == 0 || args[0] != workerArgument {
		return false, 0
	}
	module, err := beWorker(args[1:])
	if err != nil {
		fmt.Println(err)
		return true, workerBroken
	}
	if err := compileHere(context.Background(), ".", module); err != nil {
		fmt.Println(err)
		return true, workerRefused
	}
	return true, workerDone
}

// beWorker gives up what a worker has no need of, then reads the module.
func beWorker(args []string) ([]byte, error) {
	if len(args) != 2 {
		return nil, errors.New("want two arguments")
	}
	memory, err := strconv.ParseUint(args[0], 10, 62)
	if err != nil {
		return nil, err
	}
	seconds, err := strconv.ParseUint(args[1], 10, 31)
	if err != nil {
		return nil, err
	}
	if err := confine(memory, seconds); err != nil {
		return nil, fmt.Errorf("confine the worker: %w", err)
	}
	return io.ReadAll(io.LimitReader(os.Stdin, maxRewritten))
}

// compileHere compiles module in this process, into a cache on dir.
func compileHere(ctx context.Context, dir string, module []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &CompileError{reason(fmt.Sprintf("the compiler panicked: %v", r))}
		}
	}()
	// A probe first: its entry tells that the caller's wazero would look for the same names.
	for _, m := range [][]byte{probeModule, module} {
		if err := compileInto(ctx, dir, m); err != nil {
			return &CompileError{reason(err.Error())}
		}
	}
	return nil
}

// compileInto fills a cache of wazero's. The configuration is the one that load documents.
func compileInto(ctx context.Context, dir string, module []byte) (err error) {
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cache.Close(ctx)) }()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCompilationCache(cache))
	defer func() { err = errors.Join(err, r.Close(ctx)) }()
	_, err = r.CompileModule(experimental.WithCompilationWorkers(ctx, runtime.GOMAXPROCS(0)), module)
	return err
}

// reason makes one line of what a compiler says. Guests can put words into it.
func reason(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return atMost(printable(line), 300)
}

// probeModule has one function, which does nothing.
var probeModule = []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a\x04\x01\x02\x00\x0b")

// fingerprint is where wazero keeps the code of probeModule.
type fingerprint struct {
	folder string // named after wazero's version, the architecture and the operating system
	probe  string // file within; also depends on the features of the processor
}

// takeFingerprint asks wazero itself: how it names its files is its own business.
func (c *Compiler) takeFingerprint() (p fingerprint, err error) {
	dir, err := c.store.workDir()
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := compileInto(context.Background(), dir, probeModule); err != nil {
		return p, err
	}
	found, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		return p, err
	}
	if len(found) != 1 || !isEntry(filepath.Base(found[0])) {
		return p, fmt.Errorf("wazero keeps compiled code in files %q, want one: another version?", found)
	}
	return fingerprint{filepath.Base(filepath.Dir(found[0])), filepath.Base(found[0])}, nil
}

// entry is the name of the file that is in dir beside the probe's.
func (p fingerprint) entry(dir string) (string, error) {
	files, err := os.ReadDir(filepath.Join(dir, p.folder))
	if err != nil {
		return "", fmt.Errorf("the compile worker left nothing: %w", err)
	}
	other, probed := "", false
	for _, f := range files {
		if f.Name() == p.probe {
			probed = true
		} else {
			other = f.Name()
		}
	}
	if len(files) != 2 || !probed || !isEntry(other) {
		return "", fmt.Errorf("the compile worker left %d files of other names than expected", len(files))
	}
	return other, nil
}

// isEntry reports whether name is that of an entry of wazero's cache.
func isEntry(name string) bool {
	_, err := hex.DecodeString(name)
	return err == nil && len(name) == labelSize
}
