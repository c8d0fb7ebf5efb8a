package secrettest_test

import (
	"crypto/x509"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pointsman/host/secret"
	"pointsman/host/secret/plain"
	"pointsman/host/secret/secrettest"
	"pointsman/host/secret/vault"
	"pointsman/host/secret/vault/vaulttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const overlap = time.Hour

func TestSealed(t *testing.T) {
	secrettest.Run(t, func(t *testing.T) secrettest.Provider {
		dir, k := t.TempDir(), keyring(t)
		store, err := secret.OpenStore(dir, k)
		must(t, err)
		admin, err := secret.OpenStore(dir, k) // another process's
		must(t, err)
		return secrettest.Provider{
			Provider: store, Expires: true, Former: true,
			Put: func(t testing.TB, name, plain string, expires time.Time) {
				must(t, admin.Put(name, []byte(plain), secret.Terms{Expires: expires, Overlap: overlap}))
			},
			Remove: func(t testing.TB, name string) { must(t, admin.Remove(name)) },
		}
	})
}

func TestSealedFor(t *testing.T) {
	secrettest.Run(t, func(t *testing.T) secrettest.Provider {
		dir := t.TempDir()
		key, err := secret.OpenRecipient(t.TempDir(), keyring(t), true)
		must(t, err)
		text, err := key.Public()
		must(t, err)
		public, err := secret.ParsePublic(text)
		must(t, err)
		p, err := secret.NewSealedFor(dir, key, overlap)
		must(t, err)
		return secrettest.Provider{
			Provider: p, Expires: true, Former: true,
			Put: func(t testing.TB, name, plain string, expires time.Time) {
				doc, err := secret.SealFor(public, name, []byte(plain), time.Now(), secret.Terms{Expires: expires})
				must(t, err)
				tmp := filepath.Join(dir, ".new")
				must(t, os.WriteFile(tmp, doc, 0o644))
				must(t, os.Rename(tmp, filepath.Join(dir, name+secret.SealedSuffix)))
			},
			Remove: func(t testing.TB, name string) {
				must(t, os.Remove(filepath.Join(dir, name+secret.SealedSuffix)))
			},
		}
	})
}

func TestMemory(t *testing.T) {
	secrettest.Run(t, func(t *testing.T) secrettest.Provider {
		m := secret.NewMemory()
		return secrettest.Provider{
			Provider: m, Expires: true, Former: true,
			Put: func(t testing.TB, name, plain string, expires time.Time) {
				must(t, m.Put(name, []byte(plain), secret.Terms{Expires: expires, Overlap: overlap}))
			},
			Remove: func(t testing.TB, name string) { must(t, m.Remove(name)) },
		}
	})
}

func TestVault(t *testing.T) {
	secrettest.Run(t, func(t *testing.T) secrettest.Provider {
		server := vaulttest.Start()
		t.Cleanup(server.Close)
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		paths := map[string]vault.Path{}
		for _, name := range []string{"token", "a", "b", "c", "other"} {
			paths[name] = vault.Path{Mount: "secret", Path: "acme/" + name, Field: "value"}
		}
		client, err := vault.New(vault.Config{
			Address: server.URL, RootCAs: roots, Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
			RoleID: server.RoleID, SecretID: func() ([]byte, error) { return []byte(server.SecretID), nil },
			Secrets: paths, Refresh: 10 * time.Millisecond, Overlap: overlap,
		})
		must(t, err)
		client.Start()
		t.Cleanup(client.Close)
		return secrettest.Provider{
			Provider: client, Former: true,
			Put: func(t testing.TB, name, plain string, _ time.Time) {
				server.Put("acme/"+name, map[string]any{"value": plain, "note": 1})
			},
			Remove: func(t testing.TB, name string) { server.Delete("acme/" + name) },
		}
	})
}

func TestEnv(t *testing.T) {
	secrettest.Run(t, func(t *testing.T) secrettest.Provider {
		return secrettest.Provider{
			Provider: plain.Env{Prefix: "POINTSMAN_SECRETTEST"},
			Put: func(t testing.TB, name, plain string, _ time.Time) {
				key := "POINTSMAN_SECRETTEST_" + strings.ToUpper(name)
				must(t, os.Setenv(key, plain))
				t.Cleanup(func() { must(t, os.Unsetenv(key)) })
			},
			Remove: func(t testing.TB, name string) { must(t, os.Unsetenv("POINTSMAN_SECRETTEST_"+strings.ToUpper(name))) },
		}
	})
}

func TestFile(t *testing.T) {
	secrettest.Run(t, func(t *testing.T) secrettest.Provider {
		dir := t.TempDir()
		return secrettest.Provider{
			Provider: plain.Dir{Path: dir},
			Put: func(t testing.TB, name, plain string, _ time.Time) {
				tmp := filepath.Join(dir, ".new")
				must(t, os.WriteFile(tmp, []byte(plain+"\n"), 0o600))
				must(t, os.Rename(tmp, filepath.Join(dir, name)))
			},
			Remove: func(t testing.TB, name string) { must(t, os.Remove(filepath.Join(dir, name))) },
		}
	})
}

func keyring(t testing.TB) *secret.Keyring {
	t.Helper()
	k, err := secret.OpenKeyring(filepath.Join(t.TempDir(), "keyring.json"), true)
	must(t, err)
	return k
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
