package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// use is a name that must be defined somewhere: a document of the kind, or what the other
// kinds of use say.
type use struct {
	kind, name string
	pos        Pos
	at         string
	of         string  // useStatement: the back end
	by         *Plugin // whose document it is in; nil: another kind's
}

// Kinds of use beside the kinds of document.
const (
	useHTTP      = "http backend"
	useSQL       = "sql backend"
	useReach     = "backend of a domain"
	useStatement = "statement"
	useCall      = "call"
	useCaller    = "caller"
	useOpen      = "domain to open"
	useLabel     = "label"
)

// document is the kind of document that defines the name, empty for what is part of one.
func (u use) document() string {
	switch u.kind {
	case useHTTP, useSQL, useReach:
		return KindBackend
	case useCall, useCaller:
		return KindPlugin
	case useOpen:
		return KindDomain
	case useStatement, useLabel:
		return ""
	}
	return u.kind
}

// ofBackend says which back end the statements are of that were read last, at at.
func (r *reader) ofBackend(at, backend string) {
	for i := len(r.uses) - 1; i >= 0; i-- {
		u := &r.uses[i]
		if u.by != nil || u.kind == useStatement && !strings.HasPrefix(u.at, at) {
			return // another document's or another grant's
		}
		if u.kind == useStatement {
			u.of = backend
		}
	}
}

// definition is a document, reduced to what the checks between documents need.
type definition struct {
	kind, name string
	pos        Pos
}

// finish checks what documents say about each other and returns the result of Load.
func (l *loader) finish() (*Set, Faults) {
	s := &l.set
	sortByName(s.Backends, func(b *Backend) (string, Pos) { return b.Name, b.Pos })
	sortByName(s.Domains, func(d *Domain) (string, Pos) { return d.Name, d.Pos })
	sortByName(s.Plugins, func(p *Plugin) (string, Pos) { return p.Name, p.Pos })
	sortByName(s.Routes, func(r *Route) (string, Pos) { return r.Name, r.Pos })
	sortByName(s.Issuers, func(i *Issuer) (string, Pos) { return i.Name, i.Pos })
	sortByName(l.gateways, func(g *Gateway) (string, Pos) { return g.Name, g.Pos })
	sortByName(s.Consumers, func(c *Consumer) (string, Pos) { return c.Name, c.Pos })

	l.sameNames()
	l.unknownNames()
	l.collisions()
	l.ceilings()
	l.sorts()
	l.calls()
	l.openers()
	l.callers()
	if !l.faults.HasErrors() { // a name that is misspelt is not also unused
		l.idle()
		l.unknownLabels()
		l.twoCallers()
	}
	if l.docs == 0 && len(l.faults) == 0 {
		l.faults = append(l.faults, fileFault(".", codeNone, "there is no manifest (*.yaml) here"))
	}
	l.faults.sort()
	l.faults = slices.Compact(l.faults) // a document that is not YAML may be met twice
	if l.faults.HasErrors() {
		return nil, l.faults
	}
	return s, l.faults
}

func sortByName[T any](items []T, id func(T) (string, Pos)) {
	slices.SortStableFunc(items, func(a, b T) int {
		an, ap := id(a)
		bn, bp := id(b)
		return cmp.Or(cmp.Compare(an, bn), cmp.Compare(ap.File, bp.File), cmp.Compare(ap.Line, bp.Line))
	})
}

func (l *loader) definitions() []definition {
	var out []definition
	for _, b := range l.set.Backends {
		out = append(out, definition{KindBackend, b.Name, b.Pos})
	}
	for _, d := range l.set.Domains {
		out = append(out, definition{KindDomain, d.Name, d.Pos})
	}
	for _, p := range l.set.Plugins {
		out = append(out, definition{KindPlugin, p.Name, p.Pos})
	}
	for _, r := range l.set.Routes {
		out = append(out, definition{KindRoute, r.Name, r.Pos})
	}
	for _, i := range l.set.Issuers {
		out = append(out, definition{KindIssuer, i.Name, i.Pos})
	}
	for _, c := range l.set.Consumers {
		out = append(out, definition{KindConsumer, c.Name, c.Pos})
	}
	return slices.DeleteFunc(out, func(d definition) bool { return d.name == "" }) // reported
}

func (l *loader) add(severity, code, suggestion string, pos Pos, at, format string, args ...any) {
	l.faults = append(l.faults, Fault{Severity: severity, Code: code, Message: fmt.Sprintf(format, args...),
		File: pos.File, Line: pos.Line, Column: pos.Column, Path: at, Suggestion: suggestion})
}

