package rest

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"pointsman/host/broker"
)

const (
	// maxURL is how many bytes the request target may have: the size that RFC 9110 §4.1
	// asks recipients to support at least (8000 octets), rounded up.
	maxURL = 8 << 10
	// maxQuery is how many parameters a query may have. No route declares so many.
	maxQuery = 64
)

// target splits a request target, as the client sent it, into its escaped path and its raw
// query. The absolute form (RFC 9112 §3.2.2) is taken like the origin form: which host was
// meant decides nothing here.
func target(uri string) (path, query string, ok bool) {
	path, query, _ = strings.Cut(uri, "?")
	if strings.HasPrefix(path, "/") {
		return path, query, true
	}
	for _, scheme := range []string{"https://", "http://"} {
		if len(path) < len(scheme) || !strings.EqualFold(path[:len(scheme)], scheme) {
			continue
		}
		slash := strings.IndexByte(path[len(scheme):], '/')
		if slash <= 0 {
			return "", "", false
		}
		return path[len(scheme)+slash:], query, true
	}
	return "", "", false // the forms of CONNECT and OPTIONS *: nothing here has such a name
}

// CheckPath refuses an escaped path that two programs might read in two ways. What it
// refuses is never repaired. A path that passes
//   - is absolute and has no empty segment; only "/" itself ends in a slash,
//   - has only the bytes that RFC 3986 allows in a path, and no ";",
//   - decodes once to valid UTF-8 without control characters, "/", "\" and "%",
//   - has no segment that is, decoded and up to a ";", "." or "..",
//   - spells letters, digits, "-", "." and "_" as themselves, so that a literal segment of
//     a route has one spelling.
func CheckPath(path string) error {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return badPath("must start with a slash")
	}
	if rest == "" {
		return nil
	}
	for segment := range strings.SplitSeq(rest, "/") {
		if err := checkSegment(segment); err != nil {
			return err
		}
	}
	return nil
}

func checkSegment(segment string) error {
	if segment == "" {
		return badPath("has an empty segment or ends in a slash")
	}
	decoded := make([]byte, 0, len(segment))
	for i := 0; i < len(segment); i++ {
		c := segment[i]
		if c != '%' {
			if !pathByte(c) {
				return badPath("has a character that must be percent-encoded or is not allowed")
			}
			decoded = append(decoded, c)
			continue
		}
		if i+2 >= len(segment) || !isHex(segment[i+1]) || !isHex(segment[i+2]) {
			return badPath("has an invalid percent-encoding")
		}
		c = unhex(segment[i+1])<<4 | unhex(segment[i+2])
		i += 2
		switch {
		case c == '/' || c == '\\' || c == '%':
			return badPath("has an encoded separator or percent sign")
		case isAlnum(c) || c == '-' || c == '.' || c == '_':
			return badPath("percent-encodes a character that needs none")
		}
		decoded = append(decoded, c)
	}
	text := string(decoded)
	if !plain(text) {
		return badPath("decodes to a control character or to invalid UTF-8")
	}
	if name, _, _ := strings.Cut(text, ";"); name == "." || name == ".." {
		return badPath("has a dot segment")
	}
	return nil
}

// parseQuery decodes a query. It refuses what programs read in different ways: a parameter
// given twice, a semicolon, an invalid escape, control characters and invalid UTF-8.
func parseQuery(raw string) (url.Values, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, &broker.Error{Kind: broker.Invalid, Detail: "the query has an invalid percent-encoding or a semicolon"}
	}
	for name, given := range values {
		switch {
		case !plain(name):
			return nil, &broker.Error{Kind: broker.Invalid, Detail: "the name of a query parameter has a control character or invalid UTF-8"}
		case len(given) > 1:
			return nil, &broker.Error{Kind: broker.Invalid, Detail: fmt.Sprintf("query parameter %q is given more than once", name)}
		case !plain(given[0]):
			return nil, &broker.Error{Kind: broker.Invalid, Detail: fmt.Sprintf("query parameter %q has a control character or invalid UTF-8", name)}
		}
	}
	return values, nil
}

func badPath(what string) error {
	return &broker.Error{Kind: broker.Invalid, Detail: "the path " + what}
}

// plain reports whether s is valid UTF-8 without control characters (Unicode's Cc, which
// holds NUL, DEL and the C1 range).
func plain(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}

// pathByte reports whether c may stand for itself in a segment: RFC 3986 §3.3 pchar
// without ";", which some programs cut segments at.
func pathByte(c byte) bool {
	return isAlnum(c) || strings.IndexByte("-._~!$&'()*+,=:@", c) >= 0
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
