package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
)

const (
	keyringFormat = "pointsman-keyring/1"
	// maxKeyring is the largest keyring file read, in bytes. A keyset of one key is about
	// 250 bytes, so this leaves room for a hundred rotations.
	maxKeyring = 64 << 10
)

// Key types that a keyring may hold: AEADs for which random nonces are safe for as many
// values as a broker will ever seal, and a PRF that serves as a keyed hash.
const typePrefix = "type.googleapis.com/google.crypto.tink."

func aeadTypes() []string {
	return []string{typePrefix + "XChaCha20Poly1305Key", typePrefix + "AesGcmSivKey"}
}

func prfTypes() []string { return []string{typePrefix + "HmacPrfKey"} }

// keyringFile is a keyring in the clear:
//
//	{"format": "pointsman-keyring/1", "aead": {Tink keyset}, "prf": {Tink keyset}}
//
// On disk as it is, the mode of the file and whatever the operator puts under it (a tmpfs,
// a mounted secret) are what protects it; see wrappedFile for the other form.
type keyringFile struct {
	Format string         `json:"format"`
	AEAD   jsontext.Value `json:"aead"`
	PRF    jsontext.Value `json:"prf"`
}

// readPrivate reads a file that only its owner may read. It judges the open file, so that
// nothing can be put in its place in between.
func readPrivate(path string) ([]byte, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe does not block
	if err != nil {
		return nil, nil, err
	}
	defer f.Close() // read only: nothing to lose
	st, err := CheckPrivate(f)
	if err != nil {
		return nil, nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyring+1))
	if err != nil {
		return nil, nil, err
	}
	if len(text) > maxKeyring {
		return nil, nil, fmt.Errorf("larger than %d bytes", maxKeyring)
	}
	return text, st, nil
}

// CheckPrivate refuses an open file that is not a regular one, that anyone but its owner may
// read or write, or that belongs to another user than this process's or root.
func CheckPrivate(f *os.File) (fs.FileInfo, error) {
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
	return st, checkOwner(st)
}

// isClear reports whether text claims to be a keyring in the clear, or nothing known.
func isClear(text []byte) bool { return !bytes.Contains(text, []byte(wrappedFormat)) }

func parseWrapped(text []byte) (wrappedFile, error) {
	var f wrappedFile
	if err := json.Unmarshal(text, &f, json.RejectUnknownMembers(true)); err != nil {
		return wrappedFile{}, errors.New("not a keyring: the JSON is damaged")
	}
	return f, f.check()
}

func parseFile(text []byte) (aeadKeys, prfKeys *keyset.Handle, err error) {
	var file keyringFile
	if err := json.Unmarshal(text, &file, json.RejectUnknownMembers(true)); err != nil {
		return nil, nil, errors.New("not a keyring: the JSON is damaged") // the cause may quote keys
	}
	if file.Format != keyringFormat {
		return nil, nil, fmt.Errorf("not a keyring of format %s", keyringFormat)
	}
	if aeadKeys, err = readKeyset(file.AEAD, aeadTypes()); err != nil {
		return nil, nil, fmt.Errorf("aead: %w", err)
	}
	if prfKeys, err = readKeyset(file.PRF, prfTypes()); err != nil {
		return nil, nil, fmt.Errorf("prf: %w", err)
	}
	return aeadKeys, prfKeys, nil
}

func parseKeyring(text []byte) (*keys, error) {
	aeadKeys, prfKeys, err := parseFile(text)
	if err != nil {
		return nil, err
	}
	k := &keys{list: describeKeys(aeadKeys)}
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

// writeNew writes a file to path unless something is there by then (fs.ErrExist). It
// appears whole or not at all.
func writeNew(path string, text []byte) error {
	tmp, err := writeTemp(path, text)
	if err != nil {
		return err
	}
	defer os.Remove(tmp) // the name only: after Link the file has another
	// Link, unlike rename, fails when the name is taken.
	if err := os.Link(tmp, path); err != nil {
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
	return writeKeyset(h)
}

// writeKeyset returns the keys of h in the clear. The caller wipes them.
func writeKeyset(h *keyset.Handle) (jsontext.Value, error) {
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&b)); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
