package credential_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"pointsman/host/credential"
)

const (
	clientSecret = "canary-client-secret-0123456789"
	token1       = "canary-token-1-0123456789abcdef"
	token2       = "canary-token-2-0123456789abcdef"
)

// shop is the plainest OAuth2: client credentials in the form.
func shop() credential.OAuth2 {
	return credential.OAuth2{
		Grant: "client_credentials", TokenURL: "https://login.example/token", Spot: credential.Spot{As: "bearer"},
		Client: credential.Client{ID: "shop", Secret: "client", Post: true},
	}
}

func newSession(t *testing.T, c credential.OAuth2, p credential.Parts) *credential.Session {
	t.Helper()
	s, err := credential.NewOAuth2(c, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// tokens answers with token after token, each good for an hour.
func tokens(tokens ...string) http.HandlerFunc {
	n := 0
	return func(w http.ResponseWriter, r *http.Request) {
		text := tokens[min(n, len(tokens)-1)]
		n++
		answer(200, `{"access_token":"`+text+`","token_type":"Bearer","expires_in":3600}`)(w, r)
	}
}

func TestOAuth2Refuses(t *testing.T) {
	key := &credential.Key{Secret: "rsa", Alg: "RS256"}
	tests := []struct {
		name string
		edit func(*credential.OAuth2)
	}{
		{"grant", func(c *credential.OAuth2) { c.Grant = "password" }},
		{"nowhere", func(c *credential.OAuth2) { c.Spot = credential.Spot{} }},
		{"as a password", func(c *credential.OAuth2) { c.Spot.As = "basic" }},
		{"no refresh token", func(c *credential.OAuth2) { c.Grant = "refresh_token" }},
		{"a refresh token for another grant", func(c *credential.OAuth2) { c.Refresh = "client" }},
		{"no assertion", func(c *credential.OAuth2) { c.Grant = "jwt_bearer" }},
		{"an assertion for another grant", func(c *credential.OAuth2) { c.Assertion = &credential.Assertion{Key: *key, Issuer: "i"} }},
		{"secret and key", func(c *credential.OAuth2) { c.Client.Key = key }},
		{"no client", func(c *credential.OAuth2) { c.Client = credential.Client{} }},
		{"no issuer", func(c *credential.OAuth2) {
			c.Grant, c.Client, c.Assertion = "jwt_bearer", credential.Client{}, &credential.Assertion{Key: *key}
		}},
		{"negative lifetime", func(c *credential.OAuth2) { c.Lifetime = -1 }},
		{"no such secret", func(c *credential.OAuth2) { c.Client.Secret = "absent" }},
		{"a key that is none", func(c *credential.OAuth2) {
			c.Client = credential.Client{ID: "a", Key: &credential.Key{Secret: "client", Alg: "RS256"}}
		}},
		{"a key of another sort", func(c *credential.OAuth2) {
			c.Client = credential.Client{ID: "a", Key: &credential.Key{Secret: "rsa", Alg: "ES256"}}
		}},
		{"a key for no algorithm", func(c *credential.OAuth2) {
			c.Client = credential.Client{ID: "a", Key: &credential.Key{Secret: "rsa", Alg: "none"}}
		}},
		{"a short key", func(c *credential.OAuth2) {
			c.Client = credential.Client{ID: "a", Key: &credential.Key{Secret: "short", Alg: "RS256"}}
		}},
		{"two keys", func(c *credential.OAuth2) {
			c.Client = credential.Client{ID: "a", Key: &credential.Key{Secret: "two", Alg: "RS256"}}
		}},
		{"another curve", func(c *credential.OAuth2) {
			c.Client = credential.Client{ID: "a", Key: &credential.Key{Secret: "p384", Alg: "ES256"}}
		}},
	}
	keys := testKeys(t)
	v := newVault("client", clientSecret, "rsa", keys["RS256"].pem, "two", keys["RS256"].pem+keys["ES256"].pem, "short", shortKey(t), "p384", p384(t))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := shop()
			tt.edit(&c)
			_, err := credential.NewOAuth2(c, credential.Parts{Secret: v.open})
			if err == nil || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "BEGIN") {
				t.Errorf("error %v, want one without a secret", err)
			}
		})
	}
}

