package sandbox

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"
)

// selftest is a module that finds out whether anything of an earlier call is left; see
// selftest.wat, its source.
//
//go:embed selftest.wasm
var selftest []byte

// SelfTest proves on this machine, in some milliseconds, that instances are restored:
// pages that were written, few or all of them, every type of global, and memory that was
// grown, also to its limit. It is what New asks before it takes this engine.
func (e *Snapshot) SelfTest(ctx context.Context) (err error) {
	module, err := e.Compile(ctx, selftest, Terms{Limits: Limits{Memory: 64 * pageSize, Time: 5 * time.Second}})
	if err != nil {
		return fmt.Errorf("self-test of the snapshot engine: %w", err)
	}
	defer func() { err = errors.Join(err, module.Close(context.WithoutCancel(ctx))) }()
	m := module.(*snapshotModule)
	if m.image == nil {
		return errors.New("self-test of the snapshot engine: no image could be made")
	}
	for _, export := range []string{"clean", "few", "clean", "few", "all", "clean", "full", "clean", "few", "clean"} {
		if _, err := m.Call(ctx, export, nil); err != nil {
			return fmt.Errorf("self-test of the snapshot engine, %s: %w", export, err)
		}
	}
	if n := m.made.Load(); n != 1 {
		return fmt.Errorf("self-test of the snapshot engine: %d instances were made, where one can be restored", n)
	}
	return nil
}
