package deploy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pointsman/host/grant"
	"pointsman/host/manifest"
	"pointsman/host/sandbox"
	"pointsman/host/wasm"
)

// Inspection is what can be told of a module without running it.
type Inspection struct {
	Name        string             `json:"name,omitempty"`
	Version     string             `json:"version,omitempty"`
	Description string             `json:"description,omitempty"`
	SHA256      string             `json:"sha256"`
	Size        int                `json:"size"` // bytes
	Functions   int                `json:"functions"`
	MemoryKiB   int                `json:"memoryKiB"` // at the start
	Exports     []InspectionExport `json:"exports"`
	Imports     []InspectionImport `json:"imports"`
	Declared    bool               `json:"declared"` // whether it carries its author's plugin.yaml
	Wants       []InspectionWant   `json:"wants,omitempty"`
	Refused     []string           `json:"refused,omitempty"` // why no host would run it; empty when one could
	// Restorable says that the snapshot engine can restore an instance after a call. If not,
	// Lasting is what in the code leaves behind more than memory and globals; each call then
	// gets a new instance, which is slower.
	Restorable bool   `json:"restorable"`
	Lasting    string `json:"lasting,omitempty"`
}

// InspectionExport is a function that a step can call.
type InspectionExport struct {
	Name    string `json:"name"`
	Summary string `json:"summary,omitempty"`
}

// InspectionImport is one import and who offers it.
type InspectionImport struct {
	Module string `json:"module"`
	Name   string `json:"name"`
	Offer  string `json:"offer"` // AlwaysOffered, "needs grants.…" or "refused"
}

// AlwaysOffered is the offer of an import that no grant is needed for.
const AlwaysOffered = "always offered"

// InspectionWant is one thing that the author asks for.
type InspectionWant struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
}

// Inspect reads a module. The error is for one that is not a module that we take; what a
// host that can lend everything in lendable would refuse is in the report.
func Inspect(module []byte, lendable []sandbox.Import) (*Inspection, error) {
	info, err := wasm.Inspect(module)
	if err != nil {
		return nil, err
	}
	r := &Inspection{
		SHA256: digest(module), Size: len(module), Functions: info.Functions,
		Restorable: info.Lasting == "", Lasting: info.Lasting,
		Exports: []InspectionExport{}, Imports: []InspectionImport{}, // lists in JSON, also when empty
	}
	if info.Memory != nil {
		r.MemoryKiB = int(info.Memory.Min) * 64 // a page is 64 KiB
	}
	about, err := aboutOf("plugin.yaml", info)
	if err != nil {
		r.Refused = append(r.Refused, "its plugin.yaml is not valid: "+err.Error())
	}
	p := draftPlugin{info: info, about: about}
	for _, name := range p.functions() {
		e := InspectionExport{Name: name}
		if about != nil {
			e.Summary = about.Functions[name].Summary
		}
		r.Exports = append(r.Exports, e)
	}
	if about != nil {
		r.Name, r.Version, r.Description, r.Declared = about.Name, about.Version, about.Description, true
		r.addWants(about.Wants)
		for _, name := range slices.Sorted(maps.Keys(about.Functions)) {
			if !p.exports(name) {
				r.Refused = append(r.Refused, fmt.Sprintf("plugin.yaml declares the function %q, which the module does not export", name))
			}
		}
	}
	if len(r.Exports) == 0 {
		r.Refused = append(r.Refused, "it exports no function that a step could call")
	}
	r.addImports(info, lendable)
	return r, nil
}

func (r *Inspection) addWants(w manifest.Wants) {
	add := func(reason, format string, args ...any) {
		r.Wants = append(r.Wants, InspectionWant{fmt.Sprintf(format, args...), reason})
	}
	for _, h := range w.HTTP {
		add(h.Reason, "http to %s: %s", h.Backend, strings.Join(h.Allow, ", "))
	}
	for _, q := range w.SQL {
		add(q.Reason, "sql of %s: %s", q.Backend, strings.Join(q.Statements, ", "))
	}
	if w.KV != nil {
		add(w.KV.Reason, "kv")
	}
	for _, c := range w.Call {
		add(c.Reason, "call of %s.%s", c.Plugin, c.Function)
	}
	for _, p := range w.Pointer {
		if p.Open != "" {
			add(p.Reason, "pointer: open those of %s", p.Open)
		} else {
			add(p.Reason, "pointer: mint those of %s", p.Mint)
		}
	}
	if w.Parcel != nil {
		add(w.Parcel.Reason, "parcel")
	}
	if w.Log != nil {
		add(w.Log.Reason, "log")
	}
}

func (r *Inspection) addImports(info *wasm.Info, lendable []sandbox.Import) {
	for _, imp := range info.Imports {
		offer := AlwaysOffered
		if err := sandbox.Check([]wasm.Import{imp}, lendable); err != nil {
			offer = "refused"
			r.Refused = append(r.Refused, err.Error())
		} else if c := grant.CapabilityOf(grant.Import{Module: imp.Module, Name: imp.Name}); c != "" {
			offer = "needs grants." + c
		}
		r.Imports = append(r.Imports, InspectionImport{imp.Module, imp.Name, offer})
	}
}
