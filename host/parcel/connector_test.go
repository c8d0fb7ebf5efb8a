package parcel_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"pointsman/host/parcel"
	"pointsman/pdk"
	hubspot "pointsman/plugins/hubspot/contact"
	"pointsman/plugins/profile/rules"
	salesforce "pointsman/plugins/salesforce/contact"
	"pointsman/plugins/square-loyalty/account"
)

func read(t testing.TB, file string) []byte {
	t.Helper()
	text, err := os.ReadFile("../../plugins/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func template(t testing.TB, file string) *parcel.Template {
	t.Helper()
	tmpl, err := parcel.ParseTemplate(read(t, file))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return tmpl
}

func profileRules(t testing.TB) *parcel.Rules {
	t.Helper()
	r, err := parcel.ParseRules(read(t, "profile-blind/rules.json"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// of is the source of a template that takes values of one document.
func of(v parcel.Value) func(string) parcel.Value {
	return func(string) parcel.Value { return v }
}

// outcome is what something came to: a document, or the word of its failure.
func outcome(out []byte, err error) string {
	if failure, ok := errors.AsType[*parcel.Failure](err); ok {
		return string(failure.Code)
	}
	if err != nil {
		return string(pdk.CodeOf(err))
	}
	return string(out)
}

func marshal[T any](v T, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

func value(t testing.TB, text []byte) parcel.Value {
	t.Helper()
	v, err := parcel.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func made(v parcel.Value, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return v.Append(nil), nil
}

// some draws texts that vendors have in their fields, good and bad ones.
type some struct{ *rand.Rand }

func (s some) of(texts ...string) string { return texts[s.IntN(len(texts))] }

func (s some) text() string {
	return s.of(`null`, `""`, `" "`, `"Ann"`, `"ANN"`, `"Ann  Li "`, `"M\u00fcller"`, `"\"q\" \\ \n"`, `"Zoë"`)
}

func (s some) phone() string {
	return s.of(`null`, `""`, `"+1 (312) 555-0142"`, `"+13125550142"`, `"0044 7700 900123"`, `"see CRM"`)
}

func (s some) email() string {
	return s.of(`null`, `""`, `"ann@Example.COM"`, `"ANN@example.com"`, `"no mail"`, `"b@x.example"`)
}

func (s some) time() string {
	return s.of(`null`, `""`, `"2024-01-01T00:00:00Z"`, `"2025-03-01T10:00:00.000+0000"`, `"2025-03-01T11:00:00.5+01:00"`, `"yesterday"`)
}

// fields is an object of those of its fields that are drawn to be there.
func (s some) fields(pairs ...string) string {
	var out []string
	for i := 0; i < len(pairs); i += 2 {
		if s.IntN(10) > 0 {
			out = append(out, fmt.Sprintf("%q : %s", pairs[i], pairs[i+1]))
		}
	}
	return "{" + strings.Join(out, " , ") + "}"
}

func (s some) salesforce() string {
	one := func() string {
		return s.fields("attributes", `{"type":"Contact"}`, "Id", s.of(`"0035g"`, `"0035g"`, `""`), "Customer_Number__c", s.of(`"C-1"`, `"c-1"`, `null`),
			"FirstName", s.text(), "LastName", s.text(), "Name", s.text(), "Email", s.email(), "Phone", s.phone(), "MobilePhone", s.phone(),
			"Phone_E164__c", s.phone(), "MailingStreet", s.text(), "MailingCity", s.text(), "MailingCountry", s.text(), "Birthdate", s.of(`"1984-05-12"`, `"12.5.84"`, `null`),
			"HasOptedOutOfEmail", s.of("true", "false", "null"), "DoNotCall", s.of("true", "false", "null"), "LastModifiedDate", s.time())
	}
	return fmt.Sprintf(`{"totalSize":1,"done":true,"records":[%s]}`, strings.Join([]string{"", one(), one() + "," + one()}[s.IntN(3):][:1], ","))
}

func (s some) hubspot() string {
	one := s.fields("id", s.of(`"51"`, `""`), "updatedAt", s.time(), "properties", s.fields("customer_number", s.of(`"C-1"`, `"C-1"`, `null`),
		"firstname", s.text(), "lastname", s.text(), "email", s.email(), "phone", s.phone(), "mobilephone", s.phone(), "address", s.text(), "city", s.text(),
		"state", s.text(), "zip", s.text(), "country", s.text(), "hs_language", s.of(`"de_at"`, `"x"`, `null`), "date_of_birth", s.of(`"1984-05-12"`, `null`),
		"hs_email_optout", s.of(`"true"`, `"false"`, `""`, `null`), "lastmodifieddate", s.time()))
	return `{"total":1,"results":[` + s.of("", one, one, one+","+one) + `]}`
}

func (s some) square() string {
	one := s.fields("id", s.of(`"a-1"`, `"a-2"`, `""`), "balance", s.of("0", "-5", "17.50"), "lifetime_points", "9007199254740993", "enrolled_at", s.time(),
		"updated_at", s.time(), "mapping", `{"phone_number":"+1"}`, "expiring_point_deadlines", s.of(`[]`, `[{"points":5,"expires_at":"2026-01-01T00:00:00Z"},{"expires_at":"2026-01-01T00:00:00Z"},{"points":6,"expires_at":"soon"}]`))
	return s.of(`{}`, `{"loyalty_accounts":[]}`, `{"loyalty_accounts":[`+one+`]}`)
}

// The blind connectors answer what those answer that read, byte for byte.
func TestBlindConnectorsMakeTheSameRecords(t *testing.T) {
	decode := func(t *testing.T, text []byte, into any) {
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	connectors := map[string]struct {
		draw func(some) string
		read func(t *testing.T, text []byte) ([]byte, error)
	}{
		"salesforce": {some.salesforce, func(t *testing.T, text []byte) ([]byte, error) {
			var f salesforce.Found
			decode(t, text, &f)
			return marshal(f.Record())
		}},
		"hubspot": {some.hubspot, func(t *testing.T, text []byte) ([]byte, error) {
			var f hubspot.Found
			decode(t, text, &f)
			return marshal(f.Record())
		}},
		"square": {some.square, func(t *testing.T, text []byte) ([]byte, error) {
			var f account.Found
			decode(t, text, &f)
			return marshal(f.Record())
		}},
	}
	for name, c := range connectors {
		t.Run(name, func(t *testing.T) {
			tmpl := template(t, name+"-blind/record.json")
			for seed := range uint64(2000) {
				text := []byte(c.draw(some{rand.New(rand.NewPCG(seed, 1))}))
				got := outcome(made(tmpl.Make(of(value(t, text)))))
				if want := outcome(c.read(t, text)); got != want {
					t.Fatalf("of %s\ngot  %s\nwant %s", text, got, want)
				}
			}
		})
	}
}

// The blind merge answers what the one answers that reads, byte for byte.
func TestBlindMergeMakesTheSameProfile(t *testing.T) {
	r := profileRules(t)
	names := map[string]func(some) string{"salesforce": some.salesforce, "hubspot": some.hubspot, "square": some.square}
	merges := 0
	for seed := range uint64(4000) {
		s := some{rand.New(rand.NewPCG(seed, 2))}
		var raw []json.RawMessage
		var values []parcel.Value
		for name, draw := range names {
			for range s.IntN(3) {
				out, err := template(t, name+"-blind/record.json").Make(of(value(t, []byte(draw(s)))))
				text := []byte("null")
				if err == nil {
					text = out.Append(nil)
					if s.IntN(4) == 0 { // another system of the kind
						text = []byte(strings.Replace(string(text), `"source":"hubspot"`, `"source":"`+s.of("a-crm", "z-crm")+`"`, 1))
					}
				}
				raw, values = append(raw, text), append(values, value(t, text))
			}
		}
		if raw == nil {
			raw = []json.RawMessage{}
		}
		var want string
		parts, err := rules.Read(raw)
		if err == nil {
			var profile *rules.Profile
			profile, err = rules.Merge(parts)
			want = outcome(marshal(profile, err))
		} else {
			want = outcome(nil, err)
		}
		if got := outcome(made(r.Merge(values))); got != want {
			t.Fatalf("of %s\ngot  %s\nwant %s", raw, got, want)
		}
		if strings.HasPrefix(want, "{") {
			merges++
		}
		s.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
		if got := outcome(made(r.Merge(values))); got != want {
			t.Fatalf("in another order, of %s\ngot  %s\nwant %s", raw, got, want)
		}
	}
	if merges < 1000 {
		t.Errorf("only %d of 4000 were merged", merges)
	}
}

func BenchmarkProfile(b *testing.B) {
	s := some{rand.New(rand.NewPCG(3, 3))}
	var texts [3][]byte
	draws := []func(some) string{some.salesforce, some.hubspot, some.square}
	names := []string{"salesforce", "hubspot", "square"}
	var templates [3]*parcel.Template
	for i := range draws {
		templates[i] = template(b, names[i]+"-blind/record.json")
		for {
			texts[i] = []byte(draws[i](s))
			if _, err := templates[i].Make(of(value(b, texts[i]))); err == nil {
				break
			}
		}
	}
	r := profileRules(b)
	b.ReportAllocs()
	for b.Loop() {
		var parts []parcel.Value
		for i, text := range texts {
			v, err := parcel.Parse(text)
			if err != nil {
				b.Fatal(err)
			}
			record, err := templates[i].Make(of(v))
			if err != nil {
				b.Fatal(err)
			}
			parts = append(parts, record)
		}
		out, err := r.Merge(parts)
		if err != nil {
			b.Fatal(err)
		}
		out.Append(nil)
	}
}
