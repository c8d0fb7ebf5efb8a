// Package grant owns approval: it is the only maker of a Grant that lends anything.
//
// What a plugin may use is the intersection of four things: what its module imports,
// what its author says it wants, what the admin's manifest grants, and what this host
// offers at all. Anything that is missing from the last three, and needed by the first,
// refuses the plugin; a grant that goes beyond the wants is refused too, because then
// somebody is mistaken about what the plugin does.
package grant

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Grant is what one plugin was approved to use. The zero value lends nothing.
// It is immutable and safe for concurrent use.
type Grant struct {
	plugin string
	scopes map[string]json.RawMessage
	wants  Wants
}

// Plugin is the name of the plugin that the grant is for.
func (g Grant) Plugin() string { return g.plugin }

// Wants is what the plugin's author says it needs: words that may be recorded where a value of
// the plugin's may not. It lends nothing.
func (g Grant) Wants() Wants { return g.wants }

// Capabilities are the names of what is lent, sorted.
func (g Grant) Capabilities() []string { return slices.Sorted(maps.Keys(g.scopes)) }

// Scope returns what was granted of one capability, as canonical JSON, and whether
// anything was.
func (g Grant) Scope(capability string) (json.RawMessage, bool) {
	raw, ok := g.scopes[capability]
	return slices.Clone(raw), ok
}

// Digest names the grant: SHA-256 over what it lends, in hex. Two grants with one digest
// lend the same.
func (g Grant) Digest() string {
	canonical, err := json.Marshal(g.scopes) // maps are written in the order of their keys
	if err != nil {                          // scopes hold JSON that was marshalled by Approve
		panic(err)
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

// Import is one import of a module, as far as approval needs to know.
type Import struct{ Module, Name string }

// Ask is everything that approval looks at.
type Ask struct {
	Plugin  string
	Imports []Import                   // of the module, read from its bytes
	Wants   Wants                      // of its author
	Grants  map[string]json.RawMessage // of the admin: capability -> grant
	Offered []string                   // by this host
}

// Wants is what the author of a plugin says it needs.
type Wants struct {
	Declared bool   // false for a module that carries no plugin.yaml: then only the admin's word counts
	HTTP     []HTTP // backend is the name that the plugin uses
	SQL      []SQL  // likewise
	KV       bool
	Call     []string // "plugin.function"
	Pointer  []Pointer
	Parcel   bool
	Log      bool
}

// Approve returns the grant that ask deserves, or every reason why there is none.
func Approve(ask Ask) (Grant, error) {
	var faults []error
	g := Grant{plugin: ask.Plugin, scopes: map[string]json.RawMessage{}, wants: ask.Wants}
	for _, name := range slices.Sorted(maps.Keys(ask.Grants)) {
		if !slices.Contains(ask.Offered, name) {
			faults = append(faults, fmt.Errorf("capability %q is granted but not offered by this host; it offers %s", name, strings.Join(ask.Offered, ", ")))
			continue
		}
		raw, err := narrow(name, ask.Grants[name], ask.Wants)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		g.scopes[name] = raw
	}
	for _, name := range needed(ask.Imports) {
		if _, ok := g.scopes[name]; !ok {
			if _, tried := ask.Grants[name]; !tried {
				faults = append(faults, &MissingError{Capability: name, Imports: importsOf(ask.Imports, name)})
			}
		}
	}
	if len(faults) > 0 {
		return Grant{}, errors.Join(faults...)
	}
	return g, nil
}

// MissingError says that a module imports a power that its manifest does not grant.
type MissingError struct {
	Capability string
	Imports    []Import
}

func (e *MissingError) Error() string {
	names := make([]string, len(e.Imports))
	for i, imp := range e.Imports {
		names[i] = imp.Module + "." + imp.Name
	}
	return fmt.Sprintf("capability %q is needed by import %s but not granted; grants.%s would offer it",
		e.Capability, strings.Join(names, ", "), e.Capability)
}

// CapabilityOf returns the capability that would offer an import, or "" when it belongs to
// none: the runtime's own, Extism's or WASI's.
func CapabilityOf(imp Import) string {
	switch {
	case imp.Module == "pointsman:rt":
		return ""
	case strings.HasPrefix(imp.Module, "pointsman:"):
		return strings.TrimPrefix(imp.Module, "pointsman:")
	case imp.Module == "extism:host/user" && strings.HasPrefix(imp.Name, "pointsman_"):
		name, _, _ := strings.Cut(strings.TrimPrefix(imp.Name, "pointsman_"), "_")
		return name
	case imp.Module == "extism:host/env" && (imp.Name == "http_request" || imp.Name == "http_status_code" || imp.Name == "http_headers"):
		return "http"
	}
	return ""
}

func needed(imports []Import) []string {
	var names []string
	for _, imp := range imports {
		if c := CapabilityOf(imp); c != "" {
			names = append(names, c)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func importsOf(imports []Import, capability string) []Import {
	var of []Import
	for _, imp := range imports {
		if CapabilityOf(imp) == capability {
			of = append(of, imp)
		}
	}
	return of
}
