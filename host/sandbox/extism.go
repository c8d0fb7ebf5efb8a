package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	// Compiler compiles modules and keeps them from one start to the next. nil compiles in
	// this process, without limits of time and memory but for those of host/wasm, and keeps
	// nothing.
	Compiler *Compiler
}

// Extism is the portable engine: extism/go-sdk on wazero, with a new instance for every
// call. It is the reference for what an engine does. Safe for concurrent use; it holds
// nothing itself, so there is nothing to close but its modules.
//
// Of go-sdk it uses the loading of modules and the calling of exports. The functions of
// the Extism ABI are the host's own (see kernel), as is WASI.
type Extism struct{ around surroundings }

var _ Engine = (*Extism)(nil)

// NewExtism returns the portable engine.
func NewExtism(o ExtismOptions) (*Extism, error) {
	return &Extism{newSurroundings(o.Logger, o.Clock, o.Random, o.Compiler)}, nil
}

// Name implements Engine.
func (e *Extism) Name() string { return "extism" }

// Compile implements Engine. It takes some seconds for a large module that
// options.Compiler has not seen before. The error is a *CompileError when compiling it
// fails or takes more than the compiler's limits. Without a compiler wazero compiles here,
// and ctx is looked at before and after only.
func (e *Extism) Compile(ctx context.Context, module []byte, terms Terms) (Module, error) {
	p, err := prepare(e.around.compiler, module, terms, hostFunc.link, wasm.Options{})
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m := &extismModule{memories: 1}
	m.program = newProgram(e.around, p, terms, m.release)
	if p.info.Memory != nil {
		m.memories = 2
	}
	if err := m.compile(ctx, p.rewritten, append(p.chosen, instruments()...)); err != nil {
		return nil, err
	}
	if err := endOr(ctx, m.try(ctx)); err != nil {
		return nil, errors.Join(err, m.release())
	}
	return m, nil
}

// compile fills in m.plugin and m.cache. When it fails nothing is left behind.
func (m *extismModule) compile(ctx context.Context, module []byte, functions []hostFunc) (err error) {
	// A cache of its own, not one for the engine: wazero drops compiled code from memory
	// only when its cache is closed, and closing it breaks all that was compiled with it.
	// go-sdk does not close what it made when it fails; the cache does.
	cache, loaded, err := m.around.compiler.load(ctx, module)
	if err != nil {
		return err
	}
	defer func() {
		if lerr := loaded(); err == nil && lerr != nil {
			err = errors.Join(lerr, m.release())
		}
	}()
	m.cache = cache
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
		lent := lend(f)
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
