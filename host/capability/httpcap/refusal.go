package httpcap

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pointsman/host/broker"
	"pointsman/host/egress"
	"pointsman/pdk/wire"
)

// maxNamed bounds how many rules or names a refusal lists, so that it stays a sentence.
const maxNamed = 12

// denied is a refusal that teaches. It may hold what the admin wrote, and the method and
// the number of segments of what was asked; never anything else that the plugin sent.
func denied(format string, args ...any) *broker.Error {
	return &broker.Error{Kind: broker.Denied, Detail: fmt.Sprintf(format, args...)}
}

func (p policy) names() string { return list(slices.Sorted(maps.Keys(p))) }

func (e *entry) granted() string {
	rules := make([]string, len(e.rules))
	for i, r := range e.rules {
		rules[i] = r.String()
	}
	return list(rules)
}

func list(words []string) string {
	switch {
	case len(words) == 0:
		return "none"
	case len(words) > maxNamed:
		return strings.Join(words[:maxNamed], ", ") + fmt.Sprintf(" and %d more", len(words)-maxNamed)
	}
	return strings.Join(words, ", ")
}

// shape describes what was asked: the method, if it is one that could be granted, and the
// length of the path, unless the method is all that is wrong.
func (e *entry) shape(asked wire.HTTPRequest) string {
	method := "a method that can never be granted"
	switch asked.Method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE":
		method = asked.Method
	}
	if slices.ContainsFunc(e.rules, func(r egress.Rule) bool { return r.Match(r.Method(), asked.Path) }) {
		return method // the path is granted for another method
	}
	n := strings.Count(asked.Path, "/")
	if asked.Path == "/" {
		n = 0
	}
	return fmt.Sprintf("%s with a path of %d segments", method, n)
}
