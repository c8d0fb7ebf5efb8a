package view

import "hash/maphash"

// Member is what v shows of the value of a member.
func (v View) Member(name string) View {
	if v.root == nil || v.root.whole {
		return v
	}
	return View{v.root.member(maphash.String(seed, name), []byte(name))}.rooted()
}

// Elements is what v shows of each element of an array.
func (v View) Elements() View {
	if v.root == nil || v.root.whole {
		return v
	}
	return View{v.root.elements}.rooted()
}
