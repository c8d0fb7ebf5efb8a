package grant

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	strict "github.com/go-json-experiment/json"
)

// HTTP is one entry of an http grant or want.
type HTTP struct {
	Backend string   `json:"backend"`           // the admin's name for the system
	As      string   `json:"as,omitempty"`      // the plugin's name for it; empty means Backend
	Allow   []string `json:"allow"`             // "GET /v2/contacts/{id}"
	Query   []string `json:"query,omitempty"`   // names of query parameters
	Headers []string `json:"headers,omitempty"` // names of request headers
	View    View     `json:"view,omitzero"`     // of answers; no part of a want
	Clear   []string `json:"clear,omitempty"`   // labels; no part of a want
}

// SQL is one entry of a sql grant or want.
type SQL struct {
	Backend    string   `json:"backend"`         // the admin's name for the database
	As         string   `json:"as,omitempty"`    // the plugin's name for it; empty means Backend
	Statements []string `json:"statements"`      // names
	View       View     `json:"view,omitzero"`   // of a row; no part of a want
	Clear      []string `json:"clear,omitempty"` // labels; no part of a want
}

// View is which fields a plugin sees: a list of paths, or the word "all". The zero View shows
// nothing. What the paths say is for those who apply them to check.
type View struct {
	all   bool
	paths []string
}

// IsZero reports whether the view shows nothing, for encoding/json.
func (v View) IsZero() bool { return !v.all && len(v.paths) == 0 }

// MarshalJSON writes the view as a grant has it.
func (v View) MarshalJSON() ([]byte, error) {
	if v.all {
		return []byte(`"all"`), nil
	}
	return json.Marshal(v.paths)
}

// UnmarshalJSON reads a view as strictly as the grant around it.
func (v *View) UnmarshalJSON(text []byte) error {
	*v = View{}
	var word string
	if strict.Unmarshal(text, &word) == nil && word == "all" {
		v.all = true
		return nil
	}
	var paths *[]string
	if err := strict.Unmarshal(text, &paths); err != nil || paths == nil {
		return errors.New(`a view is a list of paths or the word "all"`)
	}
	v.paths = *paths
	return nil
}

// known is what the plugin calls the system: as, or the admin's name.
func known(as, backend string) string {
	if as != "" {
		return as
	}
	return backend
}

func (h HTTP) name() string { return known(h.As, h.Backend) }

func (s SQL) name() string { return known(s.As, s.Backend) }

// narrow checks that raw, the grant of one capability, stays within wants, and returns
// it in canonical form.
func narrow(capability string, raw json.RawMessage, wants Wants) (json.RawMessage, error) {
	switch capability {
	case "http":
		return narrowHTTP(raw, wants)
	case "sql":
		return narrowSQL(raw, wants)
	case "kv":
		return narrowKV(raw, wants)
	case "call":
		return narrowCall(raw, wants)
	case "pointer":
		return narrowPointer(raw, wants)
	case "parcel":
		return narrowParcel(raw, wants)
	case "log":
		return narrowLog(raw, wants)
	}
	// A capability that nobody taught this package to hold against the wants.
	return nil, fmt.Errorf("capability %q cannot be approved", capability)
}

// decode refuses what two programs might read in two ways: a name that is unknown, given
// twice or in another case, invalid UTF-8, anything behind the value.
func decode(raw []byte, into any) error {
	return strict.Unmarshal(raw, into, strict.RejectUnknownMembers(true))
}

// entries reads a grant that is a list and holds each of its entries against check. Two
// entries that id does not tell apart are refused with the words of twice.
func entries[T any](capability string, raw []byte, id func(T) string, twice string, check func(at string, e *T) []error) (json.RawMessage, error) {
	var list *[]T
	if err := decode(raw, &list); err != nil {
		return nil, fmt.Errorf("grants.%s: %w", capability, err)
	}
	if list == nil {
		return nil, fmt.Errorf("grants.%s: expected a list", capability)
	}
	var faults []error
	seen := map[string]bool{}
	for i := range *list {
		e := &(*list)[i]
		at := fmt.Sprintf("grants.%s[%d]", capability, i)
		if seen[id(*e)] {
			faults = append(faults, fmt.Errorf("%s: %s", at, fmt.Sprintf(twice, id(*e))))
		}
		seen[id(*e)] = true
		faults = append(faults, check(at, e)...)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return json.Marshal(*list)
}

const knownTwice = "the plugin would know two back ends as %q; give one of them another name with as"

func narrowHTTP(raw json.RawMessage, wants Wants) (json.RawMessage, error) {
	return entries("http", raw, HTTP.name, knownTwice, func(at string, e *HTTP) []error {
		e.As = e.name()
		w, err := want(at, e.As, wants.HTTP, HTTP.name, wants.Declared)
		if w == nil {
			return err
		}
		return slices.Concat(beyond(at+".allow", e.Allow, w.Allow, same), beyond(at+".query", e.Query, w.Query, same),
			beyond(at+".headers", e.Headers, w.Headers, strings.EqualFold))
	})
}

func narrowSQL(raw json.RawMessage, wants Wants) (json.RawMessage, error) {
	return entries("sql", raw, SQL.name, knownTwice, func(at string, e *SQL) []error {
		e.As = e.name()
		w, err := want(at, e.As, wants.SQL, SQL.name, wants.Declared)
		if w == nil {
			return err
		}
		return beyond(at+".statements", e.Statements, w.Statements, same)
	})
}

// want returns the want that has the plugin's name for a back end, or nil and what is to be
// said about that.
func want[T any](at, name string, wants []T, nameOf func(T) string, declared bool) (*T, []error) {
	if !declared {
		return nil, nil
	}
	i := slices.IndexFunc(wants, func(w T) bool { return nameOf(w) == name })
	if i >= 0 {
		return &wants[i], nil
	}
	names := make([]string, len(wants))
	for j, w := range wants {
		names[j] = nameOf(w)
	}
	return nil, []error{fmt.Errorf("%s: the plugin does not want a back end %q; it wants %s (as names the plugin's word for it)",
		at, name, those(names))}
}

func same(a, b string) bool { return a == b }

// beyond lists what is granted and not wanted.
func beyond(at string, granted, wanted []string, same func(a, b string) bool) []error {
	var faults []error
	for _, item := range granted {
		if !slices.ContainsFunc(wanted, func(x string) bool { return same(item, x) }) {
			faults = append(faults, fmt.Errorf("%s: %q is granted but the plugin does not want it; it wants %s", at, item, those(wanted)))
		}
	}
	return faults
}

func those(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
