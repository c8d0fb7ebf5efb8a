package manifest

import (
	"net/netip"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Issuer signs tokens (JWT) for consumers.
type Issuer struct {
	Name       string
	Pos        Pos
	URL        string         // the exact value of iss; discovery is there unless JWKS is written
	JWKS       string         // URL of the keys; empty: discovery names it
	Audience   []string       // one of them must be in aud, sorted; never empty in a Set
	Algorithms []string       // the only ones that it may sign with, sorted; empty: all that there are
	Skew       time.Duration  // tolerance of clocks, at most MaxSkew; DefaultSkew unless written
	Scopes     *TokenScopes   // nil: its tokens do not say what a consumer may do
	Private    []netip.Prefix // private addresses that may be dialled, sorted
	Insecure   bool           // plain HTTP is meant
	TLS        *TLS           // nil: the system's roots
}

// TokenScopes says how tokens name scopes.
type TokenScopes struct {
	Claim string            // a text with spaces between the names, or a list
	Map   map[string]string // name in the token: scope here; empty: names are scopes as they are
}

// DefaultSkew of clocks, and the largest: machines with NTP are within a second, and RFC
// 7519 §4.1.4 has "no more than a few minutes".
const (
	DefaultSkew = 30 * time.Second
	MaxSkew     = 5 * time.Minute
)

// TokenAlgorithms are the algorithms that a token's signature may have.
func TokenAlgorithms() []string { return []string{"RS256", "PS256", "ES256", "EdDSA"} }

func issuerSpec() form[Issuer] {
	scopes := object(TokenScopes{}, nil,
		required(key("claim", claimName(), "the claim with the names, such as scope", func(s *TokenScopes) *string { return &s.Claim })),
		key("map", named(tokenScope, 200, name(scopeName)), "name in the token, and the scope here that it stands for; others then stand for none", func(s *TokenScopes) *map[string]string { return &s.Map }))
	return object(Issuer{Skew: DefaultSkew}, checkIssuer,
		required(key("issuer", issuerURL(), "the exact value of iss, such as https://login.example; its keys are found by discovery there", func(i *Issuer) *string { return &i.URL })),
		key("jwks", keysURL(), "URL of its keys, instead of discovery", func(i *Issuer) *string { return &i.JWKS }),
		required(key("audience", list(1, 20, shown(500), itself), "for whom tokens must be: one of them is in aud", func(i *Issuer) *[]string { return &i.Audience })),
		key("algorithms", list(1, 4, choice(codeWord, TokenAlgorithms()...), itself), "the only algorithms that it may sign with", func(i *Issuer) *[]string { return &i.Algorithms }),
		key("skew", duration(time.Second, MaxSkew), "how far its clock may be from ours; 30s unless written", func(i *Issuer) *time.Duration { return &i.Skew }),
		key("scopes", pointer(scopes), "how its tokens name scopes; a consumer then has those that both it and the token have", func(i *Issuer) **TokenScopes { return &i.Scopes }),
		key("private", list(0, 100, prefix(), netip.Prefix.String), "private addresses that may be dialled", func(i *Issuer) *[]netip.Prefix { return &i.Private }),
		key("insecure", boolean(), "true if plain HTTP is meant", func(i *Issuer) *bool { return &i.Insecure }),
		key("tls", pointer(tlsForm()), "whom to trust, and as whom to appear", func(i *Issuer) **TLS { return &i.TLS }))
}

// checkIssuer checks how the keys are reached: by jwks if it is written, else by discovery.
func checkIssuer(r *reader, n *yaml.Node, at string, i *Issuer) {
	name, to := "issuer", Remote{URL: strings.TrimSuffix(i.URL, "/"), Private: i.Private, Insecure: i.Insecure, TLS: i.TLS}
	if child(n, "jwks") != n {
		name, to.URL = "jwks", i.JWKS
	}
	checkRemote(r, n, at, name, &to)
}

// issuerURL is the URL of an issuer. Unlike a back end's it may end with a slash: it is
// compared with iss as it is.
func issuerURL() form[string] {
	return word("a URL such as https://login.example", schema{"pattern": `^https?://[^\s/?#@]+(?:/[^\s?#]*)?$`}, func(s string) (string, *problem) {
		if _, p := parseOrigin(strings.TrimSuffix(s, "/")); p != nil {
			return "", p
		}
		return s, nil
	}, itself)
}

// keysURL is the URL of a document.
func keysURL() form[string] {
	return word("a URL such as https://login.example/keys", schema{"pattern": `^https?://[^\s/?#@]+(?:/[^\s/?#]+)+$`}, func(s string) (string, *problem) {
		if _, p := parseOrigin(s); p != nil {
			return "", p
		}
		if _, rest, _ := strings.Cut(s, "://"); !strings.Contains(rest, "/") {
			return "", problemf(codeURL, "", "the URL needs a path: where the keys are")
		}
		return s, nil
	}, itself)
}

var (
	// tokenScope is a scope as tokens name it.
	tokenScope = nameRule{pattern: scopeToken, want: "one scope of RFC 6749"}
	// claimText is a claim's name: any text (RFC 7519 §4), here without spaces and quotes.
	claimText = nameRule{pattern: regexp.MustCompile(`^[!#-&(-\[\]-~]{1,200}$`), want: "a claim's name (printable ASCII without spaces, quotes and backslashes, at most 200)"}
)

func claimName() form[string] { return name(claimText) }
