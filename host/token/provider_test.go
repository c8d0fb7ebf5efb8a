package token_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"pointsman/host/broker"
	"pointsman/host/token"
)

// A certified OpenID provider issues the tokens here: what it publishes and signs is what
// providers do, not what this package expects of them.

type providerStorage struct {
	*storage.Storage
	key atomic.Pointer[pair]
}

func (s *providerStorage) SigningKey(context.Context) (op.SigningKey, error) {
	return providerKey{*s.key.Load()}, nil
}

func (s *providerStorage) KeySet(context.Context) ([]op.Key, error) {
	return []op.Key{providerPublic{*s.key.Load()}}, nil
}

func (s *providerStorage) ClientCredentials(ctx context.Context, id, secret string) (op.Client, error) {
	c, err := s.Storage.ClientCredentials(ctx, id, secret)
	return signingClient{c}, err
}

func (s *providerStorage) ClientCredentialsTokenRequest(_ context.Context, id string, scopes []string) (op.TokenRequest, error) {
	return &oidc.JWTTokenRequest{Subject: id, Audience: []string{audience, id}, Scopes: scopes}, nil
}

// GetPrivateClaimsFromScopes is what this provider asks for claims of a JWT beside its own.
func (s *providerStorage) GetPrivateClaimsFromScopes(_ context.Context, _, _ string, scopes []string) (map[string]any, error) {
	return map[string]any{"scope": strings.Join(scopes, " ")}, nil
}

// signingClient gets tokens that are JWTs.
type signingClient struct{ op.Client }

func (signingClient) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }
func (signingClient) IsScopeAllowed(string) bool          { return true }
func (signingClient) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return func(s []string) []string { return s }
}

type providerKey struct{ pair }

func (k providerKey) SignatureAlgorithm() jose.SignatureAlgorithm {
	return jose.SignatureAlgorithm(k.alg)
}
func (k providerKey) Key() any   { return k.private }
func (k providerKey) ID() string { return k.kid }

type providerPublic struct{ pair }

func (k providerPublic) Algorithm() jose.SignatureAlgorithm { return jose.SignatureAlgorithm(k.alg) }
func (k providerPublic) Use() string                        { return "sig" }
func (k providerPublic) Key() any                           { return k.private.Public() }
func (k providerPublic) ID() string                         { return k.kid }

func startProvider(t *testing.T) (*providerStorage, *httptest.Server) {
	t.Helper()
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	store := &providerStorage{Storage: storage.NewStorage(storage.NewUserStore(server.URL))}
	first := keys()[token.RS256]
	store.key.Store(&first)
	provider, err := op.NewProvider(&op.Config{CryptoKey: sha256.Sum256([]byte("test"))}, store, op.StaticIssuer(server.URL),
		op.WithAllowInsecure(), op.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
	if err != nil {
		t.Fatal(err)
	}
	handler = provider
	return store, server
}

// get is what stands for the guarded client: bounded, without redirects.
func get(client *http.Client) func(context.Context, string) ([]byte, error) {
	return func(ctx context.Context, url string) ([]byte, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		resp, err := client.Do(r)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("status %d", resp.StatusCode)
		}
		return io.ReadAll(io.LimitReader(resp.Body, token.MaxDocument+1))
	}
}

func askProvider(t *testing.T, server *httptest.Server, scope string) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("sid1", "verysecret")
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
		t.Fatalf("status %d, error %v", resp.StatusCode, err)
	}
	return answer.AccessToken
}

func TestProvider(t *testing.T) {
	store, server := startProvider(t)
	issuer := token.Issuer{
		Name: "provider", URL: server.URL, Audience: []string{audience}, Insecure: true, Fetch: get(server.Client()),
		Scopes: &token.ScopeRule{Claim: "scope", Map: map[string]string{"profile:read": "profile.read"}},
	}
	c := token.Config{
		Issuers: []token.Issuer{issuer},
		Consumers: []token.Consumer{{
			Principal: broker.Principal{ID: "service", Scopes: broker.NewScopes("profile.read", "orders.read")},
			Issuer:    "provider", Claims: map[string]string{"sub": "sid1"},
		}},
	}
	v := open(t, c, nil)
	v.Start()
	held := askProvider(t, server, "profile:read orders:read")
	if got := taken(t, v, held, "service"); got.Principal.Scopes.String() != "profile.read" {
		t.Errorf("scopes %q", got.Principal.Scopes)
	}

	// Another verifier, for whom the token is not.
	c.Issuers[0].Audience = []string{"https://other.example"}
	refused(t, open(t, c, v), held, token.WrongAudience)
	c.Issuers[0].Audience = []string{audience}

	for _, alg := range []string{token.ES256, token.EdDSA, token.PS256} {
		t.Run(alg, func(t *testing.T) {
			next := keys()[alg]
			store.key.Store(&next)
			text := askProvider(t, server, "profile:read")
			refused(t, v, text, token.UnknownKey) // it was asked a moment ago
			taken(t, open(t, c, nil), text, "service")
		})
	}
}
