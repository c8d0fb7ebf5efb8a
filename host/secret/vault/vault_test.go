package vault_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pointsman/host/secret"
	"pointsman/host/secret/vault"
	"pointsman/host/secret/vault/vaulttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const canary = "canary-9f31c07ab2d4"

// site is a server and the configuration of a client for it.
func site(t *testing.T) (*vaulttest.Server, vault.Config) {
	t.Helper()
	server := vaulttest.Start()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	server.Put("acme/crm", map[string]any{"token": canary, "n": 7, "empty": "", "large": strings.Repeat("x", secret.MaxSize+1)})
	return server, vault.Config{
		Address: server.URL, RootCAs: roots, Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		RoleID: server.RoleID, SecretID: func() ([]byte, error) { return []byte(server.SecretID), nil },
		Secrets: map[string]vault.Path{"token": {Mount: "secret", Path: "acme/crm", Field: "token"}},
		Transit: &vault.Key{Mount: "transit", Name: "pointsman"},
	}
}

func open(t *testing.T, c vault.Config) *vault.Client {
	t.Helper()
	client, err := vault.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestNewRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*vault.Config)
		want   string
	}{
		{"no address", func(c *vault.Config) { c.Address = "" }, "no address"},
		{"plain HTTP that is not meant", func(c *vault.Config) { c.Address = "http://vault.acme.example:8200"; c.RootCAs = nil }, "http"},
		{"an address with a user", func(c *vault.Config) { c.Address = "https://u:p@vault.acme.example" }, "url"},
		{"a private address that is not listed", func(c *vault.Config) { c.Private = nil }, "address"},
		{"no role", func(c *vault.Config) { c.RoleID = "" }, "role_id"},
		{"no secret id", func(c *vault.Config) { c.SecretID = nil }, "secret_id"},
		{"a mount that climbs", func(c *vault.Config) { c.AppRole = "../sys" }, "approle"},
		{"a path that climbs", func(c *vault.Config) {
			c.Secrets["x"] = vault.Path{Mount: "secret", Path: "../sys/seal", Field: "f"}
		}, "path"},
		{"a path of dots", func(c *vault.Config) { c.Secrets["x"] = vault.Path{Mount: "secret", Path: "a/..", Field: "f"} }, "path"},
		{"a path with a query", func(c *vault.Config) { c.Secrets["x"] = vault.Path{Mount: "secret", Path: "a?version=1", Field: "f"} }, "path"},
		{"no field", func(c *vault.Config) { c.Secrets["x"] = vault.Path{Mount: "secret", Path: "a"} }, "field"},
		{"a bad name", func(c *vault.Config) { c.Secrets["X"] = vault.Path{Mount: "secret", Path: "a", Field: "f"} }, "name"},
		{"a line in the namespace", func(c *vault.Config) { c.Namespace = "a\r\nX: y" }, "namespace"},
		{"a transit key that climbs", func(c *vault.Config) { c.Transit = &vault.Key{Mount: "transit", Name: ".."} }, "transit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, c := site(t)
			tt.change(&c)
			client, err := vault.New(c)
			if err == nil {
				client.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one that says %q", err, tt.want)
			}
		})
	}
}

