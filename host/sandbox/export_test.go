package sandbox

import (
	"cmp"
	"context"
	"slices"

	"pointsman/host/wasm"
)

// CallLeaky calls m, of the snapshot engine, without restoring its instance afterwards:
// what sandboxes would cost if they were not pristine.
func CallLeaky(ctx context.Context, m Module, export string, in []byte) ([]byte, error) {
	s := m.(*snapshotModule)
	r := s.record(ctx, export)
	if !s.enter(r) {
		return nil, ErrClosed
	}
	defer s.leave(r)
	defer r.end()
	i := s.pool.take()
	if i == nil {
		var err error
		if i, err = s.pristine(s.image); err != nil {
			return nil, err
		}
	}
	i.lend(&r.call)
	s.image.give(&r.call)
	out, err := s.serve(r, i, in)
	i.keepBlocks(&r.call)
	i.arena.next = arenaStart
	s.pool.put(i)
	return out, err
}

// Made is how many instances a module of the snapshot engine has needed so far.
func Made(m Module) int64 { return m.(*snapshotModule).made.Load() }

// HostFunctions are all functions that a module may import that is lent these, sorted.
func HostFunctions(lent ...Import) []wasm.Import {
	o, err := newOffer(lent)
	if err != nil {
		panic(err)
	}
	var fs []wasm.Import
	for _, f := range o {
		fs = append(fs, wasm.Import{ImportName: f.ImportName, Type: f.FuncType})
	}
	slices.SortFunc(fs, func(a, b wasm.Import) int { return cmp.Compare(a.String(), b.String()) })
	return fs
}
