package token_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pointsman/host/broker"
	"pointsman/host/token"
)

// FuzzVerify: a token that is taken is, byte for byte, one that a key of the issuer signed;
// one that is read says the same to encoding/json; and every refusal has a reason.
func FuzzVerify(f *testing.F) {
	// Every process that fuzzes must make the same tokens: a key and signatures without chance.
	ed := pair{"ed", token.EdDSA, ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}
	es, rs := keys()[token.ES256], keys()[token.RS256]
	good := claims(start, nil)
	signed := []string{ed.token(start, nil), ed.token(start, object{"aud": []string{"x", audience}}), ed.token(start, object{"scope": "a b", "nbf": 1.5})}
	for _, s := range signed {
		parts := strings.Split(s, ".")
		head, _ := base64.RawURLEncoding.DecodeString(parts[0])
		body, _ := base64.RawURLEncoding.DecodeString(parts[1])
		f.Add(string(head), string(body), parts[2], false)
		f.Add(parts[0], parts[1], parts[2], true)
	}
	f.Add(`{"alg":"none"}`, good, "", false)
	f.Add(`{"alg":"ES256","kid":"key-ES256","crit":["b64"],"b64":false}`, good, "AAAA", false)
	f.Add(`{"alg":"ES256","alg":"none"}`, good+good, "AAAA", false)
	f.Add(`{"alg":"ES256","kid":"k"}`, `{"iss":"a","aud":["b"],"exp":1e2,"iat":-0,"x":{"a":[1,"\ud83d\ude00"]}}`, "AA", false)
	v := open(f, config(newSite(es.jwk(), ed.jwk(), rs.jwk()), at(start)), nil)
	f.Fuzz(func(t *testing.T, head, body, sig string, asItIs bool) {
		text := head + "." + body + "." + sig
		if !asItIs {
			text = b64([]byte(head)) + "." + b64([]byte(body)) + "." + sig
		}
		got, err := v.Verify(t.Context(), text)
		switch {
		case err == nil && !slices.Contains(signed, text):
			t.Fatalf("%q is taken", text)
		case err == nil && got.Principal.ID != "shop":
			t.Fatalf("%q is %q's", text, got.Principal.ID)
		case err != nil && (token.ReasonOf(err) == "" || broker.KindOf(err) != broker.Unauthenticated || got.Principal.ID != ""):
			t.Fatalf("%q: %v", text, err)
		}
		alg, kid, issuer, all, err := token.Parsed(text)
		if err != nil || len(text) > token.MaxToken {
			return
		}
		parts := strings.Split(text, ".")
		var h struct{ Alg, Kid string }
		var c map[string]any
		for i, into := range []any{&h, &c} {
			plain, err := base64.RawURLEncoding.DecodeString(parts[i])
			if err != nil || b64(plain) != parts[i] {
				t.Fatalf("part %d of %q has another spelling: %v", i, text, err)
			}
			if err := json.Unmarshal(plain, into); err != nil {
				t.Fatalf("part %d of %q: %v", i, text, err)
			}
		}
		if h.Alg != alg || h.Kid != kid || c["iss"] != any(issuer) || len(c) != len(all) || !slices.Contains(token.Algorithms(), alg) {
			t.Fatalf("%q is read as %q %q %q, by encoding/json as %+v %v", text, alg, kid, issuer, h, c)
		}
	})
}

// FuzzKeys: what is used of any set of keys is used for algorithms that there are, and no
// kid and algorithm stands for two keys.
func FuzzKeys(f *testing.F) {
	for _, p := range keys() {
		f.Add(set(p.jwk()))
	}
	f.Add(set(keys()[token.RS256].jwk(), keys()[token.ES256].jwk(), keys()[token.ES256].jwk()))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"},{"kty":"RSA","n":"AAAA","e":"AQAB"},{"kty":"EC","crv":"P-256","x":"","y":""}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		used, _, err := token.KeyUses(text)
		if err != nil && len(used) > 0 {
			t.Fatalf("%q is used, beside %v", used, err)
		}
		slices.Sort(used)
		if len(slices.Compact(slices.Clone(used))) != len(used) {
			t.Fatalf("%q", used)
		}
		for _, u := range used {
			if !slices.Contains(token.Algorithms(), u[strings.LastIndexByte(u, ' ')+1:]) {
				t.Fatalf("%q is used", u)
			}
		}
		again, _, _ := token.KeyUses(text)
		slices.Sort(again)
		if !slices.Equal(used, again) {
			t.Fatalf("%q, then %q", used, again)
		}
	})
}
