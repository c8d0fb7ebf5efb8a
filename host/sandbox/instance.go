package sandbox

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"pointsman/host/wasm"
)

// instance is one sandbox of a snapshotModule: a guest, its memory and its part of the
// kernel. Whoever holds it is the only one that does: the pool gives it away and gets it
// back, and nothing else keeps it.
type instance struct {
	guest     api.Module
	memory    *mappedMemory
	size      api.Memory // the guest's own view of memory; nil without one
	arena     *arena     // nil when the module does not import what the shim offers
	shim      api.Module // nil with arena
	globals   []api.MutableGlobal
	functions []*guestFunction // of snapshotModule.exports; nil until called
	reseed    *guestFunction   // nil until called
	stacks    int              // bytes of the stacks of these
	stack     [1]uint64        // for the result of a call
	blocks    []block          // room for a kernel's
	scratch   *scratch
	counted   *atomic.Int64 // where mostBytes is added while the instance exists
	mostBytes int64         // that its memories can grow to
}

// instantiate makes an instance on which nothing has run. Instantiating runs no code of
// the guest: host/wasm takes start functions out.
func (m *snapshotModule) instantiate() (i *instance, err error) {
	i = &instance{functions: make([]*guestFunction, len(m.exports)), scratch: newScratch()}
	defer func() {
		if r := recover(); r != nil { // by wazero, while it builds: nothing runs yet
			err = &Fault{Kind: Memory, Detail: fmt.Sprintf("instantiation panicked (%T)", r)}
		}
		if err != nil {
			err = errors.Join(err, i.close())
			i = nil
		}
	}()
	// Not the caller's context: nothing of a request may stay in an instance.
	ctx := context.Background()
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions().
		// Nothing links to wazero's clock and random numbers; should that change, they are real.
		WithSysWalltime().WithSysNanotime().WithRandSource(m.around.random)
	if m.shim != nil {
		memory, err := reserve(arenaSize)
		if err != nil {
			return i, &Fault{Kind: Memory, Detail: err.Error()}
		}
		i.arena = &arena{memory: memory, next: arenaStart}
		if i.shim, err = m.runtime.InstantiateModule(experimental.WithMemoryAllocator(ctx, memory), m.shim, config); err != nil {
			return i, fmt.Errorf("instantiate the kernel: %w", err)
		}
		ctx = experimental.WithImportResolver(ctx, func(name string) api.Module {
			if name == shimModule {
				return i.shim
			}
			return nil
		})
	}
	if i.memory, err = reserve(m.memory); err != nil {
		return i, &Fault{Kind: Memory, Detail: err.Error()}
	}
	if i.guest, err = m.runtime.InstantiateModule(experimental.WithMemoryAllocator(ctx, i.memory), m.compiled, config); err != nil {
		return i, fmt.Errorf("instantiate: %w", err)
	}
	i.size = i.guest.Memory()
	i.counted, i.mostBytes = &m.engine.most, int64(m.memory)
	if i.arena != nil {
		i.mostBytes += arenaSize
	}
	i.counted.Add(i.mostBytes)
	return i, nil
}

// globalNames are the exports that hold the mutable globals of a module with so many.
func (i *instance) globalNames(globals int) []string {
	names := []string{wasm.FuelExport, wasm.DepthExport}
	for n := range globals {
		if name := wasm.GlobalExport + strconv.Itoa(n); i.guest.ExportedGlobal(name) != nil { // nil: it never changes
			names = append(names, name)
		}
	}
	return names
}

// findGlobals fills in i.globals.
func (i *instance) findGlobals(names []string) error {
	for _, name := range names {
		g, ok := i.guest.ExportedGlobal(name).(api.MutableGlobal)
		if !ok {
			return fmt.Errorf("the rewritten module has no mutable global %q", name)
		}
		i.globals = append(i.globals, g)
	}
	return nil
}

