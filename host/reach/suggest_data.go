package reach

import (
	"fmt"
	"slices"
	"strings"

	"pointsman/host/manifest"
)

// takeSQL reads a resource as host/capability/sqlcap writes it.
func (e *extra) takeSQL(set *manifest.Set, p *manifest.Plugin, r Refusal) string {
	name, statement, _ := strings.Cut(r.Resource, " ")
	name, wanted := strings.CutSuffix(name, "?")
	at := slices.IndexFunc(p.SQLGrants, func(g manifest.SQLGrant) bool { return g.Backend == name && !wanted })
	switch {
	case name == "":
		return "neither its grant nor its author names what it asked for"
	case !wanted && at < 0:
		return "it is no longer granted the database"
	case len(r.Labels) > 0:
		return e.cleared("sql "+name, r)
	case statement == "":
		return "neither the admin nor its author names such a statement"
	}
	backend := slices.IndexFunc(set.Backends, func(b *manifest.Backend) bool { return b.Name == name && b.SQL != nil })
	switch {
	case backend < 0:
		return fmt.Sprintf("it means a database by %q; define one, and grant it with as: %s", name, name)
	case set.Backends[backend].SQL.Statements[statement] == nil:
		return fmt.Sprintf("the back end %s has no statement %q; define it first", name, statement)
	case !wanted && slices.Contains(p.SQLGrants[at].Statements, statement):
		return "it is granted; what refused it is no grant: " + r.Reason
	}
	e.sql[name] = union(e.sql[name], statement)
	return ""
}

// takeCall reads a resource as host/capability/callcap writes it.
func (e *extra) takeCall(set *manifest.Set, p *manifest.Plugin, r Refusal) string {
	plugin, function, ok := strings.Cut(r.Resource, ".")
	if !ok {
		return "neither its grant nor its author names what it asked for"
	}
	granted := slices.ContainsFunc(p.CallGrants, func(g manifest.CallGrant) bool { return g.Plugin == plugin && g.Function == function })
	at := slices.IndexFunc(set.Plugins, func(m *manifest.Plugin) bool { return m.Name == plugin })
	switch {
	case granted && len(r.Labels) > 0:
		return e.cleared("call "+r.Resource, r)
	case granted:
		return "it is granted; what refused it is no grant: " + r.Reason
	case at < 0:
		return fmt.Sprintf("there is no plugin %q", plugin)
	case !slices.Contains(set.Plugins[at].CallableBy, p.Name):
		return fmt.Sprintf("plugin %s would have to say callableBy: [%s] first", plugin, p.Name)
	}
	e.call = union(e.call, r.Resource)
	return ""
}

// takePointer reads a resource as host/capability/pointercap writes it.
func (e *extra) takePointer(set *manifest.Set, p *manifest.Plugin, r Refusal) string {
	var asked manifest.PointerGrant
	switch r.Op {
	case "open":
		asked.Open = r.Resource
	case "mint":
		asked.Mint = r.Resource
	}
	switch {
	case r.Resource == "" || asked == manifest.PointerGrant{}:
		return "neither the admin nor its author names what it asked for: " + r.Reason
	case slices.Contains(p.PointerGrants, asked):
		return "it is granted; what refused it is no grant: " + r.Reason
	case !slices.ContainsFunc(set.Domains, func(d *manifest.Domain) bool { return d.Name == r.Resource }):
		return fmt.Sprintf("there is no domain %q", r.Resource)
	}
	if !slices.Contains(e.pointer, asked) {
		e.pointer = append(e.pointer, asked)
	}
	return ""
}
