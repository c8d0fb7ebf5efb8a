package deploy

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"time"

	"pointsman/host/egress"
	"pointsman/host/manifest"
	"pointsman/host/token"
	"pointsman/pdk/wire"
)

// keysTime bounds one fetch of an issuer's keys; host/token gives it as much.
const keysTime = 5 * time.Second

// tokens returns what verifies the tokens of set's issuers. Keys that previous, of the live
// release or nil, has fetched are taken over.
func (o Opener) tokens(set *manifest.Set, previous *token.Verifier) (*token.Verifier, manifest.Faults) {
	c := token.Config{Warn: func(issuer string, err error) {
		o.Log.Warn("an issuer's keys were not fetched, or not all can be used", "issuer", issuer, "err", err)
	}}
	var faults manifest.Faults
	var at manifest.Pos
	for _, m := range set.Issuers {
		at = m.Pos
		i, fs := o.issuer(m)
		faults = append(faults, fs...)
		c.Issuers = append(c.Issuers, i)
	}
	if faults.HasErrors() {
		return nil, faults
	}
	for _, m := range set.Consumers {
		if m.JWT != nil {
			c.Consumers = append(c.Consumers, token.Consumer{Principal: principalOf(m), Issuer: m.JWT.Issuer, Claims: m.JWT.Claims})
		}
	}
	v, err := token.New(c, previous)
	if err != nil {
		return nil, manifest.Faults{fault(at, CodeDoor, "spec", "%v", err)}
	}
	return v, nil
}

func (o Opener) issuer(m *manifest.Issuer) (token.Issuer, manifest.Faults) {
	bad := func(code, path string, err error) (token.Issuer, manifest.Faults) {
		return token.Issuer{}, manifest.Faults{fault(m.Pos, code, path, "issuer %s: %v", m.Name, err)}
	}
	settings, err := o.tls(m.TLS)
	if missing, ok := errors.AsType[*secretError](err); ok {
		return bad(CodeSecret, "spec.tls.clientCertificate.secret", missing)
	}
	if err != nil {
		return bad(CodeDoor, "spec.tls", err)
	}
	reach, err := o.reach(m)
	if err != nil {
		return bad(CodeDoor, "spec.tls", err)
	}
	from, path := m.JWKS, "spec.jwks"
	if from == "" {
		from, path = m.URL, "spec.issuer"
	}
	home, err := url.Parse(from)
	if err != nil {
		return bad(CodeDoor, path, errors.New("url: it cannot be parsed"))
	}
	fetch := func(ctx context.Context, text string) ([]byte, error) {
		return o.document(ctx, m, settings, home, text)
	}
	b, err := egress.New(o.documents(m, settings, home, home))
	if err != nil {
		return bad(CodeDoor, path, err)
	}
	b.Close()
	i := token.Issuer{
		Name: m.Name, URL: m.URL, JWKS: m.JWKS, Audience: m.Audience, Algorithms: m.Algorithms, Skew: m.Skew,
		Insecure: m.Insecure, Fetch: fetch, Reach: reach,
	}
	if s := m.Scopes; s != nil {
		i.Scopes = &token.ScopeRule{Claim: s.Claim}
		if len(s.Map) > 0 {
			i.Scopes.Map = s.Map
		}
	}
	return i, nil
}

// reach names all that m's keys depend on apart from their URL.
func (o Opener) reach(m *manifest.Issuer) (string, error) {
	if m.TLS == nil {
		return fmt.Sprint(m.Private), nil
	}
	var ca [sha256.Size]byte
	if m.TLS.CA != "" {
		text, err := fs.ReadFile(o.Manifests, m.TLS.CA)
		if err != nil {
			return "", fmt.Errorf("tls.ca: %w", err)
		}
		ca = sha256.Sum256(text)
	}
	certificate := ""
	if m.TLS.ClientCertificate != nil {
		certificate = m.TLS.ClientCertificate.Secret
	}
	return fmt.Sprintf("%v %x %q %q %q %q", m.Private, ca, m.TLS.Pins, m.TLS.MinVersion, m.TLS.ServerName, certificate), nil
}

// documents is how an origin is reached that m's keys are at. Discovery may name another
// than home, m's own: it is trusted by the same roots, and is shown no client certificate.
func (o Opener) documents(m *manifest.Issuer, settings egress.TLS, home, at *url.URL) egress.Config {
	c := egress.Config{
		Name: "issuer " + m.Name, URL: at.Scheme + "://" + at.Host, Private: m.Private, Insecure: m.Insecure && at.Scheme == "http",
		Methods: []string{"GET"}, Time: keysTime, Bytes: token.MaxDocument, Concurrent: 1,
	}
	if at.Scheme == "https" {
		c.TLS = settings
	}
	if at.Host != home.Host || at.Scheme != home.Scheme {
		c.TLS.ServerName, c.TLS.ClientCertificate = "", nil
	}
	return c
}

// document gets one document of m's. Keys are fetched once in some minutes, so a connection
// is not worth keeping.
func (o Opener) document(ctx context.Context, m *manifest.Issuer, settings egress.TLS, home *url.URL, text string) ([]byte, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("url: it cannot be parsed")
	}
	b, err := egress.New(o.documents(m, settings, home, u))
	if err != nil {
		return nil, err
	}
	defer b.Close()
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	a, err := b.Do(ctx, egress.Request{
		Method: "GET", Path: path, RawQuery: u.RawQuery, Header: []wire.Field{{Name: "Accept", Value: "application/json"}},
	})
	if err != nil {
		return nil, err
	}
	if a.Status != 200 {
		return nil, fmt.Errorf("it answers with status %d", a.Status)
	}
	return a.Body, nil
}
