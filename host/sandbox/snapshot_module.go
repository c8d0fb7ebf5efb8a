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
	engine   *Snapshot
	cache    wazero.CompilationCache
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	shim     wazero.CompiledModule // nil when the module has no use for it
	limits   Limits                // no zero fields
	config   map[string]string
	exports  []string
	initial  []string // the initializers, in their order
	globals  []string // exports that hold the mutable globals; set with image
	memory   uint64   // bytes that the guest's memory may grow to
	lasting  string   // why instances cannot be restored, "" if they can
	image    *image   // nil: every call gets a new instance
	pool     pool
	made     atomic.Int64 // instances, ever

	lifecycle
}

var _ Module = (*snapshotModule)(nil)

// Exports implements Module.
func (m *snapshotModule) Exports() []string { return slices.Clone(m.exports) }

// Call implements Module.
func (m *snapshotModule) Call(ctx context.Context, export string, in []byte) ([]byte, error) {
	if err := admit(ctx, m.exports, export, in, m.limits); err != nil {
		return nil, err
	}
	r := m.record(ctx, export)
	if !m.enter(r) {
		return nil, ErrClosed
	}
	defer m.leave(r)
	defer r.end()
	if m.image == nil {
		return m.callCold(r, in)
	}
	i := m.pool.take()
	if i == nil {
		var err error
		if i, err = m.pristine(); err != nil {
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
	m.image.give(&r.call)
	out, err := m.serve(r, i, in)
	if mayKeep(err) {
		i.keepBlocks(&r.call)
		if i.restore(m.image, m.engine.dirty) == nil {
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
	o := &m.engine.options
	return startRecord(ctx, newCall(export, m.limits, m.config, o.Clock(), o.Random, o.Logger), m.limits.Time)
}

// serve runs the export on an instance that is ready for it.
func (m *snapshotModule) serve(r *record, i *instance, in []byte) ([]byte, error) {
	defer r.finish(r)
	if !r.kernel.begin(in) {
		return nil, &Fault{Kind: Input, Export: r.export, Detail: "no room beside what the initializer allocated"}
	}
	n, _ := slices.BinarySearch(m.exports, r.export)
	f := i.functions[n]
	if f == nil {
		f = i.guest.ExportedFunction(r.export)
		i.functions[n] = f
	}
	code, err := i.call(r, f)
	if err != nil {
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
	var out []byte
	if err = m.initialize(r, i); err == nil {
		out, err = m.serve(r, i, in)
	} else {
		r.finish(r)
	}
	if closing := i.close(); closing != nil {
		return nil, errors.Join(err, closing)
	}
	return out, err
}

// initialize runs the initializers.
func (m *snapshotModule) initialize(r *record, i *instance) error {
	r.starting = true
	for _, name := range m.initial {
		if _, err := i.call(r, i.guest.ExportedFunction(name)); err != nil {
			return err
		}
	}
	r.starting = false
	return nil
}

// brokenBefore is the fault of a guest that could not be given an instance.
func (r *record) brokenBefore(err error) error {
	if f := (*Fault)(nil); errors.As(err, &f) {
		return &Fault{Kind: f.Kind, Export: r.export, Detail: f.Detail}
	}
	return r.broken(err)
}

// makeImage runs the initializers and keeps what they leave, and the instance too. When
// they fail there is no image: then they fail in each call, with the error that it is.
func (m *snapshotModule) makeImage(ctx context.Context, globals int) {
	i, err := m.instantiate()
	if err != nil {
		return
	}
	m.made.Add(1)
	r := m.record(ctx, "")
	defer r.end()
	i.lend(&r.call)
	err = m.initialize(r, i)
	r.finish(r)
	if err == nil {
		m.globals = i.globalNames(globals)
		err = m.keepImage(r, i)
	}
	if err != nil {
		_ = i.close()
	}
}

func (m *snapshotModule) keepImage(r *record, i *instance) error {
	if err := i.findGlobals(m.globals); err != nil {
		return err
	}
	file, err := newImageFile(i.memory.buf)
	if err != nil {
		return err
	}
	g := &image{imageFile: file}
	for _, global := range i.globals {
		g.globals = append(g.globals, global.Get())
	}
	g.globals[0] = fuelRefill // of FuelExport: a call has just looked at the clock
	g.take(&r.call)
	if i.arena != nil {
		err = i.arena.wipe()
	}
	if err == nil {
		err = i.adopt(g)
	}
	if err != nil {
		g.close()
		return err
	}
	m.image = g
	m.pool.put(i)
	return nil
}

// pristine makes an instance as the image says.
func (m *snapshotModule) pristine() (*instance, error) {
	i, err := m.instantiate()
	if err != nil {
		return nil, err
	}
	m.made.Add(1)
	err = i.findGlobals(m.globals)
	if err == nil {
		err = i.adopt(m.image)
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
