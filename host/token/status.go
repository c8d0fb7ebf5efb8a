package token

import (
	"slices"
	"strings"
	"time"
)

// Status is what is known of one issuer's keys.
type Status struct {
	Issuer  string
	Keys    int       // that can be used
	Fetched time.Time // zero: never
	Failed  error     // why the last fetch failed; nil: it did not
}

// Status returns what is known of every issuer's keys, by name.
func (v *Verifier) Status() []Status {
	if v == nil {
		return nil
	}
	var out []Status
	for _, i := range v.issuers {
		st := Status{Issuer: i.Name}
		if f := i.source.got.Load(); f != nil {
			st.Fetched = f.at
			for _, k := range f.set.keys {
				if k != nil {
					st.Keys++
				}
			}
		}
		i.source.mu.Lock()
		st.Failed = i.source.failed
		i.source.mu.Unlock()
		out = append(out, st)
	}
	slices.SortFunc(out, func(a, b Status) int { return strings.Compare(a.Issuer, b.Issuer) })
	return out
}
