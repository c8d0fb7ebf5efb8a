package wasm

import "bytes"

// Section numbers of the binary format.
const (
	secCustom    = 0
	secType      = 1
	secImport    = 2
	secFunction  = 3
	secTable     = 4
	secMemory    = 5
	secGlobal    = 6
	secExport    = 7
	secStart     = 8
	secElement   = 9
	secCode      = 10
	secData      = 11
	secDataCount = 12
)

// rank is the place that a section must have among the others, 0 for none.
func rank(section byte) int {
	switch section {
	case secDataCount:
		return secElement*2 + 1
	case secCustom:
		return 0
	}
	return int(section) * 2
}

// module is a module that was checked.
type module struct {
	raw      []byte
	types    []FuncType
	imports  []importEntry
	own      []uint32 // types of the module's own functions
	table    *tableType
	memory   *Bounds
	globals  []global
	exports  []exportEntry
	elements []span
	bodies   []body
	data     []segment
	names    span // contents of the name section, without its name
	hasNames bool
	starts   bool // there is a start function:
	start    uint32
	custom   map[string][]byte
	customs  int

	hasDataCount bool
	dataCount    uint32

	// Found out by the walk over the code.
	loops     []loop
	locals    int
	nesting   int
	namesData bool   // memory.init or data.drop: numbers of data segments matter
	fills     bool   // memory.fill
	copies    bool   // memory.copy
	items     int    // elements of all element segments
	lasting   string // see Info.Lasting
	frames    []frame
}

// span is a part of the module.
type span struct{ from, to int }

type importEntry struct {
	ImportName
	typ uint32
}

type tableType struct {
	elem ValueType
	Bounds
}

type global struct {
	typ     ValueType
	mutable bool
	init    span // including its end
}

type exportEntry struct {
	name  string
	kind  ExportKind
	index uint32
}

// segment is a data segment.
type segment struct {
	passive bool

	offset uint32 // unless passive

	data span // contents
}

// functions is the number of functions that can be called.
func (m *module) functions() uint32 { return uint32(len(m.imports) + len(m.own)) }

// typeOf returns the type's index of a function that can be called.
func (m *module) typeOf(function uint32) uint32 {
	if n := uint32(len(m.imports)); function >= n {
		return m.own[function-n]
	}
	return m.imports[function].typ
}

var magic = []byte("\x00asm")

// parse reads and checks a module.
func parse(raw []byte) (*module, error) {
	if len(raw) > MaxModule {
		return nil, fault(MaxModule, "a module of %d bytes, at most %d are allowed", len(raw), MaxModule)
	}
	if len(raw) < 8 || !bytes.Equal(raw[:4], magic) {
		return nil, fault(0, "not a Wasm module")
	}
	switch v := [4]byte(raw[4:8]); v {
	case [4]byte{1, 0, 0, 0}:
	case [4]byte{0x0d, 0, 1, 0}:
		return nil, fault(4, "a Wasm component; only core modules are accepted")
	default:
		return nil, fault(4, "unknown version % x of Wasm", v)
	}

	m := &module{raw: raw, custom: map[string][]byte{}}
	r := &reader{b: raw, pos: 8, end: len(raw)}
	last := 0
	for r.left() > 0 {
		at := r.pos
		id, body, err := r.part()
		if err != nil {
			return nil, err
		}
		if p := rank(id); p != 0 && id <= secDataCount {
			if p <= last {
				return nil, fault(at, "section %d is out of order or there twice", id)
			}
			last = p
		}
		if err := m.section(at, id, &body); err != nil {
			return nil, err
		}
		if err := body.done("a section"); err != nil {
			return nil, err
		}
	}
	return m, m.complete(len(raw))
}

// complete refuses what only shows at the end.
func (m *module) complete(end int) error {
	if len(m.bodies) != len(m.own) {
		return fault(end, "%d functions declared, %d bodies", len(m.own), len(m.bodies))
	}
	if m.hasDataCount && int(m.dataCount) != len(m.data) {
		return fault(end, "%d data segments declared, %d there", m.dataCount, len(m.data))
	}
	return nil
}

func (m *module) section(at int, id byte, r *reader) error {
	switch id {
	case secCustom:
		return m.readCustom(r)
	case secType:
		return m.readTypes(r)
	case secImport:
		return m.readImports(r)
	case secFunction:
		return m.readFunctions(r)
	case secTable:
		return m.readTable(r)
	case secMemory:
		return m.readMemory(r)
	case secGlobal:
		return m.readGlobals(r)
	case secExport:
		return m.readExports(r)
	case secStart:
		return m.readStart(r)
	case secElement:
		return m.readElements(r)
	case secDataCount:
		return m.readDataCount(r)
	case secCode:
		return m.readCode(r)
	case secData:
		return m.readData(r)
	case 13:
		return fault(at, "section 13: exceptions are not offered")
	}
	return fault(at, "unknown section %d", id)
}

func (m *module) readCustom(r *reader) error {
	at := r.pos
	if m.customs++; m.customs > MaxCustom {
		return fault(at, "more than %d custom sections", MaxCustom)
	}
	name, err := r.name("name of a custom section")
	if err != nil {
		return err
	}
	_, again := m.custom[name]
	if again && (name == "name" || name == "pointsman.plugin") {
		return fault(at, "two custom sections %q", name)
	}
	if name == "name" {
		m.names, m.hasNames = span{r.pos, r.end}, true
	}
	if !again {
		m.custom[name] = r.b[r.pos:r.end:r.end]
	}
	r.pos = r.end
	return nil
}
