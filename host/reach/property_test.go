package reach_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pointsman/host/grant"
	"pointsman/host/manifest"
	"pointsman/host/reach"
)

var (
	someLabels = []string{"pii.contact", "pii.identity"}
	somePaths  = []string{"id", "email", "name", "address.city"}
)

func labelsGen(t *rapid.T, name string) []string {
	return rapid.SliceOfDistinct(rapid.SampledFrom(someLabels), rapid.ID[string]).Draw(t, name)
}

// pathsGen draws paths: all, none, some, or nothing said.
func pathsGen(t *rapid.T, name string) manifest.Paths {
	switch rapid.IntRange(0, 3).Draw(t, name) {
	case 0:
		return manifest.Paths{All: true}
	case 1:
		return manifest.Paths{}
	}
	return manifest.Paths{List: rapid.SliceOfDistinct(rapid.SampledFrom(somePaths), rapid.ID[string]).Draw(t, name+" list")}
}

// setGen draws a small set in which everything may be connected to everything.
func setGen(t *rapid.T) (*manifest.Set, reach.Modules) {
	set, modules := &manifest.Set{}, reach.Modules{}
	for i := range 2 {
		set.Backends = append(set.Backends, &manifest.Backend{Name: fmt.Sprintf("b%d", i), HTTP: &manifest.HTTPBackend{
			Labels: map[string][]string{"pii.contact": {"email"}, "pii.identity": {"name"}}}})
	}
	n := rapid.IntRange(1, 4).Draw(t, "plugins")
	for i := range n {
		p := &manifest.Plugin{Name: fmt.Sprintf("p%d", i), Input: pathsGen(t, "input"), Output: pathsGen(t, "output"), Clear: labelsGen(t, "clear"), Declassify: labelsGen(t, "declassify")}
		if rapid.Bool().Draw(t, "http") {
			p.HTTPGrants = []manifest.HTTPGrant{{Backend: fmt.Sprintf("b%d", i%2), As: "b", Allow: []string{"GET /x"}, View: pathsGen(t, "view"), Clear: labelsGen(t, "http clear")}}
		}
		if i > 0 && rapid.Bool().Draw(t, "call") {
			p.CallGrants = []manifest.CallGrant{{Plugin: fmt.Sprintf("p%d", i-1), Function: "f", View: pathsGen(t, "call view"), Clear: labelsGen(t, "call clear")}}
			set.Plugins[i-1].CallableBy = []string{p.Name}
		}
		if rapid.Bool().Draw(t, "kv") {
			p.KVGrant = &manifest.KVGrant{Clear: labelsGen(t, "kv clear")}
		}
		if rapid.Bool().Draw(t, "parcel") {
			p.Input = manifest.Paths{}
			p.ParcelGrant = &manifest.ParcelGrant{View: pathsGen(t, "parcels")}
		}
		set.Plugins = append(set.Plugins, p)
		modules[p.Name] = imports(rapid.SliceOfDistinct(rapid.SampledFrom([]string{"http", "call", "kv", "parcel"}), rapid.ID[string]).Draw(t, "imports")...)
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "routes") {
		r := &manifest.Route{Name: fmt.Sprintf("r%d", i), Method: "GET", Path: "/r", Scopes: []string{fmt.Sprintf("s%d", i%2)}, View: pathsGen(t, "route view"), Clear: labelsGen(t, "route clear")}
		var with manifest.Value
		for k := range rapid.IntRange(1, 3).Draw(t, "steps") {
			name := fmt.Sprintf("step%d", k)
			r.Steps = append(r.Steps, manifest.Step{Name: name, Plugin: fmt.Sprintf("p%d", rapid.IntRange(0, n-1).Draw(t, "calls")), Function: "f", With: with, View: pathsGen(t, "step view")})
			with = manifest.Value{Kind: manifest.ValueRef, Ref: manifest.Ref{Root: name}}
		}
		r.Answer = with
		set.Routes = append(set.Routes, r)
	}
	set.Consumers = []*manifest.Consumer{{Name: "both", Scopes: []string{"s0", "s1"}}, {Name: "one", Scopes: []string{"s0"}}, {Name: "none"}}
	return set, modules
}

