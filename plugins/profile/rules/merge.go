package rules

import (
	"slices"
	"strings"

	"pointsman/pdk/record"
)

// merge collects the conflicts while the fields are chosen. Each method takes the records in
// the order in which they win.
type merge struct{ conflicts []Conflict }

// note records that others disagree with kept, if there are others.
func (m *merge) note(field string, kept *Part, others []*Part) {
	if len(others) == 0 {
		return
	}
	names := []string{kept.Source}
	for _, p := range others {
		names = append(names, p.Source)
	}
	slices.Sort(names)
	m.conflicts = append(m.conflicts, Conflict{Field: field, Sources: slices.Compact(names), Kept: kept.Source})
}

// text takes the first record that has the field. Values that differ in case only agree.
func (m *merge) text(field string, records []*Part, get func(*Part) string) string {
	i := slices.IndexFunc(records, func(p *Part) bool { return get(p) != "" })
	if i < 0 {
		return ""
	}
	value := get(records[i])
	var others []*Part
	for _, p := range records[i+1:] {
		if v := get(p); v != "" && !strings.EqualFold(v, value) {
			others = append(others, p)
		}
	}
	m.note(field, records[i], others)
	return value
}

// list takes the list of the first record that has one. A record agrees if it knows the
// list's first entry, too.
func (m *merge) list(field string, records []*Part, get func(*Part) []string) []string {
	i := slices.IndexFunc(records, func(p *Part) bool { return len(get(p)) > 0 })
	if i < 0 {
		return nil
	}
	values := get(records[i])
	var others []*Part
	for _, p := range records[i+1:] {
		if list := get(p); len(list) > 0 && !containsFold(list, values[0]) {
			others = append(others, p)
		}
	}
	m.note(field, records[i], others)
	return values
}

func containsFold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(x string) bool { return strings.EqualFold(x, s) })
}

// preferredPhones is a record's phones, its preferred one first.
func preferredPhones(p *Part) []string {
	if p.Phone == "" || len(p.Phones) > 0 && p.Phones[0] == p.Phone {
		return p.Phones
	}
	rest := slices.DeleteFunc(slices.Clone(p.Phones), func(s string) bool { return s == p.Phone })
	return append([]string{p.Phone}, rest...)
}

// name takes the whole name of the first record that has one: halves of two names are nobody's.
func (m *merge) name(records []*Part) *record.Name {
	records = slices.DeleteFunc(slices.Clone(records), func(p *Part) bool { return p.Name == nil || *p.Name == record.Name{} })
	if len(records) == 0 {
		return nil
	}
	kept := *records[0].Name
	m.text("name.given", keeping(records, kept.Given), func(p *Part) string { return p.Name.Given })
	m.text("name.family", keeping(records, kept.Family), func(p *Part) string { return p.Name.Family })
	return &kept
}

// address takes the whole address of the first record that has one, for the same reason.
func (m *merge) address(records []*Part) *record.Address {
	records = slices.DeleteFunc(slices.Clone(records), func(p *Part) bool { return p.Address == nil || *p.Address == record.Address{} })
	if len(records) == 0 {
		return nil
	}
	kept := *records[0].Address
	m.text("address.street", keeping(records, kept.Street), func(p *Part) string { return p.Address.Street })
	m.text("address.city", keeping(records, kept.City), func(p *Part) string { return p.Address.City })
	m.text("address.region", keeping(records, kept.Region), func(p *Part) string { return p.Address.Region })
	m.text("address.postalCode", keeping(records, kept.PostalCode), func(p *Part) string { return p.Address.PostalCode })
	m.text("address.country", keeping(records, kept.Country), func(p *Part) string { return p.Address.Country })
	return &kept
}

// keeping returns records if the kept one, the first, has the field; without its value there
// is nothing to disagree with.
func keeping(records []*Part, value string) []*Part {
	if value == "" {
		return nil
	}
	return records
}

func (m *merge) consent(records []*Part) *record.Consent {
	flag := func(get func(*record.Consent) *bool) func(*Part) *bool {
		return func(p *Part) *bool {
			if p.Consent == nil {
				return nil
			}
			return get(p.Consent)
		}
	}
	return record.OrNil(record.Consent{
		EmailOptOut: m.refusal("consent.emailOptOut", records, flag(func(c *record.Consent) *bool { return c.EmailOptOut })),
		CallOptOut:  m.refusal("consent.callOptOut", records, flag(func(c *record.Consent) *bool { return c.CallOptOut })),
	})
}

// refusal is true if any record says so, false if one does and none says true, else nil.
func (m *merge) refusal(field string, records []*Part, get func(*Part) *bool) *bool {
	var yes, no []*Part
	for _, p := range records {
		switch v := get(p); {
		case v == nil:
		case *v:
			yes = append(yes, p)
		default:
			no = append(no, p)
		}
	}
	if len(yes)+len(no) == 0 {
		return nil
	}
	refused := len(yes) > 0
	if refused {
		m.note(field, yes[0], no)
	}
	return &refused
}

// loyalty takes the account that was updated last.
func (m *merge) loyalty(members []*Part) *Loyalty {
	if len(members) == 0 {
		return nil
	}
	kept := members[0] // one source only, so the order is by update
	m.note("loyalty", kept, slices.DeleteFunc(slices.Clone(members), func(p *Part) bool { return p.Account == kept.Account }))
	return &Loyalty{
		Balance: kept.Balance, Lifetime: kept.Lifetime, Enrolled: kept.Enrolled,
		// Without a number the entry would read as 0 points.
		Expiring: slices.DeleteFunc(slices.Clone(kept.Expiring), func(e record.Expiry) bool { return e.Points == "" }),
	}
}
