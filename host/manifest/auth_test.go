package manifest_test

import (
	"encoding/json"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/manifest"
)

func authSample(t *testing.T) (text []byte, set *manifest.Set) {
	t.Helper()
	text, err := os.ReadFile("testdata/auth/valid.yaml")
	if err != nil {
		t.Fatal(err)
	}
	set, faults := manifest.Load(fstest.MapFS{"a.yaml": &fstest.MapFile{Data: text}})
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	var warned []string
	for _, f := range faults {
		if f.Code != "PM3101" { // no plugin is in the file
			warned = append(warned, f.Code)
		}
	}
	if diff := cmp.Diff([]string{"PM2028"}, warned); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	return text, set
}

func TestAuth(t *testing.T) {
	_, set := authSample(t)
	bearer := manifest.Spot{As: manifest.AsBearer}
	want := map[string]*manifest.Auth{
		"a-password": {Secret: "password", Spot: manifest.Spot{As: manifest.AsBasic}, User: "shop"},
		"a-prefix":   {Secret: "token", Spot: manifest.Spot{As: manifest.AsHeader, Name: "Authorization", Prefix: "Token "}},
		"b-path":     {Secret: "bot-token", Spot: manifest.Spot{As: manifest.AsPath, Prefix: "bot"}},
		"c-hmac": {HMAC: &manifest.HMACAuth{
			Secret: "signing-key", Key: manifest.EncodingBase64, Hash: manifest.HashSHA512, Join: "|",
			Over:      []string{"method", "host", "path", "query", "timestamp", "nonce", "keyId", "digest"},
			Signature: manifest.HMACField{Name: "X-Signature", Prefix: "v1=", Encoding: manifest.EncodingBase64},
			Digest:    manifest.HMACField{Name: "X-Content-Digest"},
			Timestamp: manifest.Timestamp{Name: "X-Timestamp", Format: manifest.TimeMillis},
			Nonce:     "X-Nonce", KeyID: manifest.KeyID{Name: "X-Key-Id", Value: "shop-1"},
		}},
		"d-sigv4": {SigV4: &manifest.SigV4Auth{Secret: "aws", Region: "eu-central-1", Service: "execute-api"}},
		"e-client-credentials": {OAuth2: &manifest.OAuth2Auth{
			Token: manifest.Remote{Path: "/services/oauth2/token"}, Grant: manifest.GrantClient, Client: manifest.OAuth2Client{ID: "shop", Secret: "crm-client"},
			Scopes: []string{"api", "read"}, Audience: "https://crm.example/api", Lifetime: 30 * time.Minute, Spot: bearer,
		}},
		"e-jwt-bearer": {OAuth2: &manifest.OAuth2Auth{
			Token: manifest.Remote{URL: "https://login.example/oauth2/token"}, Grant: manifest.GrantJWTBearer, Client: manifest.OAuth2Client{ID: "shop"},
			Assertion: &manifest.Assertion{Key: manifest.SigningKey{Secret: "crm-key", Alg: "RS256", ID: "2026"}, Subject: "api@shop.example", Audience: "https://login.example"}, Spot: bearer,
		}},
		"e-mtls": {OAuth2: &manifest.OAuth2Auth{
			Token: manifest.Remote{URL: "https://login.example/oauth2/token", TLS: &manifest.TLS{ClientCertificate: &manifest.ClientCertificate{Secret: "crm-certificate"}}},
			Grant: manifest.GrantClient, Client: manifest.OAuth2Client{ID: "shop"}, Spot: bearer,
		}},
		"e-private-key-jwt": {OAuth2: &manifest.OAuth2Auth{
			Token: manifest.Remote{URL: "https://10.1.2.3:8443/token", Private: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/32")}, TLS: &manifest.TLS{CA: "ca.pem"}},
			Grant: manifest.GrantClient, Client: manifest.OAuth2Client{ID: "shop", Key: &manifest.SigningKey{Secret: "crm-key", Alg: "ES256"}, Audience: "https://login.example"},
			Resource: "https://crm.example", Spot: manifest.Spot{As: manifest.AsHeader, Name: "X-Token"},
		}},
		"e-refresh": {OAuth2: &manifest.OAuth2Auth{
			Token: manifest.Remote{URL: "http://login.example/token", Insecure: true}, Grant: manifest.GrantRefresh, Refresh: "crm-refresh",
			Client: manifest.OAuth2Client{ID: "shop", Secret: "crm-client", Send: manifest.ClientPost}, Spot: bearer,
		}},
		"f-login": {Login: &manifest.LoginAuth{
			At: manifest.Remote{Path: "/session"}, Send: manifest.LoginForm, Token: "/session/id", Lifetime: 20 * time.Minute,
			Fields: map[string]manifest.LoginField{"user": {Text: "shop"}, "password": {Secret: "till-password"}}, Spot: manifest.Spot{As: manifest.AsCookie, Name: "SID"},
		}},
	}
	got := map[string]*manifest.Auth{}
	for _, b := range set.Backends {
		got[b.Name] = b.HTTP.Auth
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("auth (-want +got):\n%s", diff)
	}
}

// The canonical form says the same as what was written, and so does the schema.
func TestAuthCanonicalAndSchema(t *testing.T) {
	text, set := authSample(t)
	again, faults := manifest.Load(canonicalFiles(set))
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	if set.Digest() != again.Digest() {
		t.Errorf("the canonical form reads to another set:\n%s\n%s", set.Documents(), again.Documents())
	}
	all := compile(t, "pointsman")
	for _, doc := range asJSON(t, text) {
		if err := all.Validate(doc); err != nil {
			t.Errorf("as written: %v", err)
		}
	}
	for _, d := range set.Documents() {
		doc := asJSON(t, d.JSON)[0]
		if err := all.Validate(doc); err != nil {
			t.Errorf("canonical %s: %v", d.Name, err)
		}
		closed(doc, d.Kind, func(at string, add func()) {
			if strings.HasSuffix(at, ".fields") {
				return // whose keys are the document's own
			}
			add()
			text, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			if all.Validate(doc) == nil {
				t.Errorf("schema takes an unknown key in %s of %s", at, d.Name)
			}
			if !slices.ContainsFunc(faultsOf(string(text)), func(f manifest.Fault) bool { return f.Code == "PM2001" }) {
				t.Errorf("decoder takes an unknown key in %s of %s", at, d.Name)
			}
		})
	}
}

// No fault repeats what may be a secret in the wrong place.
func TestAuthFaultsRepeatNoSecret(t *testing.T) {
	for _, auth := range []string{
		"{secret: 'hunter2 x', as: bearer}", "{hmac: {secret: 'hunter2 x', over: [path], signature: {header: X}}}",
		"{sigv4: {secret: 'hunter2:x', region: a, service: b}}",
		"{oauth2: {token: 'https://u:hunter2@a.example/t', grant: client_credentials, client: {id: a, secret: 'hunter2 x'}}}",
		"{oauth2: {token: 'https://a.example/t?key=hunter2', grant: refresh_token, refreshToken: 'hunter2 x', client: {id: a, privateKeyJWT: {secret: 'hunter2 x', alg: ES256}}}}",
		"{login: {url: /a, fields: {p: {secret: 'hunter2 x'}}, token: /a, as: bearer}}",
	} {
		faults := faultsOf(head + "kind: Backend\nspec: {http: {url: 'https://a.example', auth: " + auth + "}}\n")
		if len(faults) == 0 {
			t.Errorf("%s is taken", auth)
		}
		for _, f := range faults {
			if strings.Contains(f.Error(), "hunter2") {
				t.Errorf("a fault repeats a secret: %s", f)
			}
		}
	}
}
