package pointer_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"pointsman/host/broker"
	"pointsman/host/pointer"
	"pointsman/host/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const shop, bank = broker.Sector("shop"), broker.Sector("bank")

// keys are the epochs' keys of a keyring of its own.
func keys(t testing.TB) func(int) (pointer.Cipher, error) {
	t.Helper()
	k, err := secret.OpenKeyring(filepath.Join(t.TempDir(), "keyring.json"), true)
	if err != nil {
		t.Fatal(err)
	}
	return func(epoch int) (pointer.Cipher, error) { return k.Pointers(epoch) }
}

// fixedKeys are the epochs' keys of a keyring that is the same in every run.
func fixedKeys(t testing.TB) func(int) (pointer.Cipher, error) {
	t.Helper()
	const keyset = `{"primaryKeyId":1,"key":[{"keyData":{"typeUrl":"type.googleapis.com/google.crypto.tink.%s",` +
		`"value":%q,"keyMaterialType":"SYMMETRIC"},"status":"ENABLED","keyId":1,"outputPrefixType":"RAW"}]}`
	key := "\x1a\x200123456789abcdef0123456789abcdef" // field 3 of both messages: the key
	path := filepath.Join(t.TempDir(), "keyring.json")
	text := fmt.Sprintf(`{"format":"pointsman-keyring/1","aead":`+keyset+`,"prf":`+keyset+`}`,
		"XChaCha20Poly1305Key", base64.StdEncoding.EncodeToString([]byte(key)),
		"HmacPrfKey", base64.StdEncoding.EncodeToString([]byte("\x12\x02\x08\x03"+key))) // field 2: SHA256
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := secret.OpenKeyring(path, false)
	if err != nil {
		t.Fatal(err)
	}
	return func(epoch int) (pointer.Cipher, error) { return k.Pointers(epoch) }
}

func issuer(t testing.TB, keyOf func(int) (pointer.Cipher, error), domains ...pointer.Domain) *pointer.Issuer {
	t.Helper()
	i, err := pointer.NewIssuer(domains, keyOf, &pointer.Ephemeral{PerSector: 3, Total: 5})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func mint(t testing.TB, i *pointer.Issuer, domain string, sector broker.Sector, id string) string {
	t.Helper()
	text, err := i.Mint(domain, sector, id)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// counted counts what a cipher is asked for.
type counted struct {
	pointer.Cipher
	work *work
}

type work struct {
	sealed, opened atomic.Int64
	bytes          atomic.Int64 // of ciphertexts that were opened and of associated data
}

func (c counted) EncryptDeterministically(plain, associated []byte) ([]byte, error) {
	c.work.sealed.Add(1)
	c.work.bytes.Add(int64(len(plain) + len(associated)))
	return c.Cipher.EncryptDeterministically(plain, associated)
}

func (c counted) DecryptDeterministically(sealed, associated []byte) ([]byte, error) {
	c.work.opened.Add(1)
	c.work.bytes.Add(int64(len(sealed) + len(associated)))
	return c.Cipher.DecryptDeterministically(sealed, associated)
}

// counting are keys whose use is counted.
func counting(keyOf func(int) (pointer.Cipher, error), w *work) func(int) (pointer.Cipher, error) {
	return func(epoch int) (pointer.Cipher, error) {
		c, err := keyOf(epoch)
		return counted{c, w}, err
	}
}
