package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/tetratelabs/wazero"

	"pointsman/host/wasm"
)

// CompilerOptions sets up a Compiler.
type CompilerOptions struct {
	// Dir keeps what was compiled from one start to the next. It is made with mode 0700
	// and refused when others may enter it. Several processes may share it.
	Dir string
	// MAC is a keyed hash of 32 bytes, as that of secret.Keyring. Code in Dir that does not
	// carry it is not run: whoever can write into Dir while the broker is down could
	// otherwise have anything run by it.
	MAC func(purpose string, data []byte) []byte
	// Keep is how many bytes Dir may hold before what was not used for longest goes; 0 means
	// 1 GiB, some fifty standard Go plugins.
	Keep int64
	// Worker says that this program calls CompileWorker before anything else, so that it
	// can be started again to compile. Where it is false, or not on Linux, modules are
	// compiled in this process, without its limits.
	Worker bool

	Time   time.Duration // wall clock for one module; 0 means 60 s
	CPU    time.Duration // processor time for one module, in whole seconds; 0 means 60 s
	Memory uint64        // bytes for one module, 128 MiB at least; 0 means 2 GiB

	Log *slog.Logger // nil drops what there is to say
}

// Compiler turns rewritten modules into machine code, one at a time, in a process of its
// own that is bounded in memory and time: wazero heeds no context while it compiles, and
// within the limits of host/wasm there are small modules that take it minutes or
// gigabytes. What it made is kept, authenticated, so that a second start compiles nothing.
//
// The worker keeps a module from exhausting the broker. It is no boundary against a
// module that takes over wazero's compiler: the code it returns is run. What is left to
// this process is to decode and validate a module that the worker decoded and validated
// within its limits.
//
// Safe for concurrent use. It holds nothing that must be closed. A nil *Compiler compiles
// in this process and keeps nothing.
type Compiler struct {
	options CompilerOptions
	store   compiledStore
	turn    chan struct{} // has room for the one that compiles
	run     func(ctx context.Context, dir string, module []byte) error
	// fingerprint is all that a cache of wazero depends on beside the module: its version,
	// the operating system and the features of the processor.
	fingerprint fingerprint
	program     string // changes with everything that is built into this program
}

// CompileError is a module that was not compiled: it is not valid, or compiling it takes
// more than the limits.
type CompileError struct{ Reason string }

func (e *CompileError) Error() string { return "compile: " + e.Reason }

// The largest sizes of what goes through a compiler, in bytes. A standard Go plugin of
// 3.7 MB is 4.3 MB when rewritten and 15.5 MB as machine code.
const (
	maxRewritten = 4 * wasm.MaxModule
	maxCode      = 256 << 20
)

// leastMemory is the smallest limit of memory, in bytes: with less, Go's runtime dies
// before it can say what of.
const leastMemory = 128 << 20

// NewCompiler returns a compiler. It fails when its folder cannot be made or is open to
// others.
func NewCompiler(o CompilerOptions) (*Compiler, error) {
	if o.Time == 0 {
		o.Time = time.Minute
	}
	if o.CPU == 0 {
		o.CPU = time.Minute
	}
	if o.Memory == 0 {
		o.Memory = 2 << 30
	}
	if o.Keep == 0 {
		o.Keep = 1 << 30
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case o.MAC == nil:
		return nil, errors.New("compiler: no key to authenticate what is kept")
	case o.Time < 0 || o.CPU < time.Second || o.CPU%time.Second != 0:
		return nil, errors.New("compiler: want a time limit above zero, and one of whole seconds for the processor")
	case o.Keep < 0:
		return nil, fmt.Errorf("compiler: cannot keep %d bytes", o.Keep)
	case o.Memory < leastMemory || o.Memory > math.MaxInt64/4:
		return nil, fmt.Errorf("compiler: memory limit of %d bytes: want %d at least", o.Memory, leastMemory)
	}
	if err := ownDirectory(o.Dir); err != nil {
		return nil, fmt.Errorf("folder of compiled modules: %w", err)
	}
	c := &Compiler{
		options: o,
		store:   compiledStore{dir: o.Dir, keep: o.Keep, mac: o.MAC, log: o.Log},
		turn:    make(chan struct{}, 1),
		run:     compileHere,
	}
	if o.Worker && workersExist {
		c.run = c.runWorker
	} else {
		o.Log.Warn("modules are compiled in this process, without limits of memory and time")
	}
	var err error
	if c.program, err = programID(); err != nil {
		return nil, fmt.Errorf("compiler: identify this program: %w", err)
	}
	c.store.sweep()
	if c.fingerprint, err = c.takeFingerprint(); err != nil {
		return nil, fmt.Errorf("compiler: %w", err)
	}
	return c, nil
}

