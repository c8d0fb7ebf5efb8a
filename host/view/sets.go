package view

import "slices"

// Union returns the view that shows what v shows and what w shows.
func (v View) Union(w View) View { return View{union(v.root, w.root)} }

// Intersect returns the view that shows what both v and w show: the values that are left when
// one is applied to what the other lets through.
func (v View) Intersect(w View) View { return View{intersect(v.root, w.root)} }

// Covers reports whether v shows everything that w shows, of whatever document. Every view
// covers that of nothing.
func (v View) Covers(w View) bool { return covers(v.root, w.root) }

// Overlaps reports whether there can be a value of which v and w both show something: a path
// of one is that of the other, or above it, or below it.
func (v View) Overlaps(w View) bool { return intersect(v.root, w.root) != nil }

// a and b are at the same place in all that follow.

func union(a, b *node) *node {
	switch {
	case a == nil || b != nil && b.whole:
		return b
	case b == nil || a.whole:
		return a
	}
	u := &node{path: a.path, elements: union(a.elements, b.elements), members: slices.Clone(a.members)}
	for _, m := range b.members {
		i, found := u.search(m.hash, m.name)
		if !found {
			u.members = slices.Insert(u.members, i, m)
			continue
		}
		u.members[i].node = union(u.members[i].node, m.node)
	}
	return u
}

func intersect(a, b *node) *node {
	switch {
	case a == nil || b == nil:
		return nil
	case a.whole:
		return b
	case b.whole:
		return a
	}
	n := &node{path: a.path, elements: intersect(a.elements, b.elements)}
	for _, m := range a.members {
		if i, found := b.search(m.hash, m.name); found {
			if both := intersect(m.node, b.members[i].node); both != nil {
				n.members = append(n.members, member{m.hash, m.name, both})
			}
		}
	}
	if n.elements == nil && n.members == nil {
		return nil
	}
	return n
}

func covers(a, b *node) bool {
	switch {
	case b == nil || a != nil && a.whole:
		return true
	case a == nil || b.whole || !covers(a.elements, b.elements):
		return false
	}
	for _, m := range b.members {
		if i, found := a.search(m.hash, m.name); !found || !covers(a.members[i].node, m.node) {
			return false
		}
	}
	return true
}
