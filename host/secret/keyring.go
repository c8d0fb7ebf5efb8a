package secret

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tink-crypto/tink-go/v2/prf"
	"github.com/tink-crypto/tink-go/v2/tink"
)

const (
	// macSize is the length of a MAC in bytes, the output of SHA-256.
	macSize = 32
	// maxPurpose is the longest purpose or name in associated data, in bytes.
	maxPurpose = 128

	// tenant and dataSchema are fields of the associated data that have one value so far;
	// they are there so that a second one cannot be confused with it.
	tenant     = "default"
	dataSchema = "1"
	// oneVersion is the version of what has no versions.
	oneVersion = 1
)

// ErrNoKeyring is returned when there is no keyring and none shall be made.
var ErrNoKeyring = errors.New("there is no keyring")

// Keyring holds the keys that everything else is sealed with. Safe for concurrent use.
//
// It follows its file: what another process changes there (a new primary key, say) is
// taken up at the next Seal, and at the next Open of something that does not open without
// it. A keyring that got another passphrase meanwhile is not followed; the keys read last
// stay in use.
type Keyring struct {
	path string
	keys atomic.Pointer[keys]

	mu     sync.Mutex
	seen   stamp       // guarded by mu; the file that keys were read from
	header wrappedFile // guarded by mu; zero when the keys lie in the clear
	kek    *held       // guarded by mu; nil when the keys lie in the clear
}

// keys are the primitives of one state of the file.
type keys struct {
	aead tink.AEAD
	prf  *prf.Set
	list []Key
}

// OpenKeyring reads the keyring at path, which must lie in the clear; one that is wrapped
// is ErrSealed. A file that anyone but its owner may read or write, or that belongs to
// another user than this process's or root, is refused. With create a keyring in the clear
// is made if there is none at path; one that is there is never replaced, not even when it
// is damaged. Without, the error is ErrNoKeyring.
func OpenKeyring(path string, create bool) (*Keyring, error) {
	k, err := UnlockKeyring(context.Background(), path, Unlock{})
	if !create || !errors.Is(err, ErrNoKeyring) {
		return k, err
	}
	if err := CreateKeyring(context.Background(), path, Protection{}); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return UnlockKeyring(context.Background(), path, Unlock{})
}

// CreateKeyring makes a keyring at path, wrapped by p. Whatever is there is not replaced:
// the error is fs.ErrExist then.
func CreateKeyring(ctx context.Context, path string, p Protection) error {
	text, err := newKeyring()
	if err != nil {
		return err
	}
	defer clear(text)
	if p.KMS != nil || p.Passphrase != nil {
		header, kek, err := newWrapping(ctx, p)
		if err != nil {
			return err
		}
		if text, err = header.wrap(text, kek); err != nil {
			return err
		}
	}
	if err := writeNew(path, text); err != nil {
		return fmt.Errorf("create keyring %s: %w", path, err)
	}
	return nil
}

// UnlockKeyring reads the keyring at path with what u gives. It fails with ErrNoKeyring,
// ErrSealed when u lacks what the keyring needs, or ErrWrongPassphrase.
func UnlockKeyring(ctx context.Context, path string, u Unlock) (*Keyring, error) {
	k := &Keyring{path: path}
	err := k.read(func(f wrappedFile) (*held, error) { return f.unwrapKey(ctx, u) })
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNoKeyring
	}
	if err != nil {
		return nil, fmt.Errorf("keyring %s: %w", path, err)
	}
	return k, nil
}

// read reads the file and takes up its keys. unwrap is asked for the key of a wrapped one.
func (k *Keyring) read(unwrap func(wrappedFile) (*held, error)) (err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	text, info, err := readPrivate(k.path)
	if err != nil {
		return err
	}
	defer clear(text)
	var header wrappedFile
	var kek *held
	if !isClear(text) {
		if header, err = parseWrapped(text); err != nil {
			return err
		}
		if kek, err = unwrap(header); err != nil {
			return err
		}
		wrapped := text
		if text, err = header.unwrap(kek); err != nil {
			return err
		}
		defer clear(text)
		clear(wrapped)
		header.Keys = nil
	}
	var next *keys
	erased(func() { next, err = parseKeyring(text) })
	if err != nil {
		return err
	}
	k.keys.Store(next)
	k.seen, k.header, k.kek = stamp{info: info}, header, kek
	return nil
}

