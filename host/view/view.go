// Package view owns which parts of a JSON document are shown: lists of field paths, what they
// select from a text, and which labels the selected can carry. A text is gone over once;
// nothing is built from it.
package view

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
)

// View is a set of paths, each of which shows the whole value that it leads to:
//
//	id              a member
//	address.city    a member of a member
//	emails[]        each element of an array
//	orders[].id     a member of each element
//	[].id           the same where the document is the array
//	"a.b".c         a name that is no word of letters, digits, _ and - is a JSON string
//
// An array must be said: where the document has one and the path does not say [], the path
// leads to nothing below it.
//
// The zero View shows nothing. A View does not change and may be used concurrently.
type View struct{ root *node } // nil: nothing

// node is a place in documents and what is shown of it: the whole, or members, or elements, or
// both of these, whichever the document has.
type node struct {
	path     string // that leads here
	whole    bool
	members  []member // sorted by hash
	elements *node
}

type member struct {
	hash uint64 // of name, with seed
	name string
	node *node
}

// All is the view that shows the whole document.
func All() View { return View{&whole} }

var whole = node{whole: true} // of All; never changed

// Parse returns the view of paths; of none it shows nothing. A path that is below another one
// adds nothing to it. The error names the first path that is wrong, and why.
func Parse(paths []string) (View, error) {
	var v View
	for _, path := range paths {
		steps, err := parsePath(path)
		if err != nil {
			return View{}, fmt.Errorf("path %q: %w", path, err)
		}
		v.root = v.root.with("", steps)
	}
	return v, nil
}

// with returns n, which may be nil, with what steps lead to; a new node that shares n's others.
func (n *node) with(path string, steps []step) *node {
	m := &node{path: path}
	if n != nil {
		*m = *n
	}
	switch {
	case m.whole:
	case len(steps) == 0:
		return &node{path: path, whole: true}
	case steps[0].element:
		m.elements = m.elements.with(path+"[]", steps[1:])
	default:
		name := steps[0].member
		hash := maphash.String(seed, name)
		below := string(appendStep([]byte(path), []byte(name), 0))
		m.members = slices.Clone(m.members)
		i, found := m.search(hash, name)
		if !found {
			m.members = slices.Insert(m.members, i, member{hash, name, nil})
		}
		m.members[i].node = m.members[i].node.with(below, steps[1:])
	}
	return m
}

// search finds the member's place among those of n.
func (n *node) search(hash uint64, name string) (i int, found bool) {
	return slices.BinarySearchFunc(n.members, member{hash: hash, name: name}, compareMembers)
}

func compareMembers(a, b member) int {
	switch {
	case a.hash < b.hash:
		return -1
	case a.hash > b.hash:
		return 1
	}
	return strings.Compare(a.name, b.name)
}

// member returns what n shows of the member of that name; nil for nothing.
func (n *node) member(hash uint64, name []byte) *node {
	low, high := 0, len(n.members)
	for high-low > 8 { // below that, going over them is faster
		if middle := (low + high) / 2; n.members[middle].hash < hash {
			low = middle + 1
		} else {
			high = middle + 1
		}
	}
	for i := low; i < high; i++ {
		if m := &n.members[i]; m.hash == hash && string(name) == m.name {
			return m.node
		}
	}
	return nil
}

// fits reports whether the value at i has a shape of which n shows something.
func (n *node) fits(text []byte, i int) bool {
	return n.whole || i < len(text) && (text[i] == '{' && n.members != nil || text[i] == '[' && n.elements != nil)
}

// All reports whether the whole of every document is shown.
func (v View) All() bool { return v.root != nil && v.root.whole }

// None reports whether nothing is shown of any document.
func (v View) None() bool { return v.root == nil }

// Paths returns the paths of the view, sorted, without any that another one covers; Parse
// returns the same view from them. There are none for the view of all: see All.
func (v View) Paths() []string {
	if v.None() || v.All() {
		return nil
	}
	paths := v.root.appendPaths(nil)
	slices.Sort(paths)
	return paths
}

func (n *node) appendPaths(paths []string) []string {
	if n.whole {
		return append(paths, n.path)
	}
	for _, m := range n.members {
		paths = m.node.appendPaths(paths)
	}
	if n.elements != nil {
		paths = n.elements.appendPaths(paths)
	}
	return paths
}

// String is the view as it is written: all, or the paths with commas between them.
func (v View) String() string {
	if v.All() {
		return "all"
	}
	return strings.Join(v.Paths(), ", ")
}
