package reach

import (
	"reflect"
	"slices"
	"strings"

	"pointsman/host/manifest"
)

// Power is one thing that a plugin can use: granted, and imported by its module.
type Power struct {
	Kind    string   `json:"kind"`              // the capability
	Target  string   `json:"target,omitempty"`  // a back end, a plugin's function, a domain
	Uses    []string `json:"uses,omitempty"`    // methods and paths, statements, open or mint
	View    []string `json:"view,omitempty"`    // what of the answers it sees: paths, or "all"; none: nothing
	Clear   []string `json:"clear,omitempty"`   // labels that it may have seen
	Secrets []string `json:"secrets,omitempty"` // that the host uses on its behalf
	Writes  bool     `json:"writes,omitempty"`  // has statements that write
}

// powers are those of a plugin itself, in the order of the manifest.
func (g *Graph) powers(p *plugin) []Power {
	var out []Power
	for i := range p.fields {
		link := &p.fields[i]
		w := Power{Kind: link.kind, Target: link.backend, View: viewText(link.view.All(), link.view.Paths()), Clear: link.clear.Names(), Secrets: g.secrets[link.backend]}
		w.Uses = append(w.Uses, link.allow...)
		for _, name := range link.statements {
			w.Uses = append(w.Uses, name)
			if st := g.statement(link.backend, name); st != nil && st.Write {
				w.Writes = true
			}
		}
		out = append(out, w)
	}
	if p.kv != nil {
		out = append(out, Power{Kind: "kv", Clear: p.kv.Names()})
	}
	for _, c := range p.calls {
		out = append(out, Power{Kind: "call", Target: c.callee.Name + "." + c.function, View: viewText(c.view.All(), c.view.Paths()), Clear: c.clear.Names()})
	}
	for _, d := range p.opens {
		out = append(out, Power{Kind: "pointer", Target: d, Uses: []string{"open"}})
	}
	for _, d := range p.mints {
		out = append(out, Power{Kind: "pointer", Target: d, Uses: []string{"mint"}})
	}
	if p.log != nil {
		out = append(out, Power{Kind: "log", Clear: p.log.Names()})
	}
	return out
}

func viewText(all bool, paths []string) []string {
	if all {
		return []string{manifest.AllPaths}
	}
	return paths
}

// secretsOf lists the names of the secrets that requests to a back end are made with, sorted.
func secretsOf(b *manifest.Backend) []string {
	if b == nil {
		return nil
	}
	var names []string
	if b.HTTP != nil {
		names = named(reflect.ValueOf(b.HTTP), nil)
	}
	if b.SQL != nil {
		names = named(reflect.ValueOf(b.SQL.TLS), nil)
		if b.SQL.Password != "" {
			names = append(names, b.SQL.Password)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// named collects the texts in fields called Secret, however deep: a way of authentication
// that is added later is not forgotten here.
func named(v reflect.Value, out []string) []string {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			out = named(v.Elem(), out)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.Name == "Secret" && f.Type.Kind() == reflect.String {
				if s := v.Field(i).String(); s != "" {
					out = append(out, s)
				}
			} else if f.IsExported() {
				out = named(v.Field(i), out)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			out = named(v.Index(i), out)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			out = named(v.MapIndex(k), out)
		}
	}
	return out
}

// provides lists what a power reaches, as claims name it.
func (w Power) provides() []Subject {
	var out []Subject
	switch w.Kind {
	case "http", "sql":
		out = append(out, Subject{"backend", w.Target})
		if w.Kind == "sql" {
			for _, st := range w.Uses {
				out = append(out, Subject{"statement", w.Target + "." + st})
			}
		}
		for _, s := range w.Secrets {
			out = append(out, Subject{"secret", s})
		}
	case "pointer":
		out = append(out, Subject{"domain", w.Target})
	case "kv", "log":
		out = append(out, Subject{w.Kind, ""})
	}
	return out
}

// reached is one resource and the way to it.
type reached struct {
	what Subject
	way  []Hop
}

// fromPlugin lists what a plugin reaches: itself, and through the plugins that it calls. head
// is the way to it.
func (g *Graph) fromPlugin(p *plugin, head []Hop) []reached {
	var out []reached
	seen := map[*plugin]bool{p: true}
	type at struct {
		p   *plugin
		way []Hop
	}
	for todo := []at{{p, append(slices.Clone(head), Hop{Kind: "plugin", Name: p.Name})}}; len(todo) > 0; todo = todo[1:] {
		now := todo[0]
		for _, w := range g.powers(now.p) {
			for _, what := range w.provides() {
				hop := Hop{Kind: what.Kind, Name: what.Name}
				if what.Kind == "backend" {
					hop.Note = shorten(w.Uses)
				}
				out = append(out, reached{what, append(slices.Clone(now.way), hop)})
			}
		}
		for _, c := range now.p.calls {
			if seen[c.callee] {
				continue
			}
			seen[c.callee] = true
			way := append(slices.Clone(now.way), Hop{Kind: "plugin", Name: c.callee.Name, Note: "called as " + c.callee.Name + "." + c.function})
			out = append(out, reached{Subject{"plugin", c.callee.Name}, way})
			todo = append(todo, at{c.callee, way})
		}
	}
	return out
}

// fromConsumer lists what a consumer reaches: routes, plugins, and what these reach.
func (g *Graph) fromConsumer(c *consumer) []reached {
	var out []reached
	for _, r := range c.routes {
		way := []Hop{{Kind: "consumer", Name: c.Name}, {Kind: "route", Name: r.Name, Note: r.Method + " " + r.Path}}
		out = append(out, reached{Subject{"route", r.Name}, way})
		for _, st := range r.steps {
			p := g.byName[st.Plugin]
			if p == nil {
				continue
			}
			way := append(slices.Clone(way), Hop{Kind: "step", Name: st.Name})
			out = append(out, reached{Subject{"plugin", p.Name}, append(slices.Clone(way), Hop{Kind: "plugin", Name: p.Name})})
			out = append(out, g.fromPlugin(p, way)...)
		}
	}
	return out
}

// maxShown is how many methods and paths, or statements, a line of text names.
const maxShown = 3

func shorten(words []string) string {
	if len(words) <= maxShown {
		return strings.Join(words, ", ")
	}
	return strings.Join(words[:maxShown], ", ") + ", …"
}
