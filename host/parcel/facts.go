package parcel

import "pointsman/host/view"

// Facts is what is known of a document before it is there: which of its fields carry which
// labels, and which of them whoever has the document's number may read. The zero Facts labels
// nothing and shows nothing. Facts do not change and may be used concurrently.
type Facts struct {
	Labels view.Labels
	Shown  view.View
}

// At is what is known of the value that p leads to.
func (f Facts) At(p Path) Facts {
	for _, s := range p.steps {
		if s.name == nil {
			f.Shown = f.Shown.Elements()
		} else {
			f.Labels, f.Shown = f.Labels.Member(*s.name), f.Shown.Member(*s.name)
		}
	}
	return f
}

// below is f below a member of that name.
func (f Facts) below(name string) Facts {
	return Facts{f.Labels.Below(name), f.Shown.Below(name)}
}

// and is what is known of a document of which some parts are as f says, and others as g says.
func (f Facts) and(g Facts) Facts {
	return Facts{f.Labels.Union(g.Labels), f.Shown.Union(g.Shown)}
}

// or is what is known of a value that is as f says, or as g says, and which of both depends on
// what neither says more about than that.
func (f Facts) or(g Facts) Facts {
	return Facts{f.Labels.Union(g.Labels), f.Shown.Intersect(g.Shown)}
}

// decides is what is known of a value that the whole of a document as f says decides: it may be
// read by who may read all of that.
func (f Facts) decides() Facts {
	d := Facts{Labels: view.LabelAll(f.Labels.All())}
	if f.Shown.All() {
		d.Shown = view.All()
	}
	return d
}

// constant is what is known of what the author wrote.
var constant = Facts{Shown: view.All()}
