package sandbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
)

// ErrClosed is what a call gets of a module that is closed or closing.
var ErrClosed = errors.New("sandbox: module is closed")

// extismModule is a module compiled by Extism.
type extismModule struct {
	engine   *Extism
	plugin   *extism.CompiledPlugin
	cache    wazero.CompilationCache
	limits   Limits // no zero fields
	config   map[string]string
	exports  []string
	initial  string // the initializer, "" without one
	memories int    // that an instance consists of, go-sdk's kernel included

	mu        sync.Mutex
	closed    bool                         // guarded by mu
	abandoned bool                         // guarded by mu; Close has gone, the last call frees
	running   map[*call]context.CancelFunc // guarded by mu
	lastEnded chan struct{}                // closed when closed is set and nothing runs
}

var _ Module = (*extismModule)(nil)

// Exports implements Module.
func (m *extismModule) Exports() []string { return slices.Clone(m.exports) }

// Call implements Module.
func (m *extismModule) Call(ctx context.Context, export string, in []byte) ([]byte, error) {
	if _, ok := slices.BinarySearch(m.exports, export); !ok {
		return nil, &Fault{Kind: Export, Export: atMost(export, 200), Detail: "no such export, or not one that can be called"}
	}
	if len(in) > m.limits.Input {
		return nil, &Fault{Kind: Input, Export: export, Detail: fmt.Sprintf("%d bytes, of at most %d", len(in), m.limits.Input)}
	}
	if kind, over := overdue(ctx); over {
		return nil, &Fault{Kind: kind, Export: export, Detail: "before the guest was started"}
	}
	ctx, cancel := context.WithTimeout(ctx, m.limits.Time)
	defer cancel()
	o := m.engine.options
	c := newCall(export, m.limits, m.config, o.Clock(), o.Random, o.Logger)
	if !m.enter(c, cancel) {
		return nil, ErrClosed
	}
	defer m.leave(c)
	defer c.finish(ctx)
	return m.run(callContext(ctx, c), c, in)
}

// run makes an instance, uses it for c and closes it.
func (m *extismModule) run(ctx context.Context, c *call, in []byte) (out []byte, err error) {
	guest, err := m.instance(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closing := guest.Close(context.WithoutCancel(ctx)); closing != nil {
			out, err = nil, errors.Join(err, closing)
		}
	}()
	if m.initial != "" {
		c.starting = true
		if _, _, err := guest.CallWithContext(ctx, m.initial, nil); err != nil || c.fault != nil {
			return nil, c.broken(err)
		}
		c.starting = false
	}
	if !c.kernel.begin(in) {
		return nil, &Fault{Kind: Input, Export: c.export, Detail: "no room beside what the initializer allocated"}
	}
	// go-sdk's own kernel gets no input and gives no output: c.kernel has them.
	code, _, err := guest.CallWithContext(ctx, c.export, nil)
	if err != nil || c.fault != nil {
		return nil, c.broken(err)
	}
	return c.result(ctx, code)
}

// instance makes an instance whose memory is c's.
func (m *extismModule) instance(ctx context.Context, c *call) (guest *extism.Plugin, err error) {
	defer func() {
		if r := recover(); r != nil { // by wazero, while it builds: nothing runs yet
			err = &Fault{Kind: Memory, Export: c.export, Detail: fmt.Sprintf("instantiation panicked (%T)", r)}
		}
	}()
	memories := allocator{guest: c.memory}
	guest, err = m.plugin.Instance(experimental.WithMemoryAllocator(ctx, &memories), extism.PluginInstanceConfig{
		// wazero's own clock stands at 2022 and its random numbers repeat. Nothing links
		// to them here; should that change, they are real.
		ModuleConfig: wazero.NewModuleConfig().WithSysWalltime().WithSysNanotime().WithRandSource(c.random),
	})
	if err != nil {
		return nil, c.broken(err)
	}
	if memories.given != m.memories {
		return nil, errors.Join(
			fmt.Errorf("an instance asked for %d memories, want %d: another version of go-sdk?", memories.given, m.memories),
			guest.Close(context.WithoutCancel(ctx)))
	}
	return guest, nil
}

// enter records that c runs. It reports false when the module is closed.
func (m *extismModule) enter(c *call, cancel context.CancelFunc) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.running[c] = cancel
	return true
}

func (m *extismModule) leave(c *call) {
	m.mu.Lock()
	delete(m.running, c)
	last := m.closed && len(m.running) == 0
	if last {
		close(m.lastEnded)
	}
	abandoned := last && m.abandoned
	m.mu.Unlock()
	if abandoned {
		_ = m.free() // Close has reported already that it could not wait
	}
}

// stopTime is how long Close waits for the calls that it stopped when its context had
// ended. A guest stops within a millisecond or so; an operation that does not heed its
// context may not.
const stopTime = 2 * time.Second

// Close implements Module. When ctx ends first, the calls that still run are stopped. If
// even then one does not end, its operation ignores its context: the error says so, and
// that call frees the module when it ends. A second Close does nothing.
func (m *extismModule) Close(ctx context.Context) error {
	if !m.refuseCalls() {
		return nil
	}
	select {
	case <-m.lastEnded:
		return m.free()
	case <-ctx.Done():
	}
	m.stopCalls()
	late := time.NewTimer(stopTime)
	defer late.Stop()
	select {
	case <-m.lastEnded:
		return m.free()
	case <-late.C:
	}
	if m.abandon() {
		return fmt.Errorf("close module: calls still run after %v: %w", stopTime, ctx.Err())
	}
	return m.free()
}

// refuseCalls closes the module for new calls. It reports false if it was closed before.
func (m *extismModule) refuseCalls() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.closed = true
	if len(m.running) == 0 {
		close(m.lastEnded)
	}
	return true
}

// stopCalls cancels the calls that run.
func (m *extismModule) stopCalls() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, cancel := range m.running {
		cancel()
	}
}

// abandon leaves the freeing to the last call. It reports false when none runs any more.
func (m *extismModule) abandon() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.abandoned = len(m.running) > 0
	return m.abandoned
}

// free gives back what the module holds. Nothing may run. It does not depend on a
// context: half of it freed would be of no use.
func (m *extismModule) free() error {
	ctx := context.Background()
	return errors.Join(m.plugin.Close(ctx), m.cache.Close(ctx))
}
