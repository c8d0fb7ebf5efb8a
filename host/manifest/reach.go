package manifest

import (
	"slices"
	"strings"
)

// MaxCallDepth is how many calls deep plugins may call each other below the plugin that a
// route calls.
const MaxCallDepth = 4

// sorts reports grants of another sort of back end than theirs, and statements that a back
// end does not have.
func (l *loader) sorts() {
	backends := map[string]*Backend{}
	for _, b := range l.set.Backends {
		backends[b.Name] = b
	}
	for _, u := range l.uses {
		switch b := backends[u.name]; {
		case u.kind == useHTTP && b != nil && b.HTTP == nil && b.SQL != nil:
			l.add(SeverityError, codeOtherSort, "", u.pos, u.at, "backend %s is a database; grant its statements under sql", b.Name)
		case u.kind == useSQL && b != nil && b.SQL == nil && b.HTTP != nil:
			l.add(SeverityError, codeOtherSort, "", u.pos, u.at, "backend %s is an HTTP origin; grant its methods and paths under http", b.Name)
		case u.kind == useStatement:
			of := backends[u.of]
			if of == nil || of.SQL == nil || len(of.SQL.Statements) == 0 || of.SQL.Statements[u.name] != nil {
				continue // there, or reported
			}
			l.add(SeverityError, codeNoStatement, nearest(u.name, keys(of.SQL.Statements)), u.pos, u.at, "backend %s has no statement %q", u.of, u.name)
		}
	}
}

// plugins returns the plugins by name, the first of each.
func (l *loader) plugins() map[string]*Plugin {
	out := map[string]*Plugin{}
	for _, p := range slices.Backward(l.set.Plugins) {
		out[p.Name] = p
	}
	return out
}

// calls reports calls that the other side does not allow, circles of calls, and chains that
// are too deep, each with the plugins on the way.
func (l *loader) calls() {
	plugins := l.plugins()
	places := map[[2]string]use{} // caller and callee: the first grant
	for _, u := range l.uses {
		if u.kind != useCall || u.by == nil {
			continue
		}
		edge := [2]string{u.by.Name, u.name}
		if _, ok := places[edge]; !ok {
			places[edge] = u
		}
		callee := plugins[u.name]
		if callee != nil && u.by.Name != "" && u.by.Name != u.name && !slices.Contains(callee.CallableBy, u.by.Name) {
			l.add(SeverityError, codeNotCallable, "", u.pos, u.at, "plugin %s does not say callableBy: [%s]", u.name, u.by.Name)
		}
	}
	g := callGraph{plugins: plugins, deepest: map[string][]string{}, state: map[string]int{}}
	for _, name := range keys(plugins) {
		g.walk(name, nil)
	}
	for _, circle := range g.circles {
		u := places[[2]string{circle[len(circle)-2], circle[len(circle)-1]}]
		l.add(SeverityError, codeCallCycle, "", u.pos, u.at, "plugins call each other: %s", strings.Join(circle, " → "))
	}
	if len(g.circles) > 0 {
		return
	}
	for _, name := range keys(plugins) {
		// A chain is reported where it begins to be too deep, not at each plugin above.
		if chain := g.deepest[name]; len(chain) == MaxCallDepth+2 {
			u := places[[2]string{chain[0], chain[1]}]
			l.add(SeverityError, codeCallDepth, "", u.pos, u.at, "plugins may call each other %d deep: %s", MaxCallDepth, strings.Join(chain, " → "))
		}
	}
}

// callGraph walks through what plugins may call.
type callGraph struct {
	plugins map[string]*Plugin
	state   map[string]int // walking, done
	deepest map[string][]string
	circles [][]string
}

// walk finds the longest chain of calls from a plugin, and the circles that it closes. It goes
// as deep as there are plugins in a chain.
func (g *callGraph) walk(name string, trail []string) {
	const walking, done = 1, 2
	if g.state[name] == done || g.plugins[name] == nil {
		return
	}
	trail = append(slices.Clip(trail), name)
	g.state[name] = walking
	longest := []string{name}
	last := ""
	for _, c := range g.plugins[name].CallGrants { // sorted: several functions of one plugin are neighbours
		if c.Plugin == last {
			continue
		}
		last = c.Plugin
		if g.state[c.Plugin] == walking {
			g.circles = append(g.circles, append(slices.Clone(trail[slices.Index(trail, c.Plugin):]), c.Plugin))
			continue
		}
		g.walk(c.Plugin, trail)
		if below := g.deepest[c.Plugin]; len(below) >= len(longest) {
			longest = append([]string{name}, below...)
		}
	}
	g.state[name], g.deepest[name] = done, longest
}

// openers reports plugins that may open pointers of a domain and reach back ends that its
// ids may not go to, themselves or through plugins that they call.
func (l *loader) openers() {
	plugins, domains := l.plugins(), map[string]*Domain{}
	for _, d := range l.set.Domains {
		domains[d.Name] = d
	}
	for _, u := range l.uses {
		d := domains[u.name]
		if u.kind != useOpen || u.by == nil || d == nil || len(d.Backends) == 0 {
			continue
		}
		told := map[string]bool{}
		seen := map[string]bool{}
		for todo := [][]string{{u.by.Name}}; len(todo) > 0; todo = todo[1:] {
			chain := todo[0]
			p := plugins[chain[len(chain)-1]]
			if p == nil || seen[p.Name] {
				continue
			}
			seen[p.Name] = true
			for _, backend := range p.reaches() {
				if slices.Contains(d.Backends, backend) || told[backend] {
					continue
				}
				told[backend] = true
				l.add(SeverityError, codeOpenReach, nearest(backend, d.Backends), u.pos, u.at, "ids of domain %s would reach backend %s, which it does not name: %s",
					d.Name, backend, strings.Join(append(slices.Clone(chain), backend), " → "))
			}
			for _, c := range p.CallGrants {
				todo = append(todo, append(slices.Clone(chain), c.Plugin))
			}
		}
	}
}

// reaches are the back ends that a plugin is granted itself, sorted.
func (p *Plugin) reaches() []string {
	var out []string
	for _, g := range p.HTTPGrants {
		out = append(out, g.Backend)
	}
	for _, g := range p.SQLGrants {
		out = append(out, g.Backend)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// unknownLabels warns of clearances for labels that nothing has.
func (l *loader) unknownLabels() {
	declared := map[string]bool{}
	declare := func(labels map[string][]string) {
		for label := range labels {
			declared[label] = true
		}
	}
	for _, b := range l.set.Backends {
		if b.HTTP != nil {
			declare(b.HTTP.Labels)
		}
		if b.SQL != nil {
			for _, s := range b.SQL.Statements {
				declare(s.Labels)
			}
		}
	}
	for _, r := range l.set.Routes {
		for _, p := range r.Params {
			if p.Label != "" {
				declared[p.Label] = true
			}
		}
	}
	for _, u := range l.uses {
		if u.kind == useLabel && !declared[u.name] {
			l.add(SeverityWarning, codeNoLabel, nearest(u.name, keys(declared)), u.pos, u.at, "no back end, statement or parameter has label %s", u.name)
		}
	}
}
