package secret

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// KeyID tells the keys of a keyring apart. It is not secret: Tink writes it in front of
// each ciphertext.
type KeyID uint32

// String is how people see and type it: eight hexadecimal digits.
func (id KeyID) String() string { return fmt.Sprintf("%08x", uint32(id)) }

// Key is what is known of a key without the key.
type Key struct {
	ID      KeyID
	Primary bool // new values are sealed with it
	Retired bool // opens nothing, until it is restored
}

// ErrNoKey is returned for a key that the keyring does not hold.
var ErrNoKey = errors.New("the keyring holds no such key")

// Keys are the keys that values are sealed with, oldest first.
func (k *Keyring) Keys() []Key {
	k.refresh()
	return append([]Key(nil), k.keys.Load().list...)
}

// Protection says what protects the keys on disk, in words for people.
func (k *Keyring) Protection() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.header.describe()
}

// Rotate adds a key that everything is sealed with from now on. The earlier ones still
// open what they sealed. Keyed hashes (MAC) stay as they are: what they were made of is not
// kept, so they could not be made anew.
func (k *Keyring) Rotate() (KeyID, error) {
	var id uint32
	err := k.change(func(m *keyset.Manager) (err error) {
		if id, err = m.Add(aead.XChaCha20Poly1305KeyTemplate()); err != nil {
			return err
		}
		return m.SetPrimary(id)
	})
	return KeyID(id), err
}

// Retire makes a key open nothing. It stays in the file, so that Restore can undo it. The
// primary key cannot be retired. Whether anything is still sealed with it is for the caller
// to know: see Store.KeyUse.
func (k *Keyring) Retire(id KeyID) error {
	return k.change(func(m *keyset.Manager) error { return m.Disable(uint32(id)) })
}

// Restore undoes Retire.
func (k *Keyring) Restore(id KeyID) error {
	return k.change(func(m *keyset.Manager) error { return m.Enable(uint32(id)) })
}

// Delete takes a retired key out of the file, for ever.
func (k *Keyring) Delete(id KeyID) error {
	for _, key := range k.Keys() {
		if key.ID == id && !key.Retired {
			return fmt.Errorf("key %v is in use; retire it first, and see that everything still opens", id)
		}
	}
	return k.change(func(m *keyset.Manager) error { return m.Delete(uint32(id)) })
}

// Protect wraps the keys anew. Other processes that have the keyring open go on with the
// keys that they have. What lay on disk before may lie in its free blocks still.
func (k *Keyring) Protect(ctx context.Context, p Protection) error {
	var header wrappedFile
	var kek *held
	if p.KMS != nil || p.Passphrase != nil {
		var err error
		if header, kek, err = newWrapping(ctx, p); err != nil {
			return err
		}
	}
	return k.rewrite(nil, func() (wrappedFile, *held) { return header, kek })
}

func (k *Keyring) change(edit func(*keyset.Manager) error) error {
	return k.rewrite(edit, func() (wrappedFile, *held) { return k.header, k.kek })
}

// rewrite writes the file anew, alone among all processes: with its keys edited, unless
// edit is nil, and wrapped as protection says, which is called with k.mu held.
func (k *Keyring) rewrite(edit func(*keyset.Manager) error, protection func() (wrappedFile, *held)) (err error) {
	unlock, err := lock(k.path + ".lock")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	k.refresh()
	k.mu.Lock()
	text, err := k.plain()
	header, kek := protection()
	k.mu.Unlock()
	if err != nil {
		return fmt.Errorf("keyring %s: %w", k.path, err)
	}
	defer func() { clear(text) }()
	if edit != nil {
		if text, err = edited(text, edit); err != nil {
			return err
		}
	}
	file := text
	if kek != nil {
		if file, err = header.wrap(text, kek); err != nil {
			return err
		}
	}
	if err := replace(k.path, file); err != nil {
		return err
	}
	return k.read(func(wrappedFile) (*held, error) { return kek, nil })
}

// plain returns the keyring of format 1 that is in the file. k.mu is held.
func (k *Keyring) plain() ([]byte, error) {
	text, _, err := readPrivate(k.path)
	if err != nil || isClear(text) {
		return text, err
	}
	f, err := parseWrapped(text)
	if err != nil {
		return nil, err
	}
	if k.kek == nil {
		return nil, ErrSealed
	}
	return f.unwrap(k.kek)
}

// edited returns a keyring of format 1 with its AEAD keys edited, and wipes text.
func edited(text []byte, edit func(*keyset.Manager) error) (out []byte, err error) {
	defer clear(text)
	aeadKeys, prfKeys, err := parseFile(text)
	if err != nil {
		return nil, err
	}
	m := keyset.NewManagerFromHandle(aeadKeys)
	if err := edit(m); err != nil {
		return nil, err
	}
	if aeadKeys, err = m.Handle(); err != nil {
		return nil, err
	}
	f := keyringFile{Format: keyringFormat}
	if f.AEAD, err = writeKeyset(aeadKeys); err != nil {
		return nil, err
	}
	if f.PRF, err = writeKeyset(prfKeys); err != nil {
		return nil, err
	}
	defer clear(f.AEAD)
	defer clear(f.PRF)
	return json.Marshal(f)
}

func describeKeys(h *keyset.Handle) []Key {
	info := h.KeysetInfo()
	var list []Key
	for _, key := range info.GetKeyInfo() {
		list = append(list, Key{
			ID: KeyID(key.GetKeyId()), Primary: key.GetKeyId() == info.GetPrimaryKeyId(),
			Retired: key.GetStatus().String() != "ENABLED",
		})
	}
	return list
}

// sealedWith returns the key that a ciphertext of Seal names: Tink's prefix is a byte 1 and
// the key's id in four bytes.
func sealedWith(ciphertext []byte) (KeyID, bool) {
	if len(ciphertext) < 5 || ciphertext[0] != 1 {
		return 0, false
	}
	return KeyID(binary.BigEndian.Uint32(ciphertext[1:])), true
}
