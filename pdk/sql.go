package pdk

import (
	"encoding/json"
	"errors"

	"pointsman/pdk/wire"
)

// Statement is one use of a statement that the admin wrote and named.
type Statement struct {
	Backend string // the name that the plugin.yaml wants, not an address
	Name    string
	// Args are the arguments by the names of the parameters: strings, integers, booleans,
	// json.Number for decimals, time.Time, []byte, nil where the parameter is optional.
	Args    map[string]any
	Choices map[string]string // words of the statement's own lists, such as an order
}

// Rows is what a statement answered.
type Rows struct {
	rows      []json.RawMessage
	Count     int   // of rows that were read; more than Len where the grant has no view
	Truncated bool  // there were more rows than the statement may answer
	Affected  int64 // rows that the statement changed
}

// Query runs s and returns its rows. The error is an *Error: Denied if the grant does not cover
// the statement, Permanent if an argument or a constraint of the database refuses the use,
// Transient if the database could not be reached in time. A statement that writes and failed
// with Transient may have been done.
func (h *Host) Query(s Statement) (*Rows, error) {
	request, err := s.request()
	if err != nil {
		return nil, err
	}
	payload, err := wire.ParseReply(h.sqlQuery(request))
	if err != nil {
		return nil, hostError(err)
	}
	var reply wire.SQLReply
	if err := json.Unmarshal(payload, &reply); err != nil {
		return nil, hostError(err)
	}
	return &Rows{rows: reply.Rows, Count: reply.Count, Truncated: reply.Truncated, Affected: reply.Affected}, nil
}

// request is s as the host takes it.
func (s Statement) request() ([]byte, error) {
	q := wire.SQLQuery{Backend: s.Backend, Statement: s.Name, Choices: s.Choices}
	if len(s.Args) > 0 {
		q.Args = make(map[string]json.RawMessage, len(s.Args))
	}
	for name, value := range s.Args {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, Errorf(Permanent, "the argument %q of type %T cannot be written as JSON", name, value)
		}
		q.Args[name] = text
	}
	request, err := json.Marshal(q)
	if err != nil { // strings and JSON always marshal
		return nil, Errorf(Permanent, "the query cannot be written as JSON")
	}
	return request, nil
}

// Len is how many rows there are to decode.
func (r *Rows) Len() int { return len(r.rows) }

// Row decodes row i, from 0, into v, ignoring columns that v lacks. The error is NotFound if
// there is no such row, Permanent if it has another shape.
func (r *Rows) Row(i int, v any) error {
	if i < 0 || i >= len(r.rows) {
		return Errorf(NotFound, "the statement answered no such row")
	}
	err := json.Unmarshal(r.rows[i], v)
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return Errorf(Permanent, "the row has another shape: column %q is not %s", e.Field, e.Type)
	}
	if err != nil {
		return Errorf(Permanent, "the row has another shape")
	}
	return nil
}

// DecodeRows decodes all rows into a slice of T, as Row does.
func DecodeRows[T any](r *Rows) ([]T, error) {
	all := make([]T, r.Len())
	for i := range all {
		if err := r.Row(i, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// rehearseSQL turns the reply of an exchange, whose body is the rows, into what the host
// answers to a query.
func rehearseSQL(reply []byte) []byte {
	payload, err := wire.ParseReply(reply)
	if err != nil {
		return reply
	}
	_, rows, err := wire.SplitFrame(payload)
	if err != nil {
		return wire.Failed(wire.Error{Code: wire.Permanent, Message: "the exchange cannot be read"})
	}
	return wire.Done(append(append([]byte(`{"rows":`), rows...), '}'))
}
