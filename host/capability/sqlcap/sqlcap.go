// Package sqlcap owns the power to use databases: it decides whether a plugin may use a named
// statement with its arguments, and has host/sqldb run it.
package sqlcap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/parcel"
	"pointsman/host/sqldb"
	"pointsman/host/view"
)

// SQL lends two operations: "query", which takes wire.SQLQuery and answers wire.SQLReply, both
// as JSON, and "fetch", which takes the same and gives the reply as a parcel. Of the rows the plugin gets what the grant's view shows; where the grant has no
// view, it gets none and is told how many there are.
type SQL struct {
	Databases map[string]*sqldb.DB // by the admin's name
}

// Name is "sql".
func (*SQL) Name() string { return "sql" }

// Ops is "fetch" and "query".
func (*SQL) Ops() []string { return []string{"fetch", "query"} }

// Recorded is true: every use reaches a database.
func (*SQL) Recorded() bool { return true }

// Bind compiles a grant, a list of {backend, as, statements, view, clear}. An empty one lends
// nothing. It refuses a database and a statement that there is not, a name given twice, and
// paths that are none.
func (s *SQL) Bind(scope capability.Scope) (map[string]capability.Op, error) {
	var grants []grant
	if err := capability.DecodeGrant(scope.Grant, &grants, "a list of {backend, as, statements, view, clear}"); err != nil {
		return nil, err
	}
	if len(grants) == 0 {
		return nil, nil
	}
	p := policy{}
	for i, g := range grants {
		e, err := s.compile(g)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
		if _, taken := p[e.as]; taken {
			return nil, fmt.Errorf("entry %d: the plugin already knows a back end as %q", i, e.as)
		}
		p[e.as] = e
	}
	return map[string]capability.Op{"fetch": p.teach(scope.Wants, p.planFetch), "query": p.teach(scope.Wants, p.plan)}, nil
}

type grant struct {
	Backend    string           `json:"backend"`
	As         string           `json:"as"`
	Statements []string         `json:"statements"`
	View       capability.Paths `json:"view"`
	Clear      []string         `json:"clear"`
}

// policy is what a plugin may use, by its own names for the databases. It is immutable.
type policy map[string]*entry

type entry struct {
	as         string
	db         *sqldb.DB
	statements map[string]statement
	view       view.View // of an array of rows
	clear      broker.Labels
}

// statement is what is known of a statement's replies.
type statement struct {
	labels broker.Labels // that what the view shows of them can carry
	facts  parcel.Facts  // of replies that become parcels
}

func (s *SQL) compile(g grant) (*entry, error) {
	db := s.Databases[g.Backend]
	if db == nil {
		return nil, fmt.Errorf("there is no database %q", g.Backend)
	}
	if len(g.Statements) == 0 {
		return nil, errors.New("statements is empty; want names of statements")
	}
	row, err := g.View.View()
	if err != nil {
		return nil, fmt.Errorf("view: %w", err)
	}
	e := &entry{as: g.As, db: db, statements: map[string]statement{}, clear: broker.NewLabels(g.Clear...)}
	if e.as == "" {
		e.as = g.Backend
	}
	if e.view, err = ofRows(row); err != nil {
		return nil, fmt.Errorf("view: %w", err)
	}
	for _, name := range g.Statements {
		if !db.Has(name) {
			return nil, fmt.Errorf("database %s has no statement %q", g.Backend, name)
		}
		if _, twice := e.statements[name]; twice {
			return nil, fmt.Errorf("statement %s is listed twice", name)
		}
		labels, err := view.ParseLabels(db.Labels(name))
		if err != nil {
			return nil, fmt.Errorf("statement %s: labels: %w", name, err)
		}
		facts := parcel.Facts{Labels: labels.Below("rows"), Shown: view.All()}
		if !row.All() {
			counts, err := view.Parse([]string{"count", "truncated", "affected"})
			if err != nil {
				return nil, err
			}
			facts.Shown = e.view.Below("rows").Union(counts)
		}
		e.statements[name] = statement{labels.Of(row), facts}
	}
	return e, nil
}

