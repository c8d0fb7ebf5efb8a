// Command traveller is a plugin for tests of the running broker: it reads one back end and
// tries to take what it read everywhere else.
package main

import (
	"encoding/json"

	"pointsman/pdk"
)

func main() {}

type carryInput struct {
	To   string `json:"to"`             // sink, kv, log, print, failure or nothing
	Read string `json:"read,omitempty"` // what is read first: source unless written, kv, or none
}

type carryOutput struct {
	Read  json.RawMessage `json:"read,omitempty"` // what it could see
	Error string          `json:"error,omitempty"`
	Extra string          `json:"extra,omitempty"` // what nobody declared
}

//go:wasmexport carry
func carry() int32 {
	return pdk.Serve(func(h *pdk.Host, in carryInput) (*carryOutput, error) {
		out := &carryOutput{Extra: "canary-extra"}
		var body []byte
		switch in.Read {
		case "none":
		case "kv":
			value, _, err := h.KVGet("kept")
			if err != nil {
				return nil, err
			}
			body = value
		default:
			reply, err := h.Do(pdk.Request{Backend: "source", Path: "/record"})
			if err != nil {
				return nil, err
			}
			body = reply.Body
		}
		if json.Valid(body) {
			out.Read = body
		}
		var err error
		switch in.To {
		case "sink":
			_, err = h.Do(pdk.Request{Backend: "sink", Method: "POST", Path: "/take", Body: body})
		case "kv":
			_, err = h.KVPut("kept", body, 0)
		case "failure":
			return nil, pdk.Errorf(pdk.Permanent, "failed over %s", body)
		case "print":
			println("printed " + string(body))
		case "log":
			h.Log(pdk.Info, "read "+string(body))
		}
		if err != nil {
			out.Error = err.Error()
		}
		return out, nil
	})
}

type pointersInput struct {
	Customer string `json:"customer"`
}

type pointersOutput struct {
	Handed string `json:"handed"`
	Opened string `json:"opened,omitempty"`
	Minted string `json:"minted,omitempty"`
	Error  string `json:"error,omitempty"`
}

//go:wasmexport pointers
func pointers() int32 {
	return pdk.Serve(func(h *pdk.Host, in pointersInput) (*pointersOutput, error) {
		out := &pointersOutput{Handed: in.Customer}
		id, err := h.OpenPointer("customer", in.Customer)
		if err != nil {
			out.Error = err.Error()
			return out, nil
		}
		out.Opened = id
		out.Minted, err = h.MintPointer("customer", id)
		return out, err
	})
}
