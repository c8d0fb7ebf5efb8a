// Command mover is a plugin for tests of the running broker: it takes documents as parcels, and
// tries to do with them what it may not.
package main

import (
	"encoding/json"

	"pointsman/pdk"
)

func main() {}

type input struct {
	Path  string     `json:"path,omitempty"`  // of the source; /record unless written
	Do    string     `json:"do"`              // what is tried
	Given pdk.Parcel `json:"given,omitempty"` // of another step
	Other uint64     `json:"other,omitempty"` // the number of a parcel of another call
}

type output struct {
	Document pdk.Parcel      `json:"document"`
	Number   uint64          `json:"number,omitempty"` // of the parcel
	Told     json.RawMessage `json:"told,omitempty"`
	Code     pdk.Code        `json:"code,omitempty"` // with which what was tried failed
}

//go:wasmexport take
func take() int32 {
	return pdk.Serve(func(h *pdk.Host, in input) (*output, error) {
		if in.Path == "" {
			in.Path = "/record"
		}
		p, err := h.Fetch(pdk.Request{Backend: "source", Path: in.Path})
		if err != nil {
			return nil, err
		}
		return do(h, in, p)
	})
}

//go:wasmexport hand
func hand() int32 {
	return pdk.Serve(func(h *pdk.Host, in input) (*output, error) { return do(h, in, in.Given) })
}

func do(h *pdk.Host, in input, p pdk.Parcel) (*output, error) {
	out := &output{}
	var err error
	switch in.Do {
	case "move":
		out.Document = p
	case "drop": // begun, and never asked for
	case "email":
		out.Document, err = h.Select(p, "email")
	case "read":
		err = h.Read(p, &out.Told)
	case "rename": // a name that it may read for one that it may not
		if p, err = h.Rename(p, "email", "other"); err == nil {
			if p, err = h.Rename(p, "other", "tier"); err == nil {
				err = h.Read(p, &out.Told)
			}
		}
	case "build": // the same with a template
		if p, err = h.Build(`{"tier": {"$get": "email"}, "same": {"$get": "tier"}}`, p); err == nil {
			err = h.Read(p, &out.Told)
		}
	case "send": // to another back end
		if p, err = h.FetchSending(pdk.Request{Backend: "sink", Method: "POST", Path: "/take"}, p); err == nil {
			err = h.Wait(p)
		}
	case "has": // one bit of what it may not read, and out with it
		var has bool
		if has, err = h.Has(p, "email"); err == nil && has {
			_, err = h.Do(pdk.Request{Backend: "sink", Method: "POST", Path: "/take", Body: []byte("has")})
		}
	case "wait":
		err = h.Wait(p)
	case "number":
		text, _ := json.Marshal(p)
		var n struct {
			Number uint64 `json:"$parcel"`
		}
		err = json.Unmarshal(text, &n)
		out.Number = n.Number
	case "other":
		var other pdk.Parcel
		text, _ := json.Marshal(map[string]uint64{"$parcel": in.Other})
		if err = json.Unmarshal(text, &other); err == nil {
			out.Document = other
		}
	case "guess":
		for n := uint64(1); n <= 1000 && err == nil; n++ {
			var other pdk.Parcel
			text, _ := json.Marshal(map[string]uint64{"$parcel": n})
			_ = json.Unmarshal(text, &other)
			if _, miss := h.Select(other, ""); miss == nil {
				out.Number = n
			}
		}
	case "many":
		for range 1000 {
			if _, err = h.Select(p, "email"); err != nil {
				break
			}
		}
	}
	out.Code = pdk.CodeOf(err)
	return out, nil
}