// load returns a cache with which wazero finds module compiled, compiling it first if it
// was not. It applies to runtimes without WithCloseOnContextDone and to compilations
// without function listeners, both of which are other code to wazero.
//
// The cache reads its files from a folder of its own: once everything is compiled that is
// to be compiled with it, loaded removes them. The caller closes the cache as long as
// wazero says: when nothing runs any more that was compiled with it.
//
// The error is a *CompileError when the module is at fault, and ctx's when it ended.
func (c *Compiler) load(ctx context.Context, module []byte) (cache wazero.CompilationCache, loaded func() error, err error) {
	if c == nil {
		return wazero.NewCompilationCache(), func() error { return nil }, nil
	}
	if len(module) > maxRewritten {
		return nil, nil, &CompileError{fmt.Sprintf("%d bytes after rewriting, of at most %d", len(module), maxRewritten)}
	}
	dir, err := c.store.workDir()
	if err != nil {
		return nil, nil, err
	}
	remove := func() error { return os.RemoveAll(dir) }
	defer func() {
		if err != nil {
			err = errors.Join(err, remove())
		}
	}()
	if err := os.Mkdir(filepath.Join(dir, c.fingerprint.folder), 0o700); err != nil {
		return nil, nil, err
	}
	name := c.name(module)
	if !c.fetch(name, dir) {
		if err := c.compile(ctx, name, module); err != nil {
			return nil, nil, err
		}
		if !c.fetch(name, dir) {
			return nil, nil, fmt.Errorf("compile: %s does not keep what is put there", c.options.Dir)
		}
	}
	// wazero reads the copy that was verified, and nobody else knows of its folder.
	if cache, err = wazero.NewCompilationCacheWithDir(dir); err != nil {
		return nil, nil, err
	}
	return cache, remove, nil
}

// compile compiles module when it is its turn, and keeps the code under name.
func (c *Compiler) compile(ctx context.Context, name string, module []byte) (err error) {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return fmt.Errorf("wait for another module to be compiled: %w", ctx.Err())
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.store.has(codeKind, name) { // another deployment compiled it while this one waited
		return nil
	}
	dir, err := c.store.workDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	began := time.Now()
	if err := c.run(ctx, dir, module); err != nil {
		return err
	}
	entry, err := c.fingerprint.entry(dir)
	if err != nil {
		return err
	}
	f, err := os.Open(filepath.Join(dir, c.fingerprint.folder, entry))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := c.store.put(codeKind, name, entry, f); err != nil {
		return fmt.Errorf("keep compiled code: %w", err)
	}
	c.options.Log.Info("compiled a module", "bytes", len(module), "took", time.Since(began).Round(time.Millisecond).String())
	return nil
}

// name is what the code of module is kept under.
func (c *Compiler) name(module []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "code %s %s\n", c.fingerprint.folder, c.fingerprint.probe)
	h.Write(module)
	return hex.EncodeToString(h.Sum(nil))
}

// fetch puts the code kept under name where a cache on dir finds it. It reports false
// when there is none, or none that is authentic.
func (c *Compiler) fetch(name, dir string) bool {
	into := filepath.Join(dir, "unverified")
	f, err := os.OpenFile(into, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		c.options.Log.Warn("cannot copy compiled code", "err", err)
		return false
	}
	entry, ok := c.store.get(codeKind, name, f, maxCode)
	err = f.Close()
	if ok && err == nil {
		err = os.Rename(into, filepath.Join(dir, c.fingerprint.folder, entry))
	}
	if !ok || err != nil {
		err = errors.Join(err, os.Remove(into))
	}
	if err != nil {
		c.options.Log.Warn("cannot copy compiled code", "err", err)
	}
	return ok && err == nil
}

// maxSection is the size above which Inspect leaves a custom section out, in bytes: with
// room for a manifest, and none for the names of all functions.
const maxSection = 64 << 10

// Inspect is wasm.Inspect with a memory: of a module seen before it only computes the
// digest. Large custom sections are left out.
func (c *Compiler) Inspect(module []byte) (*wasm.Info, error) {
	if c == nil {
		return wasm.Inspect(module)
	}
	name := c.derived("inspected", sha256.Sum256(module), nil)
	var kept bytes.Buffer
	if _, ok := c.store.get(infoKind, name, &kept, maxRewritten); ok {
		return decodeInfo(kept.Bytes())
	}
	info, err := wasm.Inspect(module)
	if err != nil {
		return nil, err
	}
	text, err := encodeInfo(info)
	if err != nil {
		return nil, err
	}
	c.keep(infoKind, name, text)
	return decodeInfo(text)
}

// rewrite is wasm.Rewrite with a memory. digest is the SHA-256 of module.
func (c *Compiler) rewrite(module []byte, digest [sha256.Size]byte, o wasm.Options) ([]byte, error) {
	if c == nil {
		return wasm.Rewrite(module, o)
	}
	name := c.derived("rewritten", digest, encodeOptions(o))
	var kept bytes.Buffer
	if _, ok := c.store.get(moduleKind, name, &kept, maxRewritten); ok {
		return kept.Bytes(), nil
	}
	rewritten, err := wasm.Rewrite(module, o)
	if err != nil {
		return nil, err
	}
	c.keep(moduleKind, name, rewritten)
	return rewritten, nil
}

// derived is what a result of host/wasm is kept under. It is this program's alone:
// another one may check or rewrite otherwise.
func (c *Compiler) derived(what string, digest [sha256.Size]byte, options []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %q\n", what, c.program)
	h.Write(digest[:])
	h.Write(options)
	return hex.EncodeToString(h.Sum(nil))
}

// keep keeps what can be made again: failing to is worth a warning.
func (c *Compiler) keep(kind, name string, content []byte) {
	if err := c.store.put(kind, name, "", bytes.NewReader(content)); err != nil {
		c.options.Log.Warn("cannot keep what was read from a module", "err", err)
	}
}
