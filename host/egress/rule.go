package egress

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Methods that a rule can allow. CONNECT and TRACE can never be: one makes a tunnel, the
// other sends the credential back.
func knownMethod(method string) bool {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE":
		return true
	}
	return false
}

// carriesBody reports whether requests of that method have a body.
func carriesBody(method string) bool {
	return method == "POST" || method == "PUT" || method == "PATCH"
}

// Rule allows one method on one shape of path, such as "GET /v2/contacts/{id}".
// A template stands for exactly one segment, a literal for exactly its bytes. The zero
// Rule matches nothing. Rules are immutable.
type Rule struct {
	method, template string
	segments         []string // "" stands for a template
}

var templateRE = regexp.MustCompile(`^\{[a-zA-Z][a-zA-Z0-9_-]{0,62}\}$`)

// ParseRule compiles s: a method, one space and a path whose segments are literals, which
// CheckPath must accept, or {names}.
func ParseRule(s string) (Rule, error) {
	method, template, ok := strings.Cut(s, " ")
	if !ok {
		return Rule{}, fmt.Errorf("rule %q: want METHOD /path", s)
	}
	if !knownMethod(method) {
		return Rule{}, fmt.Errorf("rule %q: the method must be GET, HEAD, POST, PUT, PATCH or DELETE, in upper case", s)
	}
	r := Rule{method: method, template: template}
	if template == "/" {
		return r, nil
	}
	if !strings.HasPrefix(template, "/") {
		return Rule{}, fmt.Errorf("rule %q: the path must start with /", s)
	}
	names := map[string]bool{}
	literal := ""
	for segment := range strings.SplitSeq(template[1:], "/") {
		if !templateRE.MatchString(segment) {
			r.segments = append(r.segments, segment)
			literal += "/" + segment
			continue
		}
		if names[segment] {
			return Rule{}, fmt.Errorf("rule %q: %s stands twice", s, segment)
		}
		names[segment] = true
		r.segments = append(r.segments, "")
		literal += "/x" // any segment will do for the check of the whole
	}
	if strings.ContainsAny(literal, "{}*") {
		return Rule{}, fmt.Errorf("rule %q: a template is a whole segment, such as {id}; there are no other wildcards", s)
	}
	if err := CheckPath(literal); err != nil {
		return Rule{}, fmt.Errorf("rule %q: %w", s, err)
	}
	return r, nil
}

// Match reports whether the rule allows method on path. It compares bytes, so a path
// that CheckPath refuses never matches, and an escaped letter is not the letter.
func (r Rule) Match(method, path string) bool {
	if r.method == "" || method != r.method || CheckPath(path) != nil {
		return false
	}
	if path == "/" || r.template == "/" {
		return path == r.template
	}
	rest := path[1:]
	for i, want := range r.segments {
		segment, after, more := strings.Cut(rest, "/")
		if want != "" && segment != want || more != (i < len(r.segments)-1) {
			return false
		}
		rest = after
	}
	return true
}

// String is the rule as it was written: a method and a path with templates.
func (r Rule) String() string {
	if r.method == "" {
		return "nothing"
	}
	return r.method + " " + r.template
}

// Method is the method that the rule allows.
func (r Rule) Method() string { return r.method }

// errMethod is the refusal of a method that no rule can allow.
var errMethod = errors.New("the method must be GET, HEAD, POST, PUT, PATCH or DELETE, in upper case")