// close frees the instance.
func (i *instance) close() error {
	ctx := context.Background()
	var errs []error
	if i.guest != nil {
		errs = append(errs, i.guest.Close(ctx))
	}
	if i.shim != nil {
		errs = append(errs, i.shim.Close(ctx))
	}
	// wazero has freed the memories that it knew of; these may not have come so far.
	if i.memory != nil {
		i.memory.Free()
	}
	if i.arena != nil {
		i.arena.memory.Free()
	}
	if i.counted != nil {
		i.counted.Add(-i.mostBytes)
		i.counted = nil
	}
	return errors.Join(errs...)
}

// lend gives c what it needs of the instance.
func (i *instance) lend(c *call) {
	c.memory = &i.memory.guestMemory
	c.kernel.arena = i.arena
	c.kernel.blocks = i.blocks
}

// call runs an export that takes nothing and returns a code or nothing.
func (i *instance) call(r *record, f api.Function) (code uint32, err error) {
	i.stack[0] = 0
	err = f.CallWithStack(r, i.stack[:])
	if err != nil || r.fault != nil {
		return 0, r.broken(err)
	}
	return uint32(i.stack[0]), nil
}

// adopt turns a fresh instance into what the image says.
func (i *instance) adopt(g *image) error {
	if have := len(i.memory.buf); have < g.size {
		if _, ok := i.size.Grow(uint32((g.size - have) / pageSize)); !ok {
			return errors.New("the memory does not grow to the image's size")
		}
	}
	if len(i.memory.buf) != g.size {
		return fmt.Errorf("a memory of %d bytes for an image of %d", len(i.memory.buf), g.size)
	}
	if err := i.memory.overlay(g); err != nil {
		return err
	}
	for n, v := range g.globals {
		i.globals[n].Set(v)
	}
	return nil
}

const (
	plainCopy  = 64 << 10 // images of at most so many bytes are copied as a whole
	maxWritten = 2 << 20  // bytes of written pages; beyond, the image is mapped anew
)

// restore makes the instance what the image says, whatever a call has done to it. After
// an error nothing is known of it: close it.
func (i *instance) restore(g *image, d *dirtyPages) error {
	for n, v := range g.globals {
		i.globals[n].Set(v)
	}
	if i.arena != nil {
		if err := i.arena.wipe(); err != nil {
			return err
		}
	}
	if len(i.memory.buf) != g.size {
		if err := i.undoGrowth(g.size); err != nil {
			return err
		}
	}
	switch {
	case g.size <= plainCopy:
		copy(i.memory.buf, g.bytes)
		return nil
	case d.way == byRemap:
		return i.memory.overlay(g)
	}
	written := 0
	err := d.each(i.memory.buf, i.scratch, func(from, to int) error {
		copy(i.memory.buf[from:to], g.bytes[from:to])
		written += to - from
		return nil
	})
	if err == nil && written > maxWritten {
		return i.memory.overlay(g)
	}
	return err
}

// undoGrowth takes back what the guest has grown. wazero's memories only grow. So: the
// tail is dropped, then the memory is told to grow by a page, which a rewritten module
// has to spare, and the allocator answers with the shorter slice, which wazero takes for
// the whole. This is no promise of wazero's: the self-test proves it at every start.
func (i *instance) undoGrowth(size int) error {
	if len(i.memory.buf) < size {
		return errors.New("the memory is smaller than the image")
	}
	if err := i.memory.truncate(uint64(size)); err != nil {
		return err
	}
	if _, ok := i.size.Grow(1); !ok || i.memory.answer != nil {
		return errors.New("there is no page to spare to undo growth")
	}
	if len(i.memory.buf) != size || i.size.Size() != uint32(size) {
		return fmt.Errorf("the memory has %d bytes after growth was undone, want %d", i.size.Size(), size)
	}
	return nil
}

// keepBlocks takes the room of c's kernel for the next call, emptied.
func (i *instance) keepBlocks(c *call) {
	const most = 256 // blocks; more are rare and not worth keeping
	blocks := c.kernel.blocks
	clear(blocks)
	i.blocks = nil
	if cap(blocks) <= most {
		i.blocks = blocks[:0]
	}
}
