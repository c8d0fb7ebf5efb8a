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
}

// name is what the plugin calls the backend.
func (h HTTP) name() string {
	if h.As != "" {
		return h.As
	}
	return h.Backend
}

// narrow checks that raw, the grant of one capability, stays within wants, and returns
// it in canonical form.
func narrow(capability string, raw json.RawMessage, wants Wants) (json.RawMessage, error) {
	switch capability {
	case "http":
		return narrowHTTP(raw, wants)
	case "log":
		var none *struct{}
		if err := decode(raw, &none); err != nil || none == nil {
			return nil, errors.New("grants.log: it takes no settings: {}")
		}
		if wants.Declared && !wants.Log {
			return nil, errors.New(`capability "log" is granted but the plugin does not want it`)
		}
		return json.RawMessage("{}"), nil
	}
	// A capability that nobody taught this package to hold against the wants.
	return nil, fmt.Errorf("capability %q cannot be approved", capability)
}

// decode refuses what two programs might read in two ways: a name that is unknown, given
// twice or in another case, invalid UTF-8, anything behind the value.
func decode(raw []byte, into any) error {
	return strict.Unmarshal(raw, into, strict.RejectUnknownMembers(true))
}

func narrowHTTP(raw json.RawMessage, wants Wants) (json.RawMessage, error) {
	var entries []HTTP
	if err := decode(raw, &entries); err != nil {
		return nil, fmt.Errorf("grants.http: %w", err)
	}
	var faults []error
	names := map[string]bool{}
	for i, e := range entries {
		if names[e.name()] {
			faults = append(faults, fmt.Errorf("grants.http[%d]: the plugin would know two back ends as %q; give one of them another name with as", i, e.name()))
		}
		names[e.name()] = true
		if wants.Declared {
			faults = append(faults, beyond(i, e, wants.HTTP)...)
		}
		entries[i].As = e.name()
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return json.Marshal(entries)
}

// beyond lists what entry number i grants and no want covers.
func beyond(i int, e HTTP, wants []HTTP) []error {
	at := slices.IndexFunc(wants, func(w HTTP) bool { return w.name() == e.name() })
	if at < 0 {
		known := make([]string, len(wants))
		for j, w := range wants {
			known[j] = w.name()
		}
		return []error{fmt.Errorf("grants.http[%d]: the plugin does not want a back end %q; it wants %s (as names the plugin's word for it)",
			i, e.name(), strings.Join(known, ", "))}
	}
	var faults []error
	w := wants[at]
	for _, list := range []struct {
		what          string
		grant, wanted []string
		same          func(a, b string) bool
	}{
		{"allow", e.Allow, w.Allow, func(a, b string) bool { return a == b }},
		{"query", e.Query, w.Query, func(a, b string) bool { return a == b }},
		{"headers", e.Headers, w.Headers, strings.EqualFold},
	} {
		for _, item := range list.grant {
			if !slices.ContainsFunc(list.wanted, func(x string) bool { return list.same(item, x) }) {
				faults = append(faults, fmt.Errorf("grants.http[%d].%s: %q is granted but the plugin does not want it; it wants %s",
					i, list.what, item, strings.Join(list.wanted, ", ")))
			}
		}
	}
	return faults
}
