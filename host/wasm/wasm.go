// Package wasm owns the bytes of Wasm modules: it reads, checks and rewrites them. It
// knows no runtime; everything here is a pure function over bytes.
//
// No module runs as delivered. Inspect refuses what could hurt the compiler or asks for
// features that the host does not offer. Rewrite then adds what a host needs in order to
// stop a guest:
//
//   - fuel, charged at every function entry and every loop header and, by length, before
//     the bulk operations on memory and tables and before memory.grow. A function that
//     always begins with a loop can be charged for both at the loop. See FuelExport.
//     memory.fill and memory.copy run in pieces, so that none of them runs for long. See
//     BulkPiece.
//   - a depth counter at function entry and exit. See DepthExport.
//   - upper limits of memory and table, which the guest's grow operations then obey.
//
// What the host has to offer to every rewritten module:
//
//	pointsman:rt.refuel (left i64) -> i64
//	    Called when fuel has run out. left is the fuel global, negative: what the last
//	    charge overdrew. Returns what the global becomes: the next allowance. The host
//	    checks deadline and cancellation here and yields; to stop the guest it panics.
//	    A result below zero calls again at the next charge.
//	pointsman:rt.depth ()
//	    Called when calls are nested too deeply. It must not return, so that the host can
//	    tell this from other traps; the code behind it traps if it does.
//
// A guest may not import these two itself, nor export a name with the prefix "pointsman:".
package wasm

import (
	"fmt"
	"strings"
)

// Names that a rewritten module shares with its host.
const (
	RuntimeModule  = "pointsman:rt" // module of the imports that Rewrite adds
	RefuelImport   = "refuel"       // (i64) -> (i64); see the package comment
	DepthImport    = "depth"        // () -> (); see the package comment
	ReservedPrefix = "pointsman:"   // of export names; a guest's own exports may not have it

	// FuelExport is a mutable i64 global: the units of fuel left. It starts at 0, so that
	// the first charge asks the host. One unit is at most 16 instructions
	// of the guest, mostly less than one, or 8 bytes of a bulk operation, or an element of
	// a table; growing by a memory page costs 8192. 200,000 units are a good allowance:
	// 0.05 to 0.2 ms of ordinary code. It should not be below 20,000.
	FuelExport = "pointsman:fuel"
	// DepthExport is a mutable i32 global: the units of call depth left. It starts at
	// Options.MaxDepth. It is whole again when a call returns, and not after a trap: a
	// host that keeps the instance must set it back.
	DepthExport = "pointsman:depth"
	// StartExport is the start function of a module that has one, () -> (). What Rewrite
	// returns has no start section: whoever makes an instance has to call this before
	// anything else.
	StartExport = "pointsman:start"
	// GlobalExport, followed by a decimal index, names the guest's mutable globals when
	// Options.ExportGlobals is set.
	GlobalExport = "pointsman:global."
)

// Error is a module that was refused: the byte at which it was found out, and why.
// Reason can quote names out of the module, which are untrusted text.
type Error struct {
	Offset int
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("wasm module, byte %#x: %s", e.Offset, e.Reason) }

// ValueType is a type of values, as encoded in the binary format.
type ValueType byte

// The value types of the features allowed.
const (
	I32       ValueType = 0x7f
	I64       ValueType = 0x7e
	F32       ValueType = 0x7d
	F64       ValueType = 0x7c
	V128      ValueType = 0x7b
	FuncRef   ValueType = 0x70
	ExternRef ValueType = 0x6f
)

func (t ValueType) String() string {
	switch t {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case V128:
		return "v128"
	case FuncRef:
		return "funcref"
	case ExternRef:
		return "externref"
	}
	return fmt.Sprintf("type %#x", byte(t))
}

// FuncType is the signature of a function.
type FuncType struct {
	Params, Results []ValueType
}

// String writes a signature as "(i64, i64) -> i64"; without results, "(i32)".
func (t FuncType) String() string {
	join := func(types []ValueType) string {
		words := make([]string, len(types))
		for i, v := range types {
			words[i] = v.String()
		}
		return strings.Join(words, ", ")
	}
	s := "(" + join(t.Params) + ")"
	switch len(t.Results) {
	case 0:
		return s
	case 1:
		return s + " -> " + join(t.Results)
	}
	return s + " -> (" + join(t.Results) + ")"
}

// Equal reports whether t and u are the same signature.
func (t FuncType) Equal(u FuncType) bool { return t.key() == u.key() }

// key is the signature as a comparable value.
func (t FuncType) key() string {
	b := make([]byte, 0, len(t.Params)+1+len(t.Results))
	for _, v := range t.Params {
		b = append(b, byte(v))
	}
	b = append(b, 0)
	for _, v := range t.Results {
		b = append(b, byte(v))
	}
	return string(b)
}

// ImportName names an import. Both parts are untrusted text.
type ImportName struct{ Module, Name string }

func (n ImportName) String() string { return n.Module + "." + n.Name }

// Import is a function that a module wants from its host. Nothing but functions can be
// imported: a module brings its own memory, table and globals.
type Import struct {
	ImportName
	Type FuncType
}

// ExportKind says what an export is. The values are those of the binary format.
type ExportKind byte

// The kinds of exports.
const (
	FuncExport ExportKind = iota
	TableExport
	MemoryExport
	GlobalKind
)

func (k ExportKind) String() string {
	switch k {
	case FuncExport:
		return "function"
	case TableExport:
		return "table"
	case MemoryExport:
		return "memory"
	case GlobalKind:
		return "global"
	}
	return fmt.Sprintf("kind %d", byte(k))
}

// Export is something a module shows its host.
type Export struct {
	Name  string
	Kind  ExportKind
	Index uint32   // within the index space of its kind
	Type  FuncType // of a function; zero otherwise
}

// Bounds is the size of a memory (64 KiB pages) or a table (elements).
type Bounds struct {
	Min    uint32
	Max    uint32 // meaningless without HasMax
	HasMax bool
}

// Info is what Inspect found. The slices in Custom point into the module.
type Info struct {
	Size         int               // bytes of the module
	SHA256       [32]byte          // of the module
	Imports      []Import          // in the module's order
	Exports      []Export          // in the module's order
	Custom       map[string][]byte // custom sections by name; of several with one name, the first
	HasNames     bool              // there is a name section
	Functions    int               // defined in the module, without imports
	CodeSize     int               // bytes of all bodies
	LargestBody  int               // bytes
	Nesting      int               // the deepest nesting of blocks
	Loops        int               // in all bodies
	DataSegments int
	Globals      int
	Memory       *Bounds // nil without a memory
	Table        *Bounds // nil without a table
	// Lasting is empty when memory and globals are all the state that a call can leave
	// behind, so that restoring them restores the instance. Otherwise it says what else
	// there is.
	Lasting string
	// Start says that the module has a start function; see StartExport.
	Start bool
}
