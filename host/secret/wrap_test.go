package secret_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pointsman/host/secret"
)

const passphrase = "a horse, a battery and a staple"

// kms is one in memory: it wraps by remembering.
type kms struct {
	keys map[string][]byte
	down error
}

func (*kms) KMS() string { return "test key" }

func (k *kms) Wrap(_ context.Context, plain []byte) ([]byte, error) {
	if k.down != nil {
		return nil, k.down
	}
	name := "wrapped-" + string(rune('a'+len(k.keys)))
	k.keys[name] = bytes.Clone(plain)
	return []byte(name), nil
}

func (k *kms) Unwrap(_ context.Context, wrapped []byte) ([]byte, error) {
	if k.down != nil {
		return nil, k.down
	}
	plain, ok := k.keys[string(wrapped)]
	if !ok {
		return nil, errors.New("not wrapped here")
	}
	return bytes.Clone(plain), nil
}

func with(text string) secret.Unlock {
	return secret.Unlock{Passphrase: func() ([]byte, error) { return []byte(text), nil }}
}

func TestUnlockRefuses(t *testing.T) {
	path := wrapped(t, secret.Protection{Passphrase: []byte(passphrase)})
	good := readFile(t, path)
	var file map[string]json.RawMessage
	if err := json.Unmarshal([]byte(good), &file); err != nil {
		t.Fatal(err)
	}
	argon := string(file["argon2id"])
	change := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in the keyring", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	tests := []struct {
		name, text string
		unlock     secret.Unlock
		want       string
	}{
		{"nothing to unlock it with", good, secret.Unlock{}, "is sealed"},
		{"another passphrase", good, with("a horse, a battery and a stable"), "does not open"},
		{"an empty passphrase", good, with(""), "does not open"},
		{"a very long passphrase", good, with(strings.Repeat("x", 2000)), "does not open"},
		{"no passphrase to be had", good, secret.Unlock{Passphrase: func() ([]byte, error) { return nil, errors.New("nobody answers") }}, "nobody answers"},
		{"a bit of the keys", change(`"keys":"`, `"keys":"AAAA`), with(passphrase), "does not open"},
		{"the salt", change(`"salt":"`, `"salt":"AAAA`), with(passphrase), "does not open"},
		{"more passes", change(`"time":3`, `"time":4`), with(passphrase), "does not open"},
		{"fewer passes", change(`"time":3`, `"time":1`), with(passphrase), "weaker"},
		{"less memory", change(`"memory":65536`, `"memory":8`), with(passphrase), "weaker"},
		{"a short salt", change(argon, `{"time":3,"memory":65536,"threads":4,"salt":"AAAA"}`), with(passphrase), "weaker"},
		{"far too much memory", change(`"memory":65536`, `"memory":4294967295`), with(passphrase), "more time or memory"},
		{"far too many passes", change(`"time":3`, `"time":4294967295`), with(passphrase), "more time or memory"},
		{"two ways at once", change(`"by"`, `"kms":{"name":"x","key":"AAAA"},"by"`), with(passphrase), "does not know"},
		{"by nothing", change(`"by":"passphrase"`, `"by":"nothing"`), with(passphrase), "does not know"},
		{"unknown member", change(`"by"`, `"extra":1,"by"`), with(passphrase), "damaged"},
		{"twice the same member", change(`"by"`, `"by":"passphrase","by"`), with(passphrase), "damaged"},
		{"half", good[:len(good)/2], with(passphrase), "damaged"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keyring.json")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			k, err := secret.UnlockKeyring(t.Context(), path, tt.unlock)
			if err == nil || !strings.Contains(err.Error(), tt.want) || k != nil {
				t.Errorf("error %v, want one that says %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), passphrase) {
				t.Errorf("the error repeats the passphrase: %v", err)
			}
			if _, err := secret.OpenKeyring(path, true); err == nil {
				t.Error("it opens without being unlocked")
			}
			if readFile(t, path) != tt.text {
				t.Error("the file was changed")
			}
		})
	}
}

func TestCreateKeyringRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keyring.json")
	if err := secret.CreateKeyring(t.Context(), path, secret.Protection{Passphrase: []byte("too short")}); err == nil {
		t.Error("a short passphrase was taken")
	}
	if err := secret.CreateKeyring(t.Context(), path, secret.Protection{Passphrase: []byte{}}); err == nil {
		t.Error("an empty passphrase was taken for none")
	}
	if err := secret.CreateKeyring(t.Context(), path, secret.Protection{KMS: &kms{down: errors.New("no KMS today")}}); err == nil {
		t.Error("a keyring was made without its KMS")
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	for _, p := range []secret.Protection{{}, {Passphrase: []byte(passphrase)}, {KMS: &kms{keys: map[string][]byte{}}}} {
		path := wrapped(t, p)
		before := readFile(t, path)
		if err := secret.CreateKeyring(t.Context(), path, secret.Protection{}); !errors.Is(err, fs.ErrExist) {
			t.Errorf("error %v, want that there is one", err)
		}
		if readFile(t, path) != before {
			t.Error("the keyring that was there was replaced")
		}
	}
}

