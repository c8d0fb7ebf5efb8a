package main

import (
	"strings"

	"pointsman/pdk"
	"pointsman/pdk/record"
	"pointsman/plugins/hubspot/contact"
)

// backend is the name that plugin.yaml wants.
const backend = "hubspot"

const contacts = "/crm/v3/objects/contacts"

// HubSpot reads contacts.
type HubSpot struct{}

// GetInput names one contact.
type GetInput struct {
	ID string `json:"id"` // a contact's record id, 1 to 20 digits
}

// FindInput names one customer.
type FindInput struct {
	Customer string `json:"customer"` // the value of the property customer_number
}

const (
	maxID       = 20 // digits of the largest 64-bit number
	maxCustomer = 40 // bytes: room for a UUID
)

// Get reads the contact with an id.
func (HubSpot) Get(h *pdk.Host, in GetInput) (*record.Contact, error) {
	if !record.Token(in.ID, maxID) || strings.Trim(in.ID, "0123456789") != "" {
		return nil, pdk.Errorf(pdk.Permanent, "input: id must be 1 to %d digits", maxID)
	}
	path, err := pdk.Path(contacts+"/{id}", in.ID)
	if err != nil {
		return nil, err
	}
	reply, err := h.Do(pdk.Request{Backend: backend, Path: path, Query: []pdk.Field{{Name: "properties", Value: contact.Properties}}})
	if err != nil {
		return nil, err
	}
	var c contact.Contact
	if err := reply.JSON(&c); err != nil {
		return nil, err
	}
	return c.Record()
}

// Find reads the contact of a customer; of several, the one modified last.
func (HubSpot) Find(h *pdk.Host, in FindInput) (*record.Contact, error) {
	if !record.Token(in.Customer, maxCustomer) {
		return nil, pdk.Errorf(pdk.Permanent, "input: customer must be 1 to %d letters, digits and hyphens", maxCustomer)
	}
	body, err := contact.Search(in.Customer)
	if err != nil {
		return nil, err
	}
	reply, err := h.Do(pdk.Request{
		Backend: backend, Method: "POST", Path: contacts + "/search", Body: body,
		Header: []pdk.Field{{Name: "Content-Type", Value: "application/json"}},
	})
	if err != nil {
		return nil, err
	}
	var found contact.Found
	if err := reply.JSON(&found); err != nil {
		return nil, err
	}
	return found.Record()
}
