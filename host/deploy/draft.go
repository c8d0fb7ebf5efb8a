package deploy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"pointsman/host/grant"
	"pointsman/host/manifest"
	"pointsman/host/sandbox"
	"pointsman/host/wasm"
	"pointsman/pdk/wire"
)

// draft is a release that is valid but not provisioned: nothing of it runs or is open.
type draft struct {
	set     *manifest.Set
	plugins map[string]*draftPlugin
}

type draftPlugin struct {
	manifest *manifest.Plugin
	module   []byte
	info     *wasm.Info
	about    *manifest.About // nil when the module carries none
	grant    grant.Grant
}

// inspector reads a module; see Parts.Inspect.
type inspector = func(module []byte) (*wasm.Info, error)

// Summary counts what a valid folder holds.
type Summary struct {
	Backends  int    `json:"backends"`
	Plugins   int    `json:"plugins"`
	Routes    int    `json:"routes"`
	Consumers int    `json:"consumers"`
	Digest    string `json:"digest"` // of the manifests, SHA-256
}

// Validate checks src as far as that needs neither secrets nor network nor an engine.
// offered are the capabilities of the host. The faults are all that there are; with errors
// among them there is no summary.
func Validate(src Source, offered []string) (Summary, manifest.Faults) {
	d, faults := newDraft(src, offered, wasm.Inspect)
	if faults.HasErrors() {
		return Summary{}, faults
	}
	return Summary{
		Backends: len(d.set.Backends), Plugins: len(d.set.Plugins), Routes: len(d.set.Routes),
		Consumers: len(d.set.Consumers), Digest: d.set.Digest(),
	}, faults
}

// newDraft parses the manifests, reads and checks the modules, and approves their grants.
func newDraft(src Source, offered []string, inspect inspector) (*draft, manifest.Faults) {
	set, faults := manifest.Load(src.Manifests)
	if faults.HasErrors() {
		return nil, faults
	}
	d := &draft{set: set, plugins: map[string]*draftPlugin{}}
	for _, b := range set.Backends {
		if _, err := caPool(src.Manifests, tlsOf(b)); err != nil {
			f := fault(b.Pos, CodeBackend, "spec."+sortOf(b)+".tls.ca", "backend %s: %v", b.Name, err)
			if errors.Is(err, fs.ErrNotExist) { // it may be put there where the manifests are deployed
				f.Severity = manifest.SeverityWarning
			}
			faults = append(faults, f)
		}
	}
	faults = append(faults, doorFaults(src, set)...)
	for _, m := range set.Plugins {
		p, fs := newDraftPlugin(src.Modules, m, offered, inspect)
		faults = append(faults, fs...)
		d.plugins[m.Name] = p
	}
	for _, r := range set.Routes {
		for _, s := range r.Steps {
			faults = append(faults, d.plugins[s.Plugin].lacks(s)...)
		}
	}
	faults = append(faults, d.lackedByCallers()...)
	sortFaults(faults)
	if faults.HasErrors() {
		return nil, faults
	}
	return d, faults
}

// tlsOf is whom a back end of either sort is to trust; nil where it does not say.
func tlsOf(b *manifest.Backend) *manifest.TLS {
	if b.SQL != nil {
		return b.SQL.TLS
	}
	return b.HTTP.TLS
}

// sortOf is the key of a back end's sort.
func sortOf(b *manifest.Backend) string {
	if b.SQL != nil {
		return "sql"
	}
	return "http"
}

func newDraftPlugin(modules fs.FS, m *manifest.Plugin, offered []string, inspect inspector) (*draftPlugin, manifest.Faults) {
	p := &draftPlugin{manifest: m}
	module, err := readModule(modules, m.Module.Path)
	if err != nil {
		return p, manifest.Faults{fault(m.Pos, CodeModule, "spec.module.path", "plugin %s: %v", m.Name, err)}
	}
	p.module = module
	if got := digest(module); m.Module.SHA256 != "" && got != m.Module.SHA256 {
		return p, manifest.Faults{fault(m.Pos, CodeModule, "spec.module.sha256",
			"plugin %s: %s has the digest %s, not the pinned %s", m.Name, m.Module.Path, got, m.Module.SHA256)}
	}
	p.info, err = inspect(module)
	if err != nil {
		return p, manifest.Faults{fault(m.Pos, CodeModule, "spec.module", "plugin %s: %s: %v", m.Name, m.Module.Path, err)}
	}
	p.about, err = aboutOf(m.Module.Path, p.info)
	if err != nil {
		return p, manifest.Faults{fault(m.Pos, CodeModule, "spec.module", "plugin %s: its plugin.yaml: %v", m.Name, err)}
	}
	p.grant, err = grant.Approve(grant.Ask{
		Plugin: m.Name, Imports: importsOf(p.info), Wants: wantsOf(p.about), Grants: m.Grants, Offered: offered,
	})
	return p, append(pluginFaults(m, CodeGrant, "spec.grants", err),
		pluginFaults(m, CodeCompile, "spec.module", sandbox.Check(ungranted(p.info.Imports), nil))...)
}

