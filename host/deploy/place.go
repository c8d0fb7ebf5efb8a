package deploy

import (
	"cmp"
	"slices"

	"pointsman/host/admission"
	"pointsman/host/broker"
	"pointsman/host/manifest"
)

// place is where one plugin stands among the routes and the other plugins of its release.
type place struct {
	users   admission.Users // the routes whose steps call it
	callers admission.Users // the routes whose steps call plugins that call it
	// footprint is how many bytes a sandbox of it takes, and the sandboxes that wait for one
	// another on its behalf. All of it is lent with the first: a sandbox that waited for
	// memory while others hold theirs for it could wait for ever.
	footprint uint64
}

// placesOf returns the place of every plugin.
func placesOf(set *manifest.Set) map[string]place {
	plugins := map[string]*manifest.Plugin{}
	for _, m := range set.Plugins {
		plugins[m.Name] = m
	}
	places := make(map[string]place, len(plugins))
	direct := usersOf(set, func(r *manifest.Route) map[string]int {
		steps := map[string]int{}
		for _, s := range r.Steps {
			steps[s.Plugin]++
		}
		return steps
	})
	through := usersOf(set, func(r *manifest.Route) map[string]int {
		reached := map[string]int{}
		for _, s := range r.Steps {
			reach(plugins, s.Plugin, 0, reached)
		}
		return reached
	})
	for name, m := range plugins {
		callers := through[name]
		// Every sandbox of a caller finds a place in the queue: it holds one of its own plugin
		// meanwhile, and there are no more.
		callers.Steps = 0
		for _, caller := range m.CallableBy {
			if c := plugins[caller]; c != nil {
				callers.Steps += 2 * concurrencyOf(c)
			}
		}
		places[name] = place{users: direct[name], callers: callers, footprint: footprint(plugins, m, 0)}
	}
	return places
}

// usersOf counts the users of every plugin that has any. counts says how often a route calls
// which plugin.
func usersOf(set *manifest.Set, counts func(*manifest.Route) map[string]int) map[string]admission.Users {
	scopes := make([]broker.Scopes, len(set.Consumers))
	for i, c := range set.Consumers {
		scopes[i] = broker.NewScopes(c.Scopes...)
	}
	users, consumers := map[string]admission.Users{}, map[string]map[int]bool{}
	for _, r := range set.Routes {
		for plugin, n := range counts(r) {
			if consumers[plugin] == nil {
				consumers[plugin] = map[int]bool{}
			}
			for i := range scopes {
				if scopes[i].HasAll(r.Scopes) {
					consumers[plugin][i] = true
				}
			}
			u := users[plugin]
			users[plugin] = admission.Users{Routes: u.Routes + 1, Consumers: len(consumers[plugin]), Steps: max(u.Steps, n)}
		}
	}
	return users
}

// callees are the plugins that m may call and that let themselves be called by it.
func callees(plugins map[string]*manifest.Plugin, m *manifest.Plugin) []*manifest.Plugin {
	var found []*manifest.Plugin
	for _, g := range m.CallGrants {
		if c := plugins[g.Plugin]; c != nil && slices.Contains(c.CallableBy, m.Name) && !slices.Contains(found, c) {
			found = append(found, c)
		}
	}
	return found
}

// reach counts, for every plugin that can come to be called when name is, in how many ways.
// name is called depth calls below a step.
func reach(plugins map[string]*manifest.Plugin, name string, depth int, reached map[string]int) {
	m := plugins[name]
	if m == nil || depth >= manifest.MaxCallDepth {
		return
	}
	for _, c := range callees(plugins, m) {
		reached[c.Name]++
		reach(plugins, c.Name, depth+1, reached)
	}
}

// footprint is the memory of m, called depth calls below a step, and of the largest chain
// that it can begin.
func footprint(plugins map[string]*manifest.Plugin, m *manifest.Plugin, depth int) uint64 {
	var most uint64
	if depth < manifest.MaxCallDepth {
		for _, c := range callees(plugins, m) {
			most = max(most, footprint(plugins, c, depth+1))
		}
	}
	return limitsOf(m).Footprint() + most
}

func concurrencyOf(m *manifest.Plugin) int {
	return cmp.Or(m.Limits.Concurrency, manifest.DefaultConcurrency)
}
