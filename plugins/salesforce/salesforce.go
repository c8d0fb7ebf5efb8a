package main

import (
	"encoding/json"
	"strings"

	"pointsman/pdk"
	"pointsman/pdk/record"
)

// backend is the name that plugin.yaml wants.
const backend = "salesforce"

// api is the REST API's version, Spring '25. Salesforce keeps a version for three years at least.
const api = "/services/data/v62.0"

// fields is what is asked of a Contact, and so the most that Salesforce hands over.
const fields = "Id,Customer_Number__c,FirstName,LastName,Name,Email,Phone,MobilePhone,Phone_E164__c," +
	"MailingStreet,MailingCity,MailingState,MailingPostalCode,MailingCountry,Birthdate," +
	"HasOptedOutOfEmail,DoNotCall,LastModifiedDate"

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
	var c contact
	err = read(h, pdk.Request{Backend: backend, Path: path, Query: []pdk.Field{{Name: "fields", Value: fields}}}, &c)
	if err != nil {
		return nil, err
	}
	return c.normal()
}

// Find reads the contact of a customer; of several, the one modified last.
func (Salesforce) Find(h *pdk.Host, in FindInput) (*record.Contact, error) {
	// A number that passes holds no quote or backslash, so the query below is what it seems.
	if !record.Token(in.Customer, maxCustomer) {
		return nil, pdk.Errorf(pdk.Permanent, "input: customer must be 1 to %d letters, digits and hyphens", maxCustomer)
	}
	query := "SELECT " + fields + " FROM Contact WHERE Customer_Number__c = '" + in.Customer +
		"' ORDER BY LastModifiedDate DESC LIMIT 2"
	var found struct {
		Records []contact `json:"records"`
	}
	err := read(h, pdk.Request{Backend: backend, Path: api + "/query", Query: []pdk.Field{{Name: "q", Value: query}}}, &found)
	if err != nil {
		return nil, err
	}
	if len(found.Records) == 0 {
		return nil, pdk.Errorf(pdk.NotFound, "no contact has this customer number")
	}
	out, err := found.Records[0].normal()
	if err != nil {
		return nil, err
	}
	out.Duplicates = len(found.Records) > 1
	return out, nil
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

// contact is a Contact as Salesforce writes it; what it does not know is null.
type contact struct {
	ID            string `json:"Id"`
	Customer      string `json:"Customer_Number__c"`
	FirstName     string
	LastName      string
	Name          string
	Email         string
	Phone         string
	MobilePhone   string
	E164          string `json:"Phone_E164__c"`
	Street        string `json:"MailingStreet"`
	City          string `json:"MailingCity"`
	State         string `json:"MailingState"`
	PostalCode    string `json:"MailingPostalCode"`
	Country       string `json:"MailingCountry"`
	Birthdate     string
	OptedOutEmail *bool `json:"HasOptedOutOfEmail"`
	DoNotCall     *bool
	LastModified  string `json:"LastModifiedDate"`
}

func (c contact) normal() (*record.Contact, error) {
	if c.ID == "" {
		return nil, pdk.Errorf(pdk.Permanent, "the back end's answer has no contact id")
	}
	name := record.Name{Given: record.Text(c.FirstName), Family: record.Text(c.LastName), Full: record.Text(c.Name)}
	if name.Full == "" {
		name.Full = record.Text(name.Given + " " + name.Family)
	}
	return &record.Contact{
		Source:   "salesforce",
		ID:       c.ID,
		Customer: record.Text(c.Customer),
		Name:     record.OrNil(name),
		Emails:   record.List(record.Email, c.Email),
		Phone:    record.Phone(c.E164),
		Phones:   record.List(record.Phone, c.E164, c.MobilePhone, c.Phone),
		Address: record.OrNil(record.Address{
			Street: record.Text(c.Street), City: record.Text(c.City), Region: record.Text(c.State),
			PostalCode: record.Text(c.PostalCode), Country: record.Text(c.Country),
		}),
		Birthday: record.Date(c.Birthdate),
		Consent:  record.OrNil(record.Consent{EmailOptOut: c.OptedOutEmail, CallOptOut: c.DoNotCall}),
		Updated:  record.Time(c.LastModified),
	}, nil
}