func (l *loader) sameNames() {
	first := map[[2]string]Pos{}
	for _, d := range l.definitions() {
		id := [2]string{d.kind, d.name}
		if p, ok := first[id]; ok {
			l.add(SeverityError, codeSameName, "", d.pos, "metadata.name", "%s %s is already defined at %s", d.kind, d.name, p)
			continue
		}
		first[id] = d.pos
	}
}

func (l *loader) unknownNames() {
	byKind := map[string][]string{}
	known := map[[2]string]bool{}
	for _, d := range l.definitions() {
		byKind[d.kind] = append(byKind[d.kind], d.name)
		known[[2]string{d.kind, d.name}] = true
	}
	lost := slices.ContainsFunc(l.faults, func(f Fault) bool { return slices.Contains(losing, f.Code) })
	tried := 0
	for _, u := range l.uses {
		kind := u.document()
		if kind == "" || known[[2]string{kind, u.name}] {
			continue
		}
		code, noun := codeNoBackend, "backend"
		switch kind {
		case KindPlugin:
			code, noun = codeNoPlugin, "plugin"
		case KindDomain:
			code, noun = codeNoDomain, "domain"
		case KindIssuer:
			code, noun = codeNoIssuer, "issuer"
		}
		if tried++; tried > maxFileFaults {
			l.add(SeverityError, codeCut, "", u.pos, u.at, "more than %d unknown names; the rest is not shown", maxFileFaults)
			return
		}
		near := nearest(u.name, byKind[kind])
		if lost && near == "" {
			continue // it may be defined in what could not be read
		}
		l.add(SeverityError, code, near, u.pos, u.at, "there is no %s %q", noun, u.name)
	}
}

// losing are the codes of faults that leave whole documents unread.
var losing = []string{codeUnreadable, codeTooLarge, codeTooMany, codeEncoding, codeCharacter, codeTab, codeSyntax, codeDepth, codeAlias, codeKind, codeName}

func (l *loader) collisions() {
	first := map[string]*Route{}
	for _, r := range l.set.Routes {
		if r.Path == "" {
			continue // reported
		}
		id := r.Method + " " + shape(r.Path)
		if other, ok := first[id]; ok {
			l.add(SeverityError, codeCollision, "", r.Pos, "spec.path", "%s %s matches the same requests as route %s at %s", r.Method, r.Path, other.Name, other.Pos)
			continue
		}
		first[id] = r
	}
}

// idle warns of what is defined and does nothing.
func (l *loader) idle() {
	used := map[[2]string]bool{}
	for _, u := range l.uses {
		if u.kind != useReach && u.kind != useCaller { // to be reached or called by someone is no use
			used[[2]string{u.document(), u.name}] = true
		}
	}
	for _, b := range l.set.Backends {
		if !used[[2]string{KindBackend, b.Name}] {
			l.add(SeverityWarning, codeIdleBackend, "", b.Pos, "metadata.name", "no plugin is granted backend %s", b.Name)
		}
	}
	for _, d := range l.set.Domains {
		if !used[[2]string{KindDomain, d.Name}] {
			l.add(SeverityWarning, codeIdleDomain, "", d.Pos, "metadata.name", "no route and no grant has pointers of domain %s", d.Name)
		}
	}
	for _, p := range l.set.Plugins {
		if !used[[2]string{KindPlugin, p.Name}] {
			l.add(SeverityWarning, codeIdlePlugin, "", p.Pos, "metadata.name", "neither a route nor a plugin calls plugin %s", p.Name)
		}
	}
	for _, i := range l.set.Issuers {
		if !used[[2]string{KindIssuer, i.Name}] {
			l.add(SeverityWarning, codeIdleIssuer, "", i.Pos, "metadata.name", "no consumer's tokens come from issuer %s", i.Name)
		}
	}
	var asked []string
	for _, r := range l.set.Routes {
		asked = append(append(asked, r.Scopes...), keys(r.Views)...)
	}
	for _, c := range l.set.Consumers {
		for _, s := range c.Scopes {
			if !slices.Contains(asked, s) {
				l.add(SeverityWarning, codeUselessScope, nearest(s, asked), c.Pos, "spec.scopes", "consumer %s has scope %s, which no route asks for", c.Name, s)
			}
		}
	}
}
