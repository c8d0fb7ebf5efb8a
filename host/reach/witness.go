package reach

import "strings"

// witness is the way of visit i, from who sees to the source.
func (f *flow) witness(i int) []Hop {
	var hops []Hop
	if v := f.visits[i]; v.place != atConsumer { // on whose behalf
		fr := f.frameOf(i)
		c := fr.step.route.consumers[0]
		hops = append(hops, Hop{"consumer", c.Name, ""}, Hop{"route", fr.step.route.Name, fr.step.route.Method + " " + fr.step.route.Path})
	}
	note, by := "", ""
	for ; i >= 0; i = f.visits[i].from {
		v := f.visits[i]
		switch v.place {
		case atConsumer:
			hops = append(hops, Hop{"consumer", f.g.consumers[v.id].Name, ""})
		case atAnswer:
			hops = append(hops, Hop{"route", f.g.routes[v.id].Name, f.g.routes[v.id].Method + " " + f.g.routes[v.id].Path})
		case atBackend:
			hops = append(hops, Hop{"backend", f.g.set.Backends[v.other].Name, "is sent " + v.note})
		case atKV:
			hops = append(hops, Hop{"kv", f.g.plugins[v.id].Name, ""})
		case atLog:
			hops = append(hops, Hop{"log", f.g.plugins[v.id].Name, ""})
		case atOutput:
			note = v.note
		case atSees, atMoves:
			fr := f.g.frames[v.id]
			does := "sees"
			if v.place == atMoves {
				does = "moves"
			}
			if note != "" {
				does += ", " + note
			}
			hops = append(hops, Hop{"step", fr.step.Name, ""}, Hop{"plugin", fr.plugin.Name, does})
			note = ""
			if v.from < 0 {
				by = v.note
			}
		}
	}
	return append(hops, f.end(by)...)
}

// end is the source, as the end of a witness. by is what the field came in by.
func (f *flow) end(by string) []Hop {
	a, s := f.atom, f.atom.source
	var hops []Hop
	switch s.kind {
	case SourceHTTP:
		hops = append(hops, Hop{"backend", s.backend, by})
	case SourceSQL:
		hops = append(hops, Hop{"backend", s.backend, ""}, Hop{"statement", s.statement, ""})
	case SourcePointer:
		return []Hop{{"domain", s.domain, by}}
	case SourceParam:
		return []Hop{{"param", s.param, strings.Join(a.labels.Names(), ", ")}}
	}
	if secrets := f.g.secrets[s.backend]; len(secrets) > 0 {
		hops = append(hops, Hop{"secret", strings.Join(secrets, ", "), "put in by the host"})
	}
	return append(hops, Hop{"field", fieldName(a.path), strings.Join(a.labels.Names(), ", ")})
}

func (f *flow) frameOf(i int) *frame {
	for ; i >= 0; i = f.visits[i].from {
		switch v := f.visits[i]; v.place {
		case atSees, atMoves:
			return f.g.frames[v.id]
		}
	}
	panic("reach: a field is used by no plugin") // every use comes from one
}

// fieldName is the path, or words for all fields that no manifest names.
func fieldName(path string) string {
	if path == "" {
		return "(any other field)"
	}
	return path
}
