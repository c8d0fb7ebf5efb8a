package main

import (
	"pointsman/pdk"
	"pointsman/pdk/record"
)

// The names that plugin.yaml wants.
const (
	backend  = "store"
	byNumber = "by-number"
)

const maxCustomer = 40 // bytes: room for a UUID

// Store reads customers from a database.
type Store struct{}

// GetInput names one customer.
type GetInput struct {
	Customer string `json:"customer"` // customer number
}

// row is a row of the statement by-number. A column that is not there, or that the grant does
// not show, is unknown.
type row struct {
	Number   string `json:"number"`
	Given    string `json:"given"`
	Family   string `json:"family"`
	Email    string `json:"email"`
	Phone    string `json:"phone"`
	Street   string `json:"street"`
	City     string `json:"city"`
	Region   string `json:"region"`
	Postal   string `json:"postal_code"`
	Country  string `json:"country"`
	Language string `json:"language"`
	Birthday string `json:"birthday"`
	OptOut   *bool  `json:"email_opt_out"`
	Updated  string `json:"updated"`
}

// Get reads the customer with a number.
func (Store) Get(h *pdk.Host, in GetInput) (*record.Contact, error) {
	if !record.Token(in.Customer, maxCustomer) {
		return nil, pdk.Errorf(pdk.Permanent, "input: customer must be 1 to %d letters, digits and hyphens", maxCustomer)
	}
	rows, err := h.Query(pdk.Statement{Backend: backend, Name: byNumber, Args: map[string]any{"number": in.Customer}})
	if err != nil {
		return nil, err
	}
	if rows.Len() == 0 {
		return nil, pdk.Errorf(pdk.NotFound, "no customer has this number")
	}
	var r row
	if err := rows.Row(0, &r); err != nil {
		return nil, err
	}
	out, err := r.record()
	if err != nil {
		return nil, err
	}
	out.Duplicates = rows.Len() > 1
	return out, nil
}

// record is the row in the shape of package record. Its number is its id, too: the error is
// pdk.Permanent if it has none.
func (r row) record() (*record.Contact, error) {
	if record.Text(r.Number) == "" {
		return nil, pdk.Errorf(pdk.Permanent, "the row has no column number, or the grant does not show it")
	}
	name := record.Name{Given: record.Text(r.Given), Family: record.Text(r.Family)}
	name.Full = record.Text(name.Given + " " + name.Family)
	out := &record.Contact{
		Source:   "customer-store",
		ID:       r.Number,
		Customer: record.Text(r.Number),
		Name:     record.OrNil(name),
		Emails:   record.List(record.Email, r.Email),
		Phones:   record.List(record.Phone, r.Phone),
		Address: record.OrNil(record.Address{
			Street: record.Text(r.Street), City: record.Text(r.City), Region: record.Text(r.Region),
			PostalCode: record.Text(r.Postal), Country: record.Text(r.Country),
		}),
		Language: record.Language(r.Language),
		Birthday: record.Date(r.Birthday),
		Consent:  record.OrNil(record.Consent{EmailOptOut: r.OptOut}),
		Updated:  record.Time(r.Updated),
	}
	if len(out.Phones) > 0 {
		out.Phone = out.Phones[0]
	}
	return out, nil
}
