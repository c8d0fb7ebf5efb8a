package manifest

import (
	"slices"
	"strings"
)

// ceilings reports grants that go past what their back end is for: they would never work,
// and whoever reads the grant alone would believe that they do.
func (l *loader) ceilings() {
	backends := map[string]*HTTPBackend{}
	for _, b := range l.set.Backends {
		if b.HTTP != nil {
			backends[b.Name] = b.HTTP
		}
	}
	for _, p := range l.set.Plugins {
		for _, g := range p.HTTPGrants {
			b := backends[g.Backend]
			if b == nil {
				continue // reported
			}
			for _, rule := range g.Allow {
				method, _, _ := strings.Cut(rule, " ")
				if len(b.Methods) > 0 && !slices.Contains(b.Methods, method) {
					l.add(SeverityError, codeCeiling, "", p.Pos, "spec.grants.http", "%s is granted, but backend %s is for %s only", quote(rule), g.Backend, oneOf(b.Methods))
				}
			}
			for _, name := range g.Headers {
				if len(b.Headers.Request) > 0 && !slices.Contains(b.Headers.Request, name) {
					l.add(SeverityError, codeCeiling, nearest(name, b.Headers.Request), p.Pos, "spec.grants.http", "header %s is granted, but backend %s takes %s only", name, g.Backend, oneOf(b.Headers.Request))
				}
			}
		}
	}
}
