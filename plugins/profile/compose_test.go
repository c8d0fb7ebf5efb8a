package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pointsman/pdk"
	"pointsman/plugins/profile/rules"
)

func merged(t *testing.T, parts ...string) (*rules.Profile, error) {
	t.Helper()
	in := ComposeInput{Parts: []json.RawMessage{}}
	for _, p := range parts {
		in.Parts = append(in.Parts, json.RawMessage(p))
	}
	return Profile{}.Compose(nil, in)
}

func TestComposeRefuses(t *testing.T) {
	const ann = `{"source":"salesforce","id":"1","customer":"C-1"}`
	tests := []struct {
		name  string
		parts []string
		want  pdk.Code
	}{
		{"two customers", []string{ann, `{"source":"hubspot","id":"2","customer":"C-2"}`}, pdk.Permanent},
		{"two customers, neither first", []string{`{"source":"x","id":"3"}`, ann, `{"source":"hubspot","id":"2","customer":"C-2"}`}, pdk.Permanent},
		{"a record without a source", []string{`{"id":"1"}`}, pdk.Permanent},
		{"a source that is no name", []string{`{"source":"<b>","id":"1"}`}, pdk.Permanent},
		{"loyalty from elsewhere", []string{ann, `{"source":"hubspot","account":"1","balance":1000000}`}, pdk.Permanent},
		{"no record", []string{`"Ann"`}, pdk.Permanent},
		{"a field of another type", []string{`{"source":"x","id":1}`}, pdk.Permanent},
		{"too many", slices.Repeat([]string{"null"}, rules.MaxParts+1), pdk.Permanent},
		{"none", nil, pdk.NotFound},
		{"none that is there", []string{"null"}, pdk.NotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := merged(t, tt.parts...)
			if pdk.CodeOf(err) != tt.want || out != nil {
				t.Errorf("got %+v, %v, want %s", out, err, tt.want)
			}
		})
	}
}

