package manifest

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// checkRoute checks what the parts of one route say about each other.
func checkRoute(r *reader, n *yaml.Node, at string, route *Route) {
	checkPathParams(r, n, at, route)
	checkLeaving(r, n, at, route)
	for _, s := range route.Steps {
		if s.Deadline > route.Deadline && route.Deadline > 0 {
			r.add(child(n, "steps", s.Name, "deadline"), join(at, "steps."+s.Name+".deadline"), codeDeadline, "",
				"step %s may take %s, longer than the route's %s", s.Name, written(int64(s.Deadline), timeUnits), written(int64(route.Deadline), timeUnits))
		}
	}
	if len(route.Steps) == 0 && child(n, "steps") != n {
		if steps := child(n, "steps"); steps.Kind == yaml.MappingNode {
			r.add(steps, join(at, "steps"), codeLength, "", "a route needs a step")
		}
		return
	}
	g := newGraph(r, at, route)
	g.cycles(r, at)
	g.unused(r, at, route)
}

func checkPathParams(r *reader, n *yaml.Node, at string, route *Route) {
	if route.Path == "" {
		return // reported
	}
	inPath := pathParams(route.Path)
	for _, p := range inPath {
		if _, ok := route.Params[p]; !ok {
			r.add(child(n, "path"), join(at, "path"), codePathParam, r.nearest(p, keys(route.Params)), "{%s} is not declared in params", p)
		} else if route.Params[p].In == InQuery {
			r.add(child(n, "params", p, "in"), join(at, "params."+p+".in"), codePathParam, InPath, "%s is in the path, as {%s}", p, p)
		}
	}
	for _, p := range keys(route.Params) {
		if route.Params[p].In == InPath && !slices.Contains(inPath, p) {
			r.add(child(n, "params", p), join(at, "params."+p), codePathParam, r.nearest(p, inPath), "the path has no {%s}", p)
		}
	}
}

// graph is which step waits for which, by name.
type graph struct {
	steps map[string]Step
	needs map[string][]edge
	roots []string // steps that the answer refers to
}

// edge is one reference to a step.
type edge struct {
	to  string
	pos Pos
	at  string
}

// newGraph follows every reference of a route and reports those that lead nowhere.
func newGraph(r *reader, at string, route *Route) graph {
	g := graph{steps: map[string]Step{}, needs: map[string][]edge{}}
	known := []string{RootParams}
	for _, s := range route.Steps {
		g.steps[s.Name] = s
		known = append(known, s.Name)
	}
	resolve := func(ref Ref, pos Pos, path string) bool {
		if ref.Root == RootParams {
			if _, ok := route.Params[ref.Path[0]]; !ok {
				r.addPos(pos, path, codeNoReference, r.nearest(ref.Path[0], keys(route.Params)), "there is no parameter "+quote(ref.Path[0]))
			}
			return false
		}
		if _, ok := g.steps[ref.Root]; !ok {
			near := r.nearest(ref.Root, known)
			if _, ok := route.Params[ref.Root]; ok && near == "" {
				near = RootParams + "." + ref.Root
			}
			r.addPos(pos, path, codeNoReference, near, "there is no step "+quote(ref.Root))
			return false
		}
		return true
	}
	for _, s := range route.Steps {
		s.With.Refs(join(at, "steps."+s.Name+".with"), func(ref Ref, pos Pos, path string) {
			switch {
			case !resolve(ref, pos, path):
			case ref.Root == s.Name:
				r.addPos(pos, path, codeSelf, "", "step "+s.Name+" refers to itself")
			default:
				g.needs[s.Name] = append(g.needs[s.Name], edge{ref.Root, pos, path})
			}
		})
	}
	route.Answer.Refs(join(at, "answer"), func(ref Ref, pos Pos, path string) {
		if resolve(ref, pos, path) {
			g.roots = append(g.roots, ref.Root)
		}
	})
	return g
}

// cycles reports every circle that a walk through the steps, in order of their names,
// closes. Each is reported once, at the reference that closes it.
func (g graph) cycles(r *reader, at string) {
	const walking, done = 1, 2
	state, told := map[string]int{}, map[string]bool{}
	var trail []string
	var walk func(name string)
	walk = func(name string) { // as deep as there are steps: at most maxSteps
		state[name] = walking
		trail = append(trail, name)
		for _, e := range g.needs[name] {
			switch state[e.to] {
			case 0:
				walk(e.to)
			case walking:
				circle := append(slices.Clone(trail[slices.Index(trail, e.to):]), e.to)
				if text := strings.Join(circle, " → "); !told[text] {
					told[text] = true
					r.addPos(e.pos, e.at, codeCycle, "", "steps wait for each other: "+text)
				}
			}
		}
		trail = trail[:len(trail)-1]
		state[name] = done
	}
	for _, name := range keys(g.steps) {
		if state[name] == 0 {
			walk(name)
		}
	}
}

// unused reports steps that the answer does not depend on.
func (g graph) unused(r *reader, at string, route *Route) {
	if route.Answer.Kind == ValueNone {
		return // reported
	}
	if len(g.roots) == 0 {
		broken := false
		route.Answer.Refs("", func(ref Ref, _ Pos, _ string) { broken = broken || ref.Root != RootParams })
		if !broken {
			r.addPos(route.Answer.Pos, join(at, "answer"), codeNoStep, "", "the answer refers to no step")
		}
		return
	}
	reached := map[string]bool{}
	for todo := slices.Clone(g.roots); len(todo) > 0; {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if reached[name] {
			continue
		}
		reached[name] = true
		for _, e := range g.needs[name] {
			todo = append(todo, e.to)
		}
	}
	for _, s := range route.Steps {
		if !reached[s.Name] {
			r.addPos(s.Pos, join(at, "steps."+s.Name), codeUnusedStep, "", "the answer does not depend on step "+s.Name)
		}
	}
}

func (r *reader) addPos(p Pos, at, code, suggestion, message string) {
	r.addAt(p.Line, p.Column, at, code, suggestion, message)
}

func keys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
