package sandbox

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"time"
)

// surroundings is what guests get from outside of their calls, whatever engine runs them.
type surroundings struct {
	logger   Logger // may be nil
	clock    func() time.Time
	random   io.Reader
	compiler *Compiler // may be nil
}

// newSurroundings takes an engine's options and fills in what is missing.
func newSurroundings(logger Logger, clock func() time.Time, random io.Reader, compiler *Compiler) surroundings {
	if clock == nil {
		clock = time.Now
	}
	if random == nil {
		random = rand.Reader
	}
	return surroundings{logger, clock, random, compiler}
}

// program is what a module is to its callers, whatever engine has compiled it.
type program struct {
	around  surroundings
	limits  Limits // no zero fields but Fuel
	config  map[string]string
	exports []string
	initial []string // the initializers, in their order
	reseeds bool     // it exports reseed

	lifecycle
}

// newProgram describes a prepared module. free gives back what the engine has made of it.
func newProgram(around surroundings, p prepared, terms Terms, free func() error) program {
	return program{
		around:    around,
		limits:    p.limits,
		config:    terms.Config,
		exports:   Callable(p.info.Exports),
		initial:   initializers(p.info),
		reseeds:   hasPlain(p.info.Exports, reseed),
		lifecycle: newLifecycle(free),
	}
}

// Exports implements Module.
func (p *program) Exports() []string { return slices.Clone(p.exports) }

// admit is what a call must pass before its guest is touched.
func (p *program) admit(ctx context.Context, export string, in []byte) error {
	if _, ok := slices.BinarySearch(p.exports, export); !ok {
		return &Fault{Kind: Export, Export: atMost(export, 200), Detail: "no such export, or not one that can be called"}
	}
	if len(in) > p.limits.Input {
		return &Fault{Kind: Input, Export: export, Detail: fmt.Sprintf("%d bytes, of at most %d", len(in), p.limits.Input)}
	}
	if kind, over := overdue(ctx); over {
		return &Fault{Kind: kind, Export: export, Detail: "before the guest was started"}
	}
	return nil
}

// newCall returns the record of a call that begins now.
func (p *program) newCall(export string) call {
	held := uint64(p.limits.Input) + uint64(p.limits.Output) + kernelRoom
	return call{
		export: export,
		limits: p.limits,
		config: p.config,
		now:    p.around.clock().Truncate(time.Millisecond),
		random: p.around.random,
		// Beside what it holds a guest needs blocks for the requests and replies of its operations.
		kernel: kernel{limit: held, most: held + uint64(p.limits.HostBytes)},
		log:    guestLog{to: p.around.logger, left: p.limits.LogBytes},
		stdout: stream{level: "info"},
		stderr: stream{level: "warn"},
	}
}