// ofRows is row for each element of an array.
func ofRows(row view.View) (view.View, error) {
	if row.All() || row.None() {
		return row, nil
	}
	paths := row.Paths()
	for i, p := range paths {
		paths[i] = "[]." + p
	}
	return view.Parse(paths)
}

type query struct {
	Backend   string                    `json:"backend"`
	Statement string                    `json:"statement"`
	Args      map[string]jsontext.Value `json:"args"`
	Choices   map[string]string         `json:"choices"`
}

// plan decodes a request and checks it against the policy. What it returns holds copies of
// everything.
func (p policy) plan(request []byte) (capability.Planned, error) {
	e, known, use, planned, err := p.allow(request)
	if err != nil {
		return capability.Planned{}, err
	}
	planned.Yields = known.labels
	planned.Do = func(ctx context.Context) ([]byte, error) { return e.do(ctx, use) }
	return planned, nil
}

// planFetch is plan for a reply that becomes a parcel.
func (p policy) planFetch(request []byte) (capability.Planned, error) {
	_, known, use, planned, err := p.allow(request)
	if err != nil {
		return capability.Planned{}, err
	}
	planned.Promise = &capability.Promise{Facts: known.facts, Fetch: func(ctx context.Context) (parcel.Value, error) {
		r, err := use.Do(ctx)
		if err != nil {
			return parcel.Value{}, err
		}
		return parcel.Parse(reply(r.Rows, r))
	}}
	return planned, nil
}

// allow returns the use that a request makes, when the policy allows it.
func (p policy) allow(request []byte) (e *entry, known statement, use *sqldb.Use, planned capability.Planned, err error) {
	var q query
	if err = capability.Decode(request, &q); err != nil {
		return nil, known, nil, planned, err
	}
	if e = p[q.Backend]; e == nil {
		err = denied("the plugin asked for a database that it was not granted; granted: %s", list(slices.Sorted(maps.Keys(p))))
		return nil, known, nil, planned, err
	}
	known, ok := e.statements[q.Statement]
	if !ok {
		err = denied("the plugin asked for a statement of database %q that it was not granted; granted: %s", e.as, list(slices.Sorted(maps.Keys(e.statements))))
		return nil, known, nil, planned, err
	}
	use, err = e.db.Plan(sqldb.Request{Statement: q.Statement, Args: q.Args, Choices: q.Choices})
	return e, known, use, capability.Planned{Resource: e.db.Name() + " " + q.Statement, Clear: e.clear}, err
}

// do runs the statement and writes what the plugin may see.
func (e *entry) do(ctx context.Context, use *sqldb.Use) ([]byte, error) {
	r, err := use.Do(ctx)
	if err != nil {
		return nil, err
	}
	rows := []byte("[]")
	switch {
	case e.view.All():
		rows = r.Rows
	case !e.view.None():
		if rows, _, err = e.view.Append(nil, r.Rows); err != nil {
			return nil, &broker.Error{Kind: broker.Upstream, Detail: "the rows cannot be shown in part", Err: err}
		}
	}
	return reply(rows, r), nil
}

// reply is a wire.SQLReply with these rows.
func reply(rows []byte, r sqldb.Result) []byte {
	reply := make([]byte, 0, len(rows)+80)
	reply = append(append(reply, `{"rows":`...), rows...)
	reply = strconv.AppendInt(append(reply, `,"count":`...), int64(r.Count), 10)
	reply = strconv.AppendBool(append(reply, `,"truncated":`...), r.Truncated)
	reply = strconv.AppendInt(append(reply, `,"affected":`...), r.Affected, 10)
	return append(reply, '}')
}

// denied is a refusal that teaches. It holds what the admin wrote and nothing that the plugin
// sent.
func denied(format string, args ...any) *broker.Error {
	return &broker.Error{Kind: broker.Denied, Detail: fmt.Sprintf(format, args...)}
}

// maxNamed bounds how many names a refusal lists, so that it stays a sentence.
const maxNamed = 12

func list(names []string) string {
	if len(names) > maxNamed {
		return strings.Join(names[:maxNamed], ", ") + fmt.Sprintf(" and %d more", len(names)-maxNamed)
	}
	return strings.Join(names, ", ")
}