// sees is everything that anybody can see, as one line each.
func sees(t *rapid.T, set *manifest.Set, modules reach.Modules) map[string]bool {
	g, err := reach.New(set, modules)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, field := range []string{"b0.id", "b0.email", "b0.name", "b0.other", "b1.email", "b1.address.city"} {
		target, err := g.Target(field)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range g.WhoCanSee(target) {
			out[s.Who.String()+" "+field] = true
			if len(s.Witness) < 4 || s.Witness[0].Kind != "consumer" {
				t.Fatalf("%s can see %s by %v, want a way from a consumer", s.Who, field, s.Witness)
			}
		}
	}
	return out
}

func shrinks(t *rapid.T, what string, before, after map[string]bool) {
	for line := range before {
		if !after[line] {
			t.Fatalf("%s took away: %s", what, line)
		}
	}
}

// TestGrantsOnlyWiden: whatever is added to a grant, a view or a clearance, nobody sees less.
func TestGrantsOnlyWiden(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set, modules := setGen(t)
		before := sees(t, set, modules)
		p := set.Plugins[rapid.IntRange(0, len(set.Plugins)-1).Draw(t, "plugin")]
		r := set.Routes[0]
		switch rapid.IntRange(0, 7).Draw(t, "added") {
		case 0:
			p.HTTPGrants = append(slices.Clone(p.HTTPGrants), manifest.HTTPGrant{Backend: "b1", As: "more", Allow: []string{"GET /y"}, View: manifest.Paths{All: true}})
		case 1:
			for i := range p.HTTPGrants {
				p.HTTPGrants[i].View = manifest.Paths{All: true}
			}
		case 2:
			for i := range p.HTTPGrants {
				p.HTTPGrants[i].Clear = someLabels
			}
		case 3:
			p.Clear = someLabels
		case 4:
			p.Input, p.Output = manifest.Paths{}, manifest.Paths{All: true}
		case 5:
			r.Clear, r.View = someLabels, manifest.Paths{All: true}
		case 6:
			r.Views = map[string]manifest.Paths{"s1": {List: []string{"email"}}}
		case 7:
			p.KVGrant = &manifest.KVGrant{Clear: someLabels}
		}
		shrinks(t, "an addition", before, sees(t, set, modules))
	})
}

// TestImportsOnlyNarrow: a module that imports less than another sees no more, and one that
// nobody looked at is taken to see the most.
func TestImportsOnlyNarrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set, modules := setGen(t)
		all := sees(t, set, modules)
		name := set.Plugins[rapid.IntRange(0, len(set.Plugins)-1).Draw(t, "plugin")].Name
		full := modules[name]
		i := rapid.IntRange(0, len(full)-1).Draw(t, "import")
		modules[name] = slices.Concat([]grant.Import{}, full[:i], full[i+1:])
		shrinks(t, "an import that was added", sees(t, set, modules), all)
		delete(modules, name)
		shrinks(t, "a module that nobody looked at", all, sees(t, set, modules))
	})
}

// TestNobodySeesNothing: without scopes nothing is seen, and without an import of http nothing
// of a back end, whatever is granted.
func TestNobodySeesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set, modules := setGen(t)
		for line := range sees(t, set, modules) {
			if strings.HasPrefix(line, "consumer none ") {
				t.Fatalf("without scopes: %s", line)
			}
		}
		for name := range modules {
			modules[name] = slices.DeleteFunc(modules[name], func(i grant.Import) bool { return i.Module == "pointsman:http" })
		}
		if got := sees(t, set, modules); len(got) > 0 {
			t.Fatalf("no module imports http, and still: %v", got)
		}
	})
}

// TestBoundHolds: what the tool says that somebody cannot see, a claim that they never do
// holds of; and of the others it fails.
func TestBoundHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set, modules := setGen(t)
		seen := sees(t, set, modules)
		g, err := reach.New(set, modules)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range set.Plugins {
			failures, err := g.Check([]manifest.Claim{{Kind: "plugin", Name: p.Name, Sees: "b0.email"}})
			if err != nil {
				t.Fatal(err)
			}
			if seen["plugin "+p.Name+" b0.email"] != (len(failures) > 0) {
				t.Fatalf("plugin %s: seen: %v, claim: %v", p.Name, seen, failures)
			}
		}
	})
}
