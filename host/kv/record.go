package kv

import (
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"pointsman/host/broker"
)

const (
	// tenant is a field of every hash, with one value so far, so that a second one cannot be
	// confused with it.
	tenant = "default"

	purposeSpace = "kv-space/1" // MAC of a namespace
	purposeKey   = "kv-key/1"   // MAC of a namespace and a key
	purposeValue = "kv-value"   // associated data of a record
	purposeCheck = "kv-check"   // associated data of the key check, and its MAC

	recordFormat = 1
	recordHead   = 1 + 8 + 8 + 2

	// maxVersion keeps versions among the integers that JSON numbers hold in every language.
	maxVersion = 1<<53 - 1
)

// name is where an entry lies: keyed hashes, so that the file does not tell.
type name struct{ space, entry []byte }

// nameOf hashes each part behind its length: no two pairs of namespace and key come to the
// same bytes.
func (s *Store) nameOf(ns Namespace, key string) name {
	space := part(part(nil, tenant), string(ns))
	return name{s.keys.MAC(purposeSpace, space), s.keys.MAC(purposeKey, part(space, key))}
}

func part(b []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...)
}

// associated names a record where it is sealed: 43+1+43+1+16 characters at most.
func (n name) associated(version uint64) string {
	e := base64.RawURLEncoding // letters, digits, - and _; the keyring takes no _
	text := e.EncodeToString(n.space) + "/" + e.EncodeToString(n.entry) + "/" + strconv.FormatUint(version, 10)
	return strings.ReplaceAll(text, "_", ".")
}

// newVersion is random, so that it tells nothing of what others put, and none comes back
// after a delete (but for one in 2^53).
func newVersion() uint64 {
	for {
		var b [8]byte
		rand.Read(b[:]) // never fails
		if v := binary.BigEndian.Uint64(b[:]) & maxVersion; v != 0 {
			return v
		}
	}
}

// record is what is sealed.
type record struct {
	expires int64 // milliseconds since 1970
	size    int64
	labels  broker.Labels
	value   []byte
}

func (r record) append(b []byte) ([]byte, error) {
	names := r.labels.Names()
	labels := strings.Join(names, " ")
	if len(labels) > maxLabels {
		return nil, fmt.Errorf("its labels have %d bytes, more than %d", len(labels), maxLabels)
	}
	if slices.ContainsFunc(names, func(l string) bool { return l == "" || strings.Contains(l, " ") }) {
		return nil, errors.New("a label is empty or has a space")
	}
	b = append(b, recordFormat)
	b = binary.BigEndian.AppendUint64(b, uint64(r.expires))
	b = binary.BigEndian.AppendUint64(b, uint64(r.size))
	b = binary.BigEndian.AppendUint16(b, uint16(len(labels)))
	return append(append(b, labels...), r.value...), nil
}

// parseRecord takes a record apart; the value shares memory with b.
func parseRecord(b []byte) (record, error) {
	if len(b) < recordHead || b[0] != recordFormat {
		return record{}, ErrDamaged
	}
	r := record{expires: int64(binary.BigEndian.Uint64(b[1:])), size: int64(binary.BigEndian.Uint64(b[9:]))}
	n := int(binary.BigEndian.Uint16(b[17:]))
	b = b[recordHead:]
	if n > len(b) {
		return record{}, ErrDamaged
	}
	if n > 0 {
		names := strings.Split(string(b[:n]), " ")
		if slices.Contains(names, "") {
			return record{}, ErrDamaged
		}
		r.labels = broker.NewLabels(names...)
	}
	r.value = b[n:]
	return r, nil
}

// row is an entry as it lies in the file.
type row struct {
	version uint64
	expires int64
	size    int64
	sealed  []byte
}

// seal makes the row of p, which ends after its time from now.
func (s *Store) seal(n name, p Put, l Limits, now int64) (row, error) {
	ttl := p.TTL
	if ttl == 0 {
		ttl = l.TTL
	}
	r := row{version: newVersion(), expires: now + ttl.Milliseconds(), size: p.size()}
	plain, err := record{r.expires, r.size, p.Labels, p.Value}.append(nil)
	if err != nil {
		return row{}, err
	}
	r.sealed, err = s.keys.Seal(purposeValue, n.associated(r.version), plain)
	clear(plain)
	return r, err
}

// open returns the entry of r. Whatever differs from what was sealed is ErrDamaged.
func (s *Store) open(n name, r row) (Entry, error) {
	plain, err := s.keys.Open(purposeValue, n.associated(r.version), r.sealed)
	if err != nil {
		return Entry{}, errors.Join(ErrDamaged, err)
	}
	rec, err := parseRecord(plain)
	if err != nil {
		return Entry{}, err
	}
	if rec.expires != r.expires || rec.size != r.size {
		return Entry{}, ErrDamaged
	}
	return Entry{Value: rec.value, Version: r.version, Expires: time.UnixMilli(rec.expires), Labels: rec.labels}, nil
}

// checkText is what the key check holds, sealed: it opens with the right keyring only, and
// holds a hash, because a store finds nothing when hashes are others.
func (s *Store) checkText() []byte { return s.keys.MAC(purposeCheck, []byte(format)) }

func (s *Store) sealCheck() ([]byte, error) {
	return s.keys.Seal(purposeCheck, purposeCheck, s.checkText())
}

func (s *Store) openCheck(sealed []byte) error {
	text, err := s.keys.Open(purposeCheck, purposeCheck, sealed)
	if err != nil || !hmac.Equal(text, s.checkText()) {
		return ErrWrongKey
	}
	return nil
}
