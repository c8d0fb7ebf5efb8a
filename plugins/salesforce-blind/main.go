// Command salesforce-blind is a connector that reads nothing: it finds a contact in Salesforce
// and answers it in the shape of package record, while the contact stays on the host.
package main

import (
	_ "embed"

	"pointsman/pdk"
	"pointsman/pdk/record"
	"pointsman/plugins/salesforce/contact"
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
	Customer string `json:"customer"` // the value of Customer_Number__c
}

// maxCustomer is the longest customer number, in bytes: room for a UUID.
const maxCustomer = 40

// shape makes a record of what Salesforce answers to a query.
//
//go:embed record.json
var shape string

// Find finds the contact of a customer; of several, the one modified last.
func Find(h *pdk.Host, in FindInput) (pdk.Parcel, error) {
	// contact.Query relies on it: what is no token could be more query.
	if !record.Token(in.Customer, maxCustomer) {
		return pdk.Parcel{}, pdk.Errorf(pdk.Permanent, "input: customer must be 1 to %d letters, digits and hyphens", maxCustomer)
	}
	found, err := h.Fetch(pdk.Request{
		Backend: "salesforce", Path: "/services/data/v62.0/query",
		Query: []pdk.Field{{Name: "q", Value: contact.Query(in.Customer)}},
	}, spent)
	if err != nil {
		return pdk.Parcel{}, err
	}
	return h.Build(pdk.Template(shape), found)
}

// spent is how Salesforce reports a spent quota of requests (REST API Developer Guide, "Status
// Codes and Error Responses"), which would look like a refused credential.
var spent = pdk.Fault{Status: 403, Path: "[0].errorCode", Is: "REQUEST_LIMIT_EXCEEDED", Code: "rate_limited"}
