package view

import "strings"

// Bounds of the list of dropped names: enough to see what a view lacks, and little enough
// for one line of a log.
const (
	maxDropped     = 16 // names
	maxDroppedName = 64 // bytes of one, escaped
)

// Dropped says what a view left out of one document: never values, and what was within a
// value that was left out is not told either. The zero Dropped says that it was nothing.
type Dropped struct {
	Count int    // members that were left out, and elements and documents that became null
	names string // one a line; names are escaped
}

// Names are the first 16 different paths that were left out, as a view would name them. A
// member's own name is cut behind 64 bytes, with an ellipsis. The names come from the document:
// where data are names, as in a table of customers by e-mail address, they are data.
func (d Dropped) Names() []string {
	if d.names == "" {
		return nil
	}
	return strings.Split(d.names, "\n")
}

// drops collects what becomes a Dropped.
type drops struct {
	count, listed int
	list          [maxDropped]drop
}

// drop is a member of an object at a node that was left out, or an element there.
type drop struct {
	of   *node
	hash uint64 // of the member's name
	name span   // its string; zero for an element
}

// member notes that an object's member was left out of what n shows.
func (d *drops) member(n *node, hash uint64, name span) {
	d.count++
	if d.listed == maxDropped {
		return
	}
	for i := range d.list[:d.listed] {
		if l := &d.list[i]; l.hash == hash && l.of == n && l.name.to > 0 {
			return
		}
	}
	d.list[d.listed] = drop{n, hash, name}
	d.listed++
}

// element notes that an element became null, or the whole document where n is its view.
func (d *drops) element(n *node) {
	d.count++
	if d.listed == maxDropped || n == nil || n.path == "" {
		return
	}
	for i := range d.list[:d.listed] {
		if l := &d.list[i]; l.of == n && l.name.to == 0 {
			return
		}
	}
	d.list[d.listed] = drop{of: n}
	d.listed++
}

// dropped is the result for text, in one allocation or none.
func (d *drops) dropped(text []byte) Dropped {
	if d.listed == 0 {
		return Dropped{Count: d.count}
	}
	var room [1024]byte // 16 usual names take a quarter of it
	var plain [256]byte
	list := room[:0]
	for i, l := range d.list[:d.listed] {
		if i > 0 {
			list = append(list, '\n')
		}
		list = append(list, l.of.path...)
		if l.name.to == 0 {
			continue
		}
		list = appendStep(list, plainly(plain[:0], text[l.name.from+1:l.name.to-1]), maxDroppedName)
	}
	return Dropped{d.count, string(list)}
}
