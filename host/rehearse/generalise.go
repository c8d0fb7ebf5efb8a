package rehearse

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// shape is the path of a rule in the making.
type shape struct {
	method   string
	segments []string // literals, and names in braces
}

func (s shape) String() string { return s.method + " /" + strings.Join(s.segments, "/") }

// generalise writes rules for requests that nobody has a rule for. A segment becomes a
// template when it is a value of the input or an id of an answer, or when there are requests
// that differ in nothing else and it looks like an id in all of them. Any other stays as it
// is: what is too narrow is refused and suggested, what is too wide nobody notices.
func generalise(uses []use) []string {
	var all []shape
	for _, u := range uses {
		s := shape{method: u.what, segments: strings.Split(strings.TrimPrefix(u.path, "/"), "/")}
		for i, name := range u.names {
			if name != "" {
				s.segments[i] = s.free(name)
			}
		}
		all = append(all, s)
	}
	for merged := true; merged; {
		merged = false
		for i := range all {
			for j := i + 1; j < len(all); j++ {
				if at, ok := differ(all[i], all[j]); ok {
					if at >= 0 && !strings.HasPrefix(all[i].segments[at], "{") {
						all[i].segments[at] = all[i].free(cmp.Or(inBraces(all[j].segments[at]), "id"))
					}
					all = slices.Delete(all, j, j+1)
					merged = true
					j--
				}
			}
		}
	}
	var rules []string
	for _, s := range all {
		rules = add(rules, s.String())
	}
	return rules
}

// free is a template of that name, or of that name and a number where it is taken.
func (s shape) free(name string) string {
	name = templateName(name)
	for n := 1; ; n++ {
		t := "{" + name + "}"
		if n > 1 {
			t = fmt.Sprintf("{%s%d}", name, n)
		}
		if !slices.Contains(s.segments, t) {
			return t
		}
	}
}

// differ reports whether one rule can be made of both without allowing more than another id:
// they differ in nothing but the names of templates (-1), or in the segment at too, which
// looks like an id in both.
func differ(a, b shape) (at int, ok bool) {
	if a.method != b.method || len(a.segments) != len(b.segments) {
		return 0, false
	}
	at = -1
	for i, s := range a.segments {
		t := b.segments[i]
		template, other := strings.HasPrefix(s, "{"), strings.HasPrefix(t, "{")
		switch {
		case s == t, template && other:
		case at >= 0, !template && !likeID(s), !other && !likeID(t):
			return 0, false
		default:
			at = i
		}
	}
	return at, true
}

// inBraces is the name of a template, "" for a literal.
func inBraces(segment string) string {
	if !strings.HasPrefix(segment, "{") {
		return ""
	}
	return strings.Trim(segment, "{}")
}

var version = regexp.MustCompile(`^v?[0-9]{1,3}(\.[0-9]+)*$`)

// likeID reports whether a segment is more than a word or the version of an interface.
func likeID(s string) bool {
	return hasDigit(s) && (!version.MatchString(s) || allDigits(s))
}
