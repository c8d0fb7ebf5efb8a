package rules_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pointsman/pdk"
	"pointsman/pdk/record"
	"pointsman/plugins/profile/rules"
)

// Who has records as values gets the profile that who has them as texts gets.
func TestValuesAndTextsMergeAlike(t *testing.T) {
	yes, no := true, false
	crm := &record.Contact{
		Source: "salesforce", ID: "1", Customer: "C-1", Name: &record.Name{Given: "Ann", Full: "Ann"}, Emails: []string{"a@x.example"},
		Phone: "+15550100", Phones: []string{"+15550100"}, Address: &record.Address{City: "Ulm"}, Birthday: "1990-01-02",
		Consent: &record.Consent{EmailOptOut: &no, CallOptOut: &yes}, Updated: "2024-01-01T00:00:00Z",
	}
	other := &record.Contact{Source: "hubspot", ID: "2", Customer: "c-1", Emails: []string{"b@x.example"}, Language: "de",
		Consent: &record.Consent{EmailOptOut: &yes}, Updated: "2025-01-01T00:00:00Z", Duplicates: true}
	member := &record.Loyalty{Source: "square", Account: "3", Balance: "12", Lifetime: "1e2", Enrolled: "2023-01-01T00:00:00Z",
		Expiring: []record.Expiry{{Points: "5", At: "2026-01-01T00:00:00Z"}}, Updated: "2025-02-01T00:00:00Z"}
	tests := []struct {
		name   string
		values []*rules.Part
		texts  []any
	}{
		{"all", []*rules.Part{rules.Person(crm), rules.Person(other), rules.Member(member)}, []any{crm, other, member}},
		{"one is missing", []*rules.Part{rules.Person(crm), nil, rules.Member(member)}, []any{crm, nil, member}},
		{"a member only", []*rules.Part{nil, nil, rules.Member(member)}, []any{nil, nil, member}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw := make([]json.RawMessage, len(tt.texts))
			for i, v := range tt.texts {
				var err error
				if raw[i], err = json.Marshal(v); err != nil {
					t.Fatal(err)
				}
			}
			parts, err := rules.Read(raw)
			if err != nil {
				t.Fatal(err)
			}
			want, err := rules.Merge(parts)
			if err != nil {
				t.Fatal(err)
			}
			got, err := rules.Merge(tt.values)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("values differ from texts (-texts +values):\n%s", diff)
			}
		})
	}
}

func TestMergeRefusesValues(t *testing.T) {
	tests := []struct {
		name  string
		parts []*rules.Part
		want  pdk.Code
	}{
		{"two customers", []*rules.Part{rules.Person(&record.Contact{Source: "a", Customer: "C-1"}), rules.Person(&record.Contact{Source: "b", Customer: "C-2"})}, pdk.Permanent},
		{"no source", []*rules.Part{rules.Person(&record.Contact{ID: "1"})}, pdk.Permanent},
		{"loyalty from elsewhere", []*rules.Part{rules.Member(&record.Loyalty{Source: "hubspot", Account: "1"})}, pdk.Permanent},
		{"none", []*rules.Part{nil, nil}, pdk.NotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if out, err := rules.Merge(tt.parts); pdk.CodeOf(err) != tt.want || out != nil {
				t.Errorf("got %+v, %v, want %s", out, err, tt.want)
			}
		})
	}
}
