// Package rules owns how records of one customer become one profile: which value wins, and which disagree.
package rules

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

// MaxParts bounds the work of one merge: the systems that could know one customer, with room.
const MaxParts = 16

// Profile is one customer as all sources together know them. It holds no system's identifier.
type Profile struct {
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

// Merge makes one profile of parts, nil for a source that had none. Which value wins:
//
//	customer, name, birthday    Salesforce, then HubSpot, then others by name
//	emails, phones, language,
//	address (as a whole)        the record updated last; ties as above
//	consent                     a refusal in any record
//	loyalty                     Square only; of several accounts the one updated last
//
// The order of the parts has no influence, unless two of one source were updated at the same
// time and did not come by Read. Merge writes to the parts, and the profile shares their
// memory. It refuses, with an error of pdk, records that are not what they should be, and
// those of different customers: merged, they would show one person's data to another.
func Merge(all []*Part) (*Profile, error) {
	parts, err := order(all)
	if err != nil {
		return nil, err
	}
	people, members := split(parts)
	newest := slices.SortedStableFunc(slices.Values(people), byUpdated)
	m := merge{}
	out := &Profile{
		Customer: m.text("customer", people, func(p *Part) string { return p.Customer }),
		Name:     m.name(people),
		Birthday: m.text("birthday", people, func(p *Part) string { return p.Birthday }),
		Emails:   m.list("emails", newest, func(p *Part) []string { return p.Emails }),
		Phones:   m.list("phones", newest, preferredPhones),
		Language: m.text("language", newest, func(p *Part) string { return p.Language }),
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

// Part is one record, a person's or a member's: the latter has an account.
type Part struct {
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

// Person is the part of what a CRM knows.
func Person(c *record.Contact) *Part { return &Part{Contact: *c} }

// Member is the part of what a loyalty system knows.
func Member(l *record.Loyalty) *Part {
	return &Part{
		Contact: record.Contact{Source: l.Source, Updated: l.Updated},
		Account: l.Account, Balance: l.Balance, Lifetime: l.Lifetime, Enrolled: l.Enrolled, Expiring: l.Expiring,
	}
}

// Read decodes records as package record writes them; null becomes nil. It refuses, with an
// error of pdk that names fields and never values, what is no record.
func Read(raw []json.RawMessage) ([]*Part, error) {
	if raw == nil || len(raw) > MaxParts {
		return nil, pdk.Errorf(pdk.Permanent, "input: parts must be a list of at most %d records", MaxParts)
	}
	parts := make([]*Part, len(raw))
	for i, text := range raw {
		if string(text) == "null" {
			continue
		}
		p, why := readPart(text)
		if why != "" {
			return nil, pdk.Errorf(pdk.Permanent, "input: parts[%d]: %s", i, why)
		}
		parts[i] = p
	}
	return parts, nil
}

// readPart decodes one record or says why it cannot, naming fields and never values.
func readPart(text []byte) (p *Part, why string) {
	p = new(Part)
	if err := json.Unmarshal(text, p); err != nil {
		if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && e.Field != "" {
			return nil, "field " + e.Field + " has another type than in a record"
		}
		return nil, "not a record"
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return nil, "not a record"
	}
	p.text = compact.Bytes()
	return p, ""
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

// order checks the parts and puts them into an order that depends on their content alone.
func order(all []*Part) ([]*Part, error) {
	parts := make([]*Part, 0, len(all))
	customer := ""
	for i, p := range all {
		if p == nil {
			continue
		}
		if why := p.fault(); why != "" {
			return nil, pdk.Errorf(pdk.Permanent, "input: parts[%d]: %s", i, why)
		}
		if customer == "" {
			customer = p.Customer
		} else if p.Customer != "" && !strings.EqualFold(p.Customer, customer) {
			return nil, pdk.Errorf(pdk.Permanent, "input: parts[%d] is of another customer than an earlier part", i)
		}
		p.rank = rank(p.Source)
		p.updated, _ = record.ParseTime(p.Updated)
		parts = append(parts, p)
	}
	if len(parts) == 0 {
		return nil, pdk.Errorf(pdk.NotFound, "no source has a record")
	}
	slices.SortStableFunc(parts, func(a, b *Part) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), strings.Compare(a.Source, b.Source),
			b.updated.Compare(a.updated), bytes.Compare(a.text, b.text))
	})
	return parts, nil
}

// fault says what a record must not be, "" if it is not.
func (p *Part) fault() string {
	if !sourceName(p.Source) {
		return "source must be a name such as salesforce"
	}
	if p.Account != "" && p.Source != loyaltySource {
		return "loyalty is taken from source " + loyaltySource + " only"
	}
	return ""
}

// sourceName reports whether s has the form of a name in a manifest.
func sourceName(s string) bool {
	return record.Token(s, 63) && 'a' <= s[0] && s[0] <= 'z' && strings.ToLower(s) == s
}

// split parts persons from members, keeping the order.
func split(parts []*Part) (people, members []*Part) {
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
func byUpdated(a, b *Part) int { return b.updated.Compare(a.updated) }

func lastUpdate(parts []*Part) string {
	last := slices.MaxFunc(parts, func(a, b *Part) int { return a.updated.Compare(b.updated) }).updated
	if last.IsZero() {
		return ""
	}
	return last.Format(time.RFC3339Nano)
}

func sources(parts []*Part) []string {
	names := make([]string, 0, len(parts))
	for _, p := range parts {
		names = append(names, p.Source)
	}
	return slices.Compact(names) // parts are in the order of sources
}
