package main

import (
	"encoding/json"
	"strings"

	"pointsman/pdk"
	"pointsman/pdk/record"
	"pointsman/plugins/salesforce/contact"
)

// backend is the name that plugin.yaml wants.
const backend = "salesforce"

// api is the REST API's version, Spring '25. Salesforce keeps a version for three years at least.
const api = "/services/data/v62.0"

// Salesforce reads contacts.
type Salesforce struct{}

// GetInput names one contact.
type GetInput struct {
	ID string `json:"id"` // a Contact's id, 15 or 18 letters and digits
}

// FindInput names one customer.
type FindInput struct {
	Customer string `json:"customer"` // the value of Customer_Number__c
}

// maxCustomer is the longest customer number, in bytes: room for a UUID.
const maxCustomer = 40

// Get reads the contact with an id.
func (Salesforce) Get(h *pdk.Host, in GetInput) (*record.Contact, error) {
	if n := len(in.ID); n != 15 && n != 18 || !record.Token(in.ID, 18) || strings.Contains(in.ID, "-") {
		return nil, pdk.Errorf(pdk.Permanent, "input: id must be 15 or 18 letters and digits")
	}
	path, err := pdk.Path(api+"/sobjects/Contact/{id}", in.ID)
	if err != nil {
		return nil, err
	}
	var c contact.Contact
	err = read(h, pdk.Request{Backend: backend, Path: path, Query: []pdk.Field{{Name: "fields", Value: contact.Fields}}}, &c)
	if err != nil {
		return nil, err
	}
	return c.Record()
}

// Find reads the contact of a customer; of several, the one modified last.
func (Salesforce) Find(h *pdk.Host, in FindInput) (*record.Contact, error) {
	// Query relies on it: what is no token could be more query.
	if !record.Token(in.Customer, maxCustomer) {
		return nil, pdk.Errorf(pdk.Permanent, "input: customer must be 1 to %d letters, digits and hyphens", maxCustomer)
	}
	var found contact.Found
	err := read(h, pdk.Request{Backend: backend, Path: api + "/query", Query: []pdk.Field{{Name: "q", Value: contact.Query(in.Customer)}}}, &found)
	if err != nil {
		return nil, err
	}
	return found.Record()
}

// read sends r and decodes the answer into v. Salesforce reports a spent quota of requests
// as 403 with a code in the body (REST API Developer Guide, "Status Codes and Error
// Responses"), which would look like a refused credential.
func read(h *pdk.Host, r pdk.Request, v any) error {
	reply, err := h.Do(r)
	if err != nil {
		return err
	}
	if reply.Status == 403 {
		var faults []struct {
			Code string `json:"errorCode"`
		}
		if json.Unmarshal(reply.Body, &faults) == nil && len(faults) > 0 && faults[0].Code == "REQUEST_LIMIT_EXCEEDED" {
			return pdk.RateLimited(0)
		}
	}
	return reply.JSON(v)
}
