package secret_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pointsman/host/secret"
)

func TestOpenKeyringRefuses(t *testing.T) {
	good := readFile(t, keyringPath(t))
	tests := []struct {
		name, text string
		mode       os.FileMode
		want       string
	}{
		{"read by the group", good, 0o640, "chmod 600"},
		{"read by the world", good, 0o604, "chmod 600"},
		{"written by the group", good, 0o620, "chmod 600"},
		{"empty", "", 0o600, "damaged"},
		{"half", good[:len(good)/2], 0o600, "damaged"},
		{"another format", strings.Replace(good, "keyring/1", "keyring/3", 1), 0o600, "format"},
		{"unknown key", strings.Replace(good, `"aead"`, `"extra":1,"aead"`, 1), 0o600, "damaged"},
		{"twice the same key", strings.Replace(good, `"aead"`, `"format":"pointsman-keyring/1","aead"`, 1), 0o600, "damaged"},
		{"a key of a weaker type", strings.Replace(good, "XChaCha20Poly1305Key", "AesCtrHmacAeadKey", 1), 0o600, "aead"},
		{"too large", good + strings.Repeat(" ", 64<<10), 0o600, "larger"},
		{"no keys", `{"format":"pointsman-keyring/1","aead":{},"prf":{}}`, 0o600, "keyset"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keyring.json")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			_, err := secret.OpenKeyring(path, true)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one that says %q", err, tt.want)
			}
			if got := readFile(t, path); got != tt.text {
				t.Error("the file was changed, want it left alone")
			}
		})
	}
}

func TestOpenKeyringMakesOneOnlyWhenAsked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyring.json")
	if _, err := secret.OpenKeyring(path, false); !errors.Is(err, secret.ErrNoKeyring) {
		t.Errorf("error %v, want ErrNoKeyring", err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a file was made: %v", err)
	}
	first, err := secret.OpenKeyring(path, true)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", st.Mode(), err)
	}
	second, err := secret.OpenKeyring(path, true)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.MAC("p", nil), second.MAC("p", nil)) {
		t.Error("opening with create made other keys, want the ones that were there")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSealBindsPurposeAndName(t *testing.T) {
	k, other := keyring(t), keyring(t)
	sealed, err := k.Seal("secret", "token", []byte(canary))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte(canary)) {
		t.Fatal("the ciphertext holds the plaintext")
	}
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	tests := []struct {
		name, purpose, as string
		keys              *secret.Keyring
		sealed            []byte
		wantOpen          bool
	}{
		{"another name", "secret", "token2", k, sealed, false},
		{"another purpose", "secrets", "token", k, sealed, false},
		{"another keyring", "secret", "token", other, sealed, false},
		{"a changed bit", "secret", "token", k, flipped, false},
		{"cut short", "secret", "token", k, sealed[:10], false},
		{"nothing", "secret", "token", k, nil, false},
		{"a separator in the name", "secret", "token|default", k, sealed, false},
		{"an empty name", "secret", "", k, sealed, false},
		{"itself", "secret", "token", k, sealed, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plain, err := tt.keys.Open(tt.purpose, tt.as, tt.sealed)
			if opened := err == nil; opened != tt.wantOpen {
				t.Errorf("opened: %v (%v), want %v", opened, err, tt.wantOpen)
			}
			if tt.wantOpen && string(plain) != canary {
				t.Errorf("got %q, want %q", plain, canary)
			}
		})
	}
}

func TestMACKeepsPurposesApart(t *testing.T) {
	k, other := keyring(t), keyring(t)
	seen := map[string]string{}
	for name, mac := range map[string][]byte{
		"a/bc": k.MAC("a", []byte("bc")), "ab/c": k.MAC("ab", []byte("c")), "/abc": k.MAC("", []byte("abc")), "abc/": k.MAC("abc", nil),
		"other keys": other.MAC("a", []byte("bc")),
	} {
		if len(mac) != 32 {
			t.Errorf("%s: %d bytes, want 32", name, len(mac))
		}
		if twin, ok := seen[string(mac)]; ok {
			t.Errorf("%s and %s have the same MAC", name, twin)
		}
		seen[string(mac)] = name
	}
	if !bytes.Equal(k.MAC("a", []byte("x")), k.MAC("a", []byte("x"))) {
		t.Error("the same data gives two MACs")
	}
}

func keyring(t testing.TB) *secret.Keyring {
	t.Helper()
	k, err := secret.OpenKeyring(filepath.Join(t.TempDir(), "keyring.json"), true)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func keyringPath(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyring.json")
	if _, err := secret.OpenKeyring(path, true); err != nil {
		t.Fatal(err)
	}
	return path
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
