package credential

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Spot is where in a request a credential goes. The zero Spot is nowhere and is refused.
type Spot struct {
	As     string // bearer, basic, header, query, path or cookie
	Name   string // of the header, query parameter or cookie; empty for the others
	Prefix string // header, path: what stands before it in the value or segment
	Base   string // path: the base path of the back end, after which the segment goes; "" for none
}

// check refuses a spot at which nothing can be put.
func (s Spot) check() error {
	named := s.As == "header" || s.As == "query" || s.As == "cookie"
	switch {
	case s.As != "bearer" && s.As != "basic" && s.As != "path" && !named:
		return errors.New("as must be bearer, basic, header, query, path or cookie")
	case named != (s.Name != ""):
		return errors.New("as: header, query and cookie need a name, and nothing else takes one")
	case s.As == "header" && !headerName(s.Name):
		return errors.New("the name must be a header that can carry a credential")
	case named && !printable(s.Name):
		return errors.New("the name has a character that is not printable ASCII")
	case s.As == "cookie" && strings.ContainsAny(s.Name, "=;, \"\\"):
		return errors.New("the name is not a cookie's")
	case s.Prefix != "" && s.As != "header" && s.As != "path":
		return errors.New("only as: header and as: path take a prefix")
	case s.Prefix != "" && (!printable(s.Prefix) || strings.HasPrefix(s.Prefix, " ")):
		return errors.New("the prefix has a character that is not printable ASCII, or begins with a space")
	case s.As == "path" && escaped(s.Prefix) != s.Prefix:
		return errors.New("the prefix of a path segment has letters, digits, hyphens, dots, underscores and tildes only")
	}
	return nil
}

// owns reports whether the credential goes into the header or query parameter of that name.
func (s Spot) owns(where, name string) bool {
	switch where + " " + s.As {
	case "header bearer", "header basic":
		return sameHeader(name, "Authorization")
	case "header header":
		return sameHeader(name, s.Name)
	case "header cookie":
		return sameHeader(name, "Cookie")
	case "query query":
		return strings.EqualFold(name, s.Name)
	}
	return false
}

// fits refuses what would break out of its place. It says nothing of the bytes.
func (s Spot) fits(value []byte) error {
	switch text := string(value); {
	case len(value) == 0:
		return errors.New("it is empty")
	case len(value) > maxCredential:
		return fmt.Errorf("it is longer than %d bytes", maxCredential)
	case !printable(text) || text[0] == ' ' || text[len(text)-1] == ' ':
		return errors.New("it is not printable ASCII, or has a space or line end at its ends")
	case s.As == "bearer" && strings.Contains(text, " "):
		return errors.New("a bearer token has no space")
	case s.As == "cookie" && strings.ContainsAny(text, " \",;\\"): // RFC 6265 §4.1.1
		return errors.New("it has a character that a cookie cannot hold")
	case s.As == "path" && (text == "." || text == ".."):
		return errors.New("it is a segment of dots")
	case s.As == "path" && strings.ContainsAny(text, `/\%?#;`): // no path policy lets these through, escaped or not
		return errors.New("it has a character that a path segment cannot hold")
	}
	return nil
}

// line is the text that put places, for a value that fits.
func (s Spot) line(value []byte) string {
	switch s.As {
	case "bearer":
		return "Bearer " + string(value)
	case "basic":
		return "Basic " + base64.StdEncoding.EncodeToString(value)
	case "header":
		return s.Prefix + string(value)
	case "cookie":
		return s.Name + "=" + string(value)
	case "query":
		return escaped(s.Name) + "=" + escaped(string(value))
	}
	return "/" + s.Prefix + escaped(string(value))
}

// put places a line into req.
func (s Spot) put(req *http.Request, line string) error {
	switch s.As {
	case "bearer", "basic":
		req.Header["Authorization"] = []string{line}
	case "header":
		req.Header.Set(s.Name, line)
	case "cookie":
		req.Header["Cookie"] = []string{line}
	case "query":
		if req.URL.RawQuery != "" {
			line = req.URL.RawQuery + "&" + line
		}
		req.URL.RawQuery = line
	default:
		rest, ok := strings.CutPrefix(sentPath(req.URL), s.Base)
		if !ok || rest != "" && rest[0] != '/' {
			return errors.New("the path is not below the base path")
		}
		setPath(req.URL, s.Base+line+rest)
	}
	return nil
}

// sentPath is the path of u as it is sent. Opaque is the one part of a URL that net/http
// sends as it is, which host/egress makes use of.
func sentPath(u *url.URL) string {
	if strings.HasPrefix(u.Opaque, "/") && !strings.HasPrefix(u.Opaque, "//") {
		return u.Opaque
	}
	return u.EscapedPath()
}

// setPath makes path, which is escaped, the one that is sent.
func setPath(u *url.URL, path string) {
	if u.Opaque != "" {
		u.Opaque = path
		return
	}
	u.RawPath = path
	u.Path, _ = url.PathUnescape(path) // made of an escaped path and unreserved characters
}

// escaped percent-encodes everything but RFC 3986's unreserved characters.
func escaped(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(s) {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', hex[c>>4], hex[c&15]})
	}
	return b.String()
}

// headerName reports whether s is a name that everything on the way reads alike, and not
// one that frames the message. Which others are reserved, whoever wires this knows.
func headerName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, c := range []byte(strings.ToLower(s)) {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	switch strings.ToLower(s) {
	case "host", "content-length", "transfer-encoding", "te", "trailer", "connection", "keep-alive", "upgrade", "expect":
		return false
	}
	return true
}

// sameHeader compares names as servers do, some of which take _ for -.
func sameHeader(a, b string) bool {
	return strings.EqualFold(strings.ReplaceAll(a, "_", "-"), strings.ReplaceAll(b, "_", "-"))
}

// printable reports whether s is printable ASCII.
func printable(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
