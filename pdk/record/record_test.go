package record_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pointsman/pdk/record"
)

func TestPhone(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""}, {"see HubSpot", ""}, {"n/a", ""}, {"000", ""}, {"+", ""},
		{"(312) 555-0142", ""}, {"07700 900123", ""}, {"1 312 555 0142", ""}, // whose country?
		{"+1 312-555-0142 ext. 12", ""}, {"+1 312-555-0142 (private!)", ""}, {"+1 312 555 O142", ""},
		{"+0312555014", ""}, {"+1234567", ""}, {"+1234567890123456", ""}, {"++13125550142", ""},
		{"+13125550142", "+13125550142"}, {" +1 (312) 555-0142 ", "+13125550142"}, {"+1.312.555.0142", "+13125550142"},
		{"0044 7700 900123", "+447700900123"}, {"+44 (0)7700 900123", "+447700900123"}, {"+49 176 / 040690-12", "+4917604069012"},
		{"+1\u00a0312\u2011555\u20110142", "+13125550142"},
	}
	for _, tt := range tests {
		if got := record.Phone(tt.in); got != tt.want {
			t.Errorf("Phone(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestEmail(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""}, {"nobody", ""}, {"@example.com", ""}, {"a@", ""}, {"a@b@c", ""}, {"a b@example.com", ""},
		{"Ann <ann@example.com>", ""}, {"a@example.com, b@example.com", ""}, {"a@\xff", ""}, {strings.Repeat("a", 250) + "@b.example", ""},
		{" Amelia.Hart@Example.COM ", "Amelia.Hart@example.com"}, {"zoë@bücher.example", "zoë@bücher.example"},
	}
	for _, tt := range tests {
		if got := record.Email(tt.in); got != tt.want {
			t.Errorf("Email(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestTime(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""}, {"yesterday", ""}, {"2024-03-11", ""}, {"2024-13-11T09:15:00Z", ""}, {"0001-01-01T00:00:00+01:00", ""},
		{"0000-06-01T00:00:00Z", ""}, {"9999-12-31T23:59:59-01:00", ""},
		{"2024-03-11T09:15:00.000+0000", "2024-03-11T09:15:00Z"}, {"2024-03-11T09:15:00.120-0530", "2024-03-11T14:45:00.12Z"},
		{"2025-11-20T18:30:00.123Z", "2025-11-20T18:30:00.123Z"}, {"2025-11-20T18:30:00+01:00", "2025-11-20T17:30:00Z"},
	}
	for _, tt := range tests {
		if got := record.Time(tt.in); got != tt.want {
			t.Errorf("Time(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestSmallCleaners(t *testing.T) {
	tests := []struct{ name, got, want string }{
		{"no such day", record.Date("1984-02-30"), ""},
		{"another order", record.Date("12/05/1984"), ""},
		{"day", record.Date("1984-05-12"), "1984-05-12"},
		{"no language", record.Language("klingon!"), ""},
		{"language by name", record.Language("German"), ""},
		{"language too short", record.Language("d"), ""},
		{"language", record.Language(" DE_at"), "de-AT"},
		{"language with script", record.Language("zh-Hant-tw"), "zh-hant-TW"},
		{"text", record.Text("  Zoe\u0308\t🌻\r\n\x00Nguyễn\xff "), "Zoe\u0308 🌻 Nguyễn"},
		{"no text", record.Text(" \u00a0\n"), ""},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

func TestToken(t *testing.T) {
	for _, s := range []string{"", "C-1'", `C-1\`, "C 1", "C-1\n", "Ç-1", "%", strings.Repeat("a", 41)} {
		if record.Token(s, 40) {
			t.Errorf("Token(%q) is true", s)
		}
	}
	for _, s := range []string{"C-100042", "0035g00000AbCdEAAV", "-", strings.Repeat("a", 40)} {
		if !record.Token(s, 40) {
			t.Errorf("Token(%q) is false", s)
		}
	}
}

func TestList(t *testing.T) {
	got := record.List(record.Email, "", "b@x.example", "B@X.example", "junk", "a@x.example")
	if want := []string{"b@x.example", "a@x.example"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := record.List(record.Phone, "", "junk"); got != nil {
		t.Errorf("got %q, want nil", got)
	}
}

// What is not known is left out of the JSON, and a number keeps its digits.
func TestJSON(t *testing.T) {
	got, err := json.Marshal(record.Contact{Source: "x", ID: "1", Name: record.OrNil(record.Name{}), Consent: record.OrNil(record.Consent{})})
	if want := `{"source":"x","id":"1"}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	got, err = json.Marshal(record.Loyalty{Source: "x", Account: "1", Balance: "12345678901234567890123"})
	if want := `{"source":"x","account":"1","balance":12345678901234567890123}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

// What a cleaner returns is clean: cleaning it again changes nothing.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "+44 (0)7700 900123", "0049(0)1", "a@B.example", "2024-03-11T09:15:00.000+0000", "de_at", "\xff", "+1(0)(0)2"} {
		f.Add(s)
	}
	cleaners := map[string]func(string) string{
		"Text": record.Text, "Phone": record.Phone, "Email": record.Email, "Time": record.Time, "Date": record.Date, "Language": record.Language,
	}
	f.Fuzz(func(t *testing.T, s string) {
		for name, clean := range cleaners {
			once := clean(s)
			if twice := clean(once); twice != once {
				t.Errorf("%s(%q) = %q, and again %q", name, s, once, twice)
			}
			if !utf8.ValidString(once) {
				t.Errorf("%s(%q) = %q is not UTF-8", name, s, once)
			}
		}
	})
}
