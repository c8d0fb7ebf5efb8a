package deploy

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
)

// router finds the routes of a path. Looking up costs the length of the path, however many
// routes there are, as long as few of them have a literal where others of the same
// beginning have a parameter: where they do, both ways are tried.
// See BenchmarkMatch.
type router struct {
	root  node
	count int // of routes
}

type node struct {
	literal map[string]*node
	param   *node
	leaves  []leaf // of the routes that end here, sorted by method
}

type leaf struct {
	route  *Route
	params []string // names, in the order of their segments
}

// add enters a route. The manifests were checked: two routes never collide.
func (r *router) add(route *Route) {
	at := &r.root
	var params []string
	for rest, more := segments(route.template); more; {
		var seg string
		seg, rest, more = strings.Cut(rest, "/")
		if name, ok := strings.CutPrefix(seg, "{"); ok {
			params = append(params, strings.TrimSuffix(name, "}"))
			if at.param == nil {
				at.param = &node{}
			}
			at = at.param
			continue
		}
		if at.literal == nil {
			at.literal = map[string]*node{}
		}
		if at.literal[seg] == nil {
			at.literal[seg] = &node{}
		}
		at = at.literal[seg]
	}
	at.leaves = append(at.leaves, leaf{route, params})
	slices.SortFunc(at.leaves, func(a, b leaf) int { return cmp.Compare(a.route.method, b.route.method) })
	r.count++
}

// match returns the routes of path; see Release.Match. A literal is compared with the
// bytes that were sent, a parameter is decoded once.
func (r *router) match(path string) []Match {
	var (
		l          lookup
		rest, more = segments(path)
	)
	l.walk(&r.root, rest, more)
	if l.apart {
		slices.SortFunc(l.found, func(a, b Match) int { return cmp.Compare(a.Route.method, b.Route.method) })
	}
	return l.found
}

// lookup is one walk through the router.
type lookup struct {
	values []string // of the parameters on the way
	found  []Match
	apart  bool // found comes from more than one node
}

// walk goes on from n with the segments in rest, unless there are no more.
func (l *lookup) walk(n *node, rest string, more bool) {
	if !more {
		l.end(n)
		return
	}
	seg, rest, more := strings.Cut(rest, "/")
	if next := n.literal[seg]; next != nil {
		l.walk(next, rest, more)
	}
	if n.param == nil {
		return
	}
	value, err := url.PathUnescape(seg)
	if err != nil || value == "" {
		return
	}
	l.values = append(l.values, value)
	l.walk(n.param, rest, more)
	l.values = l.values[:len(l.values)-1]
}

// end adds the routes that end at n, but for those whose method was found on a way that
// comes before.
func (l *lookup) end(n *node) {
	if len(n.leaves) == 0 {
		return
	}
	before := len(l.found)
	l.apart = before > 0
	for _, leaf := range n.leaves {
		if slices.ContainsFunc(l.found[:before], func(m Match) bool { return m.Route.method == leaf.route.method }) {
			continue
		}
		l.found = append(l.found, Match{leaf.route, l.params(leaf)})
	}
}

// params names the values on the way.
func (l *lookup) params(leaf leaf) map[string]string {
	if len(leaf.params) == 0 {
		return nil
	}
	params := make(map[string]string, len(leaf.params))
	for i, name := range leaf.params {
		params[name] = l.values[i]
	}
	return params
}

// segments returns what is to be cut at slashes, and whether there is anything.
func segments(path string) (rest string, more bool) {
	rest = strings.TrimPrefix(path, "/")
	return rest, rest != ""
}