func TestPrecedence(t *testing.T) {
	const (
		older = `"updated":"2024-01-01T00:00:00Z"`
		newer = `"updated":"2025-01-01T00:00:00+01:00"`
	)
	tests := []struct {
		name  string
		parts []string
		get   func(*rules.Profile) string
		want  string
	}{
		{"identity from Salesforce though older", []string{`{"source":"hubspot","name":{"full":"B"},` + newer + `}`, `{"source":"salesforce","name":{"full":"A"},` + older + `}`},
			func(p *rules.Profile) string { return p.Name.Full }, "A"},
		{"identity from HubSpot where Salesforce has none", []string{`{"source":"salesforce","name":{}}`, `{"source":"hubspot","name":{"full":"B"}}`},
			func(p *rules.Profile) string { return p.Name.Full }, "B"},
		{"identity from a CRM before others", []string{`{"source":"a-crm","birthday":"2000-01-01"}`, `{"source":"hubspot","birthday":"1999-01-01"}`},
			func(p *rules.Profile) string { return p.Birthday }, "1999-01-01"},
		{"contact data from the newest", []string{`{"source":"salesforce","emails":["a@x.example"],` + older + `}`, `{"source":"hubspot","emails":["b@x.example"],` + newer + `}`},
			func(p *rules.Profile) string { return p.Emails[0] }, "b@x.example"},
		{"contact data from Salesforce in a tie", []string{`{"source":"hubspot","emails":["b@x.example"],` + newer + `}`, `{"source":"salesforce","emails":["a@x.example"],` + newer + `}`},
			func(p *rules.Profile) string { return p.Emails[0] }, "a@x.example"},
		{"a record without a time is the oldest", []string{`{"source":"salesforce","emails":["a@x.example"]}`, `{"source":"hubspot","emails":["b@x.example"],` + older + `}`},
			func(p *rules.Profile) string { return p.Emails[0] }, "b@x.example"},
		{"an address is never mixed", []string{`{"source":"salesforce","address":{"street":"S","city":"C"},` + older + `}`, `{"source":"hubspot","address":{"city":"D"},` + newer + `}`},
			func(p *rules.Profile) string { return p.Address.Street + "/" + p.Address.City }, "/D"},
		{"the preferred phone is first", []string{`{"source":"hubspot","phone":"+2","phones":["+1","+2"]}`},
			func(p *rules.Profile) string { return strings.Join(p.Phones, " ") }, "+2 +1"},
		{"a refusal wins", []string{`{"source":"salesforce","consent":{"emailOptOut":false},` + newer + `}`, `{"source":"hubspot","consent":{"emailOptOut":true},` + older + `}`},
			func(p *rules.Profile) string { return fmt.Sprint(*p.Consent.EmailOptOut) }, "true"},
		{"no refusal stays none", []string{`{"source":"salesforce","consent":{"callOptOut":false}}`, `{"source":"hubspot"}`},
			func(p *rules.Profile) string { return fmt.Sprint(*p.Consent.CallOptOut, p.Consent.EmailOptOut) }, "false <nil>"},
		{"updated is the newest, in UTC", []string{`{"source":"salesforce",` + older + `}`, `{"source":"square","account":"1",` + newer + `}`},
			func(p *rules.Profile) string { return p.Updated }, "2024-12-31T23:00:00Z"},
		{"sources each once", []string{`{"source":"square","account":"1"}`, `{"source":"x"}`, `{"source":"salesforce"}`, `{"source":"salesforce","id":"2"}`},
			func(p *rules.Profile) string { return strings.Join(p.Sources, " ") }, "salesforce x square"},
		{"points without a number are left out", []string{`{"source":"square","account":"1","expiring":[{"at":"x"},{"points":5,"at":"y"}]}`},
			func(p *rules.Profile) string { return fmt.Sprint(p.Loyalty.Expiring) }, "[{5 y}]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := merged(t, tt.parts...)
			if err != nil {
				t.Fatal(err)
			}
			if got := tt.get(out); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestConflicts(t *testing.T) {
	tests := []struct {
		name string
		a, b string // fields of Salesforce's record, and of HubSpot's
		want string
	}{
		{"letter case agrees", `"emails":["A@x.example"],"name":{"given":"ANN"}`, `"emails":["a@X.example"],"name":{"given":"Ann"}`, "[]"},
		{"what one does not know agrees", `"language":"","name":{"given":"Ann"}`, `"language":"de","name":{"family":"Li"}`, "[]"},
		{"a list that has the kept value agrees", `"phones":["+1","+2"]`, `"phones":["+2","+1"]`, "[]"},
		{"a list that lacks the kept value", `"phones":["+1","+2"]`, `"phones":["+2"]`, `[{"field":"phones","sources":["hubspot","salesforce"],"kept":"salesforce"}]`},
		{"birthday", `"birthday":"2000-01-01"`, `"birthday":"2000-01-02"`, `[{"field":"birthday","sources":["hubspot","salesforce"],"kept":"salesforce"}]`},
		{"refusal", `"consent":{"callOptOut":false}`, `"consent":{"callOptOut":true}`, `[{"field":"consent.callOptOut","sources":["hubspot","salesforce"],"kept":"hubspot"}]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := merged(t, `{"source":"salesforce",`+tt.a+`}`, `{"source":"hubspot",`+tt.b+`}`)
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := json.Marshal(out.Conflicts); string(got) != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// No identifier of a system and no value beyond the kept ones is in a profile.
func TestComposeKeepsIdentifiersInside(t *testing.T) {
	out, err := merged(t,
		`{"source":"salesforce","id":"IDENTIFIER","name":{"given":"Ann"},"notes":"SECRET"}`,
		`{"source":"hubspot","id":"IDENTIFIER","name":{"given":"SECRET"}}`,
		`{"source":"square","account":"IDENTIFIER","balance":5,"mapping":"SECRET"}`)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(out)
	if err != nil || bytes.Contains(text, []byte("IDENTIFIER")) || bytes.Contains(text, []byte("SECRET")) {
		t.Errorf("got %s, %v", text, err)
	}
}

// Whatever the parts, Compose does not panic, its answer is JSON, equal input gives equal
// output, and so does the same input in another order.
func FuzzCompose(f *testing.F) {
	f.Add([]byte(`{"parts":[]}`), uint8(1))
	f.Add([]byte(`{"parts":[{"source":"salesforce","customer":"C-1","emails":["a"],"updated":"2024-01-01T00:00:00Z"},null,{"source":"hubspot","customer":"c-1","emails":["b"]}]}`), uint8(1))
	f.Add([]byte(`{"parts":[{"source":"square","account":"1","balance":1e400},{"source":"square","account":"2","balance":-0}]}`), uint8(1))
	f.Add([]byte(`{"parts":[{"source":"x","name":{"given":"\ud800"}},{"source":"x","name":{"given":"\u0000"}},{"source":"x"}]}`), uint8(2))
	f.Add([]byte(`{"parts":[{"source":"a","consent":{"emailOptOut":true}},{"source":"b","consent":{"emailOptOut":false}},{"source":"c","phones":["1"],"phone":"2"}]}`), uint8(2))
	fn := pdk.Handler(Profile{}.Compose)
	f.Fuzz(func(t *testing.T, input []byte, turn uint8) {
		out, err := fn(nil, input)
		again, againErr := fn(nil, input)
		if !bytes.Equal(out, again) || pdk.CodeOf(err) != pdk.CodeOf(againErr) {
			t.Fatalf("got %s, %v, then %s, %v", out, err, again, againErr)
		}
		if err != nil {
			if strings.Contains(err.Error(), pdk.PanicMessage) {
				t.Fatal(err)
			}
			return
		}
		if !json.Valid(out) {
			t.Fatalf("%s is not JSON", out)
		}
		var in ComposeInput
		if err := json.Unmarshal(input, &in); err != nil {
			t.Fatal(err)
		}
		n := int(turn) % len(in.Parts)
		turned := slices.Concat(in.Parts[n:], in.Parts[:n])
		for range 2 { // turned, then also reversed
			if other, err := fn(nil, list(turned)); err != nil || !bytes.Equal(out, other) {
				t.Fatalf("in another order got %s, %v, want %s", other, err, out)
			}
			slices.Reverse(turned)
		}
	})
}

// list is the input of Compose with these parts, their bytes untouched.
func list(parts []json.RawMessage) []byte {
	text := []byte(`{"parts":[`)
	for i, p := range parts {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, p...)
	}
	return append(text, "]}"...)
}
