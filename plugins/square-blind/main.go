// Command square-blind is a connector that reads nothing: it finds a loyalty account in Square by
// a phone number that it does not see either.
package main

import (
	_ "embed"

	"pointsman/pdk"
)

//go:wasmexport find
func find() int32 { return pdk.Serve(Find) }

//go:wasmexport pointsman_warm
func warm() { _ = rehearse() }

// rehearse prepares what every call needs.
func rehearse() error { return pdk.Rehearse(pdk.Handler(Find), example) }

const example = "-- call --\nfind\n{\"phone\":{\"$parcel\":1}}\n"

// main is never called: a plugin is a library of exports. It names them because linters know
// nothing of wasmexport.
func main() { _, _ = find, warm }

// FindInput names one member.
type FindInput struct {
	Phone pdk.Parcel `json:"phone"` // E.164, such as "+13125550142"
}

// search makes the body of a search of a phone number, and shape a record of what Square answers.
// A programme has one account for a number.
//
//go:embed search.json
var search string

//go:embed record.json
var shape string

// version pins the shape of Square's answers; without it Square uses the application's default.
const version = "2025-01-23"

// Find finds the account of a phone number.
func Find(h *pdk.Host, in FindInput) (pdk.Parcel, error) {
	body, err := h.Build(pdk.Template(search), in.Phone)
	if err != nil {
		return pdk.Parcel{}, err
	}
	found, err := h.FetchSending(pdk.Request{
		Backend: "square", Method: "POST", Path: "/v2/loyalty/accounts/search",
		Header: []pdk.Field{{Name: "Content-Type", Value: "application/json"}, {Name: "Square-Version", Value: version}},
	}, body)
	if err != nil {
		return pdk.Parcel{}, err
	}
	return h.Build(pdk.Template(shape), found)
}
