package token

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pointsman/host/broker"
)

// directory finds the consumer that a token's claims are of. Consumers that look at the same
// claims are found with one look, however many they are.
type directory struct{ groups []*group }

// group is the consumers that look at the same claims.
type group struct {
	names    []string // sorted
	byValues map[string]Consumer
}

// valuesKey is the values of names, in their order, each behind its length; false if one is
// not there.
func valuesKey(names []string, value func(name string) (string, bool)) (string, bool) {
	var key []byte
	for _, name := range names {
		v, ok := value(name)
		if !ok {
			return "", false
		}
		key = binary.AppendUvarint(key, uint64(len(v)))
		key = append(key, v...)
	}
	return string(key), true
}

func (d *directory) add(c Consumer) error {
	if len(c.Claims) == 0 || c.Principal.ID == "" {
		return fmt.Errorf("consumer %q: a name and at least one claim are needed", c.Principal.ID)
	}
	names := slices.Sorted(maps.Keys(c.Claims))
	i := slices.IndexFunc(d.groups, func(g *group) bool { return slices.Equal(g.names, names) })
	if i < 0 {
		i = len(d.groups)
		d.groups = append(d.groups, &group{names, map[string]Consumer{}})
	}
	key, _ := valuesKey(names, c.value)
	if other, ok := d.groups[i].byValues[key]; ok {
		return errBoth(c, other)
	}
	d.groups[i].byValues[key] = c
	return nil
}

func (c Consumer) value(name string) (string, bool) {
	v, ok := c.Claims[name]
	return v, ok
}

func errBoth(a, b Consumer) error {
	return fmt.Errorf("every token of consumer %s is one of consumer %s too", a.Principal.ID, b.Principal.ID)
}

// check refuses consumers all of whose tokens are another's too.
func (d *directory) check() error {
	for _, g := range d.groups {
		for _, c := range g.byValues {
			for _, wider := range d.groups {
				if wider == g {
					continue
				}
				if key, ok := valuesKey(wider.names, c.value); ok {
					if other, ok := wider.byValues[key]; ok {
						return errBoth(c, other)
					}
				}
			}
		}
	}
	return nil
}

// find returns the one consumer that the claims are of, with the scopes that they say.
func (d *directory) find(c claims, rule *ScopeRule) (broker.Principal, error) {
	value := func(name string) (string, bool) { return textOf(c.all[name]) }
	var found []Consumer
	for _, g := range d.groups {
		if key, ok := valuesKey(g.names, value); ok {
			if who, ok := g.byValues[key]; ok {
				found = append(found, who)
			}
		}
	}
	switch {
	case len(found) == 0:
		return broker.Principal{}, refuse(NoConsumer)
	case len(found) > 1:
		return broker.Principal{}, refuse(TwoConsumers)
	}
	who := found[0].Principal
	if rule == nil {
		return who, nil
	}
	said, ok := rule.said(c)
	if !ok {
		return broker.Principal{}, refuse(BadClaims)
	}
	who.Scopes = broker.NewScopes(slices.DeleteFunc(said, func(s string) bool { return !who.Scopes.Has(s) })...)
	return who, nil
}

// said returns the scopes that a token names; none if it does not have the claim.
func (r *ScopeRule) said(c claims) ([]string, bool) {
	v, there := c.all[r.Claim]
	if !there {
		return nil, true
	}
	names, ok := texts(v)
	if ok && v.Kind() == '"' {
		names = strings.Fields(names[0])
	}
	if r.Map == nil {
		return names, ok
	}
	var out []string
	for _, n := range names {
		if s, ok := r.Map[n]; ok {
			out = append(out, s)
		}
	}
	return out, ok
}
