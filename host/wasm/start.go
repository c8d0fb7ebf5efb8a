package wasm

// readStart reads the start section: the function that a runtime would run while it makes an
// instance, before anyone could stop it or count what it costs. Rewrite leaves the section out
// and exports the function instead, so that a host runs it as it runs any other; see
// StartExport. Its type is () -> ().
func (m *module) readStart(r *reader) error {
	at := r.pos
	function, err := r.u32()
	if err != nil {
		return err
	}
	if function >= m.functions() {
		return fault(at, "the start function is function %d of %d", function, m.functions())
	}
	if t := m.types[m.typeOf(function)]; len(t.Params)+len(t.Results) > 0 {
		return fault(at, "the start function has the type %s; it takes nothing and returns nothing", t)
	}
	m.starts, m.start = true, function
	return nil
}
