package secret_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"pointsman/host/secret"
)

func TestPointersRefuses(t *testing.T) {
	k := keyring(t)
	for _, epoch := range []int{0, -1} {
		if key, err := k.Pointers(epoch); err == nil || key != nil {
			t.Errorf("epoch %d: got %v, %v, want an error", epoch, key, err)
		}
	}
	key := pointerKey(t, k, 1)
	sealed := encrypt(t, key, "4711", "ad")
	flipped := bytes.Clone(sealed)
	flipped[3] ^= 1
	tests := []struct {
		name   string
		key    *secret.PointerKey
		sealed []byte
		ad     string
	}{
		{"other associated data", key, sealed, "ae"},
		{"no associated data", key, sealed, ""},
		{"another epoch", pointerKey(t, k, 2), sealed, "ad"},
		{"another keyring", pointerKey(t, keyring(t), 1), sealed, "ad"},
		{"a changed bit", key, flipped, "ad"},
		{"cut short", key, sealed[:15], "ad"},
		{"nothing", key, nil, "ad"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if plain, err := tt.key.DecryptDeterministically(tt.sealed, []byte(tt.ad)); err == nil {
				t.Errorf("opened as %q, want an error", plain)
			}
		})
	}
}

// TestPointersStay: the key of an epoch is the same in every process that has the keyring,
// whatever happens to the keys that values are sealed with and to what protects them.
func TestPointersStay(t *testing.T) {
	path := keyringPath(t)
	first, err := secret.OpenKeyring(path, false)
	if err != nil {
		t.Fatal(err)
	}
	want := encrypt(t, pointerKey(t, first, 3), "4711", "ad")
	same := func(when string, k *secret.Keyring) {
		t.Helper()
		key := pointerKey(t, k, 3)
		if got := encrypt(t, key, "4711", "ad"); !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", when, got, want)
		}
		if plain, err := key.DecryptDeterministically(want, []byte("ad")); err != nil || string(plain) != "4711" {
			t.Errorf("%s: opened as %q, %v", when, plain, err)
		}
	}
	file := readFile(t, path)
	second, err := secret.OpenKeyring(path, false)
	if err != nil {
		t.Fatal(err)
	}
	same("another process", second)
	if got := readFile(t, path); got != file {
		t.Error("deriving a key changed the file")
	}
	was := first.Keys()[0].ID
	if _, err := first.Rotate(); err != nil {
		t.Fatal(err)
	}
	if err := first.Retire(was); err != nil {
		t.Fatal(err)
	}
	if err := first.Delete(was); err != nil {
		t.Fatal(err)
	}
	same("after rotate, retire and delete", first)
	same("another process, after them", second)
	if err := first.Protect(context.Background(), secret.Protection{Passphrase: []byte(passphrase)}); err != nil {
		t.Fatal(err)
	}
	same("after protect", first)
	wrapped, err := secret.UnlockKeyring(context.Background(), path, with(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	same("a wrapped keyring", wrapped)
}

// TestPointersOfAnOldFile: a keyring written before there were pointers has keys for them,
// and what was minted with a keyring once resolves with every later version of the program.
func TestPointersOfAnOldFile(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	text := fmt.Appendf(nil, `{"format":"pointsman-keyring/1","aead":%s,"prf":%s}`,
		rawKeyset("XChaCha20Poly1305Key", nil, key), rawKeyset("HmacPrfKey", []byte{0x08, 3}, key)) // hash: SHA256
	path := filepath.Join(t.TempDir(), "keyring.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := secret.OpenKeyring(path, false)
	if err != nil {
		t.Fatal(err)
	}
	const want = "7301243fcf8f31756dcb0bd56865a5a1b18e2c59"
	if got := hex.EncodeToString(encrypt(t, pointerKey(t, k, 7), "4711", "ad")); got != want {
		t.Errorf("got %s, want %s: pointers minted so far would not resolve any more", got, want)
	}
}

// TestWycheproofPointerKey opens and makes the vectors of AES-SIV of the one key length
// that pointers have.
func TestWycheproofPointerKey(t *testing.T) {
	tried := 0
	for _, g := range vectors(t, "aes_siv_cmac_test.json").TestGroups {
		if g.KeySize != 512 {
			continue
		}
		for _, v := range g.Tests {
			key, err := secret.PointerKeyOf(v.Key)
			if err != nil {
				t.Fatalf("%d: %v", v.ID, err)
			}
			tried++
			plain, err := key.DecryptDeterministically(v.CT, v.AAD)
			if opened := err == nil; opened != (v.Result == "valid") {
				t.Errorf("%d (%s): opened is %v, the vector is %s", v.ID, v.Comment, opened, v.Result)
			}
			if err == nil && !bytes.Equal(plain, v.Msg) {
				t.Errorf("%d (%s): got %x, want %x", v.ID, v.Comment, plain, []byte(v.Msg))
			}
			sealed, err := key.EncryptDeterministically(v.Msg, v.AAD)
			if err != nil || bytes.Equal(sealed, v.CT) != (v.Result == "valid") {
				t.Errorf("%d (%s): sealed as %x, %v; the vector is %s", v.ID, v.Comment, sealed, err, v.Result)
			}
		}
	}
	if tried < 100 {
		t.Errorf("%d vectors tried, want at least 100", tried)
	}
	for _, size := range []int{0, 32, 48, 63, 65} {
		if _, err := secret.PointerKeyOf(make([]byte, size)); err == nil {
			t.Errorf("a key of %d bytes was taken", size)
		}
	}
}

func pointerKey(t testing.TB, k *secret.Keyring, epoch int) *secret.PointerKey {
	t.Helper()
	key, err := k.Pointers(epoch)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func encrypt(t testing.TB, key *secret.PointerKey, plain, ad string) []byte {
	t.Helper()
	sealed, err := key.EncryptDeterministically([]byte(plain), []byte(ad))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}