// TestGetRefuses: no answer but a good one gives a value, and no error repeats what the
// server or we said.
func TestGetRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*vaulttest.Server, *vault.Config)
		want   error
	}{
		{"an unknown authority", func(_ *vaulttest.Server, c *vault.Config) { c.RootCAs = x509.NewCertPool() }, secret.ErrUnreachable},
		{"nobody listens", func(s *vaulttest.Server, _ *vault.Config) { s.Close() }, secret.ErrUnreachable},
		{"sealed", func(s *vaulttest.Server, _ *vault.Config) { s.Fail(http.StatusServiceUnavailable) }, secret.ErrUnreachable},
		{"a redirect", func(s *vaulttest.Server, _ *vault.Config) { s.Fail(http.StatusTemporaryRedirect) }, secret.ErrUnreachable},
		{"a wrong secret id", func(s *vaulttest.Server, _ *vault.Config) { s.SecretID += "x" }, nil},
		{"no secret id", func(_ *vaulttest.Server, c *vault.Config) {
			c.SecretID = func() ([]byte, error) { return nil, errors.New("gone") }
		}, nil},
		{"another namespace", func(s *vaulttest.Server, _ *vault.Config) { s.Namespace = "team" }, nil},
		{"nothing there", func(_ *vaulttest.Server, c *vault.Config) {
			c.Secrets["token"] = vault.Path{Mount: "secret", Path: "acme/none", Field: "token"}
		}, secret.ErrNotFound},
		{"deleted", func(s *vaulttest.Server, _ *vault.Config) { s.Delete("acme/crm") }, secret.ErrNotFound},
		{"no such field", func(_ *vaulttest.Server, c *vault.Config) { field(c, "none") }, secret.ErrNotFound},
		{"a number", func(_ *vaulttest.Server, c *vault.Config) { field(c, "n") }, nil},
		{"empty", func(_ *vaulttest.Server, c *vault.Config) { field(c, "empty") }, nil},
		{"too large", func(_ *vaulttest.Server, c *vault.Config) { field(c, "large") }, nil},
		{"a mount that no policy allows", func(_ *vaulttest.Server, c *vault.Config) {
			c.Secrets["token"] = vault.Path{Mount: "other", Path: "acme/crm", Field: "token"}
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server, c := site(t)
			id := server.SecretID
			tt.change(server, &c)
			if tt.name == "a wrong secret id" {
				c.SecretID = func() ([]byte, error) { return []byte(id), nil }
			}
			v, err := open(t, c).Get("token")
			if err == nil || v.Expose() != nil {
				t.Fatalf("got %v, want a refusal", v)
			}
			if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if text := err.Error(); strings.Contains(text, canary) || strings.Contains(text, id) || strings.Contains(text, "hvs.") || strings.Contains(text, "permission denied") {
				t.Errorf("the error repeats too much: %s", text)
			}
		})
	}
}

func field(c *vault.Config, name string) {
	c.Secrets["token"] = vault.Path{Mount: "secret", Path: "acme/crm", Field: name}
}

func TestANewTokenIsGotWhenTheOldOneIsRevoked(t *testing.T) {
	server, c := site(t)
	c.Refresh = time.Nanosecond // each Get reads
	client := open(t, c)
	for i := range 3 {
		if v, err := client.Get("token"); err != nil || string(v.Expose()) != canary {
			t.Fatalf("get %d: %v", i, err)
		}
		server.RevokeAll()
	}
	if n := server.Seen("POST /v1/auth/approle/login"); n != 3 {
		t.Errorf("%d logins, want one for each token that was revoked", n)
	}
}

func TestTheTokenIsRenewed(t *testing.T) {
	server, c := site(t)
	server.TTL = 2 * time.Second
	c.Refresh = 20 * time.Millisecond
	client := open(t, c)
	if _, err := client.Get("token"); err != nil {
		t.Fatal(err)
	}
	client.Start()
	until(t, "the token is not renewed", func() bool { return server.Seen("POST /v1/auth/token/renew-self") >= 2 })
	if v, err := client.Get("token"); err != nil || string(v.Expose()) != canary {
		t.Errorf("after renewals: %v", err)
	}
}

// TestAnOutageIsBridged takes the server away under a client that runs.
func TestAnOutageIsBridged(t *testing.T) {
	server, c := site(t)
	c.Refresh = 5 * time.Millisecond
	client := open(t, c)
	if _, err := client.Get("token"); err != nil {
		t.Fatal(err)
	}
	client.Start()
	server.Fail(http.StatusServiceUnavailable)
	reads := server.Seen("GET /v1/secret/data/")
	until(t, "nothing is read again", func() bool { return server.Seen("GET /v1/secret/data/") > reads+3 })
	if v, err := client.Get("token"); err != nil || string(v.Expose()) != canary {
		t.Errorf("during the outage: %v", err)
	}
	server.Fail(0)
	server.Put("acme/crm", map[string]any{"token": "new"})
	until(t, "a new value is not taken up", func() bool {
		v, err := client.Get("token")
		return err == nil && string(v.Expose()) == "new"
	})
}

func TestCloseGivesTheTokenBack(t *testing.T) {
	server, c := site(t)
	client, err := vault.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Get("token"); err != nil {
		t.Fatal(err)
	}
	client.Close()
	if n := server.Seen("POST /v1/auth/token/revoke-self"); n != 1 {
		t.Errorf("%d revocations, want 1", n)
	}
}

