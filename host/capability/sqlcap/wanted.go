package sqlcap

import (
	"slices"

	"pointsman/host/broker"
	"pointsman/host/capability"
	want "pointsman/host/grant"
)

// teach is op, whose refusals name what was asked, as far as the admin or the plugin's author
// has a word for it: whatever else a plugin asks for may be a value.
//
//	store by-number
//
// A database that was not granted has the plugin's own name and a question mark behind:
// "store? by-number"; one that its author does not name is not named here.
func (p policy) teach(w want.Wants, op capability.Op) capability.Op {
	return func(request []byte) (capability.Planned, error) {
		planned, err := op(request)
		if err != nil && planned.Resource == "" && broker.KindOf(err) == broker.Denied {
			var q query
			if capability.Decode(request, &q) == nil {
				planned.Resource = p.name(w, q)
			}
		}
		return planned, err
	}
}

// name is the resource of a refused query.
func (p policy) name(w want.Wants, q query) string {
	at := slices.IndexFunc(w.SQL, func(s want.SQL) bool { return s.Backend == q.Backend })
	wanted := at >= 0 && slices.Contains(w.SQL[at].Statements, q.Statement)
	e := p[q.Backend]
	switch {
	case e != nil && (wanted || e.db.Has(q.Statement)):
		return e.db.Name() + " " + q.Statement
	case e != nil:
		return e.db.Name()
	case wanted:
		return q.Backend + "? " + q.Statement
	case at >= 0:
		return q.Backend + "?"
	}
	return ""
}
