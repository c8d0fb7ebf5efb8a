package grant

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Pointer is one entry of a pointer grant or want: exactly one of the two is set.
type Pointer struct {
	Open string `json:"open,omitempty"` // a domain whose pointers may be opened
	Mint string `json:"mint,omitempty"` // a domain whose ids may become pointers
}

func (p Pointer) String() string {
	if p.Mint != "" {
		return "mint " + p.Mint
	}
	return "open " + p.Open
}

// call is one entry of a call grant.
type call struct {
	Function string   `json:"function"`        // "plugin.function"
	View     View     `json:"view,omitzero"`   // of the output
	Clear    []string `json:"clear,omitempty"` // labels
}

// kv is a kv grant.
type kv struct {
	Quota int64    `json:"quota"` // bytes
	Keys  int      `json:"keys"`
	TTL   string   `json:"ttl"`             // as time.ParseDuration reads it
	Clear []string `json:"clear,omitempty"` // labels
}

// parcel is a parcel grant.
type parcel struct {
	View View `json:"view,omitzero"` // of the parcels in its input
}

// log is a log grant.
type log struct {
	Clear []string `json:"clear,omitempty"` // labels
}

func narrowCall(raw json.RawMessage, wants Wants) (json.RawMessage, error) {
	return entries("call", raw, func(c call) string { return c.Function }, "%s is granted twice", func(at string, c *call) []error {
		if plugin, function, ok := strings.Cut(c.Function, "."); !ok || plugin == "" || function == "" || strings.Contains(function, ".") {
			return []error{fmt.Errorf("%s: %q is not plugin.function", at, c.Function)}
		}
		if !wants.Declared {
			return nil
		}
		return beyond(at+".function", []string{c.Function}, wants.Call, same)
	})
}

func narrowPointer(raw json.RawMessage, wants Wants) (json.RawMessage, error) {
	return entries("pointer", raw, Pointer.String, "%q is granted twice", func(at string, p *Pointer) []error {
		if (p.Open == "") == (p.Mint == "") {
			return []error{fmt.Errorf("%s: an entry opens a domain or mints for one", at)}
		}
		if !wants.Declared || slices.Contains(wants.Pointer, *p) {
			return nil
		}
		names := make([]string, len(wants.Pointer))
		for i, w := range wants.Pointer {
			names[i] = w.String()
		}
		return beyond(at, []string{p.String()}, names, same)
	})
}

func narrowKV(raw json.RawMessage, wants Wants) (json.RawMessage, error) {
	var g *kv
	if err := decode(raw, &g); err != nil {
		return nil, fmt.Errorf("grants.kv: %w", err)
	}
	if g == nil {
		return nil, errors.New("grants.kv: expected quota, keys and ttl")
	}
	var faults []error
	if g.Quota <= 0 || g.Keys <= 0 {
		faults = append(faults, errors.New("grants.kv: quota and keys are positive"))
	}
	if ttl, err := time.ParseDuration(g.TTL); err != nil || ttl <= 0 {
		faults = append(faults, fmt.Errorf("grants.kv.ttl: %q is not a time such as 24h", g.TTL))
	}
	if wants.Declared && !wants.KV {
		faults = append(faults, errors.New(`capability "kv" is granted but the plugin does not want it`))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return json.Marshal(g)
}

func narrowParcel(raw json.RawMessage, wants Wants) (json.RawMessage, error) {
	var g *parcel
	if err := decode(raw, &g); err != nil {
		return nil, fmt.Errorf("grants.parcel: %w", err)
	}
	if g == nil {
		return nil, errors.New("grants.parcel: it takes no settings but view: {}")
	}
	if wants.Declared && !wants.Parcel {
		return nil, errors.New(`capability "parcel" is granted but the plugin does not want it`)
	}
	return json.Marshal(g)
}

func narrowLog(raw json.RawMessage, wants Wants) (json.RawMessage, error) {
	var g *log
	if err := decode(raw, &g); err != nil || g == nil {
		return nil, errors.New("grants.log: it takes no settings but clear: {}")
	}
	if wants.Declared && !wants.Log {
		return nil, errors.New(`capability "log" is granted but the plugin does not want it`)
	}
	return json.Marshal(g)
}
