package token_test

import (
	"strings"
	"testing"
	"time"

	"pointsman/host/broker"
	"pointsman/host/token"
)

func who(id broker.PrincipalID, claims map[string]string) token.Consumer {
	return token.Consumer{Principal: broker.Principal{ID: id, Scopes: broker.NewScopes("a", "b", "c")}, Issuer: "login", Claims: claims}
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	s := newSite()
	tests := []struct {
		name   string
		change func(c *token.Config)
		want   string
	}{
		{"same claims", func(c *token.Config) { c.Consumers = append(c.Consumers, who("b", map[string]string{"azp": "shop"})) }, "consumer b is one of consumer shop too"},
		{"more claims", func(c *token.Config) {
			c.Consumers = append(c.Consumers, who("b", map[string]string{"azp": "shop", "sub": "x"}))
		}, "every token of consumer b is one of consumer shop too"},
		{"fewer claims", func(c *token.Config) {
			c.Consumers = append(c.Consumers, who("b", map[string]string{"azp": "x", "sub": "x"}), who("c", map[string]string{"sub": "x"}))
		}, "every token of consumer b is one of consumer c too"},
		{"no claims", func(c *token.Config) { c.Consumers[0].Claims = nil }, "at least one claim"},
		{"unknown issuer", func(c *token.Config) { c.Consumers[0].Issuer = "x" }, `no issuer "x"`},
		{"nobody", func(c *token.Config) { c.Consumers[0].Principal.ID = "" }, "a name"},
		{"issuer twice by name", func(c *token.Config) {
			i := c.Issuers[0]
			i.URL = "https://x.example"
			c.Issuers = append(c.Issuers, i)
		}, "twice"},
		{"issuer twice by URL", func(c *token.Config) { i := c.Issuers[0]; i.Name = "x"; c.Issuers = append(c.Issuers, i) }, "twice"},
		{"no audience", func(c *token.Config) { c.Issuers[0].Audience = nil }, "audience"},
		{"empty audience", func(c *token.Config) { c.Issuers[0].Audience = []string{""} }, "audience"},
		{"no fetch", func(c *token.Config) { c.Issuers[0].Fetch = nil }, "Fetch"},
		{"skew of an hour", func(c *token.Config) { c.Issuers[0].Skew = time.Hour }, "skew"},
		{"negative skew", func(c *token.Config) { c.Issuers[0].Skew = -1 }, "skew"},
		{"HS256", func(c *token.Config) { c.Issuers[0].Algorithms = []string{"HS256"} }, "HS256"},
		{"none", func(c *token.Config) { c.Issuers[0].Algorithms = []string{"none"} }, "none"},
		{"scopes without a claim", func(c *token.Config) { c.Issuers[0].Scopes = &token.ScopeRule{} }, "claim"},
		{"plain HTTP", func(c *token.Config) { c.Issuers[0].JWKS = "http://login.example/keys" }, "https"},
		{"plain HTTP of discovery", func(c *token.Config) { c.Issuers[0].URL, c.Issuers[0].JWKS = "http://login.example", "" }, "https"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := config(s, nil)
			tt.change(&c)
			v, err := token.New(c, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("verifier %v, error %v; want words %q", v, err, tt.want)
			}
		})
	}
	c := config(s, nil)
	c.Issuers[0].JWKS, c.Issuers[0].Insecure = "http://login.example/keys", true
	if _, err := token.New(c, nil); err != nil {
		t.Errorf("plain HTTP that is meant: %v", err)
	}
}

