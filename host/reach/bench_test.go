package reach_test

import (
	"fmt"
	"testing"
	"time"

	"pointsman/host/manifest"
	"pointsman/host/reach"
)

// large is a set of plugins and routes as a company of many teams has them: a back end for
// every plugin, three steps in a route of which one puts the others together, a call between
// plugins here and there, and labels everywhere.
func large(plugins, routes, consumers int) (*manifest.Set, reach.Modules) {
	set, modules := &manifest.Set{}, reach.Modules{}
	all := manifest.Paths{All: true}
	for i := range plugins {
		b := fmt.Sprintf("backend-%04d", i)
		set.Backends = append(set.Backends, &manifest.Backend{Name: b, HTTP: &manifest.HTTPBackend{
			URL: "https://" + b + ".example", Auth: &manifest.Auth{Secret: b + "-token"},
			Labels: map[string][]string{"pii.contact": {"email", "phones[]"}, "pii.identity": {"name"}},
		}})
		p := &manifest.Plugin{Name: fmt.Sprintf("plugin-%04d", i), Clear: []string{"pii.contact"}}
		p.HTTPGrants = []manifest.HTTPGrant{{Backend: b, As: b, Allow: []string{"GET /a/{id}", "POST /a"},
			View: manifest.Paths{List: []string{"address.city", "email", "id", "name", "tier"}}}}
		uses := []string{"http"}
		if i%10 == 0 && i > 0 {
			p.CallGrants = []manifest.CallGrant{{Plugin: fmt.Sprintf("plugin-%04d", i-1), Function: "get", View: all, Clear: []string{"pii.contact"}}}
			uses = append(uses, "call")
		}
		if i%10 == 9 {
			p.CallableBy = []string{fmt.Sprintf("plugin-%04d", i+1)}
		}
		set.Plugins = append(set.Plugins, p)
		modules[p.Name] = imports(uses...)
	}
	ref := func(step string) manifest.Value {
		return manifest.Value{Kind: manifest.ValueRef, Ref: manifest.Ref{Root: step}}
	}
	for i := range routes {
		of := func(k int) string { return fmt.Sprintf("plugin-%04d", (i*3+k*7)%plugins) }
		set.Routes = append(set.Routes, &manifest.Route{Name: fmt.Sprintf("route-%04d", i), Method: "GET", Path: fmt.Sprintf("/v1/r%d", i),
			Scopes: []string{fmt.Sprintf("scope-%02d", i%consumers)}, View: all, Clear: []string{"pii.contact"},
			Steps: []manifest.Step{
				{Name: "a", Plugin: of(0), Function: "get"}, {Name: "b", Plugin: of(1), Function: "get"},
				{Name: "c", Plugin: of(2), Function: "get", With: manifest.Value{Kind: manifest.ValueArray, Items: []manifest.Value{ref("a"), ref("b")}}},
			}, Answer: ref("c")})
	}
	for i := range consumers {
		c := &manifest.Consumer{Name: fmt.Sprintf("consumer-%02d", i), Sector: "s"}
		for k := range 5 {
			c.Scopes = append(c.Scopes, fmt.Sprintf("scope-%02d", (i+k)%consumers))
		}
		set.Consumers = append(set.Consumers, c)
	}
	return set, modules
}

// BenchmarkBarReach is the whole of what pointsman reach computes, over 1,000 plugins, 5,000
// routes and 50 consumers, and who can see a label that every back end has. Its metric is the
// fastest of its runs: what else the machine does only adds to it.
func BenchmarkBarReach(b *testing.B) {
	set, modules := large(1000, 5000, 50)
	b.ReportAllocs()
	best := time.Hour
	for b.Loop() {
		began := time.Now()
		g, err := reach.New(set, modules)
		if err != nil {
			b.Fatal(err)
		}
		r, err := g.Report()
		if err != nil {
			b.Fatal(err)
		}
		target, err := g.Target("pii.contact")
		if err != nil {
			b.Fatal(err)
		}
		if len(r.Plugins) != 1000 || len(g.WhoCanSee(target)) < 1000 {
			b.Fatal("the report lacks something")
		}
		best = min(best, time.Since(began))
	}
	b.ReportMetric(float64(best.Microseconds())/1000, "reach-ms")
}
