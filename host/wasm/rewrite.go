package wasm

import "cmp"

// Options says what Rewrite does. The zero value is usable.
type Options struct {
	// MaxMemoryPages is what the guest's memory may grow to, in pages of 64 KiB;
	// 0 means 1024 (64 MiB). A memory that starts out larger is refused.
	MaxMemoryPages uint32
	// MaxTable is what the guest's table may grow to, in elements; 0 means the constant
	// MaxTable. A table that starts out larger is refused.
	MaxTable uint32
	// MaxDepth is how deep calls may nest; 0 means DefaultDepth. A function takes one
	// unit, one more for each 32 locals and one more for each KiB of code, so that a unit
	// stands for a bounded piece of stack. Functions that call nothing take none.
	MaxDepth uint32
	// Rename gives imports other names, whatever their signature.
	Rename map[ImportName]ImportName
	// ExportGlobals exports every mutable global of the guest, so that a host can read
	// and restore it. See GlobalExport.
	ExportGlobals bool
	// SpareMemoryPage declares one page of memory more than the guest may grow to, where
	// the format allows it. The host then has to hold the guest to MemoryLimit; it can
	// use the page to undo what the guest grew.
	SpareMemoryPage bool
}

// MemoryLimit is how many pages the memory of a module may grow to when Rewrite is told
// maxPages, 0 without a memory.
func (i *Info) MemoryLimit(maxPages uint32) uint32 {
	if i.Memory == nil {
		return 0
	}
	if i.Memory.HasMax {
		return min(i.Memory.Max, maxPages)
	}
	return maxPages
}

// DefaultDepth is Options.MaxDepth when that is 0: a standard Go plugin needs
// between 1,000 and 2,000 for encoding/json on values 64 deep, between 4,000 and 8,000
// on values 300 deep. Runaway recursion of small functions then takes 1.3 MB of stack.
const DefaultDepth = 8000

const defaultMemoryPages = 1024 // 64 MiB, as in sandbox.Limits

// rewriter turns a checked module into the one that runs.
type rewriter struct {
	*module
	types     []FuncType
	typeIndex map[string]uint32

	refuel, depth uint32              // functions imported from the host
	helpers       [helperCount]uint32 // functions added, by helper
	order         []helper            // those that are there, by index
	fuelGlobal    uint32
	depthGlobal   uint32
}

// added is how many imports Rewrite adds. The guest's own functions shift by it.
const added = 2

// Rewrite checks a module as Inspect does and returns the one to run; see the package
// comment and Options. Custom sections are dropped, but for the names of functions. Equal
// arguments give equal bytes. The error is an *Error. What is returned has not been
// checked for types: a module that no runtime accepts still is one that no runtime accepts.
func Rewrite(module []byte, o Options) ([]byte, error) {
	o.MaxMemoryPages = cmp.Or(o.MaxMemoryPages, defaultMemoryPages)
	o.MaxTable = min(cmp.Or(o.MaxTable, MaxTable), MaxTable)
	o.MaxDepth = min(cmp.Or(o.MaxDepth, DefaultDepth), 1<<30)

	m, err := parse(module)
	if err != nil {
		return nil, err
	}
	if err := m.clamp(o); err != nil {
		return nil, err
	}
	w := newRewriter(m)

	// The order of the sections is the one of the binary format. Types come first, but
	// are complete only when the code is written.
	code := w.codeSection()
	out := make([]byte, 0, len(module)+len(module)/4)
	out = append(out, module[:8]...)
	out = putSection(out, secType, w.typeSection())
	out = putSection(out, secImport, w.importSection(o.Rename))
	out = putSection(out, secFunction, w.functionSection())
	out = putSection(out, secTable, w.tableSection())
	out = putSection(out, secMemory, w.memorySection())
	out = putSection(out, secGlobal, w.globalSection(o.MaxDepth))
	out = putSection(out, secExport, w.exportSection(o.ExportGlobals))
	out = putSection(out, secElement, w.elementSection())
	count, data := w.dataSections()
	out = putSection(out, secDataCount, count)
	out = putSection(out, secCode, code)
	out = putSection(out, secData, data)
	if names := w.nameSection(); names != nil {
		out = putCustom(out, "name", names)
	}
	return out, nil
}

// clamp lowers the upper limits of memory and table.
func (m *module) clamp(o Options) error {
	lower := func(b *Bounds, what string, limit uint32) error {
		if b.Min > limit {
			return fault(0, "a %s of %d at least, this plugin may have %d", what, b.Min, limit)
		}
		if !b.HasMax || b.Max > limit {
			b.HasMax, b.Max = true, limit
		}
		return nil
	}
	if m.memory != nil {
		if err := lower(m.memory, "memory (in pages)", o.MaxMemoryPages); err != nil {
			return err
		}
		if o.SpareMemoryPage && m.memory.Max < MaxMemory {
			m.memory.Max++
		}
	}
	if m.table != nil {
		return lower(&m.table.Bounds, "table", o.MaxTable)
	}
	return nil
}

func newRewriter(m *module) *rewriter {
	w := &rewriter{
		module:      m,
		types:       m.types[:len(m.types):len(m.types)],
		typeIndex:   make(map[string]uint32, len(m.types)),
		refuel:      uint32(len(m.imports)),
		depth:       uint32(len(m.imports)) + 1,
		fuelGlobal:  uint32(len(m.globals)),
		depthGlobal: uint32(len(m.globals)) + 1,
	}
	for i, t := range m.types {
		if _, ok := w.typeIndex[t.key()]; !ok {
			w.typeIndex[t.key()] = uint32(i)
		}
	}
	for h := range helperCount {
		if h == fillPieces && !m.fills || h == copyPieces && !m.copies {
			continue // a module without a memory cannot have them
		}
		w.helpers[h] = m.functions() + added + uint32(len(w.order))
		w.order = append(w.order, h)
		w.typeOfSignature(h.signature())
	}
	return w
}

// typeOfSignature returns the index of a type, which it adds if there is none yet.
func (w *rewriter) typeOfSignature(t FuncType) uint32 {
	i, ok := w.typeIndex[t.key()]
	if !ok {
		i = uint32(len(w.types))
		w.types = append(w.types, t)
		w.typeIndex[t.key()] = i
	}
	return i
}

// shifted is the new index of a function of the module.
func (w *rewriter) shifted(function uint32) uint32 {
	if function >= uint32(len(w.imports)) {
		return function + added
	}
	return function
}
