package reach

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"pointsman/host/manifest"
)

// Subject is who sees, or what is reached: a kind and a name.
type Subject struct {
	Kind string `json:"kind"`
	Name string `json:"name,omitempty"`
}

func (s Subject) String() string { return strings.TrimSpace(s.Kind + " " + s.Name) }

// Hop is one piece of a witness, on the way from who sees to where it comes from.
type Hop struct {
	Kind string `json:"kind"` // consumer route step plugin backend statement domain param field …
	Name string `json:"name"`
	Note string `json:"note,omitempty"` // "sees", "moves", a method and path …
}

// Sighting says that somebody can see a field, and by which way.
type Sighting struct {
	Who     Subject  `json:"who"` // a consumer or plugin; a back end that is sent it; kv or log of a plugin
	Source  string   `json:"source"`
	Path    string   `json:"path"` // empty: fields that no manifest names
	Labels  []string `json:"labels,omitempty"`
	Routes  []string `json:"routes,omitempty"` // of a consumer: all by which it can
	Witness []Hop    `json:"witness"`          // the shortest way
}

// WhoCanSee lists everybody who can see what t is about, one sighting for each of them and
// each field: consumers first, then plugins, then where else it can go.
func (g *Graph) WhoCanSee(t Target) []Sighting {
	var out []Sighting
	f := newFlow(g)
	for _, a := range t.atoms {
		f.follow(a)
		out = append(out, f.sightings(t.label)...)
	}
	slices.SortStableFunc(out, func(a, b Sighting) int {
		return cmp.Or(cmp.Compare(rank(a.Who.Kind), rank(b.Who.Kind)), cmp.Compare(a.Who.Name, b.Who.Name),
			cmp.Compare(a.Source, b.Source), cmp.Compare(a.Path, b.Path))
	})
	return out
}

func rank(kind string) int {
	return slices.Index([]string{"consumer", "plugin", "backend", "kv", "log"}, kind)
}

// sightings are of the field that was followed. With a label, only where it still carries
// that label counts.
func (f *flow) sightings(label string) []Sighting {
	a := f.atom
	var out []Sighting
	at := map[Subject]int{}
	for i, v := range f.visits {
		who, ok := f.who(v)
		if !ok || label != "" && !f.sets[v.labels].Has(label) {
			continue
		}
		k, seen := at[who]
		if !seen {
			k = len(out)
			at[who] = k
			out = append(out, Sighting{Who: who, Source: a.source.name(), Path: a.path, Labels: f.sets[v.labels].Names(), Witness: f.witness(i)})
		}
		if v.place == atConsumer {
			if by := f.g.routes[v.other].Name; !has(out[k].Routes, by) {
				out[k].Routes = append(out[k].Routes, by)
			}
		}
	}
	return out
}

// who sees it at a place; nobody on the way from one to the next.
func (f *flow) who(v visit) (Subject, bool) {
	switch v.place {
	case atConsumer:
		return Subject{"consumer", f.g.consumers[v.id].Name}, true
	case atSees:
		return Subject{"plugin", f.g.frames[v.id].plugin.Name}, true
	case atBackend:
		to := f.g.set.Backends[v.other].Name
		return Subject{"backend", to}, to != f.atom.source.backend
	case atKV:
		return Subject{"kv", f.g.plugins[v.id].Name}, true
	case atLog:
		return Subject{"log", f.g.plugins[v.id].Name}, true
	}
	return Subject{}, false
}

func orNone(words []string) string {
	if len(words) == 0 {
		return "none is declared"
	}
	return strings.Join(words, ", ")
}

// find looks up who a claim or question names.
func (g *Graph) find(s Subject) error {
	names := map[string][]string{
		"plugin": namesOf(g.set.Plugins, func(p *manifest.Plugin) string { return p.Name }), "consumer": namesOf(g.set.Consumers, func(c *manifest.Consumer) string { return c.Name }),
		"backend": namesOf(g.set.Backends, func(b *manifest.Backend) string { return b.Name }), "route": namesOf(g.set.Routes, func(r *manifest.Route) string { return r.Name }),
		"domain": namesOf(g.set.Domains, func(d *manifest.Domain) string { return d.Name }),
	}
	switch s.Kind {
	case "log", "kv":
		return nil
	case "statement":
		backend, name, _ := strings.Cut(s.Name, ".")
		if g.statement(backend, name) == nil {
			return fmt.Errorf("there is no statement %q; write BACKEND.STATEMENT", s.Name)
		}
		return nil
	case "secret":
		var all []string
		for _, b := range g.set.Backends {
			all = append(all, secretsOf(b)...)
		}
		if !has(all, s.Name) {
			return fmt.Errorf("no back end uses a secret %q; there are %s", s.Name, orNone(all))
		}
		return nil
	}
	known, ok := names[s.Kind]
	if !ok {
		return fmt.Errorf("%q is nothing that can be named here", s.Kind)
	}
	if !has(known, s.Name) {
		return fmt.Errorf("there is no %s %q; there are %s", s.Kind, s.Name, orNone(known))
	}
	return nil
}

func namesOf[T any](items []T, name func(T) string) []string {
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = name(item)
	}
	return out
}