// TestTransitWrapsAKeyring is the KMS through the keyring that it protects.
func TestTransitWrapsAKeyring(t *testing.T) {
	server, c := site(t)
	client := open(t, c)
	path := filepath.Join(t.TempDir(), "keyring.json")
	if err := secret.CreateKeyring(t.Context(), path, secret.Protection{KMS: client}); err != nil {
		t.Fatal(err)
	}
	first, err := secret.UnlockKeyring(t.Context(), path, secret.Unlock{KMS: client})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := first.Seal("test", "name", []byte(canary))
	if err != nil {
		t.Fatal(err)
	}
	again, err := secret.UnlockKeyring(t.Context(), path, secret.Unlock{KMS: client})
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := again.Open("test", "name", sealed); err != nil || string(plain) != canary {
		t.Errorf("got %q, %v", plain, err)
	}
	if _, err := secret.OpenKeyring(path, true); !errors.Is(err, secret.ErrSealed) {
		t.Errorf("without the KMS: %v, want ErrSealed", err)
	}
	server.Fail(http.StatusServiceUnavailable)
	if _, err := secret.UnlockKeyring(t.Context(), path, secret.Unlock{KMS: client}); !errors.Is(err, secret.ErrUnreachable) {
		t.Errorf("without an answer: %v, want ErrUnreachable", err)
	}
	server.Fail(0)
	if _, err := secret.UnlockKeyring(t.Context(), path, secret.Unlock{KMS: open(t, another(t))}); err == nil {
		t.Error("another server's key unwrapped it")
	}
	if _, err := client.Unwrap(t.Context(), []byte("vault:v1:AAAA")); err == nil {
		t.Error("what is no ciphertext was unwrapped")
	}
}

func another(t *testing.T) vault.Config {
	_, c := site(t)
	return c
}

func TestParseFileRefuses(t *testing.T) {
	for _, text := range []string{"", "{", `{"adress":"https://x"}`, `{"address":"https://x","address":"https://y"}`, `{"Address":"https://x"}`, `[]`, `{} {}`, strings.Repeat(" ", 600<<10) + "{}"} {
		if f, err := vault.ParseFile([]byte(text)); err == nil {
			t.Errorf("%.40q was taken for %+v", text, f)
		}
	}
	f, err := vault.ParseFile([]byte(`{"address":"https://v","role_id":"r","secret_id":"file:id","private":["10.0.0.0/8"],
		"secrets":{"a":{"mount":"secret","path":"p","field":"f"}},"transit":{"mount":"transit","key":"k"}}`))
	if err != nil || f.Secrets["a"].Field != "f" || f.Transit.Name != "k" || fmt.Sprint(f.Private) != "[10.0.0.0/8]" {
		t.Errorf("%+v, %v", f, err)
	}
}

// FuzzParseFile: a file that is taken makes a client that talks to nobody yet, or none.
func FuzzParseFile(f *testing.F) {
	f.Add([]byte(`{"address":"https://v.example","role_id":"r","secret_id":"file:id","secrets":{"a":{"mount":"m","path":"p/q","field":"f"}}}`))
	f.Add([]byte(`{"address":"https://v.example","role_id":"r","secrets":{"a":{"mount":"m","path":"a/../b","field":"f"}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := vault.ParseFile(text)
		if err != nil {
			return
		}
		client, err := vault.New(vault.Config{
			Address: file.Address, Namespace: file.Namespace, Private: file.Private, AppRole: file.AppRole, RoleID: file.RoleID,
			SecretID: func() ([]byte, error) { return nil, errors.New("none") }, Secrets: file.Secrets, Transit: file.Transit,
		})
		if err != nil {
			return
		}
		defer client.Close()
		list, err := client.List()
		if err != nil || len(list) != len(file.Secrets) {
			t.Errorf("listed %d of %d: %v", len(list), len(file.Secrets), err)
		}
		for name, p := range file.Secrets {
			if bytes.Contains([]byte("/"+p.Mount+"/"+p.Path+"/"), []byte("/../")) || strings.ContainsAny(p.Path, "?#%\\") {
				t.Errorf("%s: the path %q was taken", name, p.Path)
			}
		}
	})
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatal(what)
		}
	}
}
