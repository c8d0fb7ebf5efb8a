package token

import "github.com/go-json-experiment/json/jsontext"

// HoldsJWS reports whether one key of a set signed a JWS, whatever its payload is.
func HoldsJWS(set []byte, jws string) bool {
	s, err := parseSet(set)
	if err != nil || len(jws) > MaxToken {
		return false
	}
	p, err := open(jws)
	if err != nil {
		return false
	}
	k, _ := s.find(p.header)
	return k != nil && k.verify(jws, p)
}

// Parsed returns what is read of a token whose signature nobody has checked.
func Parsed(token string) (alg, kid, issuer string, claims map[string]jsontext.Value, err error) {
	p, err := parse(token)
	return p.header.alg, p.header.kid, p.claims.issuer, p.claims.all, err
}

// Cached is how many verdicts are remembered.
func Cached(v *Verifier) (n int) {
	for i := range v.cache.shards {
		s := &v.cache.shards[i]
		s.mu.Lock()
		n += len(s.young) + len(s.old)
		s.mu.Unlock()
	}
	return n
}

// Remember makes v remember a verdict of a text that is no token.
func Remember(v *Verifier, text string, verdict Verdict) {
	for _, i := range v.issuers {
		v.cache.put(v.cache.sum(text), verdict, i.source, i.source.current(), v.now())
	}
}

// CacheSize is how many verdicts can be remembered.
const CacheSize = 2 * shards * shardSize

// KeyUses returns for each key of a set whether it is used, by kid and algorithm, and why the
// others are not.
func KeyUses(set []byte) (used []string, passed []string, err error) {
	s, err := parseSet(set)
	if err != nil {
		return nil, nil, err
	}
	for h, k := range s.keys {
		if k != nil {
			used = append(used, h.kid+" "+h.alg)
		}
	}
	for _, e := range s.passed {
		passed = append(passed, e.Error())
	}
	return used, passed, nil
}
