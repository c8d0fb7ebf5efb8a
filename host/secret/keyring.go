package secret

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"
)

const (
	keyringFormat = "pointsman-keyring/1"
	// maxKeyring is the largest keyring file read, in bytes. A keyset of one key is about
	// 250 bytes, so this leaves room for a hundred rotations.
	maxKeyring = 64 << 10
	// macSize is the length of a MAC in bytes, the output of SHA-256.
	macSize = 32
	// maxPurpose is the longest purpose or name in associated data, in bytes.
	maxPurpose = 128

	// tenant, dataVersion and dataSchema are fields of the associated data that have one
	// value so far; they are there so that a second one cannot be confused with it.
	tenant      = "default"
	dataVersion = "1"
	dataSchema  = "1"
)

// Key types that a keyring may hold: AEADs for which random nonces are safe for as many
// values as a broker will ever seal, and a PRF that serves as a keyed hash.
const typePrefix = "type.googleapis.com/google.crypto.tink."

func aeadTypes() []string {
	return []string{typePrefix + "XChaCha20Poly1305Key", typePrefix + "AesGcmSivKey"}
}

func prfTypes() []string { return []string{typePrefix + "HmacPrfKey"} }

// ErrNoKeyring is returned by OpenKeyring when there is no file and none shall be made.
var ErrNoKeyring = errors.New("there is no keyring")

// Keyring holds the keys that everything else is sealed with. Safe for concurrent use.
//
// # The file
//
// One JSON object in a file that only its owner may read:
//
//	{"format": "pointsman-keyring/1", "aead": {Tink keyset}, "prf": {Tink keyset}}
//
// The keysets lie in it in the clear: the mode of the file, and whatever the operator
// puts under it (a tmpfs, a mounted secret), is what protects them. Keep it off the
// volume that holds the data, and back it up separately.
type Keyring struct {
	aead tink.AEAD
	prf  *prf.Set
}

type keyringFile struct {
	Format string         `json:"format"`
	AEAD   jsontext.Value `json:"aead"`
	PRF    jsontext.Value `json:"prf"`
}

// OpenKeyring reads the keyring at path. A file that anyone but its owner may read or
// write, or that belongs to another user than this process's or root, is refused.
// With create a keyring is made if there is none at path; one that is there is never
// replaced, not even when it is damaged. Without, the error is ErrNoKeyring.
func OpenKeyring(path string, create bool) (*Keyring, error) {
	text, err := readPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !create {
			return nil, fmt.Errorf("keyring %s: %w", path, ErrNoKeyring)
		}
		if err := createKeyring(path); err != nil {
			return nil, fmt.Errorf("create keyring %s: %w", path, err)
		}
		text, err = readPrivate(path)
	}
	if err != nil {
		return nil, fmt.Errorf("keyring %s: %w", path, err)
	}
	defer clear(text)
	k, err := parseKeyring(text)
	if err != nil {
		return nil, fmt.Errorf("keyring %s: %w", path, err)
	}
	return k, nil
}

// readPrivate reads a file that only its owner may read. It judges the open file, so that
// nothing can be put in its place in between.
func readPrivate(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only: nothing to lose
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if perm := st.Mode().Perm(); perm&0o077 != 0 {
		return nil, fmt.Errorf("mode %#o lets others read or write it; chmod 600 it, and replace the keys if anyone did", perm)
	}
	if err := checkOwner(st); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyring+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxKeyring {
		return nil, fmt.Errorf("larger than %d bytes", maxKeyring)
	}
	return text, nil
}

func parseKeyring(text []byte) (*Keyring, error) {
	var file keyringFile
	if err := json.Unmarshal(text, &file, json.RejectUnknownMembers(true)); err != nil {
		return nil, errors.New("not a keyring: the JSON is damaged") // the cause may quote keys
	}
	if file.Format != keyringFormat {
		return nil, fmt.Errorf("not a keyring of format %s", keyringFormat)
	}
	aeadKeys, err := readKeyset(file.AEAD, aeadTypes())
	if err != nil {
		return nil, fmt.Errorf("aead: %w", err)
	}
	prfKeys, err := readKeyset(file.PRF, prfTypes())
	if err != nil {
		return nil, fmt.Errorf("prf: %w", err)
	}
	k := new(Keyring)
	if k.aead, err = aead.New(aeadKeys); err != nil {
		return nil, fmt.Errorf("aead: %w", err)
	}
	if k.prf, err = prf.NewPRFSet(prfKeys); err != nil {
		return nil, fmt.Errorf("prf: %w", err)
	}
	if _, err := k.prf.ComputePrimaryPRF(nil, macSize); err != nil {
		return nil, fmt.Errorf("prf: %w", err)
	}
	return k, nil
}

