package sandbox

import (
	"errors"
	"fmt"

	"pointsman/host/wasm"
	"pointsman/pdk/wire"
)

// linkedEnv is the module name under which Extism's functions are linked in truth:
// go-sdk occupies the real one with its own.
const linkedEnv = "pointsman:extism"

// offer is what one module may import.
type offer map[wasm.ImportName]hostFunc

// newOffer lists what is offered to a module that is lent imports.
func newOffer(imports []Import) (offer, error) {
	o := offer{}
	add := func(fs ...hostFunc) error {
		for _, f := range fs {
			if _, twice := o[f.ImportName]; twice {
				return fmt.Errorf("import %s is offered twice", f.ImportName)
			}
			o[f.ImportName] = f
		}
		return nil
	}
	err := errors.Join(add(extismABI()...), add(wasi()...), add(replyRead()), add(bulk()...))
	for _, i := range imports {
		if i.Capability == "" || i.Op == "" || i.Do == nil {
			err = errors.Join(err, fmt.Errorf("import %q of capability %q is incomplete", i.Op, i.Capability))
			continue
		}
		if name := wire.ModulePrefix + i.Capability; name == wire.RuntimeModule || name == linkedEnv || name == shimModule {
			err = errors.Join(err, fmt.Errorf("capability %q has a reserved name", i.Capability))
			continue
		}
		err = errors.Join(err, add(doors(i)...), add(extismHTTP(i)...))
	}
	return o, err
}

// choose returns the functions that a module with these imports needs, or every import
// that is not offered, or not so, as *ImportError, joined.
func (o offer) choose(imports []wasm.Import) ([]hostFunc, error) {
	var (
		chosen []hostFunc
		faults []error
		seen   = map[wasm.ImportName]bool{}
	)
	for _, i := range imports {
		f, ok := o[i.ImportName]
		switch {
		case !ok:
			faults = append(faults, &ImportError{Module: i.Module, Name: i.Name})
		case !f.FuncType.Equal(i.Type):
			faults = append(faults, &ImportError{Module: i.Module, Name: i.Name,
				Signature: fmt.Sprintf("offered %s, imported %s", f.FuncType, i.Type)})
		case !seen[i.ImportName]:
			chosen = append(chosen, f)
		}
		seen[i.ImportName] = true
	}
	return chosen, errors.Join(faults...)
}

// link returns the name a function is linked under.
func (f hostFunc) link() wasm.ImportName {
	if f.Module == wire.ExtismEnv {
		return wasm.ImportName{Module: linkedEnv, Name: f.Name}
	}
	return f.ImportName
}

// silent reports whether calls of f are left out of Fault.HostCall: what host/wasm adds,
// and what a guest calls for every byte, which on one engine is not the host's.
func (f hostFunc) silent() bool {
	switch f.Module {
	case wire.ExtismEnv:
		return shimmed[f.Name]
	case wasm.RuntimeModule:
		return f.Name == wasm.RefuelImport || f.Name == wasm.DepthImport
	}
	return false
}

// renames is what Rewrite has to change so that the module imports what is linked.
func renames(fs []hostFunc, link func(hostFunc) wasm.ImportName) map[wasm.ImportName]wasm.ImportName {
	m := map[wasm.ImportName]wasm.ImportName{}
	for _, f := range fs {
		if to := link(f); to != f.ImportName {
			m[f.ImportName] = to
		}
	}
	return m
}

// Check reports which of a module's imports are not offered, or not with that signature,
// to one that is lent the given functions: the error joins an *ImportError for each.
func Check(imports []wasm.Import, lent []Import) error {
	o, err := newOffer(lent)
	if err != nil {
		return err
	}
	_, err = o.choose(imports)
	return err
}
