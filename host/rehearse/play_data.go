package rehearse

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/sandbox"
	"pointsman/pdk/wire"
)

func (p *player) query(request []byte) ([]byte, error) {
	var q struct {
		Backend   string                    `json:"backend"`
		Statement string                    `json:"statement"`
		Args      map[string]jsontext.Value `json:"args"`
		Choices   map[string]string         `json:"choices"`
	}
	if err := capability.Decode(request, &q); err != nil {
		return nil, err
	}
	if err := nameable(q.Backend, q.Statement); err != nil {
		return nil, err
	}
	asked := Exchange{Method: "QUERY", Backend: q.Backend, Path: q.Statement}
	body, err := json.Marshal(struct {
		Args    map[string]jsontext.Value `json:"args,omitempty"`
		Choices map[string]string         `json:"choices,omitempty"`
	}{q.Args, q.Choices}, json.Deterministic(true))
	if err != nil {
		return nil, &broker.Error{Kind: broker.Invalid, Detail: "the arguments are no JSON"}
	}
	if string(body) != "{}" {
		asked.Body = canonical(body)
	}
	ex, err := p.play(&asked)
	if err != nil {
		return nil, err
	}
	u := use{of: source{"sql", q.Backend}, what: q.Statement}
	p.uses = append(p.uses, u)
	if err := ex.failure("the database answered"); err != nil {
		return nil, err
	}
	rows := bytes.TrimSpace(ex.Reply)
	var each []jsontext.Value
	if err := json.Unmarshal(rows, &each); err != nil {
		return nil, denied("the recorded answer to %s %s is no list of rows", q.Backend, q.Statement)
	}
	if v, some := p.shown(u.of, rows); some {
		if v.None() {
			rows = []byte("[]")
		} else if rows, _, err = v.Append(nil, rows); err != nil {
			return nil, denied("the recorded answer to %s %s cannot be shown in part: %v", q.Backend, q.Statement, err)
		}
	}
	p.values.answer(rows)
	reply := append([]byte(`{"rows":`), rows...)
	reply = strconv.AppendInt(append(reply, `,"count":`...), int64(len(each)), 10)
	return append(reply, `,"truncated":false}`...), nil
}

func (p *player) call(request []byte) ([]byte, error) {
	var r wire.CallRequest
	input, err := frame(request, &r)
	if err != nil {
		return nil, err
	}
	if !functionName.MatchString(r.Function) {
		return nil, denied("%q is no name that a grant could have", sandbox.Printable(r.Function))
	}
	plugin, function, _ := strings.Cut(r.Function, ".")
	ex, err := p.play(&Exchange{Method: "CALL", Backend: plugin, Path: function, Body: input})
	if err != nil {
		return nil, err
	}
	u := use{of: source{"call", r.Function}}
	p.uses = append(p.uses, u)
	if err := ex.failure(r.Function + " failed:"); err != nil {
		return nil, err
	}
	output := bytes.TrimSpace(ex.Reply)
	if v, some := p.shown(u.of, output); some {
		if v.None() {
			output = []byte("null")
		} else if output, _, err = v.Append(nil, output); err != nil {
			return nil, denied("the recorded output of %s is no document: %v", r.Function, err)
		}
	}
	p.values.answer(output)
	return output, nil
}

// failure is what a status means where there is only success or an error.
func (e *Exchange) failure(who string) error {
	s := e.Status
	code := wire.Permanent
	switch {
	case e.Refused != nil:
		return e.Refused
	case s <= 299:
		return nil
	case s == 401 || s == 403:
		code = wire.Auth
	case s == 404:
		code = wire.NotFound
	case s == 429:
		code = wire.RateLimited
	case s == 408 || s == 425 || s >= 500:
		code = wire.Transient
	}
	return &wire.Error{Code: code, Message: fmt.Sprintf("%s %d", who, s)}
}
