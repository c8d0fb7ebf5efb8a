package manifest

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v4"
)

// Paths says which fields of a JSON document are shown: the syntax is host/view's. The zero
// Paths is a document that says nothing about it; what that means is said where a Paths is.
type Paths struct {
	All  bool     // the word "all"; List is empty then
	List []string // sorted; empty but not nil where a document says that nothing is shown
}

// AllPaths is how documents write Paths.All.
const AllPaths = "all"

// Written reports whether the document says anything, be it that nothing is shown.
func (p Paths) Written() bool { return p.All || p.List != nil }

// IsZero is the opposite of Written, for encoding/json.
func (p Paths) IsZero() bool { return !p.Written() }

// MarshalJSON writes the word "all" or an array.
func (p Paths) MarshalJSON() ([]byte, error) {
	if p.All {
		return marshal(AllPaths), nil
	}
	return marshal(append([]string{}, p.List...)), nil
}

// UnmarshalJSON reads what MarshalJSON writes. It does not check the syntax of paths.
func (p *Paths) UnmarshalJSON(text []byte) error {
	*p = Paths{}
	var word string
	if json.Unmarshal(text, &word) == nil {
		if p.All = word == AllPaths; !p.All {
			return errors.New(`paths are a list or the word "all"`)
		}
		return nil
	}
	p.List = []string{}
	return json.Unmarshal(text, &p.List)
}

// maxPaths bounds the paths of one list: more than any answer that a person can oversee has.
// maxPathText bounds one path, in bytes: a third of what host/view takes, so that its members
// fit when all that does not print in them is escaped.
const (
	maxPaths    = 500
	maxPathText = 340
)

// pathSyntax is one path of host/view: members with dots between them, [] after what is an
// array. A member that is no plain word is in JSON quotes.
const (
	pathMember = `(?:[A-Za-z_][A-Za-z0-9_-]*|"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*")`
	pathSyntax = `^(?:(?:\[\])+|` + pathMember + `(?:\[\])*)(?:\.` + pathMember + `(?:\[\])*)*$`
)

var pathText = regexp.MustCompile(pathSyntax)

// pathStep is one step of a path: a member, or [] for every element.
var pathStep = regexp.MustCompile(pathMember + `|\[\]`)

// pathSteps takes a path apart that pathText matches: elements are [], members in plain text
// behind a dot.
func pathSteps(path string) []string {
	steps := pathStep.FindAllString(path, -1)
	for i, s := range steps {
		if s[0] == '"' {
			plain, _ := jsontext.AppendUnquote([]byte{'.'}, s) // checkPath let it pass
			steps[i] = string(plain)
		} else if s != "[]" {
			steps[i] = "." + s
		}
	}
	return steps
}

// onePath is the path of fields in a JSON document.
func onePath() form[string] {
	return word("a path such as address.city or orders[].id", schema{"pattern": pathSyntax, "maxLength": maxPathText}, func(s string) (string, *problem) {
		return s, checkPath(s)
	}, itself)
}

func checkPath(s string) *problem {
	switch {
	case len(s) > maxPathText:
		return problemf(codeLength, "", "a path of more than %d characters", maxPathText)
	case !pathText.MatchString(s):
		return problemf(codeView, nearPath(s), "%s is not a path such as address.city or orders[].id", quote(s))
	case len(pathSteps(s)) > MaxDepth:
		return problemf(codeView, "", "a path of more than %d steps", MaxDepth)
	}
	for _, step := range pathStep.FindAllString(s, -1) {
		if _, err := jsontext.AppendUnquote(nil, step); step[0] == '"' && err != nil { // half of a pair of escapes
			return problemf(codeView, "", "%s is not a text in JSON", quote(step))
		}
	}
	return nil
}

var otherIndex = regexp.MustCompile(`\[\*\]|\[[0-9]*\]|\.\*|\.[0-9]+\b`)

// nearPath returns a path in this syntax for one in a syntax of others: $.orders[*].id, /address/city.
func nearPath(s string) string {
	near := strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(s), "$"), ".")
	if strings.HasPrefix(near, "/") {
		near = strings.ReplaceAll(near[1:], "/", ".")
	}
	near = otherIndex.ReplaceAllString(near, "[]")
	if near == s || !pathText.MatchString(near) {
		return ""
	}
	return near
}

// pathList is a list of paths.
func pathList(least int) form[[]string] { return list(least, maxPaths, onePath(), itself) }

// paths is a list of paths, or the word all.
func paths() form[Paths] {
	many := pathList(0)
	return form[Paths]{
		schema: schema{"oneOf": []any{schema{"const": AllPaths}, many.schema}},
		read: func(r *reader, n *yaml.Node, at string) Paths {
			const want = "a list of paths or the word " + AllPaths
			switch {
			case n.Kind == yaml.SequenceNode:
				return Paths{List: append([]string{}, many.read(r, n, at)...)} // not nil: it is written
			case n.Kind != yaml.ScalarNode:
				r.is(n, yaml.SequenceNode, at, want)
			case tagged(n): // reported by inspect
			case n.Value == AllPaths:
				return Paths{All: true}
			case nearest(n.Value, []string{AllPaths}) != "":
				r.add(n, at, codeView, AllPaths, "expected %s, found %s", want, what(n))
			case pathText.MatchString(n.Value) && !looksTyped(n.Value):
				r.add(n, at, codeView, "["+n.Value+"]", "expected %s, found %s", want, what(n))
			default:
				r.add(n, at, codeView, "", "expected %s, found %s", want, what(n))
			}
			return Paths{}
		},
		write: func(p Paths) any {
			if p.All {
				return AllPaths
			}
			return many.write(p.List)
		},
	}
}

// seen is paths where showing nothing is what leaving the key out means.
func seen() form[Paths] {
	f := paths()
	read := f.read
	f.read = func(r *reader, n *yaml.Node, at string) Paths {
		p := read(r, n, at)
		if len(p.List) == 0 {
			p.List = nil
		}
		return p
	}
	return f
}

// labelName is the rule for labels of fields.
var labelName = nameRule{pattern: regexp.MustCompile(`^[a-z][a-z0-9-]*(?:\.[a-z][a-z0-9-]*)*$`), want: "a label (lower-case words with dots between them, such as pii.contact, at most 63)", most: 63}

// maxLabels of one document, and in one list.
const maxLabels = 100

// labels is a mapping of labels to the paths that have them.
func labels() form[map[string][]string] { return named(labelName, maxLabels, pathList(1)) }

// labelList is a list of labels that something is cleared for. Each is a use, so that one
// that nothing has is reported.
func labelList() form[[]string] {
	return list(0, maxLabels, using(useLabel, name(labelName)), itself)
}

// using is f, and says that what it reads must be there.
func using(kind string, f form[string]) form[string] {
	read := f.read
	f.read = func(r *reader, n *yaml.Node, at string) string {
		s := read(r, n, at)
		if s != "" {
			r.uses = append(r.uses, use{kind: kind, name: s, pos: r.pos(n), at: at})
		}
		return s
	}
	return f
}
