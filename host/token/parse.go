package token

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// parsed is a token taken apart, with nothing proved.
type parsed struct {
	header  header
	claims  claims
	payload []byte // what claims was read from
}

// header is what is used of a token's header.
type header struct {
	alg string
	kid string // "": none
}

// claims is what a token says. Times that are not written are zero, which is long ago.
type claims struct {
	issuer                     string
	audience                   []string
	expires, notBefore, issued time.Time
	all                        map[string]jsontext.Value
}

// neverTaken are header parameters that say where a key is, bring one, or change how the rest
// is read (RFC 7515 §4.1, RFC 7516 §4.1, RFC 7797). A token with one is refused, whatever it
// says. Thumbprints (x5t) say nothing that kid does not, and are passed over.
var neverTaken = []string{"crit", "b64", "jku", "jwk", "x5u", "x5c", "cty", "zip", "enc", "epk", "apu", "apv", "p2s", "p2c", "iv", "tag", "url", "nonce"}

// types are the values of typ that say that this is a token for an API (RFC 7519 §5.1, RFC
// 9068 §2.1), in lower case. Those of other protocols (logout+jwt, dpop+jwt) are refused.
var types = []string{"jwt", "application/jwt", "at+jwt", "application/at+jwt"}

// parse takes apart a token of MaxToken bytes at most.
func parse(token string) (parsed, error) {
	p, err := open(token)
	if err != nil {
		return parsed{}, err
	}
	p.claims, err = parseClaims(p.payload)
	return p, err
}

// open reads all of a token but its claims.
func open(token string) (parsed, error) {
	first, rest, ok1 := strings.Cut(token, ".")
	second, third, ok2 := strings.Cut(rest, ".")
	if !ok1 || !ok2 || strings.Contains(third, ".") { // five parts: it is encrypted
		return parsed{}, refuse(Malformed)
	}
	head, ok1 := decode(first)
	payload, ok2 := decode(second)
	if _, ok := decode(third); !ok1 || !ok2 || !ok {
		return parsed{}, refuse(Malformed)
	}
	h, err := parseHeader(head)
	return parsed{header: h, payload: payload}, err
}

// strict64 has one spelling for each text: no padding, no bits left over.
var strict64 = base64.RawURLEncoding.Strict()

func decode(part string) ([]byte, bool) {
	if part == "" || strings.ContainsAny(part, "\r\n") { // which package base64 passes over
		return nil, false
	}
	text, err := strict64.DecodeString(part)
	return text, err == nil
}

// members returns the members of a JSON object. Names that are there twice, at any depth,
// invalid UTF-8 and anything behind the object are errors.
func members(text []byte, known ...string) (map[string]jsontext.Value, bool) {
	var m map[string]jsontext.Value
	if err := json.Unmarshal(text, &m); err != nil || m == nil {
		return nil, false
	}
	for name := range m {
		for _, k := range known {
			if name != k && strings.EqualFold(name, k) { // some programs would take it for k
				return nil, false
			}
		}
	}
	return m, true
}

func parseHeader(text []byte) (header, error) {
	m, ok := members(text, append([]string{"alg", "kid", "typ"}, neverTaken...)...)
	if !ok {
		return header{}, refuse(Malformed)
	}
	for _, name := range neverTaken {
		if _, ok := m[name]; ok {
			return header{}, refuse(BadHeader)
		}
	}
	var h header
	if h.alg, ok = textOf(m["alg"]); !ok {
		return header{}, refuse(BadHeader)
	}
	if !slices.Contains(Algorithms(), h.alg) { // "none", HS256 and all the others
		return header{}, refuse(WrongAlgorithm)
	}
	if v, there := m["kid"]; there {
		if h.kid, ok = textOf(v); !ok || h.kid == "" {
			return header{}, refuse(BadHeader)
		}
	}
	if v, there := m["typ"]; there {
		if typ, ok := textOf(v); !ok || !slices.Contains(types, strings.ToLower(typ)) {
			return header{}, refuse(BadHeader)
		}
	}
	return h, nil
}

func parseClaims(text []byte) (claims, error) {
	m, ok := members(text, "iss", "aud", "exp", "nbf", "iat", "sub", "cnf")
	if !ok {
		return claims{}, refuse(Malformed)
	}
	// A token that is bound to a key (RFC 7800, DPoP, RFC 8705) is good only in the hands of
	// who has the key. Nothing here proves that, so it is not taken as if it were not bound.
	if _, bound := m["cnf"]; bound {
		return claims{}, refuse(BadClaims)
	}
	c := claims{all: m}
	if c.issuer, ok = textOf(m["iss"]); !ok {
		return claims{}, refuse(BadClaims)
	}
	if c.audience, ok = texts(m["aud"]); !ok {
		return claims{}, refuse(BadClaims)
	}
	if c.expires, ok = dateOf(m["exp"]); !ok {
		return claims{}, refuse(BadClaims)
	}
	for name, into := range map[string]*time.Time{"nbf": &c.notBefore, "iat": &c.issued} {
		if v, there := m[name]; there {
			if *into, ok = dateOf(v); !ok {
				return claims{}, refuse(BadClaims)
			}
		}
	}
	return c, nil
}

// textOf returns a JSON string's text.
func textOf(v jsontext.Value) (string, bool) {
	if v.Kind() != '"' {
		return "", false
	}
	var s string
	return s, json.Unmarshal(v, &s) == nil
}

// texts returns a list of texts, or the one text that stands instead of a list.
func texts(v jsontext.Value) ([]string, bool) {
	if s, ok := textOf(v); ok {
		return []string{s}, true
	}
	if v.Kind() != '[' {
		return nil, false
	}
	var items []jsontext.Value
	if json.Unmarshal(v, &items) != nil {
		return nil, false
	}
	out := make([]string, len(items))
	for i, item := range items {
		var ok bool
		if out[i], ok = textOf(item); !ok {
			return nil, false
		}
	}
	return out, true
}

// lastDate is the last second of the year 9999, in seconds: what RFC 3339 can write.
const lastDate = 253402300799

// dateOf returns a NumericDate (RFC 7519 §2), in seconds and parts of them.
func dateOf(v jsontext.Value) (time.Time, bool) {
	if v.Kind() != '0' {
		return time.Time{}, false
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil || f < 0 || f > lastDate {
		return time.Time{}, false
	}
	whole, part := math.Modf(f)
	return time.Unix(int64(whole), int64(part*1e9)), true
}
