package secret

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Limits of a store. They keep the file small enough to be read at each change.
const (
	// MaxSize is the largest secret, in bytes: a PEM chain with its key fits.
	MaxSize = 16 << 10
	// MaxCount is the largest number of secrets.
	MaxCount = 1000
	// Redactable is the length in bytes from which a secret is surely found and taken out
	// when a back end sends it back. A shorter one would be found in innocent text too.
	Redactable = 16
)

// StoreFile is the name of a store's file in its directory.
const StoreFile = "secrets.json"

var (
	// ErrNotFound is returned for a name that the store does not hold.
	ErrNotFound = errors.New("there is no such secret")
	// ErrWrongKey is returned when the store was sealed with another keyring.
	ErrWrongKey = errors.New("sealed with another keyring; bring back the keyring that it was made with")
	// ErrDamaged is returned when the store's file is not what was written.
	ErrDamaged = errors.New("damaged, or changed by something that does not hold the keyring; restore it from a backup")
)

// Store is a directory of sealed secrets, in one file, secrets.json. Several processes may
// use it: writers wait for each other, and a reader sees what was written at its next Get.
// Safe for concurrent use.
type Store struct {
	path string
	keys *Keyring

	mu   sync.Mutex
	seen stamp   // guarded by mu; the file that held was read from
	held content // guarded by mu
}

// stamp tells whether a file was replaced. Every write makes a new file.
type stamp struct {
	info fs.FileInfo
	size int64
	time time.Time
}

func (s stamp) same(info fs.FileInfo) bool {
	return s.info != nil && os.SameFile(s.info, info) && s.size == info.Size() && s.time.Equal(info.ModTime())
}

// OpenStore opens the store in dir, and makes both if they are not there. The first thing
// written is a record that only opens with k, so that a store without secrets too refuses
// another keyring, with ErrWrongKey.
func OpenStore(dir string, k *Keyring) (*Store, error) {
	if k == nil {
		return nil, errors.New("open secrets: no keyring")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open secrets: %w", err)
	}
	s := &Store{path: filepath.Join(dir, StoreFile), keys: k}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.refresh()
	if errors.Is(err, fs.ErrNotExist) {
		err = s.change(func(*content) error { return nil })
	}
	if err != nil {
		return nil, fmt.Errorf("open secrets: %w", err)
	}
	return s, nil
}

// Set seals plain under name, replacing what was there. It is durable when Set returns.
// The name is one that a manifest could use.
func (s *Store) Set(name string, plain []byte) error {
	if err := checkName(name); err != nil {
		return err
	}
	if len(plain) == 0 {
		return fmt.Errorf("secret %s: empty", name)
	}
	if len(plain) > MaxSize {
		return fmt.Errorf("secret %s: larger than %d bytes", name, MaxSize)
	}
	sealed, err := s.keys.Seal(purposeValue, name, plain)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.change(func(c *content) error {
		if _, ok := c.sealed[name]; !ok && len(c.sealed) >= MaxCount {
			return fmt.Errorf("there are %d secrets already", MaxCount)
		}
		c.sealed[name] = sealed
		return nil
	})
	if err != nil {
		return fmt.Errorf("set secret %s: %w", name, err)
	}
	return nil
}

// Remove takes name away. It is durable when Remove returns. ErrNotFound if it is not there.
func (s *Store) Remove(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.change(func(c *content) error {
		if _, ok := c.sealed[name]; !ok {
			return ErrNotFound
		}
		delete(c.sealed, name)
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove secret %q: %w", name, err)
	}
	return nil
}

// Get opens the secret of that name. It looks at the file's stamp every time (see
// BenchmarkGet) and reads it again when another process wrote it. A file that is gone or
// damaged by then fails every Get: what may have been revoked is not used.
func (s *Store) Get(name string) (Value, error) {
	sealed, err := s.find(name)
	if err != nil {
		return Value{}, fmt.Errorf("secret %q: %w", name, err)
	}
	plain, err := s.keys.Open(purposeValue, name, sealed)
	if err != nil {
		return Value{}, fmt.Errorf("secret %q: %w", name, err)
	}
	defer clear(plain)
	return newValue(plain), nil
}

func (s *Store) find(name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		return nil, err
	}
	sealed, ok := s.held.sealed[name]
	if !ok {
		return nil, ErrNotFound
	}
	return sealed, nil // never changed in place
}

// Names are the secrets that the store holds, sorted; nil if it cannot be read any more.
func (s *Store) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.held.sealed))
}

// refresh reads the file if it is not the one that was read last. s.mu is held.
func (s *Store) refresh() error {
	info, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	if s.seen.same(info) {
		return nil
	}
	return s.load()
}

func (s *Store) load() error {
	f, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer f.Close() // read only: nothing to lose
	info, err := f.Stat()
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return err
	}
	c, err := decode(text, s.keys)
	if err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	s.held, s.seen = c, stamp{info, info.Size(), info.ModTime()}
	return nil
}

// change applies edit to what is in the file now and writes the result, alone among all
// processes. s.mu is held.
func (s *Store) change(edit func(*content) error) (err error) {
	unlock, err := lock(s.path + ".lock")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	next := content{sealed: map[string][]byte{}}
	switch err := s.load(); {
	case errors.Is(err, fs.ErrNotExist) && s.seen.info == nil: // the first write
	case err != nil:
		return err
	default:
		next = content{seq: s.held.seq, sealed: maps.Clone(s.held.sealed)}
	}
	if err := edit(&next); err != nil {
		return err
	}
	next.seq++
	text, err := encode(next, s.keys)
	if err != nil {
		return err
	}
	if err := replace(s.path, text); err != nil {
		return err
	}
	return s.load()
}
