package secret

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/prf"
)

// SetClock makes a store see the time that now tells.
func (s *Store) SetClock(now func() time.Time) { s.now = now }

// SetClock makes a memory see the time that now tells.
func (m *Memory) SetClock(now func() time.Time) { m.now = now }

// ParseDocument is what a folder's files go through.
func ParseDocument(text []byte) (name string, expires time.Time, err error) {
	d, err := parseDocument(text)
	return d.Name, d.Expires, err
}

// Argon2id is what a passphrase is stretched with: passes, KiB, lanes.
const (
	ArgonTime, ArgonMemory, ArgonThreads = argonTime, argonMemory, argonThreads
)

// SealedOverhead is by how much a document's ciphertext is longer than the value.
const SealedOverhead = sealedOverhead

// OldFile makes a store's file of ciphertexts in format 1.
func OldFile(k *Keyring, seq uint64, values map[string]string) ([]byte, error) {
	check, err := k.Seal(purposeCheck, checkedName, []byte(checkText))
	if err != nil {
		return nil, err
	}
	f := oldFile{Format: storeFormatOld, Seq: seq, Check: check, Sealed: map[string][]byte{}}
	for name, plain := range values {
		if f.Sealed[name], err = k.Seal(purposeValue, name, []byte(plain)); err != nil {
			return nil, err
		}
	}
	f.Sum = f.sum(k)
	return json.Marshal(f)
}

// OpenWith opens what was sealed with the one key of a Tink keyset that a keyring could hold.
func OpenWith(aeadKeyset []byte) (func(sealed, ad []byte) ([]byte, error), error) {
	h, err := readKeyset(aeadKeyset, aeadTypes())
	if err != nil {
		return nil, err
	}
	primitive, err := aead.New(h)
	if err != nil {
		return nil, err
	}
	return primitive.Decrypt, nil
}

// HashWith is the keyed hash of the one key of a Tink keyset that a keyring could hold.
func HashWith(prfKeyset []byte) (func(data []byte) ([]byte, error), error) {
	h, err := readKeyset(prfKeyset, prfTypes())
	if err != nil {
		return nil, err
	}
	set, err := prf.NewPRFSet(h)
	if err != nil {
		return nil, err
	}
	return func(data []byte) ([]byte, error) { return set.ComputePrimaryPRF(data, macSize) }, nil
}

// PointerKeyOf is a pointer key of 64 given bytes.
func PointerKeyOf(key []byte) (*PointerKey, error) { return newPointerKey(key) }
