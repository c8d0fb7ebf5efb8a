package view

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"pointsman/host/broker"
)

// Labels says which fields of a document carry which labels. The zero Labels labels nothing.
// A Labels does not change and may be used concurrently.
//
// Labels can be compared: two that are equal label the same. Two that label the same need not be
// equal.
type Labels struct{ set *labelled }

// labelled is which fields carry labels; it does not change.
type labelled struct {
	fields map[string]View // by label; without array steps
	once   sync.Once
	all    broker.Labels // those that label something; set by once
}

// labels returns those of fields.
func labels(fields map[string]View) Labels {
	if len(fields) == 0 {
		return Labels{}
	}
	return Labels{&labelled{fields: fields}}
}

// fields are those of l, by label.
func (l Labels) fields() map[string]View {
	if l.set == nil {
		return nil
	}
	return l.set.fields
}

// ParseLabels returns the labels of fields: paths by label. The error names the label, the
// path, and why it is wrong.
func ParseLabels(fields map[string][]string) (Labels, error) {
	of := make(map[string]View, len(fields))
	for _, label := range slices.Sorted(maps.Keys(fields)) {
		v, err := Parse(fields[label])
		if err != nil {
			return Labels{}, fmt.Errorf("label %s: %w", label, err)
		}
		of[label] = v.flat()
	}
	return labels(of), nil
}

// Of returns the labels that a document can carry when it is seen through v: each of which a
// field is shown, or something above or below it. It depends on no data. Arrays make no
// difference: a label of phones is one of phones[], and of what is in its elements, so that a
// back end that answers with a list where a record was expected does not lose the label.
func (l Labels) Of(v View) broker.Labels {
	if v.All() || l.set == nil {
		return l.All()
	}
	shown := v.flat()
	var names []string
	for label, fields := range l.fields() {
		if shown.Overlaps(fields) {
			names = append(names, label)
		}
	}
	return broker.NewLabels(names...)
}

// flat is the view without steps to elements: what is shown of them is shown of the array.
func (v View) flat() View {
	var flat View
	v.root.leaves(nil, func(steps []step) { flat.root = flat.root.with("", steps) })
	return flat
}

// leaves calls f for each path of n, without array steps. The steps are f's until it returns.
func (n *node) leaves(steps []step, f func([]step)) {
	if n == nil {
		return
	}
	if n.whole {
		f(steps)
	}
	for _, m := range n.members {
		m.node.leaves(append(steps, step{member: m.name}), f)
	}
	n.elements.leaves(steps, f)
}
