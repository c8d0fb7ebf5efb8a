package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/tink-crypto/tink-go/v2/hybrid"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// RecipientFile is the name of the file, in the data folder, of the key pair that secrets
// are sealed for.
const RecipientFile = "recipient.json"

const (
	recipientFormat  = "pointsman-recipient/1"
	publicFormat     = "pointsman-public-key/1"
	purposeRecipient = "recipient"
	recipientName    = "private"
	// maxRecipient is the largest file of keys read, in bytes: a pair takes about 600.
	maxRecipient = 64 << 10
)

// hpkeTypes are the key types of a pair.
func hpkeTypes() []string { return []string{typePrefix + "HpkePrivateKey"} }

func hpkePublicTypes() []string { return []string{typePrefix + "HpkePublicKey"} }

// recipientFile is a key pair: {"format", "sealed": the private keyset, sealed with the
// keyring}. The public half follows from the private one.
type recipientFile struct {
	Format string `json:"format"`
	Sealed []byte `json:"sealed"`
}

// publicFile is what may be given to anyone: {"format", "key": public Tink keyset}.
type publicFile struct {
	Format string         `json:"format"`
	Key    jsontext.Value `json:"key"`
}

// Recipient is a broker as one to whom secrets are sealed: an HPKE key pair (RFC 9180,
// X25519, HKDF-SHA256, ChaCha20-Poly1305). Immutable; safe for concurrent use.
type Recipient struct {
	handle  *keyset.Handle
	decrypt tink.HybridDecrypt
}

// OpenRecipient opens the pair in dir, whose private half is sealed with k. With create one
// is made if there is none; without, the error is fs.ErrNotExist.
func OpenRecipient(dir string, k *Keyring, create bool) (*Recipient, error) {
	path := filepath.Join(dir, RecipientFile)
	text, err := readSome(path, maxRecipient)
	if errors.Is(err, fs.ErrNotExist) && create {
		if err := createRecipient(path, k); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("create %s: %w", path, err)
		}
		text, err = readSome(path, maxRecipient)
	}
	if err != nil {
		return nil, err
	}
	r, err := parseRecipient(text, k)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func readSome(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe does not block
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only: nothing to lose
	return readMost(f, most)
}

// readMost reads a regular file of at most that many bytes.
func readMost(f fs.File, most int64) ([]byte, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("larger than %d bytes", most)
	}
	return text, err
}

func createRecipient(path string, k *Keyring) error {
	h, err := keyset.NewHandle(hybrid.DHKEM_X25519_HKDF_SHA256_HKDF_SHA256_CHACHA20_POLY1305_Key_Template())
	if err != nil {
		return err
	}
	text, err := sealPair(h, k)
	if err != nil {
		return err
	}
	return writeNew(path, text)
}

func sealPair(h *keyset.Handle, k *Keyring) ([]byte, error) {
	keys, err := writeKeyset(h)
	if err != nil {
		return nil, err
	}
	defer clear(keys)
	sealed, err := k.Seal(purposeRecipient, recipientName, keys)
	if err != nil {
		return nil, err
	}
	return json.Marshal(recipientFile{recipientFormat, sealed})
}

func parseRecipient(text []byte, k *Keyring) (*Recipient, error) {
	var file recipientFile
	if err := json.Unmarshal(text, &file, json.RejectUnknownMembers(true)); err != nil {
		return nil, errors.Join(ErrDamaged, err)
	}
	if file.Format != recipientFormat {
		return nil, fmt.Errorf("not of format %s: %w", recipientFormat, ErrDamaged)
	}
	keys, err := k.Open(purposeRecipient, recipientName, file.Sealed)
	if err != nil {
		return nil, ErrWrongKey
	}
	defer clear(keys)
	h, err := readKeyset(keys, hpkeTypes())
	if err != nil {
		return nil, err
	}
	decrypt, err := hybrid.NewHybridDecrypt(h)
	if err != nil {
		return nil, err
	}
	return &Recipient{h, decrypt}, nil
}

// RewrapRecipient seals the pair in dir anew under k's primary key. No pair is no error.
func RewrapRecipient(dir string, k *Keyring) error {
	r, err := OpenRecipient(dir, k, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	text, err := sealPair(r.handle, k)
	if err != nil {
		return err
	}
	return replace(filepath.Join(dir, RecipientFile), text)
}

// RecipientKeyUse is the key that the pair in dir is sealed with, if there is a pair.
func RecipientKeyUse(dir string) (KeyID, bool, error) {
	text, err := readSome(filepath.Join(dir, RecipientFile), maxRecipient)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	var file recipientFile
	if err := json.Unmarshal(text, &file, json.RejectUnknownMembers(true)); err != nil {
		return 0, false, errors.Join(ErrDamaged, err)
	}
	id, ok := sealedWith(file.Sealed)
	return id, ok, nil
}

// Public returns the file of the public key: one line of JSON, for anyone to seal with.
func (r *Recipient) Public() ([]byte, error) {
	h, err := r.handle.Public()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := h.WriteWithNoSecrets(keyset.NewJSONWriter(&b)); err != nil {
		return nil, err
	}
	text, err := json.Marshal(publicFile{publicFormat, b.Bytes()})
	return append(text, '\n'), err
}

// ParsePublic reads the file of a public key. A file that holds private keys is refused.
func ParsePublic(text []byte) (tink.HybridEncrypt, error) {
	if len(text) > maxRecipient {
		return nil, fmt.Errorf("not a public key: larger than %d bytes", maxRecipient)
	}
	var file publicFile
	if err := json.Unmarshal(text, &file, json.RejectUnknownMembers(true)); err != nil || file.Format != publicFormat {
		return nil, fmt.Errorf("not a public key of format %s, as pointsman secret keys public prints it", publicFormat)
	}
	h, err := keyset.ReadWithNoSecrets(keyset.NewJSONReader(bytes.NewReader(file.Key)))
	if err != nil {
		return nil, errors.New("not a public Tink keyset")
	}
	for _, key := range h.KeysetInfo().GetKeyInfo() {
		if key.GetTypeUrl() != hpkePublicTypes()[0] {
			return nil, errors.New("not the public key of HPKE")
		}
	}
	return hybrid.NewHybridEncrypt(h)
}
