// Command hubspot-blind is a connector that reads nothing: it finds a contact in HubSpot and
// answers it in the shape of package record, while the contact stays on the host.
package main

import (
	_ "embed"
	"strings"

	"pointsman/pdk"
	"pointsman/pdk/record"
	"pointsman/plugins/hubspot/contact"
)

//go:wasmexport find
func find() int32 { return pdk.Serve(Find) }

//go:wasmexport pointsman_warm
func warm() { _ = rehearse() }

// rehearse prepares what every call needs.
func rehearse() error { return pdk.Rehearse(pdk.Handler(Find), example) }

const example = "-- call --\nfind\n{\"customer\":\"C-1\"}\n"

// main is never called: a plugin is a library of exports. It names them because linters know
// nothing of wasmexport.
func main() { _, _ = find, warm }

// FindInput names one customer.
type FindInput struct {
	Customer string `json:"customer"` // the value of the property customer_number
}

// maxCustomer is the longest customer number, in bytes: room for a UUID.
const maxCustomer = 40

// before and after are contact.Search around the customer's number.
var before, after, _ = strings.Cut(search(), "C-0")

func search() string {
	body, _ := contact.Search("C-0") // strings always marshal
	return string(body)
}

// shape makes a record of what HubSpot answers to a search.
//
//go:embed record.json
var shape string

// Find finds the contact of a customer; of several, the one modified last.
func Find(h *pdk.Host, in FindInput) (pdk.Parcel, error) {
	if !record.Token(in.Customer, maxCustomer) {
		return pdk.Parcel{}, pdk.Errorf(pdk.Permanent, "input: customer must be 1 to %d letters, digits and hyphens", maxCustomer)
	}
	body := append(append([]byte(before), in.Customer...), after...) // a token needs no quoting
	found, err := h.Fetch(pdk.Request{
		Backend: "hubspot", Method: "POST", Path: "/crm/v3/objects/contacts/search", Body: body,
		Header: []pdk.Field{{Name: "Content-Type", Value: "application/json"}},
	})
	if err != nil {
		return pdk.Parcel{}, err
	}
	return h.Build(pdk.Template(shape), found)
}
