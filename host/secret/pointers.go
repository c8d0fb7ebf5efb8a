package secret

import (
	"encoding/binary"
	"fmt"

	daead "github.com/tink-crypto/tink-go/v2/daead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// PointerKey is the key of one epoch of pointers: AES-SIV-CMAC (RFC 5297) with two keys of
// 256 bits, the deterministic AEAD of Tink. The same plaintext with the same associated data
// is always the same ciphertext. Immutable; safe for concurrent use.
type PointerKey struct{ siv tink.DeterministicAEAD }

// Pointers returns the key of an epoch, from 1 on. It follows from the key that keyed hashes
// are made with and from the epoch, so nothing is written: every process that opens this
// keyring has it at once, however the keyring is wrapped, and Rotate does not change it.
func (k *Keyring) Pointers(epoch int) (*PointerKey, error) {
	if epoch < 1 {
		return nil, fmt.Errorf("there is no epoch %d: they count from 1", epoch)
	}
	var key []byte
	var err error
	erased(func() { key, err = k.derive("pointers", uint64(epoch), daead.AESSIVKeySize) })
	if err != nil {
		return nil, fmt.Errorf("key of epoch %d: %w", epoch, err)
	}
	return newPointerKey(key)
}

// newPointerKey takes over key.
func newPointerKey(key []byte) (*PointerKey, error) {
	siv, err := daead.NewAESSIV(key)
	if err != nil {
		return nil, err
	}
	return &PointerKey{siv}, nil
}

// derive returns size bytes, a multiple of macSize, that are the PRF's output for these
// inputs only. What a MAC is made of begins with other words.
//
//	block i = PRF("pointsman|key|" length of purpose (4 bytes) purpose number (8) i (4))
func (k *Keyring) derive(purpose string, number uint64, size int) ([]byte, error) {
	in := binary.BigEndian.AppendUint32([]byte("pointsman|key|"), uint32(len(purpose)))
	in = binary.BigEndian.AppendUint64(append(in, purpose...), number)
	prf := k.keys.Load().prf
	out := make([]byte, 0, size)
	for i := uint32(0); len(out) < size; i++ {
		block, err := prf.ComputePrimaryPRF(binary.BigEndian.AppendUint32(in[:len(in):len(in)], i), macSize)
		if err != nil {
			return nil, err
		}
		out = append(out, block...)
		clear(block)
	}
	return out, nil
}

// EncryptDeterministically returns plain sealed, 16 bytes longer, and bound to associated.
func (p *PointerKey) EncryptDeterministically(plain, associated []byte) ([]byte, error) {
	return p.siv.EncryptDeterministically(plain, associated)
}

// DecryptDeterministically opens what EncryptDeterministically returned for the same
// associated data. The time it takes depends on the lengths alone.
func (p *PointerKey) DecryptDeterministically(sealed, associated []byte) ([]byte, error) {
	return p.siv.DecryptDeterministically(sealed, associated)
}
