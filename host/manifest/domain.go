package manifest

import (
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v4"
)

// Domain is a set of ids that pointers point at, such as the customers.
type Domain struct {
	Name     string
	Pos      Pos
	Backends []string // towards which its ids may go, sorted; never empty in a Set
	Epoch    int      // of the keys that pointers are minted with; DefaultEpoch unless written
	Accept   []int    // older epochs whose pointers still resolve, sorted
	// Ephemeral is how long a pointer lives in memory, if it is random instead of made of its
	// id; 0: pointers are made of ids and last.
	Ephemeral time.Duration
}

// DefaultEpoch is the first.
const DefaultEpoch = 1

// maxEpoch is more than one a day for as long as anyone keeps a broker.
const maxEpoch = 10_000

func domainSpec() form[Domain] {
	return object(Domain{Epoch: DefaultEpoch}, checkDomain,
		required(key("backends", list(1, 50, using(useReach, name(plainName)), itself), "back ends towards which its ids may go", func(d *Domain) *[]string { return &d.Backends })),
		key("epoch", number(1, maxEpoch), "the keys that pointers are minted with; 1 unless written", func(d *Domain) *int { return &d.Epoch }),
		key("accept", numbers(1, maxEpoch, 20), "older epochs whose pointers still resolve; all others are unlinked", func(d *Domain) *[]int { return &d.Accept }),
		key("ephemeral", duration(time.Second, 30*24*time.Hour), "pointers are random and live this long, in memory", func(d *Domain) *time.Duration { return &d.Ephemeral }))
}

func checkDomain(r *reader, n *yaml.Node, at string, d *Domain) {
	place := func(epoch int) (*yaml.Node, string) {
		at := join(at, "accept")
		for i, c := range child(n, "accept").Content {
			if c.Value == strconv.Itoa(epoch) {
				return c, index(at, i)
			}
		}
		return child(n, "accept"), at
	}
	for _, epoch := range d.Accept {
		n, at := place(epoch)
		switch {
		case epoch == d.Epoch:
			r.add(n, at, codeContradiction, "", "epoch %d is the present one, which always resolves", epoch)
		case epoch > d.Epoch && d.Epoch > 0:
			r.add(n, at, codeContradiction, "", "epoch %d is yet to come: the present one is %d", epoch, d.Epoch)
		}
	}
	if d.Ephemeral > 0 && len(d.Accept) > 0 {
		r.add(child(n, "accept"), join(at, "accept"), codeContradiction, "", "pointers that live in memory have no older epochs")
	}
}

// numbers is a list of whole numbers, sorted, none of them twice.
func numbers(least, most, length int) form[[]int] {
	f := list(0, length, number(least, most), strconv.Itoa)
	read := f.read
	f.read = func(r *reader, n *yaml.Node, at string) []int {
		ns := read(r, n, at)
		slices.Sort(ns)
		return ns
	}
	return f
}
