// Package sandbox owns the running of guests. It is the only importer of wazero and
// extism, and knows nothing of grants: whoever compiles a module says which host
// functions it may link.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Engine turns a module's bytes into something that can be called.
type Engine interface {
	// Compile checks, rewrites and compiles module. It links nothing but terms.Imports, the
	// Extism ABI (its http functions only where terms.Imports has http.url, which they come
	// to), and a WASI without files, sockets, environment, arguments or sleep. A module that
	// needs anything else is refused with an *ImportError; one that breaks a limit, with the
	// error of host/wasm.
	//
	// The module's initializers then run once, for at most terms.Limits.Time and without
	// operations: whether it can be called shows now. One whose initialization breaks off is
	// refused with an *InitError, also when it was only too slow.
	//
	// ctx bounds all of it; when it ends the error is its own.
	Compile(ctx context.Context, module []byte, terms Terms) (Module, error)
	// Name is the word for the engine in configuration and logs.
	Name() string
}

// Module is a compiled guest. Safe for concurrent use.
type Module interface {
	// Call runs one export in a sandbox that no earlier call has touched. in is copied;
	// out belongs to the caller. The guest stops when ctx ends or limits.Time has passed,
	// whichever is first. The error is a *Fault when the guest broke off, a *GuestError
	// when it said that it failed.
	Call(ctx context.Context, export string, in []byte) (out []byte, err error)
	// Exports are the functions that Call can be given, sorted.
	Exports() []string
	// Close waits for running calls until ctx ends, then frees what the module holds.
	Close(ctx context.Context) error
}

// Terms is what a guest is run on. The engine does not change it, nor may the caller
// afterwards.
type Terms struct {
	Imports []Import          // the operations that it is lent
	Config  map[string]string // what Extism's config_get finds; no secrets: guests read it
	Limits  Limits
}

// Import is one operation lent to a guest, through both doors (see pdk/wire).
type Import struct {
	Capability string
	Op         string
	// Do takes a copy of the request and returns the reply. ctx is the one of the call.
	//
	// The call returns when Do does, and not before: nothing else can end it, since what it
	// does for the guest may be half done. So whoever lends an operation bounds it, and
	// heeds ctx. A reply that comes after the call's end is dropped, and the call is not a
	// success. A module that is closed meanwhile is freed when Do returns.
	//
	// It must not panic; if it does, the guest breaks off and its instance is discarded.
	// The value of the panic goes nowhere.
	Do func(ctx context.Context, request []byte) (reply []byte)
}

// Limits bounds one call. The zero value of a field means the default given.
type Limits struct {
	Memory   uint64        // bytes of guest memory, rounded down to 64 KiB pages; 0 means 64 MiB
	Time     time.Duration // wall clock for one call; 0 means 10 s
	Input    int           // bytes; 0 means 1 MiB
	Output   int           // bytes; 0 means 1 MiB
	LogBytes int           // bytes of stdout, stderr and log per call, with 128 for each line; 0 means 16 KiB

	// Fuel is how many units a call may use (wasm.FuelExport says what a unit is); 0 means
	// as many as fit into Time. What initializers use counts, also where they ran once for
	// all calls, so that a guest breaks off at the same instruction on both engines. The
	// host counts when it refills, every 200,000 units and when none are left.
	Fuel uint64
	// HostCalls is how many operations of lent imports a call may use, refused ones too; 0
	// means 10,000: one every millisecond of the default Time, which no back end outdoes.
	HostCalls int
	// HostBytes is how many bytes the requests and replies of these operations may have
	// together; 0 means 64 MiB: as much as a guest can hold by default.
	HostBytes int64
}

// FaultKind says how a guest broke off.
type FaultKind string

const (
	Trap    FaultKind = "trap"    // unreachable, out of bounds, division by zero ...
	Timeout FaultKind = "timeout" // its time was up
	Stopped FaultKind = "stopped" // the caller went away
	Fuel    FaultKind = "fuel"    // it used more than Limits.Fuel
	Calls   FaultKind = "calls"   // it used more operations than Limits.HostCalls or HostBytes allow
	Depth   FaultKind = "depth"   // calls nested too deeply
	Memory  FaultKind = "memory"  // it could not be given the memory it needs to start, or its initialization left too much
	Output  FaultKind = "output"  // its output is missing, too large or outside its memory
	Input   FaultKind = "input"   // the input exceeds the limit or did not fit
	ABI     FaultKind = "abi"     // it handed the host something that makes no sense
	Exit    FaultKind = "exit"    // it exited, with whatever code
	Export  FaultKind = "export"  // there is no such export, or not with that signature
)

// Fault is a guest that broke off. Detail names guest functions; it is untrusted text for
// the log, never for a consumer.
type Fault struct {
	Kind   FaultKind
	Export string
	Detail string
	// HostCall is the last host function that the guest called, by the name that it
	// imports, as "pointsman:http.request" or "extism:host/env.var_set"; "" when it called
	// none. Extism's loads and stores do not count. It is the host's own word, not the guest's.
	HostCall string
}

func (f *Fault) Error() string {
	if f.Detail == "" {
		return fmt.Sprintf("guest function %s: %s", f.Export, f.Kind)
	}
	return fmt.Sprintf("guest function %s: %s: %s", f.Export, f.Kind, f.Detail)
}

// GuestError is what a guest said when it failed: Extism's error_set, or a return code
// other than 0. Text is untrusted; our PDK writes a wire.Error as JSON.
type GuestError struct {
	Export   string
	Code     uint32 // what the export returned
	Text     string
	HostCall string // as of a Fault
}

func (e *GuestError) Error() string {
	return fmt.Sprintf("guest function %s failed with code %d: %q", e.Export, e.Code, e.Text)
}

// InitError is a module whose initialization broke off when it was compiled. What it says of
// the guest's functions is untrusted text, escaped and of bounded length.
type InitError struct {
	Err error // a *Fault, whose Export is "", or a *GuestError
}

func (e *InitError) Error() string {
	text := e.Err.Error()
	if f, ok := errors.AsType[*Fault](e.Err); ok {
		text = string(f.Kind)
		switch {
		case strings.HasPrefix(f.Detail, "["): // functions and no more
			text += " " + f.Detail
		case f.Detail != "":
			text += ": " + f.Detail
		}
	}
	return "its initialization broke off: " + text
}

func (e *InitError) Unwrap() error { return e.Err }

// ImportError is an import that nobody offers to this module.
type ImportError struct {
	Module, Name string
	// Signature is set when the name is offered, but not with this type.
	Signature string
}

func (e *ImportError) Error() string {
	if e.Signature != "" {
		return fmt.Sprintf("import %s.%s has another signature than offered: %s", e.Module, e.Name, e.Signature)
	}
	return fmt.Sprintf("import %s.%s is not offered", e.Module, e.Name)
}

// Logger receives what a guest writes: its log calls and the lines of its standard output
// and error. Text is cut at Limits.LogBytes per call and untrusted. Safe for concurrent use.
type Logger interface {
	GuestLog(ctx context.Context, level, text string)
}
