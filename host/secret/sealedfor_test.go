package secret_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"

	"pointsman/host/secret"
)

// recipient is a broker's key pair, and its public half as an admin has it.
func recipient(t testing.TB, dir string, k *secret.Keyring) (*secret.Recipient, tink.HybridEncrypt) {
	t.Helper()
	r, err := secret.OpenRecipient(dir, k, true)
	if err != nil {
		t.Fatal(err)
	}
	text, err := r.Public()
	if err != nil {
		t.Fatal(err)
	}
	public, err := secret.ParsePublic(text)
	if err != nil {
		t.Fatal(err)
	}
	return r, public
}

func seal(t testing.TB, public tink.HybridEncrypt, name, plain string, terms secret.Terms) string {
	t.Helper()
	doc, err := secret.SealFor(public, name, []byte(plain), time.Now(), terms)
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

func TestSealedForRefuses(t *testing.T) {
	r, public := recipient(t, t.TempDir(), keyring(t))
	_, another := recipient(t, t.TempDir(), keyring(t))
	good := seal(t, public, "token", canary, secret.Terms{Expires: time.Now().Add(time.Hour)})
	var doc map[string]any
	if err := json.Unmarshal([]byte(good), &doc); err != nil {
		t.Fatal(err)
	}
	change := func(member string, value any) string {
		was, there := doc[member]
		defer func() {
			if doc[member] = was; !there {
				delete(doc, member)
			}
		}()
		if doc[member] = value; value == nil {
			delete(doc, member)
		}
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	tests := []struct{ name, text, want string }{
		{"sealed for another broker", seal(t, another, "token", canary, secret.Terms{}), "another broker"},
		{"sealed under another name, renamed", strings.Replace(seal(t, public, "other", canary, secret.Terms{}), `"other"`, `"token"`, 1), "does not open"},
		{"sealed under another name", seal(t, public, "other", canary, secret.Terms{}), "names itself"},
		{"another time", change("set", "2020-01-01T00:00:00Z"), "does not open"},
		{"a later expiry", change("expires", "2999-01-01T00:00:00Z"), "does not open"},
		{"no expiry", change("expires", nil), "does not open"},
		{"no ciphertext", change("sealed", ""), "does not open"},
		{"a damaged ciphertext", change("sealed", "AAAA"), "does not open"},
		{"another format", change("format", "pointsman-sealed/2"), "format"},
		{"unknown member", change("note", "x"), "not a sealed secret"},
		{"twice the same member", strings.Replace(good, `"name"`, `"name":"token","name"`, 1), "not a sealed secret"},
		{"half", good[:len(good)/2], "not a sealed secret"},
		{"empty", "", "not a sealed secret"},
		{"the value itself", canary, "not a sealed secret"},
		{"too large", good + strings.Repeat(" ", 40<<10), "larger"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			p, err := secret.NewSealedFor(dir, r, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "token"+secret.SealedSuffix), []byte(tt.text), 0o644); err != nil {
				t.Fatal(err)
			}
			v, err := p.Get("token")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one that says %q", err, tt.want)
			}
			if v.Expose() != nil || err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("it leaks: %v, %q", err, v.Expose())
			}
		})
	}
}

func TestSealedForReadsNothingOutsideItsFolder(t *testing.T) {
	r, public := recipient(t, t.TempDir(), keyring(t))
	outside := filepath.Join(t.TempDir(), "token"+secret.SealedSuffix)
	if err := os.WriteFile(outside, []byte(seal(t, public, "token", canary, secret.Terms{})), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "token"+secret.SealedSuffix)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"+secret.SealedSuffix), 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := secret.NewSealedFor(dir, r, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"token", "folder"} {
		if v, err := p.Get(name); err == nil {
			t.Errorf("%s: got %v", name, v)
		}
	}
}

func TestSealForRefuses(t *testing.T) {
	_, public := recipient(t, t.TempDir(), keyring(t))
	tests := []struct {
		name, secret string
		plain        []byte
		terms        secret.Terms
	}{
		{"a bad name", "../token", []byte("x"), secret.Terms{}},
		{"nothing", "token", nil, secret.Terms{}},
		{"too large", "token", make([]byte, secret.MaxSize+1), secret.Terms{}},
		{"expired", "token", []byte("x"), secret.Terms{Expires: time.Now().Add(-time.Hour)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if doc, err := secret.SealFor(public, tt.secret, tt.plain, time.Now(), tt.terms); err == nil {
				t.Errorf("sealed: %s", doc)
			}
		})
	}
	doc := seal(t, public, "token", strings.Repeat("x", secret.MaxSize), secret.Terms{})
	if strings.Contains(doc, "xxxx") {
		t.Error("the document holds the value")
	}
	if _, _, err := secret.ParseDocument([]byte(doc)); err != nil {
		t.Errorf("the largest document: %v", err)
	}
	var d struct{ Sealed []byte }
	if err := json.Unmarshal([]byte(doc), &d); err != nil || len(d.Sealed) != secret.MaxSize+secret.SealedOverhead {
		t.Errorf("a ciphertext of %d bytes, %v: the overhead is not %d", len(d.Sealed), err, secret.SealedOverhead)
	}
}

