package secret

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"golang.org/x/crypto/argon2"
)

// MinPassphrase is the length of the shortest passphrase taken for a new keyring, in
// bytes: NIST SP 800-63B-4 §3.1.1.2 for a password that stands alone.
const MinPassphrase = 15

// MaxPassphrase is the length of the longest passphrase, in bytes; a key file of 4096 bits
// in base64 fits.
const MaxPassphrase = 1024

// Parameters of Argon2id for a new keyring: RFC 9106 §4, the second recommended option
// (the first wants 2 GiB). One derivation takes a tenth of a second or two.
const (
	argonTime    = 3
	argonMemory  = 64 << 10 // KiB
	argonThreads = 4
	saltSize     = 16 // bytes, RFC 9106 §4
	kekSize      = 32 // bytes, the key of XChaCha20-Poly1305
)

// Ceilings of what a file may ask for: whoever can write it shall not use up the machine
// before the passphrase is found wrong.
const (
	maxArgonTime    = 16
	maxArgonMemory  = 2 << 20 // KiB; RFC 9106 §4, the first recommended option
	maxArgonThreads = 16
)

var (
	// ErrSealed is returned for a keyring that is wrapped, by who gives nothing to unwrap it.
	ErrSealed = errors.New("the keyring is sealed")
	// ErrWrongPassphrase is returned when a keyring does not open with what was given. A
	// keyring that was changed by hand looks the same.
	ErrWrongPassphrase = errors.New("the passphrase does not open the keyring, or the keyring was changed")
)

// KMS wraps keys with a key that it never gives out. Wrap and Unwrap must refuse what was
// wrapped for another use.
type KMS interface {
	// KMS names the service and the key, for people: it is written into the keyring.
	KMS() string
	Wrap(ctx context.Context, plain []byte) ([]byte, error)
	Unwrap(ctx context.Context, wrapped []byte) ([]byte, error)
}

// Protection is what wraps the keys of a keyring on disk. The zero Protection is none: the
// keys lie in the clear, which is meant for development.
type Protection struct {
	Passphrase []byte // not kept, not wiped
	KMS        KMS
}

// Unlock is what opens a wrapped keyring. What is nil is not there.
type Unlock struct {
	// Passphrase is asked when a keyring turns out to need one; the result is wiped.
	Passphrase func() ([]byte, error)
	KMS        KMS
}

const (
	wrappedFormat = "pointsman-keyring/2"
	byPassphrase  = "passphrase"
	byKMS         = "kms"
)

// wrappedFile is a keyring whose keys are wrapped:
//
//	{"format": "pointsman-keyring/2",
//	 "by":       "passphrase" or "kms",
//	 "argon2id": {"time", "memory" in KiB, "threads", "salt"}   with a passphrase
//	 "kms":      {"name", "key": the wrapped key}               with a KMS
//	 "keys":     a keyring of format 1, sealed with the key derived or unwrapped}
//
// The associated data of keys is the rest of the file.
type wrappedFile struct {
	Format   string      `json:"format"`
	By       string      `json:"by"`
	Argon2id *argonParts `json:"argon2id,omitzero"`
	KMS      *kmsParts   `json:"kms,omitzero"`
	Keys     []byte      `json:"keys,omitzero"`
}

type argonParts struct {
	Time    uint32 `json:"time"`
	Memory  uint32 `json:"memory"`
	Threads uint8  `json:"threads"`
	Salt    []byte `json:"salt"`
}

type kmsParts struct {
	Name string `json:"name"`
	Key  []byte `json:"key"`
}

// maxWrappedKey is the longest key that a KMS may return wrapped, in bytes. Transit's are
// about a hundred.
const maxWrappedKey = 8 << 10

func (f wrappedFile) check() error {
	switch {
	case f.Format != wrappedFormat:
		return fmt.Errorf("not a keyring of format %s", wrappedFormat)
	case f.By == byPassphrase && f.Argon2id != nil && f.KMS == nil:
		a := *f.Argon2id
		if a.Time < argonTime || a.Memory < argonMemory || a.Threads < 1 || len(a.Salt) < saltSize {
			return errors.New("argon2id: weaker than this program makes it")
		}
		if a.Time > maxArgonTime || a.Memory > maxArgonMemory || a.Threads > maxArgonThreads || len(a.Salt) > 64 {
			return errors.New("argon2id: wants more time or memory than is allowed")
		}
	case f.By == byKMS && f.KMS != nil && f.Argon2id == nil:
		if n := len(f.KMS.Key); n == 0 || n > maxWrappedKey {
			return errors.New("kms: no wrapped key of a possible length")
		}
	default:
		return errors.New("wrapped in a way that this program does not know")
	}
	return nil
}