// refresh takes up the file if it is not the one that was read last. It reports whether it
// did; on any failure the keys read last stay in use.
func (k *Keyring) refresh() bool {
	info, err := os.Stat(k.path)
	if err != nil {
		return false
	}
	k.mu.Lock()
	same, header, kek := k.seen.same(info), k.header, k.kek
	k.mu.Unlock()
	if same {
		return false
	}
	err = k.read(func(f wrappedFile) (*held, error) {
		f.Keys = nil
		if kek == nil || !reflect.DeepEqual(f, header) {
			return nil, ErrSealed
		}
		return kek, nil
	})
	return err == nil
}

// Clear reports whether the keys lie in the clear on disk.
func (k *Keyring) Clear() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.kek == nil
}

// Seal encrypts plain. What was sealed for one purpose and name opens for no other.
// Purpose and name are 1 to 128 letters, digits, and "._/-".
func (k *Keyring) Seal(purpose, name string, plain []byte) ([]byte, error) {
	return k.sealVersion(purpose, name, oneVersion, plain)
}

func (k *Keyring) sealVersion(purpose, name string, version uint64, plain []byte) ([]byte, error) {
	ad, err := associatedData(purpose, name, version)
	if err != nil {
		return nil, err
	}
	k.refresh() // so that nothing new is sealed with a key that is about to be retired
	var sealed []byte
	erased(func() { sealed, err = k.keys.Load().aead.Encrypt(plain, ad) })
	if err != nil {
		return nil, fmt.Errorf("seal %s for %s: %w", name, purpose, err)
	}
	return sealed, nil
}

// errOpen is the one answer for everything that does not open, whatever the reason.
var errOpen = errors.New("does not open with this keyring under this name")

// Open decrypts what Seal returned for the same purpose and name. The caller wipes it.
func (k *Keyring) Open(purpose, name string, sealed []byte) ([]byte, error) {
	open, err := k.opener(purpose, name, oneVersion, sealed)
	if err != nil {
		return nil, err
	}
	return open(), nil
}

// opener checks that sealed opens and returns what opens it, again at each call. Each
// result is the caller's to wipe.
func (k *Keyring) opener(purpose, name string, version uint64, sealed []byte) (func() []byte, error) {
	ad, err := associatedData(purpose, name, version)
	if err != nil {
		return nil, err
	}
	open := func() (plain []byte, primitive tink.AEAD, err error) {
		primitive = k.keys.Load().aead
		erased(func() { plain, err = primitive.Decrypt(sealed, ad) })
		return plain, primitive, err
	}
	plain, primitive, err := open()
	if err != nil && k.refresh() {
		plain, primitive, err = open()
	}
	if err != nil {
		return nil, fmt.Errorf("%s for %s: %w", name, purpose, errOpen)
	}
	clear(plain)
	return func() []byte {
		var plain []byte
		var err error // not the one outside: calls may be concurrent
		erased(func() { plain, err = primitive.Decrypt(sealed, ad) })
		if err != nil { // it opened with the same key a moment ago
			panic("secret: " + errOpen.Error())
		}
		return plain
	}, nil
}

// MAC returns a keyed hash of data, 32 bytes. Hashes for different purposes have nothing
// to do with each other. Rotate does not change them.
func (k *Keyring) MAC(purpose string, data []byte) []byte {
	// The length in front keeps (purpose, data) from running into each other.
	in := binary.BigEndian.AppendUint32([]byte("pointsman|mac|"), uint32(len(purpose)))
	in = append(append(in, purpose...), data...)
	mac, err := k.keys.Load().prf.ComputePrimaryPRF(in, macSize)
	if err != nil { // parseKeyring computed one of this size, and no input is too long for HMAC
		panic("secret: " + err.Error())
	}
	return mac
}

// associatedData is pointsman|purpose|tenant|name|version|schema. No part can contain the
// separator.
func associatedData(purpose, name string, version uint64) ([]byte, error) {
	for _, part := range []string{purpose, name} {
		if !plainPart(part) {
			return nil, fmt.Errorf("%q cannot name what is sealed; 1 to %d letters, digits and ._/- can", part, maxPurpose)
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "pointsman|%s|%s|%s|%d|%s", purpose, tenant, name, version, dataSchema)
	return b.Bytes(), nil
}

func plainPart(s string) bool {
	if s == "" || len(s) > maxPurpose {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("._/-", c) >= 0:
		default:
			return false
		}
	}
	return true
}
