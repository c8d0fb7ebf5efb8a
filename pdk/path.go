package pdk

import (
	"strings"
	"unicode/utf8"
)

// Path puts values, one by one, in place of the {names} in template, each as one segment,
// percent-encoded:
//
//	Path("/v1/contacts/{id}", "änne@example.com") // /v1/contacts/%C3%A4nne%40example.com
//
// The host rejects doubtful paths instead of repairing them, so a value that could mean more
// than one segment somewhere is refused here: empty, "." and "..", holding one of / \ % ? # ;
// or a control character, or not UTF-8. Such a value can go into the query or the body. The
// error is an *Error, Permanent, that names the place and not the value.
func Path(template string, values ...string) (string, error) {
	rest, ok := strings.CutPrefix(template, "/")
	if !ok {
		return "", Errorf(Permanent, "path template %q must begin with a slash", template)
	}
	var b strings.Builder
	used := 0
	for segment := range strings.SplitSeq(rest, "/") {
		b.WriteByte('/')
		if !strings.ContainsAny(segment, "{}") {
			if segment == "" || segment == "." || segment == ".." || strings.IndexFunc(segment, notPlain) >= 0 {
				return "", Errorf(Permanent, "path template %q: segment %q is not plain", template, segment)
			}
			b.WriteString(segment)
			continue
		}
		if len(segment) < 3 || segment[0] != '{' || strings.IndexAny(segment[1:], "{}") != len(segment)-2 || segment[len(segment)-1] != '}' {
			return "", Errorf(Permanent, "path template %q: %q must be a whole {name}", template, segment)
		}
		if used == len(values) {
			return "", Errorf(Permanent, "path template %q: no value for %s", template, segment)
		}
		if why := badSegment(values[used]); why != "" {
			return "", Errorf(Permanent, "path template %q: the value for %s %s", template, segment, why)
		}
		writeEncoded(&b, values[used])
		used++
	}
	if used != len(values) {
		return "", Errorf(Permanent, "path template %q takes %d values, not %d", template, used, len(values))
	}
	return b.String(), nil
}

// badSegment says why the host would refuse s as a segment, or "".
func badSegment(s string) string {
	switch {
	case s == "":
		return "is empty"
	case s == "." || s == "..":
		return "is a dot segment"
	case !utf8.ValidString(s):
		return "is not UTF-8"
	case strings.ContainsAny(s, `/\%?#;`):
		return `holds one of / \ % ? # ;`
	case strings.IndexFunc(s, control) >= 0:
		return "holds a control character"
	}
	return ""
}

func control(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }

// notPlain reports whether r is outside the unreserved characters of RFC 3986 §2.3.
func notPlain(r rune) bool { return r >= utf8.RuneSelf || !unreserved(byte(r)) }

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

func writeEncoded(b *strings.Builder, s string) {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; unreserved(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
}
