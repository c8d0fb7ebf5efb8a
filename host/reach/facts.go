package reach

import (
	"strings"

	"pointsman/host/manifest"
)

// facts is everything that a report says, a line for each thing.
func facts(set *manifest.Set, modules Modules) (map[string]bool, error) {
	g, err := New(set, modules)
	if err != nil {
		return nil, err
	}
	r, err := g.Report()
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, c := range r.Consumers {
		for _, rt := range c.Routes {
			for _, f := range rt.Sees {
				out["consumer "+c.Name+" can see "+f.labelled()+" by route "+rt.Name] = true
			}
		}
	}
	for _, p := range r.Plugins {
		for _, w := range p.Powers {
			out["plugin "+p.Name+" can use "+w.head()] = true
			for _, use := range w.Uses {
				out["plugin "+p.Name+" can use "+w.head()+" "+use] = true
			}
			for _, s := range w.Secrets {
				out["plugin "+p.Name+" can have secret "+s+" used"] = true
			}
		}
		for _, f := range p.Sees {
			out["plugin "+p.Name+" can see "+f.labelled()] = true
		}
		for _, s := range p.Sends {
			out["plugin "+p.Name+" can send "+s.Field.labelled()+" to "+s.To.String()] = true
		}
	}
	return out, nil
}

func (f Field) labelled() string {
	if len(f.Labels) == 0 {
		return f.String()
	}
	return f.String() + " [" + strings.Join(f.Labels, " ") + "]"
}
