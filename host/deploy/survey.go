package deploy

import (
	"fmt"
	"io/fs"

	"pointsman/host/manifest"
	graph "pointsman/host/reach"
	"pointsman/host/wasm"
)

// Survey is what can be known of a folder of manifests for questions about who reaches what:
// nothing is approved, opened or compiled for it.
type Survey struct {
	Set     *manifest.Set
	Modules graph.Modules              // what was found; a plugin without a module is not in it
	About   map[string]*manifest.About // what authors say, where a module carries it
}

// NewSurvey reads manifests, and the modules that are there. A module that is missing is a
// warning: its plugin counts as one that imports everything. One that is there and is not
// what the manifest says, or no module, is an error. With errors among the faults there is
// no survey.
func NewSurvey(src Source) (*Survey, manifest.Faults) {
	set, faults := manifest.Load(src.Manifests)
	if faults.HasErrors() {
		return nil, faults
	}
	s := &Survey{Set: set, Modules: graph.Modules{}, About: map[string]*manifest.About{}}
	for _, m := range set.Plugins {
		faults = append(faults, s.add(src.Modules, m)...)
	}
	sortFaults(faults)
	if faults.HasErrors() {
		return nil, faults
	}
	return s, faults
}

func (s *Survey) add(modules fs.FS, m *manifest.Plugin) manifest.Faults {
	if f, err := modules.Open(m.Module.Path); err != nil {
		warning := fault(m.Pos, CodeModule, "spec.module.path", "plugin %s: module %s was not found; it counts as one that imports everything", m.Name, m.Module.Path)
		warning.Severity = manifest.SeverityWarning
		return manifest.Faults{warning}
	} else {
		f.Close()
	}
	module, err := readModule(modules, m.Module.Path)
	if err != nil {
		return manifest.Faults{fault(m.Pos, CodeModule, "spec.module.path", "plugin %s: %v", m.Name, err)}
	}
	if got := digest(module); m.Module.SHA256 != "" && got != m.Module.SHA256 {
		return manifest.Faults{fault(m.Pos, CodeModule, "spec.module.sha256", "plugin %s: %s has the digest %s, not the pinned %s", m.Name, m.Module.Path, got, m.Module.SHA256)}
	}
	info, err := wasm.Inspect(module)
	if err != nil {
		return manifest.Faults{fault(m.Pos, CodeModule, "spec.module", "plugin %s: %s: %v", m.Name, m.Module.Path, err)}
	}
	s.Modules[m.Name] = importsOf(info)
	about, err := aboutOf(m.Module.Path, info)
	if err != nil {
		return manifest.Faults{fault(m.Pos, CodeModule, "spec.module", "plugin %s: its plugin.yaml: %v", m.Name, err)}
	}
	if about != nil {
		s.About[m.Name] = about
	}
	return nil
}

// Graph is who reaches what in s.
func (s *Survey) Graph() (*graph.Graph, error) {
	g, err := graph.New(s.Set, s.Modules)
	if err != nil {
		return nil, fmt.Errorf("build the graph: %w", err)
	}
	return g, nil
}
