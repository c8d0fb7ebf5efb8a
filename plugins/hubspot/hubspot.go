package main

import (
	"encoding/json"
	"strings"

	"pointsman/pdk"
	"pointsman/pdk/record"
)

// backend is the name that plugin.yaml wants.
const backend = "hubspot"

const contacts = "/crm/v3/objects/contacts"

// properties is what is asked of a contact, and so the most that HubSpot hands over.
const properties = "customer_number,firstname,lastname,email,phone,mobilephone," +
	"address,city,state,zip,country,hs_language,date_of_birth,hs_email_optout,lastmodifieddate"

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
	reply, err := h.Do(pdk.Request{Backend: backend, Path: path, Query: []pdk.Field{{Name: "properties", Value: properties}}})
	if err != nil {
		return nil, err
	}
	var c contact
	if err := reply.JSON(&c); err != nil {
		return nil, err
	}
	return c.normal()
}

// Find reads the contact of a customer; of several, the one modified last.
func (HubSpot) Find(h *pdk.Host, in FindInput) (*record.Contact, error) {
	if !record.Token(in.Customer, maxCustomer) {
		return nil, pdk.Errorf(pdk.Permanent, "input: customer must be 1 to %d letters, digits and hyphens", maxCustomer)
	}
	body, err := json.Marshal(search(in.Customer))
	if err != nil {
		return nil, pdk.Errorf(pdk.Permanent, "the search cannot be written as JSON")
	}
	reply, err := h.Do(pdk.Request{
		Backend: backend, Method: "POST", Path: contacts + "/search", Body: body,
		Header: []pdk.Field{{Name: "Content-Type", Value: "application/json"}},
	})
	if err != nil {
		return nil, err
	}
	var found struct {
		Results []contact `json:"results"`
	}
	if err := reply.JSON(&found); err != nil {
		return nil, err
	}
	if len(found.Results) == 0 {
		return nil, pdk.Errorf(pdk.NotFound, "no contact has this customer number")
	}
	out, err := found.Results[0].normal()
	if err != nil {
		return nil, err
	}
	out.Duplicates = len(found.Results) > 1
	return out, nil
}

type (
	searchRequest struct {
		Groups     []group  `json:"filterGroups"`
		Sorts      []sort   `json:"sorts"`
		Properties []string `json:"properties"`
		Limit      int      `json:"limit"`
	}
	group struct {
		Filters []filter `json:"filters"`
	}
	filter struct {
		Property string `json:"propertyName"`
		Operator string `json:"operator"`
		Value    string `json:"value"`
	}
	sort struct {
		Property  string `json:"propertyName"`
		Direction string `json:"direction"`
	}
)

// search asks for two contacts: the second tells that the first is not alone.
func search(customer string) searchRequest {
	return searchRequest{
		Groups:     []group{{Filters: []filter{{Property: "customer_number", Operator: "EQ", Value: customer}}}},
		Sorts:      []sort{{Property: "lastmodifieddate", Direction: "DESCENDING"}},
		Properties: strings.Split(properties, ","),
		Limit:      2,
	}
}

// contact is a contact as HubSpot writes it: every property is text, or null if unknown.
type contact struct {
	ID         string `json:"id"`
	Updated    string `json:"updatedAt"`
	Properties struct {
		Customer   string `json:"customer_number"`
		First      string `json:"firstname"`
		Last       string `json:"lastname"`
		Email      string `json:"email"`
		Phone      string `json:"phone"`
		Mobile     string `json:"mobilephone"`
		Street     string `json:"address"`
		City       string `json:"city"`
		State      string `json:"state"`
		Zip        string `json:"zip"`
		Country    string `json:"country"`
		Language   string `json:"hs_language"`
		Birth      string `json:"date_of_birth"`
		OptedOut   string `json:"hs_email_optout"`
		LastChange string `json:"lastmodifieddate"`
	} `json:"properties"`
}

func (c contact) normal() (*record.Contact, error) {
	if c.ID == "" {
		return nil, pdk.Errorf(pdk.Permanent, "the back end's answer has no contact id")
	}
	p := c.Properties
	name := record.Name{Given: record.Text(p.First), Family: record.Text(p.Last)}
	name.Full = record.Text(name.Given + " " + name.Family)
	out := &record.Contact{
		Source:   "hubspot",
		ID:       c.ID,
		Customer: record.Text(p.Customer),
		Name:     record.OrNil(name),
		Emails:   record.List(record.Email, p.Email),
		Phones:   record.List(record.Phone, p.Mobile, p.Phone),
		Address: record.OrNil(record.Address{
			Street: record.Text(p.Street), City: record.Text(p.City), Region: record.Text(p.State),
			PostalCode: record.Text(p.Zip), Country: record.Text(p.Country),
		}),
		Language: record.Language(p.Language),
		Birthday: record.Date(p.Birth),
		Consent:  record.OrNil(record.Consent{EmailOptOut: boolean(p.OptedOut)}),
		Updated:  record.Time(p.LastChange),
	}
	if out.Updated == "" {
		out.Updated = record.Time(c.Updated)
	}
	if len(out.Phones) > 0 {
		out.Phone = out.Phones[0]
	}
	return out, nil
}

// boolean reads HubSpot's text for a checkbox; anything else is unknown.
func boolean(s string) *bool {
	switch s {
	case "true", "false":
		b := s == "true"
		return &b
	}
	return nil
}
