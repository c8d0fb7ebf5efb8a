package pdk

import (
	"encoding/json"
	"errors"
	"strings"

	"pointsman/pdk/wire"
)

// Field is one query parameter or header.
type Field = wire.Field

// Request is one HTTP request to a back end. The host adds the address and the credential.
type Request struct {
	Backend string  // the name that the plugin.yaml wants, not a host
	Method  string  // upper case; "" means GET
	Path    string  // see Path for putting values into it
	Query   []Field // plain text, in this order; the host encodes it
	Header  []Field // only names that the grant lists
	Body    []byte
}

// Reply is what the back end answered.
type Reply struct {
	Status int
	Header []Field // names in lower case; only those that the host passes on
	Body   []byte
}

// Do sends r and returns the answer, whatever its status: see Reply.Err and Reply.JSON. The
// error is an *Error, told by the host: Denied if the grant does not cover the request,
// Transient if the back end could not be reached in time.
func (h *Host) Do(r Request) (*Reply, error) {
	head := wire.HTTPRequest{Backend: r.Backend, Method: r.Method, Path: r.Path, Query: r.Query, Header: r.Header}
	if head.Method == "" {
		head.Method = "GET"
	}
	frame, err := wire.Frame(head, r.Body)
	if err != nil {
		return nil, Errorf(Permanent, "the request cannot be written as a frame")
	}
	payload, err := wire.ParseReply(h.httpRequest(frame))
	if err != nil {
		return nil, hostError(err)
	}
	headText, body, err := wire.SplitFrame(payload)
	if err != nil {
		return nil, hostError(err)
	}
	var reply wire.HTTPReply
	if err := json.Unmarshal(headText, &reply); err != nil {
		return nil, hostError(err)
	}
	return &Reply{Status: reply.Status, Header: reply.Header, Body: body}, nil
}

// hostError keeps what the host said in its own words and hides everything else.
func hostError(err error) error {
	if e, ok := errors.AsType[*wire.Error](err); ok && e.Code.Valid() {
		return e
	}
	return Errorf(Permanent, "the host's reply cannot be read")
}

// Get returns the first header of that name, in any case, or "".
func (r *Reply) Get(name string) string {
	for _, f := range r.Header {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// JSON decodes the body of a 2xx answer into v, ignoring fields that v lacks. Otherwise the
// error is that of Err; Transient if the body is no JSON (a proxy's page, a torn answer);
// Permanent if it is JSON of another shape.
func (r *Reply) JSON(v any) error {
	if err := r.Err(); err != nil {
		return err
	}
	err := json.Unmarshal(r.Body, v)
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return Errorf(Permanent, "the back end's answer has another shape: field %q is not %s", e.Field, e.Type)
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return Errorf(Transient, "the back end's answer is not JSON")
	}
	return Errorf(Permanent, "the back end's answer has another shape") // a bad json.Number ends here
}
