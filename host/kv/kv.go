// Package kv owns the values that plugins keep between calls: sealed, counted, with an end,
// in one SQLite file.
//
// # What is on disk
//
// DATA/kv/kv.db, format 1. Its journal, kv.db-wal and kv.db-shm, lies beside it while it is
// open.
//
//	meta   format  "pointsman-kv/1"
//	       sealed  a known text, sealed: opens with the right keyring only
//	space  id      number of a namespace
//	       mac     keyed hash of its name, 32 bytes
//	       keys    how many entries it has, expired ones that were not swept included
//	       bytes   the sum of their sizes
//	entry  mac     keyed hash of (namespace, key), 32 bytes
//	       space   whose it is
//	       version random, 1 to 2^53-1; every put makes a new one
//	       expires milliseconds since 1970; an index for sweeping, what counts is sealed
//	       size    bytes that count against the quota: of key and value, as the plugin sees them
//	       sealed  the record, bound to the hashes of namespace and key and to the version
//
//	record, before it is sealed
//	offset 0    1 byte   1, the record's format
//	offset 1    8 bytes  expires, big endian
//	offset 9    8 bytes  size, big endian
//	offset 17   2 bytes  n, the length of the labels, big endian
//	offset 19   n bytes  the labels, separated by spaces
//	offset 19+n the rest the value
//
// Who reads the file learns how many namespaces and entries there are, how large they are and
// when they end; no name, no key, no value. Who writes it can take entries away and bring back
// a whole entry that was there before; what they change or move does not open.
package kv

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"pointsman/host/broker"
)

// Namespace is whose entries they are: the name of a plugin. No namespace sees another's.
type Namespace string

// Limits are what a namespace may keep. The zero Limits keep nothing.
type Limits struct {
	Bytes int64         // of all its keys and values together, as the plugin sees them
	Keys  int           // number of keys
	TTL   time.Duration // how long an entry is kept at most, and unless its put says less
}

const (
	// MaxKey is the longest key, in bytes.
	MaxKey = 256
	// MaxValue is the largest value, in bytes: a page of JSON with room, and 16 of them fill
	// the quota that a grant has unless it says otherwise.
	MaxValue = 64 << 10
	// maxLabels is how long the labels of an entry may be together, in bytes: what two bytes
	// can count.
	maxLabels = 1<<16 - 1
)

var (
	// ErrKey is returned for a key that CheckKey refuses.
	ErrKey = fmt.Errorf("a key has 1 to %d bytes of valid UTF-8 without control characters", MaxKey)
	// ErrLarge is returned for a value of more than MaxValue bytes.
	ErrLarge = fmt.Errorf("a value has at most %d bytes", MaxValue)
	// ErrTTL is returned for a time that is negative or longer than the limit.
	ErrTTL = errors.New("an entry cannot be kept for so long")
	// ErrKeys is returned when one more key would be too many.
	ErrKeys = errors.New("the quota of keys is used up")
	// ErrBytes is returned when the value would not fit into the quota.
	ErrBytes = errors.New("the quota of bytes is used up")
	// ErrDamaged is returned for an entry that is not what was put under this key. Other
	// entries are not affected; a put or delete of the key puts it right.
	ErrDamaged = errors.New("the entry is damaged, or was changed by something that does not hold the keyring")
	// ErrWrongKey is returned by Open for a file that was sealed with another keyring.
	ErrWrongKey = errors.New("sealed with another keyring; bring back the keyring that it was made with")
	// ErrFormat is returned by Open for a file that this program did not write.
	ErrFormat = errors.New("not a file of format " + format)
)

// Entry is what is kept under a key. The zero Entry, of version 0, is no entry.
type Entry struct {
	Value   []byte // the caller's
	Version uint64
	Expires time.Time
	// Labels are those that were put with the value.
	Labels broker.Labels
}

// Put is a value to keep.
type Put struct {
	Key   string
	Value []byte // not kept nor changed
	// TTL is how long, to the millisecond; 0 means as long as the limits allow.
	TTL time.Duration
	// Labels are kept with the value: those of what the plugin had seen.
	Labels broker.Labels
}

// Swapped is what became of a Swap.
type Swapped struct {
	Done bool
	// Version is that of the new value if Done, otherwise of the value that is there; 0 if
	// there is none.
	Version uint64
	// Labels are those of the value that is there, if not Done: that something is there, too,
	// is what its put told.
	Labels broker.Labels
}

// Keyring seals what is written and hashes keys. *secret.Keyring is one. Its methods are
// called concurrently.
type Keyring interface {
	// Seal encrypts plain for one purpose and name: 1 to 128 letters, digits and "._/-".
	Seal(purpose, name string, plain []byte) ([]byte, error)
	// Open decrypts what Seal returned for the same purpose and name.
	Open(purpose, name string, sealed []byte) ([]byte, error)
	// MAC is a keyed hash, 32 bytes.
	MAC(purpose string, data []byte) []byte
}

// CheckKey refuses what cannot be a key: ErrKey. Every other text is one, byte for byte:
// "../b/x" is a key like any other, and letters that look the same are not.
func CheckKey(key string) error {
	if key == "" || len(key) > MaxKey || !utf8.ValidString(key) {
		return ErrKey
	}
	for _, r := range key {
		if unicode.IsControl(r) {
			return ErrKey
		}
	}
	return nil
}

// check refuses a put that can never be kept under l.
func (p Put) check(l Limits) error {
	switch {
	case CheckKey(p.Key) != nil:
		return ErrKey
	case len(p.Value) > MaxValue:
		return ErrLarge
	case p.TTL < 0 || p.TTL > l.TTL || l.TTL < time.Millisecond || p.TTL > 0 && p.TTL < time.Millisecond:
		return ErrTTL
	case l.Keys < 1:
		return ErrKeys
	}
	return nil
}

// size is what p takes of a quota.
func (p Put) size() int64 { return int64(len(p.Key)) + int64(len(p.Value)) }

// dead is why nothing can be written any more.
type dead struct{ err error }

// Err is why the store cannot be used any more: an error of the disk, after which nobody
// knows what is durable. It is nil while all is well. Only opening anew helps.
func (s *Store) Err() error {
	if d := s.dead.Load(); d != nil {
		return d.err
	}
	return nil
}

// ready is why an operation cannot begin.
func (s *Store) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.Err()
}
