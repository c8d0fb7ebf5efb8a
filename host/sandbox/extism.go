package sandbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"

	"pointsman/host/wasm"
)

// ExtismOptions sets up the portable engine. The zero value works.
type ExtismOptions struct {
	Logger Logger           // nil drops what guests write
	Clock  func() time.Time // nil means time.Now; guests see it at whole milliseconds
	Random io.Reader        // nil means crypto/rand; safe for concurrent use
	// CacheDir keeps compiled modules from one start to the next. It is made with mode
	// 0700 and refused when others may enter it: its contents are machine code. "" keeps none.
	CacheDir string
}

// Extism is the portable engine: extism/go-sdk on wazero, with a new instance for every
// call. It is the reference for what an engine does. Safe for concurrent use; it holds
// nothing itself, so there is nothing to close but its modules.
//
// Of go-sdk it uses the loading of modules and the calling of exports. The functions of
// the Extism ABI are the host's own (see kernel), as is WASI.
type Extism struct {
	options ExtismOptions
}

var _ Engine = (*Extism)(nil)

// NewExtism returns the portable engine. It fails when the cache directory cannot be
// made or is open to others.
func NewExtism(o ExtismOptions) (*Extism, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.CacheDir != "" {
		if err := ownDirectory(o.CacheDir); err != nil {
			return nil, fmt.Errorf("compilation cache: %w", err)
		}
	}
	return &Extism{options: o}, nil
}

// ownDirectory makes dir, and refuses one that anyone else may read or write.
func ownDirectory(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s has mode %04o, must be 0700", dir, info.Mode().Perm())
	}
	return nil
}

// Name implements Engine.
func (e *Extism) Name() string { return "extism" }

// maxLimit is the largest Input or Output, in bytes: both are held twice.
const maxLimit = 64 << 20

// withDefaults fills in the zero fields and checks the rest.
func (l Limits) withDefaults() (Limits, error) {
	if l.Memory == 0 {
		l.Memory = 64 << 20
	}
	l.Memory -= l.Memory % pageSize
	if l.Time == 0 {
		l.Time = 10 * time.Second
	}
	if l.Input == 0 {
		l.Input = 1 << 20
	}
	if l.Output == 0 {
		l.Output = 1 << 20
	}
	if l.LogBytes == 0 {
		l.LogBytes = 16 << 10
	}
	switch {
	case l.Memory == 0, l.Memory > wasm.MaxMemory*pageSize:
		return l, fmt.Errorf("memory limit of %d bytes: want 64 KiB to 4 GiB", l.Memory)
	case l.Time < 0 || l.Input < 0 || l.Output < 0 || l.LogBytes < 0:
		return l, errors.New("a limit is negative")
	case l.Input > maxLimit || l.Output > maxLimit:
		return l, fmt.Errorf("input or output limit exceeds %d bytes", maxLimit)
	}
	return l, nil
}

// Compile implements Engine. It takes up to some seconds for a large module, and wazero
// does not look at ctx while it compiles: the time is bounded by the limits of host/wasm,
// and ctx is looked at before and after. It starts no goroutine.
func (e *Extism) Compile(ctx context.Context, module []byte, terms Terms) (Module, error) {
	limits, err := terms.Limits.withDefaults()
	if err != nil {
		return nil, err
	}
	o, err := newOffer(terms.Imports)
	if err != nil {
		return nil, err
	}
	info, err := wasm.Inspect(module)
	if err != nil {
		return nil, err
	}
	chosen, err := o.choose(info.Imports)
	if err != nil {
		return nil, err
	}
	rewritten, err := wasm.Rewrite(module, wasm.Options{
		MaxMemoryPages: uint32(limits.Memory / pageSize),
		Rename:         renames(chosen),
	})
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m := &extismModule{
		engine:    e,
		limits:    limits,
		config:    terms.Config,
		exports:   Callable(info.Exports),
		initial:   initializer(info.Exports),
		memories:  1,
		running:   map[*call]context.CancelFunc{},
		lastEnded: make(chan struct{}),
	}
	if info.Memory != nil {
		m.memories = 2
	}
	if err := m.compile(ctx, rewritten, append(chosen, instruments()...)); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, errors.Join(err, m.free())
	}
	return m, nil
}

// compile fills in m.plugin and m.cache. When it fails nothing is left behind.
func (m *extismModule) compile(ctx context.Context, module []byte, functions []hostFunc) error {
	// A cache of its own, not one for the engine: wazero drops compiled code from memory
	// only when its cache is closed, and closing it breaks all that was compiled with it.
	// go-sdk does not close what it made when it fails; the cache does.
	var err error
	m.cache = wazero.NewCompilationCache()
	if dir := m.engine.options.CacheDir; dir != "" {
		if m.cache, err = wazero.NewCompilationCacheWithDir(dir); err != nil {
			return fmt.Errorf("compilation cache: %w", err)
		}
	}
	m.plugin, err = extism.NewCompiledPlugin(context.WithoutCancel(ctx), extism.Manifest{
		Wasm: []extism.Wasm{extism.WasmData{Data: module}},
		// The limit per memory is the allocator's. This one is for wazero's checks, and
		// go-sdk's kernel has to pass them, too. No http, no variables of go-sdk's.
		Memory: &extism.ManifestMemory{MaxPages: uint32(max(m.limits.Memory, kernelMemory) / pageSize)},
	}, extism.PluginConfig{
		RuntimeConfig: wazero.NewRuntimeConfig().WithCompilationCache(m.cache),
	}, hostFunctions(functions))
	if err != nil {
		return errors.Join(fmt.Errorf("compile: %w", err), m.cache.Close(ctx))
	}
	return nil
}

// hostFunctions hands functions to go-sdk.
func hostFunctions(functions []hostFunc) []extism.HostFunction {
	var fs []extism.HostFunction
	for _, f := range functions {
		at := f.link()
		lent := lend(f.ImportName.String(), f.body)
		h := extism.NewHostFunctionWithStack(at.Name,
			func(ctx context.Context, _ *extism.CurrentPlugin, stack []uint64) { lent(ctx, stack) },
			valueTypes(f.Params), valueTypes(f.Results))
		h.SetNamespace(at.Module)
		fs = append(fs, h)
	}
	return fs
}

func valueTypes(ts []wasm.ValueType) []extism.ValueType {
	vs := make([]extism.ValueType, len(ts))
	for i, t := range ts {
		vs[i] = extism.ValueType(t) // both are the binary format's bytes
	}
	return vs
}