// newWrapping returns the header of a new keyring under p and the key that it stands for.
func newWrapping(ctx context.Context, p Protection) (wrappedFile, *held, error) {
	if p.KMS != nil {
		kek := make([]byte, kekSize)
		rand.Read(kek) // never fails, by its documentation
		wrapped, err := p.KMS.Wrap(ctx, kek)
		if err != nil {
			clear(kek)
			return wrappedFile{}, nil, fmt.Errorf("wrap the keys with %s: %w", p.KMS.KMS(), err)
		}
		return wrappedFile{Format: wrappedFormat, By: byKMS, KMS: &kmsParts{p.KMS.KMS(), wrapped}}, hold(kek), nil
	}
	if err := CheckPassphrase(p.Passphrase); err != nil {
		return wrappedFile{}, nil, err
	}
	salt := make([]byte, saltSize)
	rand.Read(salt)
	f := wrappedFile{Format: wrappedFormat, By: byPassphrase, Argon2id: &argonParts{argonTime, argonMemory, argonThreads, salt}}
	return f, f.Argon2id.derive(p.Passphrase), nil
}

// CheckPassphrase says whether a passphrase may protect a new keyring.
func CheckPassphrase(p []byte) error {
	if len(p) < MinPassphrase || len(p) > MaxPassphrase {
		return fmt.Errorf("a passphrase has %d to %d bytes", MinPassphrase, MaxPassphrase)
	}
	return nil
}

func (a *argonParts) derive(passphrase []byte) *held {
	var kek *held
	erased(func() { kek = hold(argon2.IDKey(passphrase, a.Salt, a.Time, a.Memory, a.Threads, kekSize)) })
	return kek
}

// unwrapKey returns the key that f's keys are sealed with.
func (f wrappedFile) unwrapKey(ctx context.Context, u Unlock) (*held, error) {
	if f.By == byKMS {
		if u.KMS == nil {
			return nil, fmt.Errorf("%w: its key is with %.100q", ErrSealed, f.KMS.Name)
		}
		kek, err := u.KMS.Unwrap(ctx, f.KMS.Key)
		if err != nil {
			return nil, fmt.Errorf("unwrap the keys with %s: %w", u.KMS.KMS(), err)
		}
		if len(kek) != kekSize {
			clear(kek)
			return nil, fmt.Errorf("%s gave a key of another length than it was given", u.KMS.KMS())
		}
		return hold(kek), nil
	}
	if u.Passphrase == nil {
		return nil, fmt.Errorf("%w: it needs its passphrase", ErrSealed)
	}
	passphrase, err := u.Passphrase()
	if err != nil {
		return nil, err
	}
	defer clear(passphrase)
	if len(passphrase) == 0 || len(passphrase) > MaxPassphrase {
		return nil, ErrWrongPassphrase
	}
	return f.Argon2id.derive(passphrase), nil
}

// wrap returns the file of f with keys, a keyring of format 1, sealed in it.
func (f wrappedFile) wrap(keys []byte, kek *held) ([]byte, error) {
	f.Keys = nil
	ad, err := f.associatedData()
	if err != nil {
		return nil, err
	}
	kek.with(func(k []byte) {
		var primitive *subtle.XChaCha20Poly1305
		if primitive, err = subtle.NewXChaCha20Poly1305(k); err == nil {
			f.Keys, err = primitive.Encrypt(keys, ad)
		}
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(f, json.Deterministic(true))
}

// unwrap returns the keyring of format 1 in f. The caller wipes it.
func (f wrappedFile) unwrap(kek *held) (keys []byte, err error) {
	sealed := f.Keys
	f.Keys = nil
	ad, err := f.associatedData()
	if err != nil {
		return nil, err
	}
	kek.with(func(k []byte) {
		primitive, perr := subtle.NewXChaCha20Poly1305(k)
		if err = perr; err == nil {
			keys, err = primitive.Decrypt(sealed, ad)
		}
	})
	if err != nil {
		return nil, ErrWrongPassphrase
	}
	return keys, nil
}

func (f wrappedFile) associatedData() ([]byte, error) {
	header, err := json.Marshal(f, json.Deterministic(true))
	return append([]byte("pointsman|keyring|"), header...), err
}

// describe is what protects the keys, in a few words for people.
func (f wrappedFile) describe() string {
	switch {
	case f.Format != wrappedFormat:
		return "nothing but the mode of its file (for development)"
	case f.By == byKMS:
		return "kms " + strings.ToValidUTF8(f.KMS.Name, "?")
	}
	a := f.Argon2id
	return fmt.Sprintf("a passphrase (argon2id, %d passes over %d MiB, %d lanes)", a.Time, a.Memory>>10, a.Threads)
}
