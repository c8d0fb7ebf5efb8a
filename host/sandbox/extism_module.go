package sandbox

import (
	"context"
	"errors"
	"fmt"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
)

// extismModule is a module compiled by Extism.
type extismModule struct {
	program
	plugin   *extism.CompiledPlugin
	cache    wazero.CompilationCache
	memories int // that an instance consists of, go-sdk's kernel included
}

var _ Module = (*extismModule)(nil)

// Call implements Module.
func (m *extismModule) Call(ctx context.Context, export string, in []byte) ([]byte, error) {
	if err := m.admit(ctx, export, in); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, m.limits.Time)
	defer cancel()
	made := m.newCall(export)
	c := &made
	c.memory = &guestMemory{limit: m.limits.Memory}
	running := &extismCall{c, cancel}
	if !m.enter(running) {
		return nil, ErrClosed
	}
	defer m.leave(running)
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
	if err := m.initialize(ctx, c, guest); err != nil {
		return nil, err
	}
	if m.reseeds {
		c.begin(reseeding)
		if _, _, err := guest.CallWithContext(ctx, reseed, nil); err != nil || c.fault != nil {
			return nil, c.broken(err)
		}
	}
	c.begin(serving)
	if !c.kernel.begin(in) {
		return nil, c.blame(Input, noRoom)
	}
	// go-sdk's own kernel gets no input and gives no output: c.kernel has them.
	code, _, err := guest.CallWithContext(ctx, c.export, nil)
	switch {
	case c.endedWell():
		code = 0
	case err != nil || c.fault != nil:
		return nil, c.broken(err)
	}
	return c.result(ctx, code)
}

// initialize runs the initializers.
func (m *extismModule) initialize(ctx context.Context, c *call, guest *extism.Plugin) error {
	c.begin(initializing)
	for _, initializer := range m.initial {
		if err := runInitializer(ctx, guest, initializer, m.initial); err != nil || c.fault != nil {
			return c.broken(err)
		}
	}
	return c.initialized()
}

// try initializes an instance, as every call will, so that a module that cannot be is refused
// when it is compiled and not call by call.
func (m *extismModule) try(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, m.limits.Time)
	defer cancel()
	c := m.newCall("")
	c.memory = &guestMemory{limit: m.limits.Memory}
	ctx = callContext(ctx, &c)
	defer c.finish(ctx)
	guest, err := m.instance(ctx, &c)
	if err != nil {
		return fmt.Errorf("make an instance: %w", err)
	}
	defer func() { err = errors.Join(err, guest.Close(context.WithoutCancel(ctx))) }()
	if err := m.initialize(ctx, &c, guest); err != nil {
		return &InitError{err}
	}
	return nil
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

// release gives back what the module holds. Nothing may run. It does not depend on a
// context: half of it freed would be of no use.
func (m *extismModule) release() error {
	ctx := context.Background()
	return errors.Join(m.plugin.Close(ctx), m.cache.Close(ctx))
}

// extismCall is a call that can be stopped.
type extismCall struct {
	*call
	cancel context.CancelFunc
}

func (c *extismCall) stop() { c.cancel() }
