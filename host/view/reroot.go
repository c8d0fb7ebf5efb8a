package view

import "pointsman/host/broker"

// Below is v below a member of that name.
func (v View) Below(name string) View { return v.under(step{member: name}) }

// BelowElements is v below each element of an array.
func (v View) BelowElements() View { return v.under(step{element: true}) }

// under rebuilds v below one more step, because nodes know their paths.
func (v View) under(first step) View {
	var out View
	v.root.ends([]step{first}, func(steps []step) { out.root = out.root.with("", steps) })
	return out
}

// rooted rebuilds v, whose nodes know paths of another document, as one of its own.
func (v View) rooted() View {
	if v.root == nil || v.root.whole {
		return v
	}
	var out View
	v.root.ends(nil, func(steps []step) { out.root = out.root.with("", steps) })
	return out
}

// ends calls f for each path of n, array steps among them. The steps are f's until it returns.
func (n *node) ends(steps []step, f func([]step)) {
	if n == nil {
		return
	}
	if n.whole {
		f(steps)
	}
	for _, m := range n.members {
		m.node.ends(append(steps, step{member: m.name}), f)
	}
	n.elements.ends(append(steps, step{element: true}), f)
}

// LabelAll is labels on every field of a document, and on the document.
func LabelAll(labels broker.Labels) Labels {
	l := Labels{}
	for _, name := range labels.Names() {
		l = l.with(name, All())
	}
	return l
}

// with is l with what v shows labelled, too.
func (l Labels) with(label string, v View) Labels {
	fields := make(map[string]View, len(l.fields())+1)
	for name, have := range l.fields() {
		fields[name] = have
	}
	fields[label] = fields[label].Union(v)
	return labels(fields)
}

// All is every label that l gives something.
func (l Labels) All() broker.Labels {
	if l.set == nil {
		return broker.Labels{}
	}
	l.set.once.Do(func() {
		names := make([]string, 0, len(l.set.fields))
		for name, v := range l.set.fields {
			if !v.None() {
				names = append(names, name)
			}
		}
		l.set.all = broker.NewLabels(names...)
	})
	return l.set.all
}

// Union labels what l labels and what m labels.
func (l Labels) Union(m Labels) Labels {
	switch {
	case len(m.fields()) == 0:
		return l
	case len(l.fields()) == 0:
		return m
	}
	for name, v := range m.fields() {
		l = l.with(name, v)
	}
	return l
}

// Minus is l without some labels.
func (l Labels) Minus(gone broker.Labels) Labels {
	if gone.Empty() || len(l.fields()) == 0 {
		return l
	}
	fields := make(map[string]View, len(l.fields()))
	for name, v := range l.fields() {
		if !gone.Has(name) {
			fields[name] = v
		}
	}
	return labels(fields)
}

// Member is the labels of the value of a member. Arrays make no difference, as in Of.
func (l Labels) Member(name string) Labels {
	return l.each(func(v View) View { return v.Member(name) })
}

// Below is l below a member of that name.
func (l Labels) Below(name string) Labels { return l.each(func(v View) View { return v.Below(name) }) }

func (l Labels) each(f func(View) View) Labels {
	if len(l.fields()) == 0 {
		return l
	}
	fields := make(map[string]View, len(l.fields()))
	for name, v := range l.fields() {
		if at := f(v); !at.None() {
			fields[name] = at
		}
	}
	return labels(fields)
}