// ungranted are the imports that no grant could offer: the engine offers them to every
// module, or nobody does.
func ungranted(imports []wasm.Import) []wasm.Import {
	return slices.DeleteFunc(slices.Clone(imports), func(i wasm.Import) bool {
		return grant.CapabilityOf(grant.Import{Module: i.Module, Name: i.Name}) != ""
	})
}

// lacks says when p has no function for s. A plugin that could not be read lacks nothing:
// its own fault was reported.
func (p *draftPlugin) lacks(s manifest.Step) manifest.Faults {
	if p.info == nil {
		return nil
	}
	if p.about != nil {
		if _, ok := p.about.Functions[s.Function]; ok && p.exports(s.Function) {
			return nil
		}
	} else if p.exports(s.Function) {
		return nil
	}
	return manifest.Faults{fault(s.Pos, CodeFunction, "call", "step %s: plugin %s has no function %q; it has %s",
		s.Name, s.Plugin, s.Function, list(p.functions()))}
}

// lackedByCallers says which functions plugins are granted of plugins that do not have them.
func (d *draft) lackedByCallers() manifest.Faults {
	var faults manifest.Faults
	for _, m := range d.set.Plugins {
		for i, g := range m.CallGrants {
			p := d.plugins[g.Plugin]
			if p == nil || p.info == nil || slices.Contains(p.functions(), g.Function) { // host/manifest says that there is no such plugin
				continue
			}
			faults = append(faults, fault(m.Pos, CodeFunction, fmt.Sprintf("spec.grants.call[%d].function", i),
				"plugin %s: plugin %s has no function %q; it has %s", m.Name, g.Plugin, g.Function, list(p.functions())))
		}
	}
	return faults
}

func (p *draftPlugin) exports(function string) bool {
	return slices.Contains(sandbox.Callable(p.info.Exports), function)
}

// functions are those that a step may call: what the module offers, and of that what its
// author declares.
func (p *draftPlugin) functions() []string {
	names := sandbox.Callable(p.info.Exports)
	if p.about == nil {
		return names
	}
	return slices.DeleteFunc(names, func(name string) bool {
		_, declared := p.about.Functions[name]
		return !declared
	})
}

func aboutOf(file string, info *wasm.Info) (*manifest.About, error) {
	text, ok := info.Custom[wire.PluginSection]
	if !ok {
		return nil, nil
	}
	about, faults := manifest.ParseAbout(file, text)
	return about, faults.Err()
}

func wantsOf(a *manifest.About) grant.Wants {
	if a == nil {
		return grant.Wants{}
	}
	w := grant.Wants{Declared: true, Log: a.Wants.Log != nil, KV: a.Wants.KV != nil, Parcel: a.Wants.Parcel != nil}
	for _, h := range a.Wants.HTTP {
		w.HTTP = append(w.HTTP, grant.HTTP{Backend: h.Backend, Allow: h.Allow, Query: h.Query, Headers: h.Headers})
	}
	for _, q := range a.Wants.SQL {
		w.SQL = append(w.SQL, grant.SQL{Backend: q.Backend, Statements: q.Statements})
	}
	for _, c := range a.Wants.Call {
		w.Call = append(w.Call, c.Plugin+"."+c.Function)
	}
	for _, p := range a.Wants.Pointer {
		w.Pointer = append(w.Pointer, grant.Pointer{Open: p.Open, Mint: p.Mint})
	}
	return w
}

func importsOf(info *wasm.Info) []grant.Import {
	imports := make([]grant.Import, len(info.Imports))
	for i, imp := range info.Imports {
		imports[i] = grant.Import{Module: imp.Module, Name: imp.Name}
	}
	return imports
}

// pluginFaults is one fault for each error that err joins, none for nil.
func pluginFaults(m *manifest.Plugin, code, path string, err error) manifest.Faults {
	if err == nil {
		return nil
	}
	errs := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		errs = joined.Unwrap()
	}
	var faults manifest.Faults
	for _, e := range errs {
		faults = append(faults, fault(m.Pos, code, path, "plugin %s: %v", m.Name, e))
	}
	return faults
}

func fault(pos manifest.Pos, code, path, format string, args ...any) manifest.Fault {
	return manifest.Fault{
		Severity: manifest.SeverityError, Code: code, Message: fmt.Sprintf(format, args...),
		File: pos.File, Line: pos.Line, Column: pos.Column, Path: path,
	}
}

// sortFaults puts faults in the order of their places, as host/manifest does.
func sortFaults(faults manifest.Faults) {
	slices.SortStableFunc(faults, func(a, b manifest.Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message))
	})
}

func digest(module []byte) string {
	sum := sha256.Sum256(module)
	return hex.EncodeToString(sum[:])
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// maxModule is the size of a module that is read at all. SECURITY-RULES: 16 MiB.
const maxModule = 16 << 20

func readModule(modules fs.FS, path string) (module []byte, err error) {
	file, err := modules.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no module %s in the modules folder", path)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	switch info, err := file.Stat(); {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("module %s is not a file", path)
	}
	module, err = io.ReadAll(io.LimitReader(file, maxModule+1))
	if err == nil && len(module) > maxModule {
		return nil, fmt.Errorf("module %s is larger than %d MiB", path, maxModule>>20)
	}
	return module, err
}