// TestOAuth2Forms looks at what goes over the wire for each grant and each way for a client
// to prove itself.
func TestOAuth2Forms(t *testing.T) {
	keys := testKeys(t)
	const refresh = "canary-refresh-0123456789"
	secrets := []string{"client", clientSecret, "refresh", refresh, "rsa", keys["RS256"].pem, "pss", keys["PS256"].pem, "ec", keys["ES256"].pem, "ed", keys["EdDSA"].pem}
	tests := []struct {
		name string
		edit func(*credential.OAuth2)
		want url.Values // "assertion" and "client_assertion" hold the claims
		alg  string
	}{
		{"secret in the form", func(c *credential.OAuth2) {
			c.Scopes, c.Audience, c.Resource = []string{"a", "b"}, "api", "https://api.example"
		}, url.Values{
			"grant_type": {"client_credentials"}, "client_id": {"shop"}, "client_secret": {clientSecret}, "scope": {"a b"}, "audience": {"api"}, "resource": {"https://api.example"}}, ""},
		{"secret beside the form", func(c *credential.OAuth2) { c.Client.Post = false }, url.Values{"grant_type": {"client_credentials"}}, ""},
		{"certificate", func(c *credential.OAuth2) { c.Client = credential.Client{ID: "shop"} }, url.Values{"grant_type": {"client_credentials"}, "client_id": {"shop"}}, ""},
		{"refresh token", func(c *credential.OAuth2) { c.Grant, c.Refresh = "refresh_token", "refresh" }, url.Values{
			"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_id": {"shop"}, "client_secret": {clientSecret}}, ""},
		{"private_key_jwt", func(c *credential.OAuth2) {
			c.Client = credential.Client{ID: "shop", Key: &credential.Key{Secret: "ec", Alg: "ES256", ID: "16"}}
		}, url.Values{"grant_type": {"client_credentials"}, "client_id": {"shop"}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
			"client_assertion": {"ES256 16 shop shop https://login.example/token"}}, "ES256"},
		{"private_key_jwt for another audience", func(c *credential.OAuth2) {
			c.Client = credential.Client{ID: "shop", Key: &credential.Key{Secret: "ed", Alg: "EdDSA"}, Audience: "https://login.example"}
		}, url.Values{"grant_type": {"client_credentials"}, "client_id": {"shop"}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
			"client_assertion": {"EdDSA  shop shop https://login.example"}}, "EdDSA"},
		{"jwt_bearer", func(c *credential.OAuth2) {
			c.Grant, c.Client = "jwt_bearer", credential.Client{ID: "shop"}
			c.Assertion = &credential.Assertion{Key: credential.Key{Secret: "rsa", Alg: "RS256"}, Subject: "api@shop.example", Audience: "https://login.example"}
		}, url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "client_id": {"shop"},
			"assertion": {"RS256  shop api@shop.example https://login.example"}}, "RS256"},
		{"jwt_bearer without a client", func(c *credential.OAuth2) {
			c.Grant, c.Client = "jwt_bearer", credential.Client{}
			c.Assertion = &credential.Assertion{Key: credential.Key{Secret: "pss", Alg: "PS256"}, Issuer: "robot"}
		}, url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {"PS256  robot robot https://login.example/token"}}, "PS256"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil, tokens(token1), secrets...)
			c := shop()
			tt.edit(&c)
			s := newSession(t, c, w.parts)
			req, forms := place(t, s, request(t, "GET", "/x", ""), "")
			if got := req.Header.Get("Authorization"); got != "Bearer "+token1 {
				t.Errorf("placed %s", got)
			}
			got := w.form(0)
			sent := []string{token1, got.Get("client_secret"), got.Get("refresh_token"), got.Get("assertion"), got.Get("client_assertion")}
			if c.Client.Secret != "" {
				sent = append(sent, clientSecret)
			}
			for _, text := range sent {
				if text != "" && !has(forms, text) {
					t.Errorf("%.20q… was sent, and is not looked for in answers", text)
				}
			}
			for _, name := range []string{"assertion", "client_assertion"} {
				if text := got.Get(name); text != "" {
					got.Set(name, verify(t, text, keys[tt.alg].public, w.clock.Now()))
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("form (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOAuth2SendsWhatXOAuth2Sends compares requests byte for byte with those of
// golang.org/x/oauth2, for values that need encoding.
func TestOAuth2SendsWhatXOAuth2Sends(t *testing.T) {
	const id, secret = "a:b c/ü%", "p&q=r s+t:ü%"
	record := func(into *string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			*into = r.Method + " " + r.URL.Path + " " + r.Header.Get("Content-Type") + " " + r.Header.Get("Authorization") + " " + string(body)
			tokens(token1)(w, r)
		}
	}
	for _, post := range []bool{false, true} {
		var theirs, ours string
		server := httptest.NewServer(record(&theirs))
		style := oauth2.AuthStyleInHeader
		if post {
			style = oauth2.AuthStyleInParams
		}
		conf := clientcredentials.Config{ClientID: id, ClientSecret: secret, TokenURL: server.URL + "/token", Scopes: []string{"x:y", "z"}, AuthStyle: style, EndpointParams: url.Values{"audience": {"https://a/?b=c d"}}}
		if _, err := conf.Token(context.WithValue(t.Context(), oauth2.HTTPClient, server.Client())); err != nil {
			t.Fatal(err)
		}
		server.Close()

		w := newWorld(t, nil, record(&ours), "client", secret)
		if !post {
			basic, err := credential.NewStatic(credential.Static{Secret: "client", User: id, Form: true, Spot: credential.Spot{As: "basic"}}, credential.Parts{Secret: newVault("client", secret).open})
			if err != nil {
				t.Fatal(err)
			}
			w.endpoint = backend(t, w.server.URL, basic, 3*time.Second)
		}
		c := shop()
		c.Client.ID, c.Client.Post, c.Scopes, c.Audience = id, post, []string{"x:y", "z"}, "https://a/?b=c d"
		bearerOf(t, newSession(t, c, w.parts))
		if ours != theirs {
			t.Errorf("in the form %v:\nours   %s\ntheirs %s", post, ours, theirs)
		}
	}
}

// verify checks a JWT without the library that made it, and returns "alg kid iss sub aud".
func verify(t *testing.T, text string, public crypto.PublicKey, now time.Time) string {
	t.Helper()
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %d parts", len(parts))
	}
	var raw [3][]byte
	for i, p := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.DecodeString(p); err != nil {
			t.Fatal(err)
		}
	}
	var head struct{ Alg, Kid, Typ string }
	var claims struct {
		Iss, Sub, Aud, Jti string
		Exp, Iat           int64
	}
	if json.Unmarshal(raw[0], &head) != nil || json.Unmarshal(raw[1], &claims) != nil {
		t.Fatalf("header %s, claims %s", raw[0], raw[1])
	}
	signed := []byte(parts[0] + "." + parts[1])
	sum := sha256.Sum256(signed)
	good := false
	switch key := public.(type) {
	case *rsa.PublicKey:
		if head.Alg == "PS256" {
			good = rsa.VerifyPSS(key, crypto.SHA256, sum[:], raw[2], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		} else {
			good = rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], raw[2]) == nil
		}
	case *ecdsa.PublicKey:
		good = len(raw[2]) == 64 && ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(raw[2][:32]), new(big.Int).SetBytes(raw[2][32:]))
	case ed25519.PublicKey:
		good = ed25519.Verify(key, signed, raw[2])
	}
	if !good {
		t.Errorf("the signature does not verify with %T", public)
	}
	if life := claims.Exp - claims.Iat; claims.Iat != now.Unix() || life <= 0 || life > 180 || len(claims.Jti) != 32 || head.Typ != "JWT" {
		t.Errorf("claims %+v, header %+v", claims, head)
	}
	return fmt.Sprintf("%s %s %s %s %s", head.Alg, head.Kid, claims.Iss, claims.Sub, claims.Aud)
}