func TestConsumers(t *testing.T) {
	es := keys()[token.ES256]
	c := config(newSite(es.jwk()), at(start))
	c.Consumers = []token.Consumer{
		who("client", map[string]string{"azp": "client"}),
		who("person", map[string]string{"sub": "person"}),
		who("tenant", map[string]string{"azp": "both", "tenant": "x"}),
		who("other", map[string]string{"azp": "both", "tenant": "y"}),
		who("quoted", map[string]string{"https://acme.example/who": "ünïcode \" \\ "}),
		who("shifted", map[string]string{"a": "xy", "b": "z"}),
	}
	v := open(t, c, nil)
	tests := []struct {
		name   string
		claims object
		want   broker.PrincipalID
		reason token.Reason
	}{
		{"by client", object{"azp": "client"}, "client", ""},
		{"by person", object{"azp": "x", "sub": "person"}, "person", ""},
		{"both", object{"azp": "client", "sub": "person"}, "", token.TwoConsumers},
		{"two claims", object{"azp": "both", "tenant": "x"}, "tenant", ""},
		{"two claims of the other", object{"azp": "both", "tenant": "y"}, "other", ""},
		{"one of two claims", object{"azp": "both"}, "", token.NoConsumer},
		{"two claims, one wrong", object{"azp": "both", "tenant": "z"}, "", token.NoConsumer},
		{"claim is a number", object{"azp": "both", "tenant": 1}, "", token.NoConsumer},
		{"any text", object{"azp": nil, "https://acme.example/who": "ünïcode \" \\ "}, "quoted", ""},
		{"one character less", object{"azp": nil, "https://acme.example/who": "ünïcode \" \\"}, "", token.NoConsumer},
		{"two values", object{"azp": nil, "a": "xy", "b": "z"}, "shifted", ""},
		{"two values, shifted", object{"azp": nil, "a": "x", "b": "yz"}, "", token.NoConsumer},
		{"nothing", object{"azp": nil, "sub": nil}, "", token.NoConsumer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := es.token(start, tt.claims)
			if tt.reason != "" {
				refused(t, v, text, tt.reason)
				return
			}
			taken(t, v, text, tt.want)
		})
	}
}

func TestScopes(t *testing.T) {
	es := keys()[token.ES256]
	mapped := &token.ScopeRule{Claim: "scp", Map: map[string]string{"read:a": "a", "read:all": "b", "admin": "z", "c": "c"}}
	plain := &token.ScopeRule{Claim: "scope"}
	tests := []struct {
		name   string
		rule   *token.ScopeRule
		claims object
		want   string
		reason token.Reason
	}{
		{"no rule: what the consumer has", nil, object{"scope": ""}, "a b c", ""},
		{"a text", plain, object{"scope": "c  a x"}, "a c", ""},
		{"a list", plain, object{"scope": []string{"b"}}, "b", ""},
		{"no more than the consumer has", plain, object{"scope": "a admin z"}, "a", ""},
		{"none", plain, nil, "", ""},
		{"empty", plain, object{"scope": ""}, "", ""},
		{"a list with spaces within", plain, object{"scope": []string{"a b"}}, "", ""},
		{"another case", plain, object{"scope": "A"}, "", ""},
		{"a number", plain, object{"scope": 1}, "", token.BadClaims},
		{"a list with a number", plain, object{"scope": []any{"a", 1}}, "", token.BadClaims},
		{"an object", plain, object{"scope": object{"a": true}}, "", token.BadClaims},
		{"mapped", mapped, object{"scp": "read:a read:all admin"}, "a b", ""},
		{"mapped: others stand for none", mapped, object{"scp": []string{"a", "b", "c"}}, "c", ""},
		{"mapped: another claim", mapped, object{"scope": "a"}, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := config(newSite(es.jwk()), at(start))
			c.Issuers[0].Scopes = tt.rule
			c.Consumers = []token.Consumer{who("shop", map[string]string{"azp": "shop"})}
			v := open(t, c, nil)
			text := es.token(start, tt.claims)
			if tt.reason != "" {
				refused(t, v, text, tt.reason)
				return
			}
			for range 2 { // the second from memory
				if got := taken(t, v, text, "shop"); got.Principal.Scopes.String() != tt.want {
					t.Errorf("scopes %q, want %q", got.Principal.Scopes, tt.want)
				}
			}
		})
	}
}
