package deploy

import (
	"net/url"
	"strings"
)

// router finds the route of a path. Looking up costs the length of the path, however many
// routes there are. A literal segment is tried before a parameter.
type router struct {
	root  node
	count int // of routes
}

type node struct {
	literal map[string]*node
	param   *node
	routes  map[string]leaf // by method
}

type leaf struct {
	route  *Route
	params []string // names, in the order of their segments
}

// add enters a route. The manifests were checked: two routes never collide.
func (r *router) add(route *Route) {
	at := &r.root
	var params []string
	for _, seg := range segments(route.template) {
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
	if at.routes == nil {
		at.routes = map[string]leaf{}
	}
	at.routes[route.method] = leaf{route, params}
	r.count++
}

// match returns the routes of path, by method, and the values of its parameters in order.
// path is the escaped path as it was received and has passed the path policy: a literal
// is compared with the bytes that were sent, a parameter is decoded once.
func (r *router) match(path string) (map[string]leaf, []string) {
	segs := segments(path)
	values := make([]string, 0, len(segs))
	n := walk(&r.root, segs, &values)
	if n == nil {
		return nil, nil
	}
	return n.routes, values
}

func walk(n *node, segs []string, values *[]string) *node {
	if len(segs) == 0 {
		if n.routes == nil {
			return nil
		}
		return n
	}
	if next := n.literal[segs[0]]; next != nil {
		if found := walk(next, segs[1:], values); found != nil {
			return found
		}
	}
	if n.param == nil {
		return nil
	}
	value, err := url.PathUnescape(segs[0])
	if err != nil || value == "" {
		return nil
	}
	depth := len(*values)
	*values = append(*values, value)
	if found := walk(n.param, segs[1:], values); found != nil {
		return found
	}
	*values = (*values)[:depth]
	return nil
}

func segments(path string) []string {
	path = strings.TrimPrefix(path, "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}
