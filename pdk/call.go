package pdk

import (
	"encoding/json"
	"errors"

	"pointsman/pdk/wire"
)

// Call calls a function of another plugin, by its name in the grant: "plugin.function". It
// returns what the grant's view shows of the output, ignoring fields that Out lacks; without
// a view that is null, which leaves Out's zero value.
//
// The error is an *Error: the code that the function failed with and none of its words;
// Denied also if the grant does not cover the call or the other plugin does not let itself
// be called; Transient also if no sandbox of it became free in time.
//
// The other plugin works with its own grants, for the same consumer, and what it takes of
// the request's time and budget of requests is gone for the caller, too.
func Call[In, Out any](h *Host, function string, in In) (Out, error) {
	var out Out
	input, err := json.Marshal(in)
	if err != nil {
		return out, Errorf(Permanent, "the input of type %T cannot be written as JSON", in)
	}
	frame, err := wire.Frame(wire.CallRequest{Function: function}, input)
	if err != nil { // a string always marshals
		return out, Errorf(Permanent, "the call cannot be written as a frame")
	}
	output, err := wire.ParseReply(h.callFunction(frame))
	if err != nil {
		return out, hostError(err)
	}
	if err := json.Unmarshal(output, &out); err != nil {
		var none Out // not what was decoded so far
		if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return none, Errorf(Permanent, "the output of %s has another shape: field %q is not %s", function, e.Field, e.Type)
		}
		return none, Errorf(Permanent, "the output of %s has another shape", function)
	}
	return out, nil
}

// rehearseCall turns the reply of an exchange, whose body is the output, into what the host
// answers to a call.
func rehearseCall(reply []byte) []byte {
	payload, err := wire.ParseReply(reply)
	if err != nil {
		return reply
	}
	_, output, err := wire.SplitFrame(payload)
	if err != nil {
		return wire.Failed(wire.Error{Code: wire.Permanent, Message: "the exchange cannot be read"})
	}
	return wire.Done(output)
}
