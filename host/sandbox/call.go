package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
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
	naps     int    // sleeps granted, see pollOneoff
	starting bool   // an initializer runs: there is no request yet
	fault    *Fault // the first that happened
}

// callKey is the key of a context's *call. Wasm boundaries pass nothing but a context.
type callKey struct{}

// newCall returns the record of a call that begins now. limits has no zero fields.
func newCall(export string, limits Limits, config map[string]string, now time.Time, random io.Reader, logger Logger) call {
	return call{
		export: export,
		limits: limits,
		config: config,
		now:    now.Truncate(time.Millisecond),
		random: random,
		kernel: kernel{limit: uint64(limits.Input) + uint64(limits.Output) + kernelRoom},
		log:    guestLog{to: logger, left: limits.LogBytes},
		stdout: stream{level: "info"},
		stderr: stream{level: "warn"},
	}
}

// admit is what a call must pass before its guest is touched.
func admit(ctx context.Context, exports []string, export string, in []byte, limits Limits) error {
	if _, ok := slices.BinarySearch(exports, export); !ok {
		return &Fault{Kind: Export, Export: atMost(export, 200), Detail: "no such export, or not one that can be called"}
	}
	if len(in) > limits.Input {
		return &Fault{Kind: Input, Export: export, Detail: fmt.Sprintf("%d bytes, of at most %d", len(in), limits.Input)}
	}
	if kind, over := overdue(ctx); over {
		return &Fault{Kind: kind, Export: export, Detail: "before the guest was started"}
	}
	return nil
}

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

// abort ends the guest with a fault. Only host functions may use it: lend takes the
// panic up. It does not return.
func (c *call) abort(kind FaultKind, format string, args ...any) {
	panic(&Fault{Kind: kind, Export: c.export, Detail: fmt.Sprintf(format, args...)})
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

// lend makes a body safe to be called by a guest: it finds the call, looks at the time,
// and turns whatever goes wrong inside into a fault of the call that a caller never sees
// as text. The panic that leaves it only unwinds the guest.
func lend(name string, f body) func(ctx context.Context, stack []uint64) {
	return func(ctx context.Context, stack []uint64) {
		c := callOf(ctx)
		if c == nil {
			panic(&Fault{Kind: ABI, Detail: "host function " + name + " outside of a call"})
		}
		defer func() {
			switch r := recover().(type) {
			case nil:
			case *Fault:
				if r.Export == "" {
					r.Export = c.export
				}
				c.end(r)
			default:
				c.end(&Fault{Kind: ABI, Export: c.export, Detail: fmt.Sprintf("host function %s panicked (%T) at %s", name, r, panicSite())})
			}
		}()
		c.check(ctx)
		f(ctx, c, stack)
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
	c.stdout.flush(ctx, &c.log)
	c.stderr.flush(ctx, &c.log)
}

// maxErrorText is how much of a guest's error is kept, in bytes: our PDK's errors are a
// code and a sentence.
const maxErrorText = 8 << 10

// result judges a call whose export returned code.
func (c *call) result(ctx context.Context, code uint32) ([]byte, error) {
	if kind, over := overdue(ctx); over {
		return nil, &Fault{Kind: kind, Export: c.export, Detail: "the guest returned too late"}
	}
	if code != 0 || c.kernel.failed {
		return nil, &GuestError{Export: c.export, Code: code, Text: atMost(string(c.kernel.failure), maxErrorText)}
	}
	if !c.kernel.hasOutput {
		return nil, &Fault{Kind: Output, Export: c.export, Detail: "none was set"}
	}
	return append(make([]byte, 0, len(c.kernel.output)), c.kernel.output...), nil
}

// variables are Extism's, with the life of one call. Nothing is kept from call to call.
type variables struct {
	values map[string][]byte
	used   int // bytes of names and values, and blockCost each
}

// maxVariables is the room for variables, in bytes: go-sdk's own default.
const maxVariables = 1 << 20

// set stores a copy of value, or removes name if value is nil. It reports false when
// there is no room.
func (v *variables) set(name string, value []byte) bool {
	used := v.used
	if old, ok := v.values[name]; ok {
		used -= len(name) + len(old) + blockCost
	}
	if value == nil {
		delete(v.values, name)
		v.used = used
		return true
	}
	used += len(name) + len(value) + blockCost
	if used > maxVariables {
		return false
	}
	if v.values == nil {
		v.values = map[string][]byte{}
	}
	v.values[name] = append(make([]byte, 0, len(value)), value...)
	v.used = used
	return true
}
