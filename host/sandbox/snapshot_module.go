package sandbox

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/tetratelabs/wazero"
)

// snapshotModule is a module compiled by Snapshot.
type snapshotModule struct {
	program
	engine   *Snapshot
	cache    wazero.CompilationCache
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	shim     wazero.CompiledModule // nil when the module has no use for it
	memory   uint64                // bytes that the guest's memory may grow to
	lasting  string                // why instances cannot be restored, "" if they can
	mutable  int                   // globals of the module, all of them
	image    *image                // nil: every call gets a new instance
	pool     pool
	made     atomic.Int64 // instances, ever
}

var _ Module = (*snapshotModule)(nil)

// Call implements Module.
func (m *snapshotModule) Call(ctx context.Context, export string, in []byte) ([]byte, error) {
	if err := m.admit(ctx, export, in); err != nil {
		return nil, err
	}
	r := m.record(ctx, export)
	if !m.enter(r) {
		return nil, ErrClosed
	}
	defer m.leave(r)
	defer r.end()
	if m.image != nil {
		return m.callWarm(r, m.image, in)
	}
	return m.callCold(r, in)
}

// callWarm runs a call on an instance that is as the image says, and restores it.
func (m *snapshotModule) callWarm(r *record, g *image, in []byte) ([]byte, error) {
	i := m.pool.take()
	if i == nil {
		var err error
		if i, err = m.pristine(g); err != nil {
			return nil, r.brokenBefore(err)
		}
	}
	kept := false
	defer func() {
		if !kept {
			_ = i.close() // it was not the call's fault: the answer stands
		}
	}()
	i.lend(&r.call)
	g.give(&r.call)
	out, err := m.serve(r, i, in)
	if mayKeep(err) && r.fault == nil { // a program that has come to its end did not return
		i.keepBlocks(&r.call)
		if i.restore(g, m.engine.dirty) == nil {
			kept = true
			m.pool.put(i)
		}
	}
	return out, err
}

// mayKeep reports whether the instance of a call that ended with err is restored: when
// the guest returned. One that broke off is closed, as nobody knows what it left behind.
func mayKeep(err error) bool {
	if err == nil {
		return true
	}
	_, said := err.(*GuestError)
	return said
}

// record begins a call.
func (m *snapshotModule) record(ctx context.Context, export string) *record {
	return startRecord(ctx, m.newCall(export), m.limits.Time)
}

// noRoom is the detail of an input that the kernel cannot hold.
const noRoom = "no room beside what the guest allocated before it was asked"

// serve runs the export on an instance that is ready for it.
func (m *snapshotModule) serve(r *record, i *instance, in []byte) ([]byte, error) {
	defer r.finish(r)
	if m.reseeds {
		r.begin(reseeding)
		if _, err := i.callKept(r, &i.reseed, reseed); err != nil {
			return nil, err
		}
	}
	r.begin(serving)
	if !r.kernel.begin(in) {
		return nil, r.blame(Input, noRoom)
	}
	n, _ := slices.BinarySearch(m.exports, r.export)
	code, err := i.callKept(r, &i.functions[n], r.export)
	if err != nil && !r.endedWell() {
		return nil, err
	}
	return r.result(r, code)
}

// callCold runs a call on an instance of its own.
func (m *snapshotModule) callCold(r *record, in []byte) ([]byte, error) {
	i, err := m.instantiate()
	if err != nil {
		return nil, r.brokenBefore(err)
	}
	m.made.Add(1)
	i.lend(&r.call)
	err = m.initialize(r, i)
	if err != nil {
		r.finish(r)
		return nil, errors.Join(err, i.close())
	}
	out, err := m.serve(r, i, in)
	if closing := i.close(); closing != nil {
		return nil, errors.Join(err, closing)
	}
	return out, err
}

// initialize runs the initializers.
func (m *snapshotModule) initialize(r *record, i *instance) error {
	r.begin(initializing)
	for _, name := range m.initial {
		if name == haskellInit {
			if err := i.initializeHaskell(r); err != nil {
				return err
			}
			continue
		}
		if _, err := i.call(r, i.guest.ExportedFunction(name)); err != nil {
			return err
		}
	}
	return r.initialized()
}

// brokenBefore is the fault of a guest that could not be given an instance.
func (r *record) brokenBefore(err error) error {
	if f := (*Fault)(nil); errors.As(err, &f) {
		return &Fault{Kind: f.Kind, Export: r.export, Detail: f.Detail}
	}
	return r.broken(err)
}

// pristine makes an instance as the image says.
func (m *snapshotModule) pristine(g *image) (*instance, error) {
	i, err := m.instantiate()
	if err != nil {
		return nil, err
	}
	m.made.Add(1)
	err = i.findGlobals(g.names)
	if err == nil {
		err = i.adopt(g)
	}
	if err != nil {
		return nil, errors.Join(err, i.close())
	}
	return i, nil
}

// release gives back what the module holds. Nothing may run.
func (m *snapshotModule) release() error {
	ctx := context.Background()
	err := m.pool.drain()
	if m.runtime != nil {
		err = errors.Join(err, m.runtime.Close(ctx))
	}
	if m.cache != nil {
		err = errors.Join(err, m.cache.Close(ctx))
	}
	if m.image != nil {
		m.image.close()
	}
	return err
}
