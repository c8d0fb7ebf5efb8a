package sandbox

import (
	"errors"
	"fmt"
	"time"

	"pointsman/host/wasm"
)

// prepared is a module that was checked and rewritten, whatever engine runs it.
type prepared struct {
	limits    Limits // no zero fields
	info      *wasm.Info
	chosen    []hostFunc // that it imports
	rewritten []byte
}

// prepare checks and rewrites a module. link says under which names functions are linked;
// o is completed with the limits and names. c remembers what it has seen; it may be nil.
func prepare(c *Compiler, module []byte, terms Terms, link func(hostFunc) wasm.ImportName, o wasm.Options) (p prepared, err error) {
	if p.limits, err = terms.Limits.withDefaults(); err != nil {
		return p, err
	}
	offered, err := newOffer(terms.Imports)
	if err != nil {
		return p, err
	}
	if p.info, err = c.Inspect(module); err != nil {
		return p, err
	}
	if p.chosen, err = offered.choose(p.info.Imports); err != nil {
		return p, err
	}
	if err = checkInit(p.info); err != nil {
		return p, err
	}
	o.MaxMemoryPages = uint32(p.limits.Memory / pageSize)
	o.Rename = renames(p.chosen, link)
	p.rewritten, err = c.rewrite(module, p.info.SHA256, o)
	return p, err
}

// maxLimit is the largest Input or Output, in bytes: both are held twice.
const maxLimit = 64 << 20

// maxFuel is the largest Fuel, in units: some decades of computing, and small enough for
// sums in 64 bits.
const maxFuel = 1 << 60

// defaultMemory is Limits.Memory where none is given, in bytes.
const defaultMemory = 64 << 20

// withDefaults fills in the zero fields and checks the rest.
func (l Limits) withDefaults() (Limits, error) {
	if l.Memory == 0 {
		l.Memory = defaultMemory
	}
	l.Memory -= l.Memory % pageSize
	if l.Time == 0 {
		l.Time = 10 * time.Second
	}
	if l.Input == 0 {
		l.Input = 1 << 20
	}
	if l.Output == 0 {
		l.Output = 1 << 20
	}
	if l.LogBytes == 0 {
		l.LogBytes = 16 << 10
	}
	if l.HostCalls == 0 {
		l.HostCalls = 10_000
	}
	if l.HostBytes == 0 {
		l.HostBytes = 64 << 20
	}
	switch {
	case l.Memory == 0, l.Memory > wasm.MaxMemory*pageSize:
		return l, fmt.Errorf("memory limit of %d bytes: want 64 KiB to 4 GiB", l.Memory)
	case l.Time < 0 || l.Input < 0 || l.Output < 0 || l.LogBytes < 0 || l.HostCalls < 0 || l.HostBytes < 0:
		return l, errors.New("a limit is negative")
	case l.Fuel > maxFuel:
		return l, fmt.Errorf("fuel limit exceeds %d units", uint64(maxFuel))
	case l.Input > maxLimit || l.Output > maxLimit:
		return l, fmt.Errorf("input or output limit exceeds %d bytes", maxLimit)
	}
	return l, nil
}
