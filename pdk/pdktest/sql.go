//go:build !wasip1

package pdktest

import (
	"bytes"
	"encoding/json"
	"errors"

	"pointsman/pdk"
	"pointsman/pdk/wire"
)

// query plays a statement as an exchange whose method is QUERY and whose path is the
// statement's name. A body is {"args": {...}, "choices": {...}}, what is empty left out; the
// reply's body is the rows. A status that is no success stands for the code that Reply.Err
// gives it.
func (h *Host) query(request []byte) []byte {
	h.t.Helper()
	var q wire.SQLQuery
	if err := strict(request, &q); err != nil {
		h.t.Fatalf("sql.query: %v", err)
	}
	got := pdk.Request{Backend: q.Backend, Method: "QUERY", Path: q.Statement}
	body, err := json.Marshal(struct {
		Args    map[string]json.RawMessage `json:"args,omitempty"`
		Choices map[string]string          `json:"choices,omitempty"`
	}{q.Args, q.Choices})
	if err != nil {
		h.t.Fatalf("sql.query: %v", err)
	}
	if string(body) != "{}" {
		got.Body = body
	}
	n, spent := len(h.calls), h.spent()
	h.calls = append(h.calls, got)
	if spent {
		return errSpent()
	}
	if n >= len(h.script) {
		h.t.Errorf("request %d is one too many:\n%s", n+1, formatRequest(got))
		return wire.Failed(wire.Error{Code: wire.Denied, Message: "no exchange is left"})
	}
	ex := h.script[n]
	if ex.Want != nil {
		if g, w := formatRequest(got), formatRequest(*ex.Want); g != w {
			h.t.Errorf("request %d\ngot:\n%s\nwant:\n%s", n+1, g, w)
		}
	}
	if ex.Refused != nil {
		return wire.Failed(*ex.Refused)
	}
	if failure, ok := errors.AsType[*wire.Error](ex.Reply.Err()); ok {
		return wire.Failed(*failure)
	}
	count := 0
	var rows []json.RawMessage
	if json.Unmarshal(ex.Reply.Body, &rows) == nil {
		count = len(rows)
	}
	text := append([]byte(`{"rows":`), bytes.TrimSpace(ex.Reply.Body)...)
	text = append(text, `,"truncated":false,"count":`...)
	text = append(text, []byte(jsonInt(count))...)
	return wire.Done(append(text, '}'))
}

func jsonInt(n int) string {
	text, _ := json.Marshal(n) // an integer always marshals
	return string(text)
}
