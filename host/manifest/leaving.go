package manifest

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// checkLeaving checks what a route says of its answer's fields: views, pointers, subject.
func checkLeaving(r *reader, n *yaml.Node, at string, route *Route) {
	shown := []Paths{route.View}
	for _, scope := range keys(route.Views) {
		view := route.Views[scope]
		shown = append(shown, view)
		switch {
		case slices.Contains(route.Scopes, scope):
			r.warn(child(n, "views", scope), join(at, "views."+scope), codeNoFurther, "every consumer of the route has scope "+scope)
		case view.Written() && covered(view, route.View):
			r.warn(child(n, "views", scope), join(at, "views."+scope), codeNoFurther, "view shows everybody what views."+scope+" says")
		}
	}
	for _, domain := range keys(route.Pointers) {
		for _, path := range route.Pointers[domain] {
			if route.View.Written() && !slices.ContainsFunc(shown, func(p Paths) bool { return covers(p, path) }) {
				place, at := entryOf(child(n, "pointers", domain), join(at, "pointers."+domain), path)
				r.add(place, at, codeNotShown, r.nearest(path, allPaths(shown)), "no view of the route lets %s out", quote(path))
			}
		}
	}
	if name := route.Subject; name != "" && !strings.HasPrefix(name, SubjectAnswer) {
		if _, ok := route.Params[name]; !ok {
			r.add(child(n, "subject"), join(at, "subject"), codeNoReference, r.nearest(name, keys(route.Params)), "there is no parameter %s", quote(name))
		}
	}
}

// entryOf is the node of a list's entry, or the list's.
func entryOf(list *yaml.Node, at, text string) (*yaml.Node, string) {
	for i, c := range list.Content {
		if list.Kind == yaml.SequenceNode && c.Value == text {
			return c, index(at, i)
		}
	}
	return list, at
}

// covers reports whether p shows the whole value at path.
func covers(p Paths, path string) bool {
	if p.All {
		return true
	}
	steps := pathSteps(path)
	return slices.ContainsFunc(p.List, func(shown string) bool {
		above := pathSteps(shown)
		return len(above) <= len(steps) && slices.Equal(above, steps[:len(above)])
	})
}

// covered reports whether by shows everything that p does.
func covered(p, by Paths) bool {
	if p.All {
		return by.All
	}
	return !slices.ContainsFunc(p.List, func(path string) bool { return !covers(by, path) })
}

func allPaths(ps []Paths) []string {
	var out []string
	for _, p := range ps {
		out = append(out, p.List...)
	}
	return out
}
