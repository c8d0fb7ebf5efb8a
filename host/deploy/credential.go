package deploy

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"pointsman/host/credential"
	"pointsman/host/egress"
	"pointsman/host/manifest"
	"pointsman/pdk/wire"
)

// placement returns what puts b's credential into its requests. main is the back end's own
// configuration: a token endpoint at the same origin is reached in the same way.
func (o Opener) placement(b *manifest.HTTPBackend, main egress.Config) (egress.Placement, error) {
	a, parts := b.Auth, credential.Parts{Secret: o.Secret}
	if o.Log != nil {
		parts.Log = o.Log.With("backend", main.Name)
	}
	var p egress.Placement
	var err error
	switch {
	case a.Secret != "":
		if _, err := o.Secret(a.Secret); err != nil {
			return nil, &secretError{"spec.http.auth.secret", a.Secret, err}
		}
		p, err = credential.NewStatic(credential.Static{Secret: a.Secret, Spot: spotOf(a.Spot, main), User: a.User}, parts)
	case a.HMAC != nil:
		p, err = credential.NewHMAC(hmacOf(a.HMAC), parts)
	case a.SigV4 != nil:
		p, err = credential.NewSigV4(credential.SigV4{Secret: a.SigV4.Secret, Region: a.SigV4.Region, Service: a.SigV4.Service}, parts)
	case a.OAuth2 != nil, a.Login != nil:
		key, err := o.sessionKey(b, main)
		if err != nil {
			return nil, err
		}
		if a.OAuth2 != nil {
			return o.oauth2(key, a.OAuth2, main, parts)
		}
		return o.login(key, a.Login, main, parts)
	default:
		return nil, fmt.Errorf("auth says nothing")
	}
	if err != nil {
		return nil, err // not a nil pointer in an interface that is not nil
	}
	return p, nil
}

func spotOf(s manifest.Spot, main egress.Config) credential.Spot {
	spot := credential.Spot{As: s.As, Name: s.Name, Prefix: s.Prefix}
	if u, err := url.Parse(main.URL); err == nil && s.As == manifest.AsPath {
		spot.Base = strings.TrimSuffix(u.EscapedPath(), "/")
	}
	return spot
}

func hmacOf(h *manifest.HMACAuth) credential.HMAC {
	return credential.HMAC{
		Secret: h.Secret, Key: h.Key, Hash: h.Hash, Over: h.Over, Join: h.Join,
		Signature: credential.HMACField(h.Signature), Digest: credential.HMACField(h.Digest),
		Timestamp: credential.HMACTime(h.Timestamp), Nonce: h.Nonce, KeyIDName: h.KeyID.Name, KeyID: h.KeyID.Value,
	}
}

func (o Opener) oauth2(key sessionKey, a *manifest.OAuth2Auth, main egress.Config, parts credential.Parts) (egress.Placement, error) {
	endpoint, err := o.remote(a.Token, main)
	if err != nil {
		return nil, err
	}
	c := credential.OAuth2{
		Grant: a.Grant, TokenURL: endpoint.URL, Refresh: a.Refresh, Scopes: a.Scopes, Audience: a.Audience,
		Resource: a.Resource, Lifetime: a.Lifetime, Spot: spotOf(a.Spot, main),
		Client: credential.Client{ID: a.Client.ID, Secret: a.Client.Secret, Post: a.Client.Send == manifest.ClientPost, Audience: a.Client.Audience},
	}
	if k := a.Client.Key; k != nil {
		c.Client.Key = &credential.Key{Secret: k.Secret, Alg: k.Alg, ID: k.ID}
	}
	if s := a.Assertion; s != nil {
		c.Assertion = &credential.Assertion{
			Key:    credential.Key{Secret: s.Key.Secret, Alg: s.Key.Alg, ID: s.Key.ID},
			Issuer: s.Issuer, Subject: s.Subject, Audience: s.Audience,
		}
	}
	if c.Client.Secret != "" && !c.Client.Post {
		basic := credential.Static{Secret: c.Client.Secret, Spot: credential.Spot{As: manifest.AsBasic}, User: c.Client.ID, Form: true}
		if endpoint.Placement, err = credential.NewStatic(basic, parts); err != nil {
			return nil, err
		}
	}
	return o.fetched(key, endpoint, parts, func(p credential.Parts) (*credential.Session, error) { return credential.NewOAuth2(c, p) })
}

func (o Opener) login(key sessionKey, a *manifest.LoginAuth, main egress.Config, parts credential.Parts) (egress.Placement, error) {
	endpoint, err := o.remote(a.At, main)
	if err != nil {
		return nil, err
	}
	c := credential.Login{Form: a.Send == manifest.LoginForm, Token: a.Token, Lifetime: a.Lifetime, Spot: spotOf(a.Spot, main)}
	for _, name := range slices.Sorted(maps.Keys(a.Fields)) {
		c.Fields = append(c.Fields, credential.LoginField{Name: name, Text: a.Fields[name].Text, Secret: a.Fields[name].Secret})
	}
	return o.fetched(key, endpoint, parts, func(p credential.Parts) (*credential.Session, error) { return credential.NewLogin(c, p) })
}

// remote is how a URL is reached that the host itself calls to get a credential: as every
// back end is, within the bounds of such calls.
func (o Opener) remote(r manifest.Remote, main egress.Config) (egress.Config, error) {
	c := egress.Config{
		Name: main.Name + " (credential)", URL: r.URL, Private: r.Private, Insecure: r.Insecure, Log: main.Log,
		Methods: []string{"POST"}, Time: credential.FetchTime, Bytes: credential.MaxAnswer, Concurrent: 1,
	}
	if r.Path == "" {
		var err error
		c.TLS, err = o.tls(r.TLS)
		return c, err
	}
	u, err := url.Parse(main.URL)
	if err != nil {
		return c, fmt.Errorf("url: it cannot be parsed")
	}
	c.URL, c.Private, c.Insecure, c.TLS = u.Scheme+"://"+u.Host+r.Path, main.Private, main.Insecure, main.TLS
	return c, nil
}

// fetched returns the session that open opens and endpoint is asked for, or the one that an
// earlier release has open under key. What is wrong with the new one is found in any case.
func (o Opener) fetched(key sessionKey, endpoint egress.Config, parts credential.Parts, open func(credential.Parts) (*credential.Session, error)) (egress.Placement, error) {
	b, err := egress.New(endpoint)
	if err != nil {
		return nil, err
	}
	parts.Fetch = func(ctx context.Context, r credential.Request) (credential.Answer, error) { return post(ctx, b, r) }
	s, err := open(parts)
	if err != nil {
		b.Close()
		return nil, err
	}
	return o.sessions.share(key, session{s, b}), nil
}

// post sends r to the URL of b itself.
func post(ctx context.Context, b *egress.Backend, r credential.Request) (credential.Answer, error) {
	a, err := b.Do(ctx, egress.Request{
		Method: "POST", Path: "/", Body: r.Body,
		Header: []wire.Field{{Name: "Content-Type", Value: r.ContentType}, {Name: "Accept", Value: "application/json"}},
	})
	if err != nil {
		return credential.Answer{}, err
	}
	return credential.Answer{Status: a.Status, After: a.After, Body: a.Body}, nil
}

// closePlacement closes what has to be closed.
func closePlacement(p egress.Placement) {
	if c, ok := p.(interface{ Close() }); ok {
		c.Close()
	}
}