func readKeyset(text jsontext.Value, types []string) (*keyset.Handle, error) {
	h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(text)))
	if err != nil {
		return nil, errors.New("not a Tink keyset") // the cause may quote keys
	}
	for _, key := range h.KeysetInfo().GetKeyInfo() {
		if !slices.Contains(types, key.GetTypeUrl()) {
			return nil, fmt.Errorf("key type %q cannot be used here; %s can",
				strings.TrimPrefix(key.GetTypeUrl(), typePrefix), strings.ReplaceAll(strings.Join(types, ", "), typePrefix, ""))
		}
	}
	return h, nil
}

// createKeyring writes new keys to path unless something is there by then. The file
// appears whole or not at all.
func createKeyring(path string) error {
	text, err := newKeyring()
	if err != nil {
		return err
	}
	defer clear(text)
	tmp, err := writeTemp(path, text)
	if err != nil {
		return err
	}
	defer os.Remove(tmp) // the name only: after Link the file has another
	// Link, unlike rename, fails when the name is taken.
	if err := os.Link(tmp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func newKeyring() ([]byte, error) {
	aeadKeys, err := newKeyset(aead.XChaCha20Poly1305KeyTemplate())
	if err != nil {
		return nil, err
	}
	prfKeys, err := newKeyset(prf.HMACSHA256PRFKeyTemplate())
	if err != nil {
		return nil, err
	}
	return json.Marshal(keyringFile{keyringFormat, aeadKeys, prfKeys})
}

func newKeyset(template *tinkpb.KeyTemplate) (jsontext.Value, error) {
	h, err := keyset.NewHandle(template)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&b)); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Seal encrypts plain. What was sealed for one purpose and name opens for no other.
// Purpose and name are 1 to 128 letters, digits, and "._/-".
func (k *Keyring) Seal(purpose, name string, plain []byte) ([]byte, error) {
	ad, err := associatedData(purpose, name)
	if err != nil {
		return nil, err
	}
	sealed, err := k.aead.Encrypt(plain, ad)
	if err != nil {
		return nil, fmt.Errorf("seal %s for %s: %w", name, purpose, err)
	}
	return sealed, nil
}

// errOpen is the one answer for everything that does not open, whatever the reason.
var errOpen = errors.New("does not open with this keyring under this name")

// Open decrypts what Seal returned for the same purpose and name.
func (k *Keyring) Open(purpose, name string, sealed []byte) ([]byte, error) {
	ad, err := associatedData(purpose, name)
	if err != nil {
		return nil, err
	}
	plain, err := k.aead.Decrypt(sealed, ad)
	if err != nil {
		return nil, fmt.Errorf("%s for %s: %w", name, purpose, errOpen)
	}
	return plain, nil
}

// MAC returns a keyed hash of data, 32 bytes. Hashes for different purposes have nothing
// to do with each other.
func (k *Keyring) MAC(purpose string, data []byte) []byte {
	// The length in front keeps (purpose, data) from running into each other.
	in := binary.BigEndian.AppendUint32([]byte("pointsman|mac|"), uint32(len(purpose)))
	in = append(append(in, purpose...), data...)
	mac, err := k.prf.ComputePrimaryPRF(in, macSize)
	if err != nil { // OpenKeyring computed one of this size, and no input is too long for HMAC
		panic("secret: " + err.Error())
	}
	return mac
}

// associatedData is pointsman|purpose|tenant|name|version|schema. No part can contain the
// separator.
func associatedData(purpose, name string) ([]byte, error) {
	for _, part := range []string{purpose, name} {
		if !plainPart(part) {
			return nil, fmt.Errorf("%q cannot name what is sealed; 1 to %d letters, digits and ._/- can", part, maxPurpose)
		}
	}
	return []byte(strings.Join([]string{"pointsman", purpose, tenant, name, dataVersion, dataSchema}, "|")), nil
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
