package sandbox

import (
	"context"
	"errors"
	"fmt"
)

// begin runs the initializers on a new instance. Of a module whose instances can be restored
// it keeps what they leave as the image, and the instance too.
func (m *snapshotModule) begin(ctx context.Context) error {
	i, err := m.instantiate()
	if err != nil {
		return fmt.Errorf("make an instance: %w", err)
	}
	m.made.Add(1)
	r := m.record(ctx, "")
	defer r.end()
	i.lend(&r.call)
	r.kept = m.lasting == ""
	err = m.initialize(r, i)
	r.finish(r)
	if err != nil {
		return errors.Join(&InitError{err}, i.close())
	}
	if !r.kept {
		return i.close()
	}
	if err := m.keepImage(r, i); err != nil {
		return errors.Join(fmt.Errorf("keep what the initialization left: %w", err), i.close())
	}
	return nil
}

// keepImage takes the image of i, which initializers have run on, and puts i into the pool.
func (m *snapshotModule) keepImage(r *record, i *instance) error {
	names := i.globalNames(m.mutable)
	if err := i.findGlobals(names); err != nil {
		return err
	}
	file, err := newImageFile(i.memory.buf)
	if err != nil {
		return err
	}
	g := &image{imageFile: file, names: names}
	for _, global := range i.globals {
		g.globals = append(g.globals, global.Get())
	}
	// Of FuelExport: a call begins with an allowance, since it has just looked at the clock.
	g.globals[0] = uint64(r.refuel(int64(g.globals[0])))
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
