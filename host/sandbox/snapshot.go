package sandbox

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"pointsman/host/wasm"
)

// SnapshotOptions sets up the snapshot engine. The zero value works.
type SnapshotOptions struct {
	Logger Logger           // nil drops what guests write
	Clock  func() time.Time // nil means time.Now; guests see it at whole milliseconds
	Random io.Reader        // nil means crypto/rand; safe for concurrent use
	// Compiler is as ExtismOptions.Compiler.
	Compiler *Compiler
	// Pages finds what guests have written. nil means FindPages, which has to come before
	// the process makes itself undumpable: where it does that first, FindPages comes
	// before it and its result here. The engine closes it.
	Pages *Pages
	// Idle is how many instances of a module may wait for a call. More calls at once get
	// new ones, which are closed after use. 0 means twice the number of processors and 4 at
	// least, and besides the modules that are busy share room for 32 for each processor.
	Idle int
}

// Snapshot is the engine that gives every call a guest as its initializer left it, by
// restoring what the call before has changed: written pages of memory, globals, the size of
// memory, the kernel and everything the host keeps for a guest. It runs on Linux.
//
// What initializers do is done once for a module, not for each call: what they read off the
// clock or draw at random is the same for every call. So are the generators that a language's
// runtime seeds there, as Go's math/rand; random_get, and with it Go's crypto/rand, is not.
//
// A module may export pointsman_reseed, which runs before each call, to seed them anew.
//
// A module in which a call can leave more behind than that (wasm.Info.Lasting) gets a new
// instance for each call.
//
// Safe for concurrent use.
type Snapshot struct {
	around surroundings
	idle   int    // instances of a module
	spare  *spare // for more; nil if the number was given
	dirty  *dirtyPages
	most   atomic.Int64
}

var _ Engine = (*Snapshot)(nil)

// Pages finds the pages of guests' memory that a call has written. Safe for concurrent use.
type Pages struct{ dirty *dirtyPages }

// FindPages takes the best way of finding written pages that works here. The better ones
// read /proc/self/pagemap, which belongs to root once a process is undumpable; without it
// memory is restored by mapping all of it anew, which is exact, too, and slower.
func FindPages() *Pages { return &Pages{openDirtyPages()} }

// Way is the name of the way that was taken.
func (p *Pages) Way() string { return string(p.dirty.way) }

// NewSnapshot returns the snapshot engine. Close it after its modules. SelfTest says
// whether it works here.
func NewSnapshot(o SnapshotOptions) (*Snapshot, error) {
	if o.Pages == nil {
		o.Pages = FindPages()
	}
	e := &Snapshot{
		around: newSurroundings(o.Logger, o.Clock, o.Random, o.Compiler),
		idle:   o.Idle,
		dirty:  o.Pages.dirty,
	}
	if o.Idle == 0 {
		e.idle = max(2*runtime.GOMAXPROCS(0), 4)
		e.spare = newSpare(sparePerProcessor * runtime.GOMAXPROCS(0))
	}
	return e, nil
}

// sparePerProcessor is how many idle instances beyond their own the modules may have
// together: as many as one plugin may run at once (32) for each processor. An idle one of
// standard Go holds about 0.2 MB of its own (BenchmarkBarIdle).
const sparePerProcessor = 32

// Name implements Engine.
func (e *Snapshot) Name() string { return "snapshot" }

// MostMemory is how many bytes the memories of all instances that exist now could grow to,
// idle ones included. It lies outside of Go's heap, and so of GOMEMLIMIT. What they take in
// truth is far less: pages that no call has written are shared.
func (e *Snapshot) MostMemory() int64 { return e.most.Load() }

// Close gives back the engine's one descriptor. Its modules must be closed.
func (e *Snapshot) Close() error {
	e.dirty.close()
	return nil
}

// shim is the fast part of the kernel; see shim.wat, its source.
//
//go:embed shim.wasm
var shim []byte

const (
	// shimModule is the module name under which the shim is linked.
	shimModule = "pointsman:kernel"
	// arenaSize is the memory of the shim, in bytes: the 64 pages that shim.wat declares.
	arenaSize = 64 * pageSize
)

