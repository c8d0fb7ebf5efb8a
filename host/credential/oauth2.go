package credential

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// OAuth2 says how tokens are got from an authorization server. Fetch of Parts reaches its
// token endpoint; where the client proves itself by HTTP basic authentication or by a
// certificate, that is part of reaching it.
type OAuth2 struct {
	Grant     string // client_credentials, refresh_token or jwt_bearer
	TokenURL  string // of the token endpoint, as assertions name it
	Client    Client
	Refresh   string     // refresh_token: name of the secret with the first one
	Assertion *Assertion // jwt_bearer
	Scopes    []string
	Audience  string        // sent as "audience"; "" is not sent
	Resource  string        // sent as "resource" (RFC 8707); "" is not sent
	Lifetime  time.Duration // the longest that a token is used; 0: as the server says, at most an hour
	Spot      Spot          // bearer, header, query, path or cookie
}

// Client is as whom tokens are asked for. At most one of Secret and Key is set.
type Client struct {
	ID       string
	Secret   string // name of a secret; "" for none
	Post     bool   // Secret is sent in the form; otherwise Fetch sends it
	Key      *Key   // signs assertions that prove the client (RFC 7523 §2.2)
	Audience string // of those; "" means the token endpoint's URL
}

// Assertion is what the JWT of a jwt_bearer grant says (RFC 7523 §2.1).
type Assertion struct {
	Key                       Key
	Issuer, Subject, Audience string // "" means the client's ID, the issuer, the token endpoint's URL
}

