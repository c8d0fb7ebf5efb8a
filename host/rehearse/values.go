package rehearse

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strings"

	"net/url"

	"github.com/go-json-experiment/json/jsontext"

	"pointsman/host/sandbox"
)

// values are the texts and numbers that a plugin was handed, each with the name that it had
// there: a segment of a path that is one of them will be another the next time.
type values map[string]string

func (v *values) add(name, value string) {
	if *v == nil {
		*v = values{}
	}
	if _, known := (*v)[value]; !known && value != "" {
		(*v)[value] = name
	}
}

// input adds what a function is called with.
func (v *values) input(text []byte) { v.walk(text, func(string) bool { return true }) }

// answer adds those of an answer that look like an id: words such as "contacts" are in many
// answers, and in paths, without the one being the other.
func (v *values) answer(text []byte) { v.walk(text, hasDigit) }

func (v *values) walk(text []byte, take func(string) bool) {
	d := jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true))
	for {
		t, err := d.ReadToken()
		if err != nil {
			return
		}
		if kind := t.Kind(); kind != '"' && kind != '0' {
			continue
		}
		if within, n := d.StackIndex(d.StackDepth()); within == '{' && n%2 == 1 { // a member's name
			continue
		}
		if s := t.String(); take(s) {
			name := "id"
			for token := range d.StackPointer().Tokens() {
				if !allDigits(token) {
					name = token
				}
			}
			v.add(name, s)
		}
	}
}

// ofPath names the segments of a path that are values, "" for the others.
func (v values) ofPath(path string) []string {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	names := make([]string, len(segments))
	for i, s := range segments {
		if plain, err := url.PathUnescape(s); err == nil {
			names[i] = v[plain]
		}
	}
	return names
}

func hasDigit(s string) bool { return strings.ContainsAny(s, "0123456789") }

func allDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

var notInName = regexp.MustCompile(`[^a-zA-Z0-9_-]+`)

// templateName is name as it may stand in a rule's braces.
func templateName(name string) string {
	name = strings.TrimLeft(notInName.ReplaceAllString(name, "-"), "-_0123456789")
	if name = strings.TrimRight(name[:min(len(name), 40)], "-"); name == "" {
		return "id"
	}
	return name
}

// compact is JSON without white space, and any other text as it is.
func compact(text []byte) []byte {
	v := jsontext.Value(bytes.TrimSpace(bytes.Clone(text)))
	if v.Compact(jsontext.AllowDuplicateNames(true)) != nil {
		return bytes.TrimSpace(text)
	}
	return v
}

// canonical is JSON with its members in one order, and any other text as it is.
func canonical(text []byte) []byte {
	v := jsontext.Value(bytes.Clone(text))
	if v.Canonicalize() != nil {
		return text
	}
	return v
}

// indent is a plugin's text for a terminal.
func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimSpace(text)) {
		b.WriteString("    " + sandbox.Printable(strings.TrimRight(line, "\n")) + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