type testKey struct {
	pem    string
	public crypto.PublicKey
}

func testKeys(t *testing.T) map[string]testKey {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(e)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]testKey{
		"RS256": {encodePEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r)), &r.PublicKey},
		"PS256": {pkcs8(t, r), &r.PublicKey},
		"ES256": {encodePEM("EC PRIVATE KEY", sec1), &e.PublicKey},
		"EdDSA": {pkcs8(t, ed), public},
	}
}

func pkcs8(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return encodePEM("PRIVATE KEY", der)
}

func encodePEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func p384(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pkcs8(t, key)
}

// shortKey is an RSA key of 1024 bits.
func shortKey(t *testing.T) string {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	return pkcs8(t, key)
}

// A client's secret goes into its Basic pair form-encoded, whose base64 is not the secret's:
// both are looked for.
func TestOAuth2LooksForTheEncodedSecret(t *testing.T) {
	const secret = "p&q=r s+t:0123456789"
	for _, post := range []bool{false, true} {
		c := shop()
		c.Client.Post = post
		w := newWorld(t, nil, tokens(token1), "client", secret)
		_, forms := place(t, newSession(t, c, w.parts), request(t, "GET", "/x", ""), "")
		if !has(forms, secret) || has(forms, url.QueryEscape(secret)) == post {
			t.Errorf("post %v: forms %q, want the secret, and as it stands in the pair if it is sent so", post, forms)
		}
	}
}
