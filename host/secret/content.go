package secret

import (
	"bytes"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	storeFormat    = "pointsman-secrets/2"
	storeFormatOld = "pointsman-secrets/1"
	// maxFile is the largest file read, in bytes: MaxCount values of MaxSize in base64,
	// with their names, come to 22 MiB, and as much for values being replaced.
	maxFile = 48 << 20
	// maxFormer is how many replaced values of one secret are kept at most.
	maxFormer = 8

	purposeValue = "secret"             // associated data of a value
	purposeCheck = "secret-store-check" // associated data of the key check record
	purposeSum   = "secret-store-sum"   // MAC of the whole file
	checkedName  = "keyring"            // name in the associated data of the key check record
)

// checkText is what the key check record holds, sealed.
const checkText = "pointsman"

// content is what the file holds:
//
//	{"format":  "pointsman-secrets/2",
//	 "seq":     how often it was written,
//	 "check":   a known text, sealed: opens with the right keyring only,
//	 "secrets": {name: {"version", "set", "expires", "short", "sealed": ciphertext,
//	                    "former": [{"version", "until", "sealed"}]}},
//	 "sum":     MAC over the rest of the file, in base64}
//
// A ciphertext is bound to its name and version. The sum makes a removed, added or
// exchanged entry and changed metadata as evident as a changed ciphertext. It cannot tell
// that the whole file was replaced by an older one; a store that is open notices that.
type content struct {
	seq     uint64
	check   []byte
	secrets map[string]entry // entries are never changed in place
}

type entry struct {
	Version uint64    `json:"version"`
	Set     time.Time `json:"set,omitzero"` // UTC, to the second; unknown in old files
	Expires time.Time `json:"expires,omitzero"`
	Short   bool      `json:"short,omitzero"`
	Sealed  []byte    `json:"sealed"`
	Former  []former  `json:"former,omitzero"`
}

// former is a value that was replaced. It is never sent, but looked for until then.
type former struct {
	Version uint64    `json:"version"`
	Until   time.Time `json:"until"`
	Sealed  []byte    `json:"sealed"`
}

// still are the former values that are looked for at now.
func (e entry) still(now time.Time) []former {
	return slices.DeleteFunc(slices.Clone(e.Former), func(f former) bool { return !now.Before(f.Until) })
}

func (e entry) expired(now time.Time) bool { return !e.Expires.IsZero() && !now.Before(e.Expires) }

type contentFile struct {
	Format  string           `json:"format"`
	Seq     uint64           `json:"seq"`
	Check   []byte           `json:"check"`
	Secrets map[string]entry `json:"secrets"`
	Sum     []byte           `json:"sum,omitzero"`
}

// oldFile is format 1: ciphertexts by name, all of version 1.
type oldFile struct {
	Format string            `json:"format"`
	Seq    uint64            `json:"seq"`
	Check  []byte            `json:"check"`
	Sealed map[string][]byte `json:"sealed"`
	Sum    []byte            `json:"sum"`
}

func encode(c content, k *Keyring) ([]byte, error) {
	check, err := k.Seal(purposeCheck, checkedName, []byte(checkText))
	if err != nil {
		return nil, err
	}
	file := contentFile{Format: storeFormat, Seq: c.seq, Check: check, Secrets: c.secrets}
	if file.Sum, err = file.sum(k); err != nil {
		return nil, err
	}
	text, err := json.Marshal(file, json.Deterministic(true), jsontext.Multiline(true))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("the file would be larger than %d bytes", maxFile)
	}
	return append(text, '\n'), nil
}

// sum is the MAC over all but itself.
func (f contentFile) sum(k *Keyring) ([]byte, error) {
	f.Sum = nil
	text, err := json.Marshal(f, json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	return k.MAC(purposeSum, text), nil
}

func decode(text []byte, k *Keyring) (content, error) {
	if len(text) > maxFile {
		return content{}, fmt.Errorf("larger than %d bytes: %w", maxFile, ErrDamaged)
	}
	if bytes.Contains(text[:min(len(text), 64)], []byte(storeFormatOld)) {
		return decodeOld(text, k)
	}
	var file contentFile
	if err := json.Unmarshal(text, &file, json.RejectUnknownMembers(true)); err != nil {
		return content{}, errors.Join(ErrDamaged, err)
	}
	if file.Format != storeFormat {
		return content{}, fmt.Errorf("not of format %s: %w", storeFormat, ErrDamaged)
	}
	if err := checkKey(file.Check, k); err != nil {
		return content{}, err
	}
	sum, err := file.sum(k)
	if err != nil || !hmac.Equal(sum, file.Sum) {
		return content{}, ErrDamaged
	}
	return checked(content{seq: file.Seq, check: file.Check, secrets: file.Secrets})
}

func checkKey(sealed []byte, k *Keyring) error {
	check, err := k.Open(purposeCheck, checkedName, sealed)
	if err != nil || string(check) != checkText {
		return ErrWrongKey
	}
	return nil
}

func checked(c content) (content, error) {
	for name := range c.secrets {
		if err := CheckName(name); err != nil {
			return content{}, err
		}
	}
	if c.secrets == nil {
		c.secrets = map[string]entry{}
	}
	return c, nil
}

func decodeOld(text []byte, k *Keyring) (content, error) {
	var file oldFile
	if err := json.Unmarshal(text, &file, json.RejectUnknownMembers(true)); err != nil {
		return content{}, errors.Join(ErrDamaged, err)
	}
	if file.Format != storeFormatOld {
		return content{}, fmt.Errorf("not of format %s: %w", storeFormatOld, ErrDamaged)
	}
	if err := checkKey(file.Check, k); err != nil {
		return content{}, err
	}
	if !hmac.Equal(file.sum(k), file.Sum) {
		return content{}, ErrDamaged
	}
	c := content{seq: file.Seq, check: file.Check, secrets: map[string]entry{}}
	for name, sealed := range file.Sealed {
		c.secrets[name] = entry{Version: oneVersion, Sealed: sealed}
	}
	return checked(c)
}

// sum is the MAC over the number, names and ciphertexts. Each part has its length in front.
func (f oldFile) sum(k *Keyring) []byte {
	var b bytes.Buffer
	part := func(p []byte) {
		b.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
		b.Write(p)
	}
	part(binary.BigEndian.AppendUint64(nil, f.Seq))
	for _, name := range slices.Sorted(maps.Keys(f.Sealed)) {
		part([]byte(name))
		part(f.Sealed[name])
	}
	return k.MAC(purposeSum, b.Bytes())
}
