// Package record owns the shapes that connectors turn vendors' records into, so that a
// transform can merge them. A field that a vendor does not know is left out, never guessed.
package record

import "encoding/json"

// Contact is a person as a CRM knows them.
type Contact struct {
	Source     string   `json:"source"`               // the connector's name for the system, such as "salesforce"
	ID         string   `json:"id"`                   // the system's own identifier; it must not leave the broker
	Customer   string   `json:"customer,omitempty"`   // the company's customer number, such as "C-100042"
	Name       *Name    `json:"name,omitempty"`       //
	Emails     []string `json:"emails,omitempty"`     // preferred first; see Email
	Phone      string   `json:"phone,omitempty"`      // the preferred number, E.164
	Phones     []string `json:"phones,omitempty"`     // all numbers, E.164, preferred first
	Address    *Address `json:"address,omitempty"`    //
	Language   string   `json:"language,omitempty"`   // BCP 47, such as "de-AT"
	Birthday   string   `json:"birthday,omitempty"`   // YYYY-MM-DD
	Consent    *Consent `json:"consent,omitempty"`    //
	Updated    string   `json:"updated,omitempty"`    // RFC 3339, UTC
	Duplicates bool     `json:"duplicates,omitempty"` // other records matched too; this is the one changed last
}

// Name is a person's name. Full is what the system shows, or given and family in that order.
type Name struct {
	Given  string `json:"given,omitempty"`
	Family string `json:"family,omitempty"`
	Full   string `json:"full,omitempty"`
}

// Address is a postal address. Country is the system's text: a code in some, a name in others.
type Address struct {
	Street     string `json:"street,omitempty"`
	City       string `json:"city,omitempty"`
	Region     string `json:"region,omitempty"`
	PostalCode string `json:"postalCode,omitempty"`
	Country    string `json:"country,omitempty"`
}

// Consent holds refusals. false means that the system knows of no refusal, which is not a
// consent; nil means that it does not say.
type Consent struct {
	EmailOptOut *bool `json:"emailOptOut,omitempty"`
	CallOptOut  *bool `json:"callOptOut,omitempty"`
}

// Loyalty is a member's account in a loyalty programme. Points are the text of the number
// that the system sent.
type Loyalty struct {
	Source   string      `json:"source"`
	Account  string      `json:"account"` // the system's own identifier; it must not leave the broker
	Balance  json.Number `json:"balance,omitempty"`
	Lifetime json.Number `json:"lifetime,omitempty"`
	Enrolled string      `json:"enrolled,omitempty"` // RFC 3339, UTC
	Expiring []Expiry    `json:"expiring,omitempty"` // in the order of the system
	Updated  string      `json:"updated,omitempty"`  // RFC 3339, UTC
}

// Expiry is points that end at a time.
type Expiry struct {
	Points json.Number `json:"points"`
	At     string      `json:"at"` // RFC 3339, UTC
}

// OrNil returns a pointer to v, or nil if v holds nothing, so that an empty object is left out.
func OrNil[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
