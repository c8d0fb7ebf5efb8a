package secret

import (
	"bytes"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	storeFormat = "pointsman-secrets/1"
	// maxFile is the largest file read, in bytes: MaxCount values of MaxSize in base64,
	// with their names, come to 22 MiB.
	maxFile = 24 << 20

	purposeValue = "secret"             // associated data of a value
	purposeCheck = "secret-store-check" // associated data of the key check record
	purposeSum   = "secret-store-sum"   // MAC of the whole file
	checkedName  = "keyring"            // name in the associated data of the key check record
)

// checkText is what the key check record holds, sealed.
const checkText = "pointsman"

// nameRE is what the manifests demand of a name.
var nameRE = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

func checkName(name string) error {
	if !nameRE.MatchString(name) {
		return fmt.Errorf("%q cannot name a secret; it must match %s", name, nameRE)
	}
	return nil
}

// content is what the file holds:
//
//	{"format": "pointsman-secrets/1",
//	 "seq":    how often it was written,
//	 "check":  a known text, sealed: opens with the right keyring only,
//	 "sealed": {name: ciphertext in base64},
//	 "sum":    MAC over seq, names and ciphertexts, in base64}
//
// The sum makes a removed, added or exchanged entry as evident as a changed one. It cannot
// tell that the whole file was replaced by an older one.
type content struct {
	seq    uint64
	sealed map[string][]byte // values are never changed in place
}

type contentFile struct {
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
	text, err := json.Marshal(contentFile{storeFormat, c.seq, check, c.sealed, c.sum(k)},
		json.Deterministic(true), jsontext.Multiline(true))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("the file would be larger than %d bytes", maxFile)
	}
	return append(text, '\n'), nil
}

func decode(text []byte, k *Keyring) (content, error) {
	if len(text) > maxFile {
		return content{}, fmt.Errorf("larger than %d bytes: %w", maxFile, ErrDamaged)
	}
	var file contentFile
	if err := json.Unmarshal(text, &file, json.RejectUnknownMembers(true)); err != nil {
		return content{}, errors.Join(ErrDamaged, err)
	}
	if file.Format != storeFormat {
		return content{}, fmt.Errorf("not of format %s: %w", storeFormat, ErrDamaged)
	}
	check, err := k.Open(purposeCheck, checkedName, file.Check)
	if err != nil || string(check) != checkText {
		return content{}, ErrWrongKey
	}
	c := content{seq: file.Seq, sealed: file.Sealed}
	if !hmac.Equal(c.sum(k), file.Sum) {
		return content{}, ErrDamaged
	}
	for name := range c.sealed {
		if err := checkName(name); err != nil {
			return content{}, err
		}
	}
	if c.sealed == nil {
		c.sealed = map[string][]byte{}
	}
	return c, nil
}

// sum is the MAC over everything that decode returns. Each part has its length in front.
func (c content) sum(k *Keyring) []byte {
	var b bytes.Buffer
	part := func(p []byte) {
		b.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
		b.Write(p)
	}
	part(binary.BigEndian.AppendUint64(nil, c.seq))
	for _, name := range slices.Sorted(maps.Keys(c.sealed)) {
		part([]byte(name))
		part(c.sealed[name])
	}
	return k.MAC(purposeSum, b.Bytes())
}
