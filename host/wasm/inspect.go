package wasm

import "crypto/sha256"

// Inspect checks a module against every limit and feature and says what is in it. The
// error is an *Error. It does not check types: a runtime does, of what Rewrite returns.
// Memory used is bounded by the size of the module, whatever the module declares.
func Inspect(module []byte) (*Info, error) {
	m, err := parse(module)
	if err != nil {
		return nil, err
	}
	info := &Info{
		Size:         len(module),
		SHA256:       sha256.Sum256(module),
		Custom:       m.custom,
		HasNames:     m.hasNames,
		Functions:    len(m.own),
		Nesting:      m.nesting,
		Loops:        len(m.loops),
		DataSegments: len(m.data),
		Globals:      len(m.globals),
		Memory:       m.memory,
		Lasting:      m.lasting,
		Start:        m.starts,
	}
	if m.table != nil {
		info.Table = &m.table.Bounds
	}
	for _, i := range m.imports {
		info.Imports = append(info.Imports, Import{i.ImportName, m.types[i.typ]})
	}
	for _, e := range m.exports {
		x := Export{Name: e.name, Kind: e.kind, Index: e.index}
		if e.kind == FuncExport {
			x.Type = m.types[m.typeOf(e.index)]
		}
		info.Exports = append(info.Exports, x)
	}
	for _, b := range m.bodies {
		n := b.end - b.at
		info.CodeSize += n
		info.LargestBody = max(info.LargestBody, n)
	}
	return info, nil
}