func TestRecipientRefuses(t *testing.T) {
	dir, k := t.TempDir(), keyring(t)
	if _, err := secret.OpenRecipient(dir, k, false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v, want fs.ErrNotExist", err)
	}
	recipient(t, dir, k)
	path := filepath.Join(dir, secret.RecipientFile)
	before := readFile(t, path)
	if strings.Contains(before, "keyData") {
		t.Error("the private key lies in the clear")
	}
	if _, err := secret.OpenRecipient(dir, keyring(t), true); !errors.Is(err, secret.ErrWrongKey) {
		t.Errorf("another keyring: %v, want ErrWrongKey", err)
	}
	if err := os.WriteFile(path, []byte(before[:len(before)/2]), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.OpenRecipient(dir, k, true); !errors.Is(err, secret.ErrDamaged) {
		t.Errorf("half a file: %v, want ErrDamaged", err)
	}
	if got := readFile(t, path); got != before[:len(before)/2] {
		t.Error("a damaged file was written over")
	}
}

func TestParsePublicRefuses(t *testing.T) {
	r, _ := recipient(t, t.TempDir(), keyring(t))
	good, err := r.Public()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, text string }{
		{"empty", ""},
		{"half", string(good[:len(good)/2])},
		{"a keyring", readFile(t, keyringPath(t))},
		{"another format", strings.Replace(string(good), "key/1", "key/2", 1)},
		{"unknown member", strings.Replace(string(good), `"key"`, `"x":1,"key"`, 1)},
		{"no keys", `{"format":"pointsman-public-key/1","key":{}}`},
		{"another kind of key", strings.Replace(string(good), "HpkePublicKey", "EciesAeadHkdfPublicKey", 1)},
		{"too large", string(good) + strings.Repeat(" ", 64<<10)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := secret.ParsePublic([]byte(tt.text)); err == nil {
				t.Error("taken, want a refusal")
			}
		})
	}
	if bytes.Contains(good, []byte("PRIVATE")) {
		t.Error("the public key holds the private one")
	}
}

// TestRecipientIsRewrapped rotates the master key under a pair, and seals before and after.
func TestRecipientIsRewrapped(t *testing.T) {
	dir, docs, k := t.TempDir(), t.TempDir(), keyring(t)
	_, public := recipient(t, dir, k)
	if err := os.WriteFile(filepath.Join(docs, "token"+secret.SealedSuffix), []byte(seal(t, public, "token", canary, secret.Terms{})), 0o644); err != nil {
		t.Fatal(err)
	}
	first := k.Keys()[0].ID
	if _, err := k.Rotate(); err != nil {
		t.Fatal(err)
	}
	if err := secret.RewrapRecipient(dir, k); err != nil {
		t.Fatal(err)
	}
	if id, ok, err := secret.RecipientKeyUse(dir); id == first || !ok || err != nil {
		t.Errorf("sealed with %v, %v, %v, want the second key", id, ok, err)
	}
	if err := k.Retire(first); err != nil {
		t.Fatal(err)
	}
	r, _ := recipient(t, dir, k)
	p, err := secret.NewSealedFor(docs, r, 0)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := p.Get("token"); err != nil || string(v.Expose()) != canary {
		t.Errorf("got %q, %v", v.Expose(), err)
	}
}

// FuzzDocument edits a sealed document in any way: it gives the value that was sealed, or none.
func FuzzDocument(f *testing.F) {
	dir := f.TempDir()
	r, public := recipient(f, f.TempDir(), keyring(f))
	path := filepath.Join(dir, "token"+secret.SealedSuffix)
	good := seal(f, public, "token", canary, secret.Terms{Expires: time.Now().Add(1000 * time.Hour)})
	f.Add(uint16(0), uint16(0), []byte(""))
	f.Add(uint16(0), uint16(65535), []byte(`{"format":"pointsman-sealed/1","name":"token","sealed":""}`))
	f.Add(uint16(strings.Index(good, "token")), uint16(5), []byte("other"))
	f.Add(uint16(strings.Index(good, "expires")+11), uint16(4), []byte("2999"))
	f.Fuzz(func(t *testing.T, at, length uint16, insert []byte) {
		from := min(int(at), len(good))
		text := good[:from] + string(insert) + good[min(from+int(length), len(good)):]
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		p, err := secret.NewSealedFor(dir, r, 0)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := p.Get("token"); err == nil && string(v.Expose()) != canary {
			t.Errorf("got %q, which nobody sealed", v.Expose())
		}
		if _, _, err := secret.ParseDocument([]byte(text)); err == nil {
			if list, err := p.List(); err == nil && len(list) != 1 {
				t.Errorf("listed %v", list)
			}
		}
	})
}

// FuzzPublic reads any text as a public key: what is taken can be sealed with.
func FuzzPublic(f *testing.F) {
	r, _ := recipient(f, f.TempDir(), keyring(f))
	good, err := r.Public()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":"pointsman-public-key/1","key":{"primaryKeyId":1,"key":[]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		public, err := secret.ParsePublic(text)
		if err != nil {
			return
		}
		// A key that is no point of the curve is found here; it must be an error and no more.
		_, _ = secret.SealFor(public, "token", []byte("x"), time.Now(), secret.Terms{})
	})
}
