package token

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// discover returns the URL of the keys (OpenID Connect Discovery 1.0 §4).
func (s *source) discover(ctx context.Context, i *issuer) (string, error) {
	s.mu.Lock()
	if s.cost(time.Now()) == 1 {
		defer s.mu.Unlock()
		return s.found, nil
	}
	s.mu.Unlock()
	text, err := s.get(ctx, i, strings.TrimSuffix(s.url, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return "", fmt.Errorf("token: discovery of %s: %w", i.Name, err)
	}
	found, err := parseDiscovery(text, s.url, s.insecure)
	if err != nil {
		return "", fmt.Errorf("token: discovery of %s: %w", i.Name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found, s.foundAt = found, time.Now()
	return found, nil
}

// parseDiscovery returns the URL of the keys that a discovery document names. It must be the
// document of that very issuer.
func parseDiscovery(text []byte, issuer string, insecure bool) (string, error) {
	if len(text) > MaxDocument {
		return "", fmt.Errorf("more than %d bytes", MaxDocument)
	}
	var doc struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return "", errors.New("not strict JSON with issuer and jwks_uri")
	}
	if doc.Issuer != issuer {
		return "", fmt.Errorf("it is the document of %.200q", doc.Issuer)
	}
	if err := checkURL(doc.JWKS, insecure); err != nil {
		return "", fmt.Errorf("jwks_uri: %w", err)
	}
	return doc.JWKS, nil
}

// checkURL refuses what keys are not fetched from. Which addresses may be dialled is for
// Issuer.Fetch to say.
func checkURL(text string, insecure bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return errors.New("not a URL with a host")
	case u.User != nil || u.Fragment != "":
		return errors.New("a URL of keys has no user, password or fragment")
	case u.Scheme != "https" && !(insecure && u.Scheme == "http"):
		return errors.New("a URL of keys begins with https://")
	}
	return nil
}
