package egress

import (
	"errors"
	"fmt"
	"strings"

	"pointsman/pdk/wire"
)

// Within takes apart a URL that lies below the back end's own: path is what follows the base
// path, as in Request.Path, and query what follows the question mark, as in
// Request.RawQuery. It compares bytes and changes none: scheme, host and port must be written
// as the back end's are, the host in lower case and a port that is the scheme's own left
// out, and the base path must end where a segment does. What it accepts and Check accepts,
// too, is sent byte for byte.
//
// ok is false for every other URL: another origin or base path, one with a user or a
// fragment, one that ends after the host, one that ends in a slash after the base path, one
// that ends in a question mark.
func (b *Backend) Within(url string) (path, query string, ok bool) {
	rest, ok := strings.CutPrefix(url, b.origin.scheme+"://"+b.origin.authority+b.origin.base)
	if !ok || strings.Contains(rest, "#") {
		return "", "", false
	}
	path, query, asks := strings.Cut(rest, "?")
	if asks && query == "" {
		return "", "", false
	}
	switch {
	case path == "" && b.origin.base != "":
		return "/", query, true // sent as the base path alone; see request
	case !strings.HasPrefix(path, "/"), path == "/" && b.origin.base != "":
		return "", "", false
	}
	return path, query, true
}

// Depth is the number of bytes of the base path: of two back ends that a URL lies within,
// the one with the larger Depth is the nearer.
func (b *Backend) Depth() int { return len(b.origin.base) }

// ParseQuery reads a query as it stands in a URL, without its question mark. It refuses what
// two programs could read differently: an empty part between ampersands, a semicolon, a
// plus sign in a name, escapes that are not whole, and bytes that no query holds. A parameter
// without an equals sign has an empty value. The plus sign of a value stays what it is, since
// only the back end knows whether it means a space. The error says which rule, never what
// the query was.
func ParseQuery(query string) ([]wire.Field, error) {
	if query == "" {
		return nil, nil
	}
	if len(query) > maxQuery {
		return nil, fmt.Errorf("the query is larger than %d bytes", maxQuery)
	}
	var fields []wire.Field
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		if name == "" {
			return nil, fmt.Errorf("query parameter %d has no name", len(fields)+1)
		}
		if strings.Contains(name, "+") {
			return nil, fmt.Errorf("the name of query parameter %d holds a plus sign", len(fields)+1)
		}
		var f wire.Field
		var err error
		if f.Name, err = unescape(name, isQueryByte, ""); err == nil {
			f.Value, err = unescape(value, isQueryByte, "")
		}
		if err != nil {
			return nil, fmt.Errorf("query parameter %d %w", len(fields)+1, err)
		}
		fields = append(fields, f)
		if len(fields) > maxFields {
			return nil, fmt.Errorf("more than %d query parameters", maxFields)
		}
	}
	return fields, nil
}

// isQueryByte is RFC 3986 §3.4 without the semicolon, which some servers take for an
// ampersand, and with square brackets, which many clients send as they are.
func isQueryByte(c byte) bool { return isSegmentByte(c) || strings.IndexByte("/?[]", c) >= 0 }

// checkAnyQuery checks the query of r, in whichever form it is.
func (b *Backend) checkAnyQuery(r Request) error {
	if r.RawQuery == "" {
		return b.checkQuery(r.Query)
	}
	if len(r.Query) > 0 {
		return errors.New("the query is given twice")
	}
	fields, err := ParseQuery(r.RawQuery)
	if err != nil {
		return err
	}
	return b.checkQuery(fields)
}

// queryOf is the query of r as it is sent.
func queryOf(r Request) string {
	if r.RawQuery != "" {
		return r.RawQuery
	}
	return encodeQuery(r.Query)
}
