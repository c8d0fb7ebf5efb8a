package manifest

import (
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

var sessionPlaces = []string{AsBearer, AsHeader, AsQuery, AsPath, AsCookie}

func oauth2Auth() form[OAuth2Auth] {
	client := object(OAuth2Client{}, checkClient,
		key("id", shown(200), "the client's id, which is no secret", func(c *OAuth2Client) *string { return &c.ID }),
		key("secret", secretName(), "name of the secret with the client's secret", func(c *OAuth2Client) *string { return &c.Secret }),
		key("send", choice(codeWord, ClientBasic, ClientPost), "how the secret is sent: basic, unless written, or post, in the form", func(c *OAuth2Client) *string { return &c.Send }),
		key("privateKeyJWT", pointer(signingKey()), "a key that signs what proves the client", func(c *OAuth2Client) **SigningKey { return &c.Key }),
		key("audience", shown(500), "for whom that is meant; the token endpoint's URL unless written", func(c *OAuth2Client) *string { return &c.Audience }))
	assertion := object(Assertion{}, nil,
		required(key("key", signingKey(), "the key that signs it", func(a *Assertion) *SigningKey { return &a.Key })),
		key("issuer", shown(500), "iss: the client's id unless written", func(a *Assertion) *string { return &a.Issuer }),
		key("subject", shown(500), "sub: the issuer unless written", func(a *Assertion) *string { return &a.Subject }),
		key("audience", shown(500), "aud: the token endpoint's URL unless written", func(a *Assertion) *string { return &a.Audience }))
	fields := append(remoteFields("token", "the token endpoint", "oauth2/token", func(a *OAuth2Auth) *Remote { return &a.Token }),
		required(key("grant", choice(codeWord, GrantClient, GrantRefresh, GrantJWTBearer), "what the token is asked for by", func(a *OAuth2Auth) *string { return &a.Grant })),
		required(key("client", client, "as whom it is asked for", func(a *OAuth2Auth) *OAuth2Client { return &a.Client })),
		key("refreshToken", secretName(), "grant: refresh_token: name of the secret with the token", func(a *OAuth2Auth) *string { return &a.Refresh }),
		key("assertion", pointer(assertion), "grant: jwt_bearer: what is asserted", func(a *OAuth2Auth) **Assertion { return &a.Assertion }),
		key("scopes", list(1, 100, oauthScope(), itself), "what the token is to allow", func(a *OAuth2Auth) *[]string { return &a.Scopes }),
		key("audience", shown(500), "for whom the token is, where the server asks for audience", func(a *OAuth2Auth) *string { return &a.Audience }),
		key("resource", shown(500), "for what the token is, where the server asks for resource (RFC 8707)", func(a *OAuth2Auth) *string { return &a.Resource }),
		key("lifetime", lifetime(), "the longest that a token is used; as the server says, 5m if it does not, 1h at most, unless written", func(a *OAuth2Auth) *time.Duration { return &a.Lifetime }))
	return object(OAuth2Auth{Spot: Spot{As: AsBearer}}, checkOAuth2, append(fields, spotFields(sessionPlaces, func(a *OAuth2Auth) *Spot { return &a.Spot })...)...)
}

func signingKey() form[SigningKey] {
	return object(SigningKey{}, nil,
		required(key("secret", secretName(), "name of the secret with a private key in PEM", func(k *SigningKey) *string { return &k.Secret })),
		required(key("alg", choice(codeWord, "RS256", "PS256", "ES256", "EdDSA"), "what it signs with", func(k *SigningKey) *string { return &k.Alg })),
		key("kid", shown(200), "the key's id, if the server asks for one", func(k *SigningKey) *string { return &k.ID }))
}

// scopeToken is RFC 6749 §3.3.
var scopeToken = regexp.MustCompile(`^[!#-\[\]-~]{1,200}$`)

func oauthScope() form[string] {
	return word("a scope", schema{"pattern": scopeToken.String()}, func(s string) (string, *problem) {
		if !scopeToken.MatchString(s) {
			return "", problemf(codeName, "", "%s is not one scope of RFC 6749", quote(s))
		}
		return s, nil
	}, itself)
}

func checkClient(r *reader, n *yaml.Node, at string, c *OAuth2Client) {
	switch {
	case c.Secret != "" && c.Key != nil:
		r.add(child(n, "privateKeyJWT"), join(at, "privateKeyJWT"), codeContradiction, "", "a client has a secret or a key, not both")
	case c.Send != "" && c.Secret == "":
		r.add(child(n, "send"), join(at, "send"), codeContradiction, "", "send belongs to secret")
	case c.Audience != "" && c.Key == nil:
		r.add(child(n, "audience"), join(at, "audience"), codeContradiction, "", "audience belongs to privateKeyJWT")
	}
}

func checkOAuth2(r *reader, n *yaml.Node, at string, a *OAuth2Auth) {
	checkRemote(r, n, at, "token", &a.Token)
	checkSpot(r, n, at, &a.Spot)
	for _, need := range []struct {
		grant, word string
		there       bool
	}{{GrantRefresh, "refreshToken", a.Refresh != ""}, {GrantJWTBearer, "assertion", a.Assertion != nil}} {
		switch c := child(n, need.word); {
		case a.Grant == need.grant && c == n:
			r.add(n, join(at, need.word), codeMissing, "", "grant: %s needs %s", need.grant, need.word)
		case a.Grant != need.grant && need.there && a.Grant != "":
			r.add(c, join(at, need.word), codeContradiction, "", "%s belongs to grant: %s", need.word, need.grant)
		}
	}
	client, clientAt := child(n, "client"), join(at, "client")
	if client.Kind != yaml.MappingNode || client == n {
		return // reported
	}
	certificate := a.Token.Path != "" || a.Token.TLS != nil && a.Token.TLS.ClientCertificate != nil
	switch c := a.Client; {
	case child(client, "id") == client && (a.Assertion == nil || a.Assertion.Issuer == "" || c.Secret != "" || c.Key != nil):
		r.add(client, join(clientAt, "id"), codeMissing, "", `key "id" is missing: the client's id`)
	case a.Grant == GrantClient && c.Secret == "" && c.Key == nil && !certificate && child(client, "secret") == client && child(client, "privateKeyJWT") == client:
		r.add(client, join(clientAt, "secret"), codeMissing, "", "the client proves itself by nothing: it needs secret, privateKeyJWT, or tls.clientCertificate beside token")
	}
}

func loginAuth() form[LoginAuth] {
	fields := append(remoteFields("url", "where the host logs in, by POST", "session", func(a *LoginAuth) *Remote { return &a.At }),
		key("send", choice(codeWord, LoginJSON, LoginForm), "json, unless written, or form", func(a *LoginAuth) *string { return &a.Send }),
		required(key("fields", named(loginName, 20, loginField()), "what is sent: texts, and {secret: NAME}", func(a *LoginAuth) *map[string]LoginField { return &a.Fields })),
		required(key("token", jsonPointer(), "where in the answer the session value is, such as /session/id", func(a *LoginAuth) *string { return &a.Token })),
		key("lifetime", lifetime(), "the longest that a session is used; 5m unless written", func(a *LoginAuth) *time.Duration { return &a.Lifetime }))
	spot := spotFields(sessionPlaces, func(a *LoginAuth) *Spot { return &a.Spot })
	spot[0] = required(spot[0])
	return object(LoginAuth{}, checkLogin, append(fields, spot...)...)
}

var loginName = nameRule{pattern: regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_.-]{0,62}$`), want: "a field's name (letters, digits, dots, hyphens or underscores, at most 63)"}

// loginField is a text, or {secret: NAME}.
func loginField() form[LoginField] {
	text := free(500)
	secret := object(LoginField{}, nil, required(key("secret", secretName(), "name of a secret", func(f *LoginField) *string { return &f.Secret })))
	return form[LoginField]{
		schema: schema{"oneOf": []any{text.schema, secret.schema}},
		read: func(r *reader, n *yaml.Node, at string) LoginField {
			if n.Kind == yaml.MappingNode {
				return secret.read(r, n, at)
			}
			return LoginField{Text: text.read(r, n, at)}
		},
		write: func(f LoginField) any {
			if f.Secret != "" {
				return secret.write(f)
			}
			return text.write(f.Text)
		},
	}
}

var pointerText = regexp.MustCompile(`^(?:/(?:[^~/]|~[01])+)+$`)

func jsonPointer() form[string] {
	return word("a JSON pointer such as /session/id", schema{"maxLength": 500, "pattern": pointerText.String()}, func(s string) (string, *problem) {
		if len(s) > 500 || !pointerText.MatchString(s) {
			near := ""
			if t := "/" + strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(s, "$"), "."), ".", "/"); pointerText.MatchString(t) {
				near = t
			}
			return "", problemf(codeName, near, "expected a JSON pointer such as /session/id, found %s", quote(s))
		}
		return s, nil
	}, itself)
}

func checkLogin(r *reader, n *yaml.Node, at string, a *LoginAuth) {
	checkRemote(r, n, at, "url", &a.At)
	checkSpot(r, n, at, &a.Spot)
	secrets := false
	for _, f := range a.Fields {
		secrets = secrets || f.Secret != ""
	}
	if c := child(n, "fields"); c != n && c.Kind == yaml.MappingNode && !secrets {
		r.add(c, join(at, "fields"), codeMissing, "", "a login sends a secret: one of the fields is {secret: NAME}")
	}
}
