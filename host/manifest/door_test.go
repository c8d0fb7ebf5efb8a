package manifest_test

import (
	"net/netip"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pointsman/host/manifest"
)

func TestDoor(t *testing.T) {
	set := loadValid(t)
	ignore := cmpopts.IgnoreTypes(manifest.Pos{})
	issuers := []*manifest.Issuer{
		{
			Name: "acme-login", URL: "https://login.acme.example/tenants/shop/", Audience: []string{"https://api.acme.example"},
			Algorithms: []string{"ES256", "RS256"}, Skew: 30 * time.Second,
			Scopes:  &manifest.TokenScopes{Claim: "scope", Map: map[string]string{"profile:read": "profile.read"}},
			Private: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, TLS: &manifest.TLS{CA: "ca/acme.pem"},
		},
		{
			Name: "partners", URL: "https://id.partners.example", JWKS: "https://keys.partners.example/v1/jwks.json",
			Audience: []string{"pointsman"}, Skew: time.Minute, Scopes: &manifest.TokenScopes{Claim: "https://partners.example/may"},
		},
	}
	if diff := cmp.Diff(issuers, set.Issuers, ignore, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("issuers (-want +got):\n%s", diff)
	}
	till := set.Consumers[3]
	if !till.APIKey {
		t.Error("the till has no API key")
	}
	if diff := cmp.Diff(&manifest.ConsumerJWT{Issuer: "acme-login", Claims: map[string]string{"azp": "till-7", "tenant": "shop"}}, till.JWT); diff != "" {
		t.Errorf("jwt (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&manifest.ConsumerMTLS{CA: "ca/tills.pem", Name: "till-7.acme.example"}, till.MTLS); diff != "" {
		t.Errorf("mtls (-want +got):\n%s", diff)
	}
	if partner := set.Consumers[1]; partner.APIKey || partner.MTLS != nil || partner.JWT == nil {
		t.Errorf("partner %+v", partner)
	}
	want := &manifest.GatewayCertificate{CA: "ca/gateway.pem", Names: []string{"gateway.acme.example", "spiffe://acme.example/gateway"}}
	if diff := cmp.Diff(want, set.Gateway.MTLS); diff != "" || set.Gateway.Signed != nil || set.Gateway.Static != nil {
		t.Errorf("gateway (-want +got):\n%s", diff)
	}
}

func TestGatewayWays(t *testing.T) {
	tests := []struct{ name, spec, code, canonical string }{
		{"signed", "{signed: {secret: gateway-key}}", "", `{"signed":{"secret":"gateway-key","skew":"30s"}}`},
		{"static", "{static: {secret: gateway-token}}", "", `{"static":{"secret":"gateway-token"}}`},
		{"certificate", "{mtls: {ca: ca.pem, names: [b.example, a.example]}}", "", `{"mtls":{"ca":"ca.pem","names":["a.example","b.example"]}}`},
		{"nothing", "{}", "PM2002", ""},
		{"two", "{static: {secret: a}, signed: {secret: a}}", "PM2025", ""},
		{"no names", "{mtls: {ca: ca.pem, names: []}}", "PM2023", ""},
		{"no roots", "{mtls: {names: [a.example]}}", "PM2002", ""},
		{"wildcard", "{mtls: {ca: ca.pem, names: ['*.example']}}", "PM2014", ""},
		{"no secret", "{signed: {}}", "PM2002", ""},
		{"skew of an hour", "{signed: {secret: a, skew: 1h}}", "PM2024", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := head + "kind: Gateway\nspec: " + tt.spec + "\n"
			check(t, text, tt.code)
			if tt.code != "" {
				return
			}
			set, _ := manifest.Load(fstest.MapFS{"a.yaml": &fstest.MapFile{Data: []byte(text)}})
			want := `{"apiVersion":"pointsman/v1","kind":"Gateway","metadata":{"name":"a"},"spec":` + tt.canonical + "}"
			if got := string(set.Documents()[0].JSON); got != want {
				t.Errorf("canonical form\n got %s\nwant %s", got, want)
			}
		})
	}
}
