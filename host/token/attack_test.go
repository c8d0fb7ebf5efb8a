package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"pointsman/host/broker"
	"pointsman/host/token"
)

func TestAttacks(t *testing.T) {
	v := all(t)
	rs, es, ps, ed := keys()[token.RS256], keys()[token.ES256], keys()[token.PS256], keys()[token.EdDSA]
	good := claims(start, nil)
	der, err := x509.MarshalPKIXPublicKey(rs.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	pemKey := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	mallory := newPair(es.kid, token.ES256)
	embedded, err := json.Marshal(mallory.jwk())
	if err != nil {
		t.Fatal(err)
	}
	with := func(p pair, more string) string {
		return p.raw(fmt.Sprintf(`{"alg":%q,"kid":%q,%s}`, p.alg, p.kid, more), good)
	}
	payload := func(text string) string { return es.raw(es.header(), text) }
	holds := es.token(start, nil)
	parts := strings.Split(holds, ".")
	nested := es.raw(fmt.Sprintf(`{"alg":"ES256","kid":%q,"cty":"JWT"}`, es.kid), holds)
	// The last character of a 64-byte signature in base64url has four bits that say nothing.
	last := holds[len(holds)-1]
	malleable := holds[:len(holds)-1] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", last)|1])
	zero := parts[0] + "." + parts[1] + "." + b64(make([]byte, 64))
	order := elliptic.P256().Params().N.Bytes()
	orders := parts[0] + "." + parts[1] + "." + b64(append(append([]byte{}, order...), order...))
	asn1, err := ecdsa.SignASN1(rand.Reader, es.private.(*ecdsa.PrivateKey), make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}

	tests := []struct {
		name, token string
		want        token.Reason
	}{
		{"nothing", "", token.Malformed},
		{"no dots", "abc", token.Malformed},
		{"dots", "..", token.Malformed},
		{"none, no signature", b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(good)) + ".", token.Malformed},
		{"none, with a signature", b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(good)) + "." + parts[2], token.WrongAlgorithm},
		{"nOnE", b64([]byte(`{"alg":"nOnE"}`)) + "." + b64([]byte(good)) + "." + parts[2], token.WrongAlgorithm},
		{"signature cut off", parts[0] + "." + parts[1] + ".", token.Malformed},
		{"signature and dot cut off", parts[0] + "." + parts[1], token.Malformed},
		{"public key as HMAC key, PEM", mac(pemKey, fmt.Sprintf(`{"alg":"HS256","kid":%q}`, rs.kid), good), token.WrongAlgorithm},
		{"public key as HMAC key, DER", mac(der, fmt.Sprintf(`{"alg":"HS256","kid":%q}`, rs.kid), good), token.WrongAlgorithm},
		{"empty HMAC key", mac(nil, `{"alg":"HS256"}`, good), token.WrongAlgorithm},
		{"HMAC under the name of RS256", mac(pemKey, rs.header(), good), token.BadSignature},
		{"PS256 by a key for RS256", ps.raw(fmt.Sprintf(`{"alg":"PS256","kid":%q}`, rs.kid), good), token.UnknownKey},
		{"RS256 by a key for PS256", rs.raw(fmt.Sprintf(`{"alg":"RS256","kid":%q}`, ps.kid), good), token.UnknownKey},
		{"ES256 by a key of another sort", es.raw(fmt.Sprintf(`{"alg":"ES256","kid":%q}`, ed.kid), good), token.UnknownKey},
		{"RS512", rs.raw(fmt.Sprintf(`{"alg":"RS512","kid":%q}`, rs.kid), good), token.WrongAlgorithm},
		{"alg in another case", rs.raw(fmt.Sprintf(`{"alg":"rs256","kid":%q}`, rs.kid), good), token.WrongAlgorithm},
		{"alg is a list", rs.raw(fmt.Sprintf(`{"alg":["RS256"],"kid":%q}`, rs.kid), good), token.BadHeader},
		{"no alg", rs.raw(fmt.Sprintf(`{"kid":%q}`, rs.kid), good), token.BadHeader},
		{"alg twice", rs.raw(fmt.Sprintf(`{"alg":"none","alg":"RS256","kid":%q}`, rs.kid), good), token.Malformed},
		{"alg twice, one escaped", rs.raw(fmt.Sprintf(`{"\u0061lg":"none","alg":"RS256","kid":%q}`, rs.kid), good), token.Malformed},
		{"ALG beside alg", rs.raw(fmt.Sprintf(`{"ALG":"none","alg":"RS256","kid":%q}`, rs.kid), good), token.Malformed},
		{"no kid", es.raw(`{"alg":"ES256"}`, good), token.UnknownKey},
		{"kid empty", es.raw(`{"alg":"ES256","kid":""}`, good), token.BadHeader},
		{"kid is a number", es.raw(`{"alg":"ES256","kid":1}`, good), token.BadHeader},
		{"kid is a path", mallory.raw(`{"alg":"ES256","kid":"../../../../dev/null"}`, good), token.UnknownKey},
		{"kid is SQL", mallory.raw(`{"alg":"ES256","kid":"x' UNION SELECT 'key';--"}`, good), token.UnknownKey},
		{"kid is a command", mallory.raw(`{"alg":"ES256","kid":"key-ES256|id"}`, good), token.UnknownKey},
		{"kid is a URL", mallory.raw(`{"alg":"ES256","kid":"https://mallory.example/jwks"}`, good), token.UnknownKey},
		{"kid with a space", es.raw(`{"alg":"ES256","kid":"key-ES256 "}`, good), token.UnknownKey},
		{"kid in another case", es.raw(`{"alg":"ES256","kid":"KEY-ES256"}`, good), token.UnknownKey},
		{"another's signature under a known kid", mallory.raw(es.header(), good), token.BadSignature},
		{"embedded jwk", with(mallory, `"jwk":`+string(embedded)), token.BadHeader},
		{"jku", with(mallory, `"jku":"https://mallory.example/jwks"`), token.BadHeader},
		{"jku of the issuer", with(es, `"jku":"`+jwksURL+`"`), token.BadHeader},
		{"x5u", with(mallory, `"x5u":"https://mallory.example/cert"`), token.BadHeader},
		{"x5c", with(mallory, `"x5c":["MIIB"]`), token.BadHeader},
		{"jku in another case", with(es, `"JKU":"https://mallory.example/jwks"`), token.Malformed},
		{"crit", with(es, `"crit":["exp"],"exp":1`), token.BadHeader},
		{"crit, empty", with(es, `"crit":[]`), token.BadHeader},
		{"crit, null", with(es, `"crit":null`), token.BadHeader},
		{"crit with a name that is not there", with(es, `"crit":["x"]`), token.BadHeader},
		{"b64 false", with(es, `"b64":false,"crit":["b64"]`), token.BadHeader},
		{"b64 true", with(es, `"b64":true`), token.BadHeader},
		{"zip", with(es, `"zip":"DEF"`), token.BadHeader},
		{"enc", with(es, `"enc":"A128GCM"`), token.BadHeader},
		{"typ of a logout token", with(es, `"typ":"logout+jwt"`), token.BadHeader},
		{"typ of a proof", with(es, `"typ":"dpop+jwt"`), token.BadHeader},
		{"typ is a list", with(es, `"typ":["JWT"]`), token.BadHeader},
		{"nested", nested, token.BadHeader},
		{"nested without a word", es.raw(es.header(), holds), token.Malformed},
		{"encrypted", "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.a.b.c.d", token.Malformed},
		{"JSON serialization", `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, token.Malformed},
		{"four parts", holds + ".x", token.Malformed},
		{"padding", parts[0] + "=." + parts[1] + "." + parts[2], token.Malformed},
		{"line feed within", parts[0] + ".\n" + parts[1] + "." + parts[2], token.Malformed},
		{"carriage return at the end", holds + "\r", token.Malformed},
		{"standard base64", strings.Join([]string{base64.StdEncoding.EncodeToString([]byte(es.header() + "??>")), parts[1], parts[2]}, "."), token.Malformed},
		{"other spelling of the same signature", malleable, token.Malformed},
		{"signature of zeroes", zero, token.BadSignature},
		{"signature of the group's order", orders, token.BadSignature},
		{"signature in DER", parts[0] + "." + parts[1] + "." + b64(asn1), token.BadSignature},
		{"header is a list", es.raw(`[]`, good), token.Malformed},
		{"header is null", es.raw(`null`, good), token.Malformed},
		{"header has something behind it", es.raw(es.header()+"{}", good), token.Malformed},
		{"header is not UTF-8", es.raw("{\"alg\":\"ES256\",\"kid\":\"\xff\"}", good), token.Malformed},
		{"header has a comment", es.raw(`{"alg":"ES256"/**/}`, good), token.Malformed},
		{"oversized", es.raw(es.header(), claims(start, object{"x": strings.Repeat("x", token.MaxToken)})), token.Oversized},
		{"8 KiB of dots", strings.Repeat(".", token.MaxToken), token.Malformed},
		{"deep", payload(strings.Repeat(`{"a":`, 1000) + "1" + strings.Repeat("}", 1000)), token.BadClaims},

		{"payload changed", parts[0] + "." + b64([]byte(claims(start, object{"azp": "shop", "sub": "admin"}))) + "." + parts[2], token.BadSignature},
		{"payload is null", payload("null"), token.Malformed},
		{"payload is a list", payload("[]"), token.Malformed},
		{"payload has something behind it", payload(good + good), token.Malformed},
		{"azp twice", payload(good[:len(good)-1] + `,"azp":"shop"}`), token.Malformed},
		{"exp twice", payload(good[:len(good)-1] + `,"exp":9999999999}`), token.Malformed},
		{"EXP beside exp", payload(good[:len(good)-1] + `,"EXP":1}`), token.Malformed},
		{"twice within a claim", payload(good[:len(good)-1] + `,"act":{"sub":"a","sub":"b"}}`), token.Malformed},
		{"no iss", es.token(start, object{"iss": nil}), token.BadClaims},
		{"iss is a list", es.token(start, object{"iss": []string{issuerURL}}), token.BadClaims},
		{"iss with a slash", es.token(start, object{"iss": issuerURL + "/"}), token.WrongIssuer},
		{"iss in another case", es.token(start, object{"iss": "https://LOGIN.example"}), token.WrongIssuer},
		{"iss of another", es.token(start, object{"iss": "https://mallory.example"}), token.WrongIssuer},
		{"no aud", es.token(start, object{"aud": nil}), token.BadClaims},
		{"aud of another", es.token(start, object{"aud": "https://other.example"}), token.WrongAudience},
		{"aud of others", es.token(start, object{"aud": []string{"a", "b"}}), token.WrongAudience},
		{"aud begins with ours", es.token(start, object{"aud": audience + "/x"}), token.WrongAudience},
		{"aud empty", es.token(start, object{"aud": []string{}}), token.WrongAudience},
		{"aud with a number", es.token(start, object{"aud": []any{audience, 1}}), token.BadClaims},
		{"aud is an object", es.token(start, object{"aud": object{audience: true}}), token.BadClaims},
		{"no exp", es.token(start, object{"exp": nil}), token.BadClaims},
		{"exp is a text", es.token(start, object{"exp": "9999999999"}), token.BadClaims},
		{"exp is null", payload(strings.Replace(good, `"exp":`, `"exp":null,"x":`, 1)), token.BadClaims},
		{"exp without end", payload(strings.Replace(good, `"exp":`, `"exp":1e400,"x":`, 1)), token.BadClaims},
		{"exp past every calendar", payload(strings.Replace(good, `"exp":`, `"exp":1e18,"x":`, 1)), token.BadClaims},
		{"exp negative", es.token(start, object{"exp": -1}), token.BadClaims},
		{"expired", es.token(start, object{"exp": start.Add(-30 * time.Second).Unix()}), token.Expired},
		{"exp 0", es.token(start, object{"exp": 0}), token.Expired},
		{"not yet", es.token(start, object{"nbf": start.Add(31 * time.Second).Unix()}), token.NotYet},
		{"nbf is a text", es.token(start, object{"nbf": "0"}), token.BadClaims},
		{"issued later", es.token(start, object{"iat": start.Add(31 * time.Second).Unix()}), token.NotYet},
		{"iat is true", es.token(start, object{"iat": true}), token.BadClaims},
		{"bound to a key", es.token(start, object{"cnf": object{"jkt": "x"}}), token.BadClaims},
		{"of no consumer", es.token(start, object{"azp": "else"}), token.NoConsumer},
		{"claim is a list with the value", es.token(start, object{"azp": []string{"shop"}}), token.NoConsumer},
		{"claim is not there", es.token(start, object{"azp": nil}), token.NoConsumer},
		{"claim in another case", es.token(start, object{"azp": "Shop"}), token.NoConsumer},
		{"claim's name in another case", es.token(start, object{"azp": nil, "AZP": "shop"}), token.NoConsumer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			refused(t, v, tt.token, tt.want)
			refused(t, v, tt.token, tt.want) // nor is it remembered as one that holds
		})
	}
	if n := token.Cached(v); n != 0 {
		t.Errorf("%d verdicts are remembered", n)
	}
}

func TestTaken(t *testing.T) {
	v := all(t)
	es := keys()[token.ES256]
	for _, alg := range token.Algorithms() {
		t.Run(alg, func(t *testing.T) {
			got := taken(t, v, keys()[alg].token(start, nil), "shop")
			if got.Issuer != "login" || !got.Expires.Equal(start.Add(time.Hour)) || got.Principal.Sector != "shops" || !got.Principal.Scopes.HasAll([]string{"profile.read", "orders.read"}) {
				t.Errorf("verdict %+v", got)
			}
		})
	}
	tests := []struct {
		name   string
		header string
		claims object
	}{
		{"no typ", `{"alg":"ES256","kid":"key-ES256"}`, nil},
		{"typ of an access token", `{"alg":"ES256","kid":"key-ES256","typ":"at+jwt"}`, nil},
		{"typ in full", `{"alg":"ES256","kid":"key-ES256","typ":"application/AT+JWT"}`, nil},
		{"thumbprint and what nobody knows", `{"alg":"ES256","kid":"key-ES256","x5t":"x","org":{"a":[1]}}`, nil},
		{"one of several in aud", es.header(), object{"aud": []string{"other", audience}}},
		{"a second left, with the skew", es.header(), object{"exp": start.Add(-29 * time.Second).Unix()}},
		{"nbf within the skew", es.header(), object{"nbf": start.Add(30 * time.Second).Unix()}},
		{"iat within the skew", es.header(), object{"iat": start.Add(30 * time.Second).Unix()}},
		{"parts of seconds", es.header(), object{"exp": float64(start.Unix()) + 0.5}},
		{"no iat", es.header(), object{"iat": nil}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { taken(t, v, es.raw(tt.header, claims(start, tt.claims)), "shop") })
	}
}

// Only what an issuer is narrowed to is taken, and each issuer's keys are its own.
func TestIssuersAreApart(t *testing.T) {
	es, rs := keys()[token.ES256], keys()[token.RS256]
	mallory := newPair(es.kid, token.ES256)
	evil := newSite(mallory.jwk())
	good := newSite(es.jwk(), rs.jwk())
	c := config(good, at(start))
	c.Issuers[0].Algorithms = []string{token.ES256}
	c.Issuers = append(c.Issuers, token.Issuer{Name: "evil", URL: "https://evil.example", JWKS: jwksURL, Audience: []string{audience}, Fetch: evil.fetch})
	c.Consumers = append(c.Consumers, token.Consumer{Principal: broker.Principal{ID: "guest"}, Issuer: "evil", Claims: map[string]string{"azp": "guest"}})
	v := open(t, c, nil)
	taken(t, v, es.token(start, nil), "shop")
	taken(t, v, mallory.token(start, object{"iss": "https://evil.example", "azp": "guest"}), "guest")
	refused(t, v, rs.token(start, nil), token.WrongAlgorithm)
	refused(t, v, mallory.token(start, nil), token.BadSignature)
	refused(t, v, mallory.token(start, object{"iss": "https://evil.example"}), token.NoConsumer)
	refused(t, v, es.token(start, object{"iss": "https://evil.example", "azp": "guest"}), token.BadSignature)
}

func TestClosedByDefault(t *testing.T) {
	text := keys()[token.ES256].token(start, nil)
	var none *token.Verifier
	refused(t, none, text, token.Malformed)
	refused(t, new(token.Verifier), text, token.Malformed)
	refused(t, open(t, token.Config{}, nil), text, token.Malformed)
	none.Close()
	new(token.Verifier).Close()
}

func TestKeysThatAreNotUsed(t *testing.T) {
	rs, es := keys()[token.RS256], keys()[token.ES256]
	change := func(p pair, changes object) map[string]any {
		m := p.jwk()
		for k, v := range changes {
			if m[k] = v; v == nil {
				delete(m, k)
			}
		}
		return m
	}
	t.Setenv("GODEBUG", "rsa1024min=0")
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384Bytes, _ := p384.PublicKey.Bytes()
	tests := []struct {
		name string
		key  map[string]any
		want string
	}{
		{"1024 bits", change(pair{"k", token.RS256, small}, nil), "2048 to 8192 bits"},
		{"too many bits", change(rs, object{"n": b64([]byte("\x01" + strings.Repeat("\xff", 1024)))}), "is not used"},
		{"even exponent", change(rs, object{"e": b64([]byte{2})}), "not"},
		{"exponent 1", change(rs, object{"e": b64([]byte{1})}), "not"},
		{"symmetric", object{"kty": "oct", "k": b64([]byte("secret")), "kid": "k", "alg": "HS256"}, "not a public key"},
		{"private half", change(es, object{"d": b64([]byte{1})}), "private half"},
		{"private half null", object{"kty": "OKP", "crv": "Ed25519", "x": b64(make([]byte, 32)), "d": nil}, "private half"},
		{"for encryption", change(rs, object{"use": "enc"}), "not for signatures"},
		{"operations without verify", change(rs, object{"key_ops": []string{"encrypt"}}), "not for signatures"},
		{"for another algorithm", change(rs, object{"alg": "RS512"}), "RS512"},
		{"for OAEP", change(rs, object{"alg": "RSA-OAEP"}), "RSA-OAEP"},
		{"alg of another sort", change(es, object{"alg": "RS256"}), "RS256"},
		{"P-384", object{"kty": "EC", "crv": "P-384", "x": b64(p384Bytes[1:49]), "y": b64(p384Bytes[49:]), "kid": "k"}, "no algorithm"},
		{"not on the curve", change(es, object{"x": b64(make([]byte, 32))}), "not a public key"},
		{"Ed25519, too short", object{"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}, "not a public key"},
		{"X25519", object{"kty": "OKP", "crv": "X25519", "x": b64(make([]byte, 32))}, "not a public key"},
		{"kid is a number", change(es, object{"kid": 1}), "RFC 7517"},
		{"unknown sort", object{"kty": "PQ", "kid": "k"}, "not a public key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			used, passed, err := token.KeyUses(set(tt.key, keys()[token.EdDSA].jwk()))
			if err != nil || len(used) != 1 || used[0] != "key-EdDSA EdDSA" || len(passed) != 1 || !strings.Contains(passed[0], tt.want) {
				t.Errorf("used %q, passed over %q, error %v; want words %q", used, passed, err, tt.want)
			}
		})
	}
	// A modulus as the broken generator makes it: a power of 65537 modulo many small primes.
	product := big.NewInt(2)
	for p := int64(3); p <= 701; p += 2 {
		if prime := big.NewInt(p); prime.ProbablyPrime(0) {
			product.Mul(product, prime)
		}
	}
	weak := new(big.Int).Exp(big.NewInt(65537), big.NewInt(123456789), product)
	weak.Add(weak, product.Mul(product, new(big.Int).Lsh(big.NewInt(12345), 1100)))
	if _, passed, _ := token.KeyUses(set(change(rs, object{"n": b64(weak.Bytes())}))); len(passed) != 1 || !strings.Contains(passed[0], "weak RSA key") {
		t.Errorf("a key of the broken generator: passed over %q", passed)
	}
	if used, _, _ := token.KeyUses(set(change(rs, object{"alg": nil}))); len(used) != 2 {
		t.Errorf("an RSA key that does not say its algorithm is for %q", used)
	}
	if used, passed, _ := token.KeyUses(set(es.jwk(), newPair(es.kid, token.ES256).jwk())); len(used) != 0 || len(passed) != 1 {
		t.Errorf("of two keys with one kid %q is used, %q passed over", used, passed)
	}
	if used, passed, _ := token.KeyUses(set(es.jwk(), es.jwk())); len(used) != 1 || len(passed) != 0 {
		t.Errorf("of one key that is there twice %q is used, %q passed over", used, passed)
	}
	for _, text := range []string{"", "null", "[]", `{"keys":null}`, `{"keys":{}}`, `{"kyes":[]}`, `{"keys":[],"keys":[]}`, `{"keys":[{"kid":"a","kid":"b"}]}`, "<html>", `{"keys":[]}x`, `{"keys":[` + strings.Repeat("{},", 100) + "{}]}"} {
		if _, _, err := token.KeyUses([]byte(text)); err == nil {
			t.Errorf("%.40q is taken for a set of keys", text)
		}
	}
}