func TestWrappedKeyrings(t *testing.T) {
	service := &kms{keys: map[string][]byte{}}
	tests := []struct {
		name    string
		protect secret.Protection
		unlock  secret.Unlock
		clear   bool
	}{
		{"in the clear", secret.Protection{}, secret.Unlock{}, true},
		{"by a passphrase", secret.Protection{Passphrase: []byte(passphrase)}, with(passphrase), false},
		{"by a KMS", secret.Protection{KMS: service}, secret.Unlock{KMS: service}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := wrapped(t, tt.protect)
			k := unlock(t, path, tt.unlock)
			sealed, err := k.Seal("test", "name", []byte(canary))
			if err != nil {
				t.Fatal(err)
			}
			if k.Clear() != tt.clear {
				t.Errorf("clear: %v, want %v", k.Clear(), tt.clear)
			}
			if strings.Contains(readFile(t, path), "keyData") == !tt.clear {
				t.Errorf("the keys on disk: %s", readFile(t, path))
			}
			again := unlock(t, path, tt.unlock)
			if plain, err := again.Open("test", "name", sealed); err != nil || string(plain) != canary {
				t.Errorf("after opening again: %q, %v", plain, err)
			}
		})
	}
}

// TestProtectChangesTheWrappingOnly goes through every way of protecting a keyring.
func TestProtectChangesTheWrappingOnly(t *testing.T) {
	service := &kms{keys: map[string][]byte{}}
	path := wrapped(t, secret.Protection{})
	k := unlock(t, path, secret.Unlock{})
	sealed, err := k.Seal("test", "name", []byte(canary))
	if err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		name    string
		protect secret.Protection
		unlock  secret.Unlock
	}{
		{"passphrase", secret.Protection{Passphrase: []byte(passphrase)}, with(passphrase)},
		{"another passphrase", secret.Protection{Passphrase: []byte("another passphrase")}, with("another passphrase")},
		{"a KMS", secret.Protection{KMS: service}, secret.Unlock{KMS: service}},
		{"in the clear", secret.Protection{}, secret.Unlock{}},
	}
	for _, s := range steps {
		if err := k.Protect(t.Context(), s.protect); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		again := unlock(t, path, s.unlock)
		for _, keys := range []*secret.Keyring{k, again} {
			if plain, err := keys.Open("test", "name", sealed); err != nil || string(plain) != canary {
				t.Errorf("%s: %q, %v", s.name, plain, err)
			}
			if !bytes.Equal(keys.MAC("p", nil), k.MAC("p", nil)) {
				t.Errorf("%s: another MAC", s.name)
			}
		}
	}
	if _, err := secret.UnlockKeyring(t.Context(), path, with(passphrase)); err != nil {
		t.Errorf("one in the clear needs no passphrase: %v", err)
	}
}

// FuzzWrappedKeyring edits a wrapped keyring in any way: it opens with its keys or not at all.
func FuzzWrappedKeyring(f *testing.F) {
	service := &kms{keys: map[string][]byte{}} // no Argon2id, which would take all the time
	path := wrapped(f, secret.Protection{KMS: service})
	good := readFile(f, path)
	mac := unlock(f, path, secret.Unlock{KMS: service}).MAC("p", nil)
	f.Add(uint16(0), uint16(0), []byte(""))
	f.Add(uint16(0), uint16(65535), []byte(`{"format":"pointsman-keyring/2","by":"kms"}`))
	f.Add(uint16(strings.Index(good, "wrapped")), uint16(1), []byte("x"))
	f.Add(uint16(strings.Index(good, `"keys":"`)+9), uint16(1), []byte("A"))
	f.Fuzz(func(t *testing.T, at, length uint16, insert []byte) {
		from := min(int(at), len(good))
		text := good[:from] + string(insert) + good[min(from+int(length), len(good)):]
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		k, err := secret.UnlockKeyring(context.Background(), path, secret.Unlock{
			KMS: service, Passphrase: func() ([]byte, error) { return nil, errors.New("none") },
		})
		if err == nil && !bytes.Equal(k.MAC("p", nil), mac) {
			t.Error("it opened with other keys")
		}
		if readFile(t, path) != text {
			t.Error("opening changed the file")
		}
	})
}

func wrapped(t testing.TB, p secret.Protection) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyring.json")
	if err := secret.CreateKeyring(context.Background(), path, p); err != nil {
		t.Fatal(err)
	}
	return path
}

func unlock(t testing.TB, path string, u secret.Unlock) *secret.Keyring {
	t.Helper()
	k, err := secret.UnlockKeyring(context.Background(), path, u)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
