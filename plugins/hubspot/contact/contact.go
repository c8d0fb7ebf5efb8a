// Package contact owns how HubSpot is asked for contacts and what its answers mean in the
// shapes of package record.
package contact

import (
	"encoding/json"
	"strings"

	"pointsman/pdk"
	"pointsman/pdk/record"
)

// Properties is what is asked of a contact, and so the most that HubSpot hands over.
const Properties = "customer_number,firstname,lastname,email,phone,mobilephone," +
	"address,city,state,zip,country,hs_language,date_of_birth,hs_email_optout,lastmodifieddate"

// Search is the body of a search for the contacts of a customer, the one modified last first.
// It asks for two contacts: the second tells that the first is not alone.
func Search(customer string) ([]byte, error) {
	body, err := json.Marshal(searchRequest{
		Groups:     []group{{Filters: []filter{{Property: "customer_number", Operator: "EQ", Value: customer}}}},
		Sorts:      []sort{{Property: "lastmodifieddate", Direction: "DESCENDING"}},
		Properties: strings.Split(Properties, ","),
		Limit:      2,
	})
	if err != nil {
		return nil, pdk.Errorf(pdk.Permanent, "the search cannot be written as JSON")
	}
	return body, nil
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

// Found is the answer to a Search.
type Found struct {
	Results []Contact `json:"results"`
}

// Record is the first contact in the shape of package record. The error is pdk.NotFound if
// there is none.
func (f Found) Record() (*record.Contact, error) {
	if len(f.Results) == 0 {
		return nil, pdk.Errorf(pdk.NotFound, "no contact has this customer number")
	}
	out, err := f.Results[0].Record()
	if err != nil {
		return nil, err
	}
	out.Duplicates = len(f.Results) > 1
	return out, nil
}

// Contact is a contact as HubSpot writes it: every property is text, or null if unknown.
type Contact struct {
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

// Record is the contact in the shape of package record. The error is pdk.Permanent: without an
// id it is no contact.
func (c Contact) Record() (*record.Contact, error) {
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
