package manifest

import (
	"maps"
	"slices"
	"strconv"
)

// callers checks that whoever comes to the door is one consumer, and comes by one door.
func (l *loader) callers() {
	if len(l.gateways) > 0 {
		l.set.Gateway = l.gateways[0]
		for _, g := range l.gateways[1:] {
			l.add(SeverityError, codeOneGateway, "", g.Pos, "kind", "there is a Gateway already: %s at %s", l.gateways[0].Name, l.gateways[0].Pos)
		}
	}
	byURL := map[string]*Issuer{}
	for _, i := range l.set.Issuers {
		if other := byURL[i.URL]; other != nil && i.URL != "" {
			l.add(SeverityError, codeSameIssuer, "", i.Pos, "spec.issuer", "%s is issuer %s at %s", i.URL, other.Name, other.Pos)
			continue
		}
		byURL[i.URL] = i
	}
	l.sameTokens()
	l.sameCertificates()
}

// claimsKey is the values of the claims with these names; false if one is not there.
func claimsKey(issuer string, names []string, claims map[string]string) (string, bool) {
	key := strconv.Quote(issuer)
	for _, n := range names {
		v, ok := claims[n]
		if !ok {
			return "", false
		}
		key += " " + strconv.Quote(n) + strconv.Quote(v)
	}
	return key, true
}

// sameTokens refuses consumers all of whose tokens are another's too: that look at the same
// claims as it, or at more.
func (l *loader) sameTokens() {
	byClaims := map[string]*Consumer{}
	var looks [][]string // the distinct sets of claims' names that are looked at
	for _, c := range l.set.Consumers {
		if c.JWT == nil || len(c.JWT.Claims) == 0 {
			continue
		}
		names := slices.Sorted(maps.Keys(c.JWT.Claims))
		key, _ := claimsKey(c.JWT.Issuer, names, c.JWT.Claims)
		if byClaims[key] == nil {
			byClaims[key] = c
		}
		if !slices.ContainsFunc(looks, func(n []string) bool { return slices.Equal(n, names) }) {
			looks = append(looks, names)
		}
	}
	for _, c := range l.set.Consumers {
		if c.JWT == nil {
			continue
		}
		for _, names := range looks {
			key, ok := claimsKey(c.JWT.Issuer, names, c.JWT.Claims)
			if other := byClaims[key]; ok && other != nil && other != c {
				l.add(SeverityError, codeSameCaller, "", c.Pos, "spec.auth.jwt.claims", "every token of consumer %s is one of consumer %s at %s too", c.Name, other.Name, other.Pos)
				break
			}
		}
	}
}

// sameCertificates refuses certificates that are two callers'.
func (l *loader) sameCertificates() {
	type san struct{ ca, name string }
	of := map[san]string{}
	for _, g := range l.gateways {
		if g.MTLS != nil {
			for _, n := range g.MTLS.Names {
				of[san{g.MTLS.CA, n}] = "gateway " + g.Name
			}
		}
	}
	for _, c := range l.set.Consumers {
		if c.MTLS == nil || c.MTLS.Name == "" {
			continue
		}
		id := san{c.MTLS.CA, c.MTLS.Name}
		if other, taken := of[id]; taken {
			l.add(SeverityError, codeSameCaller, "", c.Pos, "spec.auth.mtls.name", "the certificate of %s is %s's too", c.MTLS.Name, other)
			continue
		}
		of[id] = "consumer " + c.Name
	}
}

// twoCallers warns of consumers that look at different claims, none of which tells them
// apart. One word for each pair of sets of names is enough.
func (l *loader) twoCallers() {
	type look struct {
		issuer string
		names  []string
		first  *Consumer
	}
	var looks []look
	for _, c := range l.set.Consumers {
		if c.JWT == nil {
			continue
		}
		names := slices.Sorted(maps.Keys(c.JWT.Claims))
		if slices.ContainsFunc(looks, func(k look) bool { return k.issuer == c.JWT.Issuer && slices.Equal(k.names, names) }) {
			continue
		}
		for _, k := range looks {
			if k.issuer == c.JWT.Issuer && !differ(k.first.JWT.Claims, c.JWT.Claims) {
				l.add(SeverityWarning, codeTwoCallers, "", c.Pos, "spec.auth.jwt.claims", "a token could be consumer %s's and consumer %s's; it would be refused", c.Name, k.first.Name)
				break
			}
		}
		looks = append(looks, look{c.JWT.Issuer, names, c})
	}
}

// differ reports whether a claim that is in both has two values.
func differ(a, b map[string]string) bool {
	for name, v := range a {
		if w, ok := b[name]; ok && v != w {
			return true
		}
	}
	return false
}
