package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"pointsman/pdk"
	"pointsman/pdk/record"
)

// Profile merges records of one customer. Which value wins:
//
//	customer, name, birthday    Salesforce, then HubSpot, then others by name
//	emails, phones, language,
//	address (as a whole)        the record updated last; ties as above
//	consent                     a refusal in any record
//	loyalty                     Square only; of several accounts the one updated last
//
// The order of the parts has no influence.
type Profile struct{}

// ComposeInput is what Compose takes.
type ComposeInput struct {
	Parts []json.RawMessage `json:"parts"` // records as in package record; null for a source that had none
}

// maxParts bounds the work of one call: the systems that could know one customer, with room.
const maxParts = 16

// Composed is one customer as all sources together know them. It holds no system's identifier.
type Composed struct {
	Customer  string          `json:"customer,omitempty"`
	Name      *record.Name    `json:"name,omitempty"`
	Emails    []string        `json:"emails,omitempty"`
	Phones    []string        `json:"phones,omitempty"`
	Address   *record.Address `json:"address,omitempty"`
	Language  string          `json:"language,omitempty"`
	Birthday  string          `json:"birthday,omitempty"`
	Consent   *record.Consent `json:"consent,omitempty"`
	Loyalty   *Loyalty        `json:"loyalty,omitempty"`
	Updated   string          `json:"updated,omitempty"` // when any source last changed
	Sources   []string        `json:"sources"`           // that had a record
	Conflicts []Conflict      `json:"conflicts"`         // by field
}

// Loyalty is record.Loyalty without the account's identifier.
type Loyalty struct {
	Balance  json.Number     `json:"balance,omitempty"`
	Lifetime json.Number     `json:"lifetime,omitempty"`
	Enrolled string          `json:"enrolled,omitempty"`
	Expiring []record.Expiry `json:"expiring,omitempty"`
}

// Conflict tells that sources disagree on a field, without their values.
type Conflict struct {
	Field   string   `json:"field"`
	Sources []string `json:"sources"` // that disagree, the kept one among them
	Kept    string   `json:"kept"`    // whose value is in the profile
}

// Compose merges the parts into one profile.
func (Profile) Compose(_ *pdk.Host, in ComposeInput) (*Composed, error) {
	parts, err := readParts(in.Parts)
	if err != nil {
		return nil, err
	}
	people, members := split(parts)
	newest := slices.SortedStableFunc(slices.Values(people), byUpdated)
	m := merge{}
	out := &Composed{
		Customer: m.text("customer", people, func(p *part) string { return p.Customer }),
		Name:     m.name(people),
		Birthday: m.text("birthday", people, func(p *part) string { return p.Birthday }),
		Emails:   m.list("emails", newest, func(p *part) []string { return p.Emails }),
		Phones:   m.list("phones", newest, preferredPhones),
		Language: m.text("language", newest, func(p *part) string { return p.Language }),
		Address:  m.address(newest),
		Consent:  m.consent(people),
		Loyalty:  m.loyalty(members),
		Updated:  lastUpdate(parts),
		Sources:  sources(parts),
	}
	slices.SortFunc(m.conflicts, func(a, b Conflict) int { return strings.Compare(a.Field, b.Field) })
	out.Conflicts = append([]Conflict{}, m.conflicts...) // [] and not null
	return out, nil
}

// part is one record, a person's or a member's: the latter has an account.
type part struct {
	record.Contact
	Account  string          `json:"account"`
	Balance  json.Number     `json:"balance"`
	Lifetime json.Number     `json:"lifetime"`
	Enrolled string          `json:"enrolled"`
	Expiring []record.Expiry `json:"expiring"`

	rank    int       // of the source, 0 first
	updated time.Time // zero if unknown
	text    []byte    // as it came, compacted; the last word between equals
}

const loyaltySource = "square"

// rank orders sources by how much their word on identity counts, 0 most.
func rank(source string) int {
	switch source {
	case "salesforce":
		return 0
	case "hubspot":
		return 1
	case loyaltySource:
		return 3
	}
	return 2
}

// readParts decodes the records and puts them into an order that depends on their content
// alone. It refuses records of different customers: merged, they would show one person's
// data to another.
func readParts(raw []json.RawMessage) ([]*part, error) {
	if raw == nil || len(raw) > maxParts {
		return nil, pdk.Errorf(pdk.Permanent, "input: parts must be a list of at most %d records", maxParts)
	}
	parts := make([]*part, 0, len(raw))
	customer := ""
	for i, text := range raw {
		if string(text) == "null" {
			continue
		}
		p, why := readPart(text)
		if why != "" {
			return nil, pdk.Errorf(pdk.Permanent, "input: parts[%d]: %s", i, why)
		}
		if customer == "" {
			customer = p.Customer
		} else if p.Customer != "" && !strings.EqualFold(p.Customer, customer) {
			return nil, pdk.Errorf(pdk.Permanent, "input: parts[%d] is of another customer than an earlier part", i)
		}
		parts = append(parts, p)
	}
	if len(parts) == 0 {
		return nil, pdk.Errorf(pdk.NotFound, "no source has a record")
	}
	slices.SortFunc(parts, func(a, b *part) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), strings.Compare(a.Source, b.Source),
			b.updated.Compare(a.updated), bytes.Compare(a.text, b.text))
	})
	return parts, nil
}

// readPart decodes one record or says why it cannot, naming fields and never values.
func readPart(text []byte) (p *part, why string) {
	p = new(part)
	if err := json.Unmarshal(text, p); err != nil {
		if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && e.Field != "" {
			return nil, "field " + e.Field + " has another type than in a record"
		}
		return nil, "not a record"
	}
	if !sourceName(p.Source) {
		return nil, "source must be a name such as salesforce"
	}
	if p.Account != "" && p.Source != loyaltySource {
		return nil, "loyalty is taken from source " + loyaltySource + " only"
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return nil, "not a record"
	}
	p.text, p.rank = compact.Bytes(), rank(p.Source)
	p.updated, _ = record.ParseTime(p.Updated)
	return p, ""
}

// sourceName reports whether s has the form of a name in a manifest.
func sourceName(s string) bool {
	return record.Token(s, 63) && 'a' <= s[0] && s[0] <= 'z' && strings.ToLower(s) == s
}

// split parts persons from members, keeping the order.
func split(parts []*part) (people, members []*part) {
	for _, p := range parts {
		if p.Account != "" {
			members = append(members, p)
		} else {
			people = append(people, p)
		}
	}
	return people, members
}

// byUpdated orders the newest first; sorting stably keeps the order of sources between equals.
func byUpdated(a, b *part) int { return b.updated.Compare(a.updated) }

func lastUpdate(parts []*part) string {
	last := slices.MaxFunc(parts, func(a, b *part) int { return a.updated.Compare(b.updated) }).updated
	if last.IsZero() {
		return ""
	}
	return last.Format(time.RFC3339Nano)
}

func sources(parts []*part) []string {
	names := make([]string, 0, len(parts))
	for _, p := range parts {
		names = append(names, p.Source)
	}
	return slices.Compact(names) // parts are in the order of sources
}