// shimmed are the functions that the shim offers.
var shimmed = map[string]bool{
	"load_u8": true, "load_u64": true, "store_u8": true, "store_u64": true,
	"input_load_u8": true, "input_load_u64": true,
}

// snapshotLink is the name that a function is linked under.
func snapshotLink(f hostFunc) wasm.ImportName {
	at := f.link()
	if at.Module == linkedEnv && shimmed[at.Name] {
		at.Module = shimModule
	}
	return at
}

// Compile implements Engine. What the module's initializers leave is what every call begins
// with. As with Extism, a large module that options.Compiler has not seen before
// takes some seconds.
func (e *Snapshot) Compile(ctx context.Context, module []byte, terms Terms) (Module, error) {
	p, err := prepare(e.around.compiler, module, terms, snapshotLink, wasm.Options{ExportGlobals: true, SpareMemoryPage: true})
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m := &snapshotModule{
		engine:  e,
		memory:  uint64(p.info.MemoryLimit(uint32(p.limits.Memory/pageSize))) * pageSize,
		lasting: p.info.Lasting,
		mutable: p.info.Globals,
		pool:    pool{limit: e.idle, spare: e.spare},
	}
	m.program = newProgram(e.around, p, terms, m.release)
	if err := m.compile(ctx, p); err != nil {
		return nil, errors.Join(err, m.release())
	}
	if err := endOr(ctx, m.begin(ctx)); err != nil {
		return nil, errors.Join(err, m.release())
	}
	return m, nil
}

// compile fills in m.cache, m.runtime, m.compiled and m.shim.
func (m *snapshotModule) compile(ctx context.Context, p prepared) (err error) {
	// A cache of its own, for the reason given at extismModule.compile.
	cache, loaded, err := m.around.compiler.load(ctx, p.rewritten)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, loaded()) }()
	m.cache = cache
	ctx = context.WithoutCancel(ctx) // half of what follows would be of no use
	m.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCompilationCache(m.cache))
	functions := append(p.chosen, instruments()...)
	for _, f := range p.chosen {
		if snapshotLink(f).Module == shimModule {
			functions = append(functions, beneathShim(p.chosen)...)
			if m.shim, err = m.runtime.CompileModule(ctx, shim); err != nil {
				return fmt.Errorf("compile the kernel: %w", err)
			}
			break
		}
	}
	if err := m.link(ctx, functions); err != nil {
		return err
	}
	if m.compiled, err = m.runtime.CompileModule(ctx, p.rewritten); err != nil {
		return fmt.Errorf("compile: %w", err)
	}
	return nil
}

// beneathShim are the functions that the shim imports and that chosen does not name.
func beneathShim(chosen []hostFunc) []hostFunc {
	named := map[string]bool{}
	for _, f := range chosen {
		if f.link().Module == linkedEnv {
			named[f.Name] = true
		}
	}
	var fs []hostFunc
	for _, f := range extismABI() {
		if shimmed[f.Name] && !named[f.Name] {
			fs = append(fs, f)
		}
	}
	return fs
}

// link makes host modules of functions.
func (m *snapshotModule) link(ctx context.Context, functions []hostFunc) error {
	builders := map[string]wazero.HostModuleBuilder{}
	for _, f := range functions {
		at := f.link()
		b, ok := builders[at.Module]
		if !ok {
			b = m.runtime.NewHostModuleBuilder(at.Module)
			builders[at.Module] = b
		}
		b.NewFunctionBuilder().WithGoFunction(api.GoFunc(lend(f)), apiTypes(f.Params), apiTypes(f.Results)).Export(at.Name)
	}
	for name, b := range builders {
		if _, err := b.Instantiate(ctx); err != nil {
			return fmt.Errorf("link %s: %w", name, err)
		}
	}
	return nil
}

func apiTypes(ts []wasm.ValueType) []api.ValueType {
	vs := make([]api.ValueType, len(ts))
	for i, t := range ts {
		vs[i] = api.ValueType(t) // both are the binary format's bytes
	}
	return vs
}
