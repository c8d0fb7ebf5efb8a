package manifest

import (
	"regexp"
	"slices"
	"strings"
)

// Methods that can be granted and routed. CONNECT and TRACE are never: the one leaves the
// back end, the other reflects the credential.
func Methods() []string {
	return []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
}

// maxEndpoint is the longest "METHOD /path", in bytes.
const maxEndpoint = 500

// endpoint is "METHOD /path/{parameter}".
func endpoint() form[string] {
	return word("a method and a path such as GET /v1/orders/{id}",
		schema{"maxLength": maxEndpoint, "pattern": `^(GET|HEAD|POST|PUT|PATCH|DELETE) /\S*$`},
		func(s string) (string, *problem) {
			_, _, p := parseEndpoint(s)
			return s, p
		}, itself)
}

// checkEndpoint is "GET /path" or "HEAD /path": what changes nothing at a back end.
func checkEndpoint() form[string] {
	return word("GET or HEAD and a path such as GET /health",
		schema{"maxLength": maxEndpoint, "pattern": `^(GET|HEAD) /[^\s{}]*$`},
		func(s string) (string, *problem) {
			method, path, p := parseEndpoint(s)
			switch {
			case p != nil:
				return "", p
			case method != "GET" && method != "HEAD":
				return "", problemf(codeEndpoint, "GET "+path, "a check changes nothing: expected GET or HEAD, found %s", quote(method))
			case len(pathParams(path)) > 0:
				return "", problemf(codeEndpoint, "", "a check has no parameters; write a path that can be asked for")
			}
			return s, nil
		}, itself)
}

var (
	pathParam    = regexp.MustCompile(`^\{([a-zA-Z][a-zA-Z0-9_-]{0,62})\}$`)
	pathParamish = regexp.MustCompile(`^(?::|\{|<)([a-zA-Z][a-zA-Z0-9_-]{0,62})[}>]?$`)
	// pathLiteral is RFC 3986 pchar without percent-encoding, "*" and ";".
	pathLiteral = regexp.MustCompile(`^[A-Za-z0-9._~!$&'()+,=:@-]+$`)
)

// parseEndpoint takes "METHOD /path/{parameter}" apart.
func parseEndpoint(s string) (method, path string, p *problem) {
	method, path, ok := strings.Cut(s, " ")
	switch {
	case len(s) > maxEndpoint:
		return "", "", problemf(codeLength, "", "more than %d characters", maxEndpoint)
	case strings.HasPrefix(s, "/"):
		return "", "", problemf(codeEndpoint, "GET "+s, "expected a method before the path")
	case !slices.Contains(Methods(), method):
		near := ""
		if m := nearest(method, Methods()); ok && m != "" {
			near = m + " " + path
		}
		return "", "", problemf(codeEndpoint, near, "expected %s, found %s", oneOf(Methods()), quote(method))
	case !strings.HasPrefix(path, "/"):
		return "", "", problemf(codeEndpoint, "", "expected one space and a path that begins with a slash after %s", method)
	case path == "/":
		return method, path, nil
	}
	var seen []string
	for segment := range strings.SplitSeq(path[1:], "/") {
		m := pathParam.FindStringSubmatch(segment)
		if m == nil {
			if p := checkLiteral(segment, codeEndpoint); p != nil {
				return "", "", p
			}
			continue
		}
		if slices.Contains(seen, m[1]) {
			return "", "", problemf(codeEndpoint, "", "parameter %s is in the path twice", m[0])
		}
		seen = append(seen, m[1])
	}
	return method, path, nil
}

// checkLiteral accepts a path segment that every server reads alike.
func checkLiteral(segment, code string) *problem {
	near := ""
	if m := pathParamish.FindStringSubmatch(segment); m != nil {
		near = "{" + m[1] + "}"
	}
	switch {
	case segment == "":
		return problemf(code, "", "the path has an empty segment or ends with a slash")
	case segment == "." || segment == "..":
		return problemf(code, "", "the path has a segment of dots")
	case strings.Contains(segment, "*"):
		return problemf(code, "", "%s is a wildcard; name a segment with {parameter} instead", quote(segment))
	case strings.ContainsAny(segment, "{}"):
		return problemf(code, near, "%s is not a whole segment in braces such as {id}", quote(segment))
	case near != "" && strings.HasPrefix(segment, ":"):
		return problemf(code, near, "%s is not how a parameter is written", quote(segment))
	case !pathLiteral.MatchString(segment):
		return problemf(code, near, "segment %s has a character that may not stand in a path here", quote(segment))
	}
	return nil
}

// pathParams returns the names of the parameters in a path that parseEndpoint let pass.
func pathParams(path string) []string {
	var names []string
	for segment := range strings.SplitSeq(path, "/") {
		if m := pathParam.FindStringSubmatch(segment); m != nil {
			names = append(names, m[1])
		}
	}
	return names
}

// shape returns the path with its parameters' names taken out: routes of equal shape and
// method match the same requests.
func shape(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if pathParam.MatchString(s) {
			segments[i] = "{}"
		}
	}
	return strings.Join(segments, "/")
}