// Names of RFC 7523 §8.
const (
	grantJWTBearer  = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	clientAssertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// oauth2 is a checked OAuth2.
type oauth2 struct {
	OAuth2
	parts  Parts
	source *source
	// rotated is the refresh token that replaced the one in the secret, and sealed the digest
	// of that one: a secret that was set anew counts again. Only obtain uses them.
	rotated []byte
	sealed  [sha256.Size]byte
}

// NewOAuth2 checks c and returns a placement for it, which the caller closes. Secrets are
// opened once, so that one that is missing or cannot be used is found now; nothing is fetched.
func NewOAuth2(c OAuth2, p Parts) (*Session, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	o := &oauth2{OAuth2: c, parts: p.filled()}
	for _, name := range o.secrets() {
		plain, err := o.parts.open(name)
		if err != nil {
			return nil, err
		}
		clear(plain)
	}
	for _, k := range o.keys() {
		if _, err := k.open(o.parts); err != nil {
			return nil, err
		}
	}
	o.source = newSource(o.parts, c.Spot, c.Lifetime)
	o.source.obtain, o.source.inputs = o.obtain, func() [sha256.Size]byte { return o.parts.digest(o.secrets()) }
	return &Session{o.source, c.Spot}, nil
}

func (c OAuth2) check() error {
	if err := c.Spot.check(); err != nil {
		return err
	}
	switch {
	case c.Spot.As == "basic":
		return errors.New("a token is no user and password")
	case !slices.Contains([]string{"client_credentials", "refresh_token", "jwt_bearer"}, c.Grant):
		return errors.New("grant must be client_credentials, refresh_token or jwt_bearer")
	case (c.Grant == "refresh_token") != (c.Refresh != ""):
		return errors.New("grant refresh_token, and no other, needs a refresh token")
	case (c.Grant == "jwt_bearer") != (c.Assertion != nil):
		return errors.New("grant jwt_bearer, and no other, needs an assertion")
	case c.Client.Secret != "" && c.Client.Key != nil:
		return errors.New("a client has a secret or a key, not both")
	case c.Client.ID == "" && (c.Assertion == nil || c.Client.Secret != "" || c.Client.Key != nil):
		return errors.New("the client needs an id")
	case c.Assertion != nil && c.Assertion.Issuer == "" && c.Client.ID == "":
		return errors.New("the assertion needs an issuer")
	case c.Lifetime < 0:
		return errors.New("a lifetime cannot be negative")
	}
	return nil
}

// secrets are the names of all that obtain opens, keys included.
func (c OAuth2) secrets() []string {
	var names []string
	for _, k := range c.keys() {
		names = append(names, k.Secret)
	}
	for _, name := range []string{c.Client.Secret, c.Refresh} {
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

func (c OAuth2) keys() []Key {
	var keys []Key
	if c.Client.Key != nil {
		keys = append(keys, *c.Client.Key)
	}
	if c.Assertion != nil {
		keys = append(keys, c.Assertion.Key)
	}
	return keys
}

// digest is the SHA-256 over secrets, to tell whether one changed. One that cannot be
// opened counts as empty.
func (p Parts) digest(names []string) [sha256.Size]byte {
	h := sha256.New()
	for _, name := range names {
		plain, err := p.open(name)
		if err != nil {
			plain = nil
		}
		fmt.Fprintf(h, "%d ", len(plain))
		h.Write(plain)
		clear(plain)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// obtain asks for a token.
func (o *oauth2) obtain(ctx context.Context) (*grant, *failure) {
	form, spent, failed := o.form()
	if failed != nil {
		return nil, failed
	}
	body := []byte(form.Encode())
	defer clear(body)
	answer, err := o.parts.Fetch(ctx, Request{ContentType: "application/x-www-form-urlencoded", Body: body})
	if err != nil {
		return nil, &failure{words: "the token endpoint was not reached or did not answer", cause: err}
	}
	t, err := readToken(answer.Body)
	if answer.Status < 200 || answer.Status > 299 || err == nil && t.Error != "" {
		f := refusalOf(answer.Status, answer.After, t.Error)
		f.words = "the token endpoint refused: " + f.words
		if f.refused {
			o.rotated = nil // perhaps it was that; the sealed one is tried next
		}
		return nil, f
	}
	switch {
	case err != nil:
		return nil, &failure{words: "the token endpoint's answer", cause: err}
	case t.Access == "":
		return nil, &failure{words: "the token endpoint's answer holds no access_token"}
	case t.Type != "" && !strings.EqualFold(t.Type, "bearer"):
		return nil, &failure{words: "the token endpoint's answer holds a token of a type other than bearer"}
	}
	if o.Grant == "refresh_token" && t.Refresh != "" && t.Refresh != form.Get("refresh_token") {
		if o.rotated == nil {
			o.parts.Log.Warn("the authorization server replaced the refresh token; the sealed one may not be good after a restart", "secret", o.Refresh)
		}
		o.rotated, o.sealed = []byte(t.Refresh), o.parts.digest([]string{o.Refresh})
		spent = append(spent, []byte(t.Refresh))
	}
	return &grant{value: []byte(t.Access), life: t.lifetime(), spent: spent}, nil
}

// form is what is sent, and the secrets in it or beside it.
func (o *oauth2) form() (form url.Values, spent [][]byte, failed *failure) {
	form = url.Values{"grant_type": {o.Grant}}
	set := func(name, value string) {
		if value != "" {
			form.Set(name, value)
		}
	}
	set("scope", strings.Join(o.Scopes, " "))
	set("audience", o.Audience)
	set("resource", o.Resource)
	secret := func(name string) (string, *failure) {
		plain, old, err := o.parts.openAll(name)
		if err != nil {
			return "", &failure{words: "a secret is not available", cause: err}
		}
		spent = append(append(spent, plain), old...)
		return string(plain), nil
	}
	signed := func(k Key, issuer, subject, audience string) (string, *failure) {
		text, failed := k.sign(o.parts, issuer, subject, audience)
		if failed == nil {
			spent = append(spent, text)
		}
		return string(text), failed
	}
	if o.Grant == "refresh_token" {
		token := string(o.rotated)
		if o.rotated == nil || o.sealed != o.parts.digest([]string{o.Refresh}) {
			if token, failed = secret(o.Refresh); failed != nil {
				return nil, nil, failed
			}
		} else {
			spent = append(spent, []byte(token))
		}
		form.Set("refresh_token", token)
	}
	if a := o.Assertion; a != nil {
		issuer := or(a.Issuer, o.Client.ID)
		text, failed := signed(a.Key, issuer, or(a.Subject, issuer), or(a.Audience, o.TokenURL))
		if failed != nil {
			return nil, nil, failed
		}
		form.Set("grant_type", grantJWTBearer)
		form.Set("assertion", text)
	}
	switch c := o.Client; {
	case c.Key != nil:
		text, failed := signed(*c.Key, c.ID, c.ID, or(c.Audience, o.TokenURL))
		if failed != nil {
			return nil, nil, failed
		}
		form.Set("client_assertion_type", clientAssertion)
		form.Set("client_assertion", text)
		form.Set("client_id", c.ID)
	case c.Secret != "":
		text, failed := secret(c.Secret)
		if failed != nil {
			return nil, nil, failed
		}
		if c.Post {
			form.Set("client_id", c.ID)
			form.Set("client_secret", text)
		} else if encoded := url.QueryEscape(text); encoded != text {
			spent = append(spent, []byte(encoded)) // as it stands in the Basic pair that Fetch sends
		}
	default:
		set("client_id", c.ID)
	}
	return form, spent, nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
