package record

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Text trims s, joins runs of white space to one space and drops control characters and what
// is not UTF-8.
func Text(s string) string {
	s = strings.ToValidUTF8(s, "")
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// Phone returns s in E.164 ("+" and 8 to 15 digits, the first not 0), or "" if s does not
// say so much. White space and ( ) - . / between digits are dropped, "00" at the start is
// read as "+", and "(0)" after a country code is dropped. A number without a country code is
// not completed: a wrong number belongs to somebody else.
func Phone(s string) string {
	s = Text(s)
	if rest, ok := strings.CutPrefix(s, "00"); ok {
		s = "+" + rest
	}
	rest, ok := strings.CutPrefix(s, "+")
	if !ok {
		return ""
	}
	rest = strings.ReplaceAll(rest, "(0)", "")
	digits := make([]byte, 0, len(rest))
	for _, r := range rest {
		switch {
		case '0' <= r && r <= '9':
			digits = append(digits, byte(r))
		case !strings.ContainsRune(" ()-./\u2010\u2011\u2013", r): // also the dashes that people paste
			return ""
		}
	}
	if len(digits) < 8 || len(digits) > 15 || digits[0] == '0' {
		return ""
	}
	return "+" + string(digits)
}

// Email returns s trimmed, with its domain in lower case, or "" if s is not of the form
// local@domain. The local part keeps its case (RFC 5321 §2.4).
func Email(s string) string {
	s = strings.TrimSpace(s)
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at == len(s)-1 || len(s) > 254 || !utf8.ValidString(s) { // 254: RFC 5321 §4.5.3.1.3, less the brackets
		return ""
	}
	local, domain := s[:at], s[at+1:]
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) ||
		strings.ContainsAny(local, `@<>,;"`) || strings.ContainsAny(domain, `<>,;"`) {
		return ""
	}
	return local + "@" + strings.ToLower(domain)
}

// List runs clean over values and returns what is left, each once, in order, nil if nothing is.
func List(clean func(string) string, values ...string) []string {
	var out []string
next:
	for _, v := range values {
		v = clean(v)
		if v == "" {
			continue
		}
		for _, seen := range out {
			if strings.EqualFold(seen, v) {
				continue next
			}
		}
		out = append(out, v)
	}
	return out
}

// Time returns s as RFC 3339 in UTC, or "" if it is no time. It reads RFC 3339 and the form
// of Salesforce, whose zone has no colon.
func Time(s string) string {
	t, ok := ParseTime(s)
	if !ok {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

// ParseTime reads what Time reads. The result is in UTC.
func ParseTime(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700"} {
		// The year is checked in UTC: a zone can push it out of RFC 3339's four digits.
		if t, err := time.Parse(layout, s); err == nil && t.UTC().Year() >= 1 && t.UTC().Year() <= 9999 {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// Date returns s if it is a day as YYYY-MM-DD, otherwise "".
func Date(s string) string {
	if _, err := time.Parse(time.DateOnly, s); err != nil {
		return ""
	}
	return s
}

// Language returns s as a BCP 47 tag with the language in lower case and a two-letter region
// in upper case ("de_at" becomes "de-AT"), or "" if it does not look like a tag.
func Language(s string) string {
	parts := strings.Split(strings.ReplaceAll(strings.TrimSpace(s), "_", "-"), "-")
	for i, p := range parts {
		if len(p) < 2 || len(p) > 8 || i == 0 && len(p) > 3 || strings.IndexFunc(p, notAlphanumeric) >= 0 {
			return ""
		}
		parts[i] = strings.ToLower(p)
		if i > 0 && len(p) == 2 {
			parts[i] = strings.ToUpper(p)
		}
	}
	return strings.Join(parts, "-")
}

func notAlphanumeric(r rune) bool {
	return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

// Token reports whether s is 1 to limit ASCII letters, digits and hyphens: what an identifier
// or customer number may be before it is put into a query language.
func Token(s string, limit int) bool {
	if s == "" || len(s) > limit {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return r != '-' && notAlphanumeric(r) }) < 0
}
