package parcel

import (
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"pointsman/host/view"
)

// Edit is members to set, rename and remove. It does not change, and may be used concurrently.
type Edit struct{ root edits }

// edits are what is done to the members of one object.
type edits struct {
	set    []byte // the constant that is put in its place; nil: none
	name   string // its new name; "": its own
	remove bool
	below  map[string]*edits // by member
}

// ParseEdit reads {"set": {path: constant}, "rename": {path: name}, "remove": [path]}. Paths go
// through members only, and nothing is done to one place twice. What is set is there when its
// object is, at its end if it was not; a rename of what is not there does nothing.
func ParseEdit(text []byte) (*Edit, error) {
	if len(text) > maxTemplate {
		return nil, errors.New("it is larger than 64 KiB")
	}
	var asked struct {
		Set    map[string]jsontext.Value `json:"set"`
		Rename map[string]string         `json:"rename"`
		Remove []string                  `json:"remove"`
	}
	if _, err := Parse(text); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &asked, json.RejectUnknownMembers(true)); err != nil {
		return nil, errors.New(`want {"set": {path: constant}, "rename": {path: name}, "remove": [path]}`)
	}
	e := &Edit{}
	at := func(path string, f func(*edits)) error {
		p, err := ParsePath(path)
		if err != nil {
			return fmt.Errorf("%q: %w", path, err)
		}
		if p.isEmpty() || slices.ContainsFunc(p.steps, func(s step) bool { return s.name == nil }) {
			return fmt.Errorf("%q: want the path of a member, through members only", path)
		}
		n := &e.root
		for _, s := range p.steps {
			if n.set != nil || n.remove {
				return fmt.Errorf("%q: what it is below is set or removed", path)
			}
			if n.below == nil {
				n.below = map[string]*edits{}
			}
			if n.below[*s.name] == nil {
				n.below[*s.name] = &edits{}
			}
			n = n.below[*s.name]
		}
		if n.set != nil || n.remove || n.name != "" || len(n.below) > 0 {
			return fmt.Errorf("%q: something is done to it already", path)
		}
		f(n)
		return nil
	}
	var errs []error
	for path, constant := range asked.Set {
		errs = append(errs, at(path, func(n *edits) { n.set = constant }))
	}
	for path, name := range asked.Rename {
		errs = append(errs, at(path, func(n *edits) { n.name = name }))
	}
	for _, path := range asked.Remove {
		errs = append(errs, at(path, func(n *edits) { n.remove = true }))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return e, nil
}

// Make returns v with the edits made. A value that is no object, and an edit by which an object
// would have one name twice, is a *Failure.
func (e *Edit) Make(v Value) (Value, error) {
	if len(v.text) == 0 || v.text[0] != '{' {
		return Value{}, &Failure{Code: "permanent", Why: "the document to edit is not an object"}
	}
	out, err := Parse(e.root.make(nil, v.text))
	if err != nil {
		return Value{}, &Failure{Code: "permanent", Why: "the edits give an object one name twice, or make it too large"}
	}
	if out.Size() > MaxSize {
		return Value{}, room(out.text)
	}
	return out, nil
}

func (e *edits) make(dst, text []byte) []byte {
	if len(e.below) == 0 || text[0] != '{' {
		return append(dst, text...)
	}
	dst = append(dst, '{')
	first := true
	put := func(name, value []byte, how *edits) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(append(dst, name...), ':')
		dst = how.make(dst, value)
	}
	seen := map[string]bool{}
	members(text, func(quoted, value []byte) bool {
		name, _ := plainString(quoted)
		how := e.below[name]
		seen[name] = true
		switch {
		case how == nil:
			put(quoted, value, &edits{})
		case how.remove:
		case how.set != nil:
			put(quoted, how.set, &edits{})
		case how.name != "":
			put(quote(how.name), value, &edits{})
		default:
			put(quoted, value, how)
		}
		return true
	})
	var added []string
	for name, how := range e.below {
		if how.set != nil && !seen[name] {
			added = append(added, name)
		}
	}
	slices.Sort(added)
	for _, name := range added {
		put(quote(name), e.below[name].set, &edits{})
	}
	return append(dst, '}')
}

func quote(name string) []byte {
	text, err := jsontext.AppendQuote(nil, name)
	if err != nil { // it came out of strict JSON
		return []byte(`""`)
	}
	return text
}

// Facts is what is known of what the edits make.
func (e *Edit) Facts(f Facts) Facts { return e.root.facts(f) }

// facts keeps the labels of all that was there, and adds those of what has another name. Of a
// document that may not be read whole nothing may be read when something in it was renamed: its
// new name could be one that may be read.
func (e *edits) facts(f Facts) Facts {
	out := Facts{f.Labels, f.Shown}
	for name, how := range e.below {
		was := Facts{f.Labels.Member(name), f.Shown}
		if how.name != "" {
			out.Labels = out.Labels.Union(was.Labels.Below(how.name))
			if !f.Shown.All() {
				out.Shown = view.View{}
			}
		}
		if len(how.below) > 0 {
			below := how.facts(was)
			out.Labels = out.Labels.Union(below.Labels.Below(name))
			out.Shown = out.Shown.Intersect(below.Shown)
		}
	}
	return out
}
