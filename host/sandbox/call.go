package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"
)

// call is the record of one call: everything that host functions may touch on its
// behalf. It is made for the call, reached through its context, and used by the one
// goroutine that runs the guest.
type call struct {
	export string
	limits Limits
	config map[string]string // never changed
	now    time.Time         // what the guest's clocks show until the call ends
	random io.Reader
	memory *guestMemory // never nil while a guest runs
	kernel kernel
	vars   variables
	log    guestLog
	stdout stream
	stderr stream

	reply    []byte // what reply_read may take, once
	hasReply bool
	http     httpState
	naps     int  // sleeps granted, see pollOneoff
	kept     bool // what initializers leave is the image of all later calls
	stage    stage
	fault    *Fault // the first that happened

	exitedWith0 bool // by proc_exit

	hostCall   string // the last host function that the guest called, see Fault.HostCall
	fuel       int64  // units given to the guest so far, when limits.Fuel is set
	operations int    // of lent imports, so far
	carried    int64  // bytes of their requests and replies
}

// stage is what a guest does.
type stage string

const (
	serving      stage = ""               // what its caller wants
	initializing stage = "initialization" // there is no request yet
	reseeding    stage = "reseeding"      // nor here: see reseed
)

// callKey is the key of a context's *call. Wasm boundaries pass nothing but a context.
type callKey struct{}

// callContext returns a context that host functions find c in.
func callContext(ctx context.Context, c *call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// callOf is the call that a guest's context belongs to, nil if there is none.
func callOf(ctx context.Context) *call {
	if r, ok := ctx.(*record); ok {
		return &r.call
	}
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// begin starts a stage. The last host function is told of each by itself.
func (c *call) begin(s stage) {
	c.stage = s
	c.hostCall = ""
}

// initialized ends the initialization: what it used of the operations does not count, and
// what it left has to be little enough that every call can be given it.
func (c *call) initialized() error {
	c.operations, c.carried = 0, 0
	k := &c.kernel
	blocks := len(k.blocks) - k.freed
	size := k.used - uint64(blocks)*blockCost
	switch {
	case blocks > maxKeptBlocks || len(c.vars.values) > maxKeptBlocks:
		return c.blame(Memory, "its initialization left %d blocks and %d variables, of at most %d each", blocks, len(c.vars.values), maxKeptBlocks)
	case size > maxKeptBytes:
		return c.blame(Memory, "its initialization left blocks of %d bytes, of at most %d", size, maxKeptBytes)
	}
	return nil
}

// What initializers may leave in the kernel. The snapshot engine makes it anew for every
// call, before the guest runs, so no fuel and no time of its limits pays for it: these many
// take 0.1 to 0.2 ms.
const (
	maxKeptBlocks = 4096
	maxKeptBytes  = 1 << 20
)

// blame makes a fault of the call.
func (c *call) blame(kind FaultKind, format string, args ...any) *Fault {
	return &Fault{Kind: kind, Export: c.export, Detail: fmt.Sprintf(format, args...), HostCall: c.hostCall}
}

// aborted is what abort panics with. Nobody outside can make one, so that a *Fault that an
// operation panics with is as any other value.
type aborted struct{ fault *Fault }

// abort ends the guest with a fault. Only host functions may use it: lend takes the
// panic up. It does not return.
func (c *call) abort(kind FaultKind, format string, args ...any) {
	panic(aborted{c.blame(kind, format, args...)})
}

// check ends the guest when its time is up or its caller has gone.
func (c *call) check(ctx context.Context) {
	if kind, over := overdue(ctx); over {
		c.abort(kind, "")
	}
}

// overdue says whether and why the guest of ctx has to stop. It also compares the clock,
// because a timer may be late while guests keep all processors busy.
func overdue(ctx context.Context) (FaultKind, bool) {
	switch err := ctx.Err(); {
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout, true
	case err != nil:
		return Stopped, true
	}
	if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
		return Timeout, true
	}
	return "", false
}

// body is what a host function does: parameters in stack, results too.
type body func(ctx context.Context, c *call, stack []uint64)

// lend makes a function safe to be called by a guest: it finds the call, looks at the
// time, and turns whatever goes wrong inside into a fault of the call that a caller never
// sees as text. The panic that leaves it only unwinds the guest.
func lend(f hostFunc) func(ctx context.Context, stack []uint64) {
	name, silent := f.ImportName.String(), f.silent()
	return func(ctx context.Context, stack []uint64) {
		c := callOf(ctx)
		if c == nil {
			panic(&Fault{Kind: ABI, Detail: "host function " + name + " outside of a call"})
		}
		defer func() {
			switch r := recover().(type) {
			case nil:
			case aborted:
				c.end(r.fault)
			default:
				c.end(c.blame(ABI, "host function %s panicked (%T) at %s", name, r, panicSite()))
			}
		}()
		if !silent {
			c.hostCall = name
		}
		c.check(ctx)
		f.body(ctx, c, stack)
	}
}

// end records the fault, unless there is one, and unwinds the guest.
func (c *call) end(f *Fault) {
	if c.fault == nil {
		c.fault = f
	}
	panic(c.fault)
}

// panicSite is the function, file and line that panicked. The panic's value is left out:
// it can hold data of a request.
func panicSite() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for panicked := false; ; {
		f, more := frames.Next()
		if f.Function == "runtime.gopanic" {
			panicked = true
		} else if panicked && f.Function != "runtime.goPanicIndex" && !isRuntime(f.Function) {
			return fmt.Sprintf("%s (%s:%d)", f.Function, f.File, f.Line)
		}
		if !more {
			return "unknown place"
		}
	}
}

func isRuntime(function string) bool {
	const prefix = "runtime."
	return len(function) > len(prefix) && function[:len(prefix)] == prefix
}

// finish logs what the guest left without a line break.
func (c *call) finish(ctx context.Context) {
	for _, s := range []*stream{&c.stdout, &c.stderr} {
		if len(s.rest) > 0 {
			s.flush(ctx, &c.log)
		}
	}
}

// maxErrorText is how much of a guest's error is kept, in bytes: our PDK's errors are a
// code and a sentence.
const maxErrorText = 8 << 10

// result judges a call whose export returned code.
func (c *call) result(ctx context.Context, code uint32) ([]byte, error) {
	if kind, over := overdue(ctx); over {
		return nil, c.blame(kind, "the guest returned too late")
	}
	if code != 0 || c.kernel.failed {
		return nil, &GuestError{Export: c.export, Code: code, Text: atMost(string(c.kernel.failure), maxErrorText), HostCall: c.hostCall}
	}
	if !c.kernel.hasOutput {
		return nil, c.blame(Output, "none was set")
	}
	return append(make([]byte, 0, len(c.kernel.output)), c.kernel.output...), nil
}
