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

// StoreFile is the name of a store's file in its directory.
const StoreFile = "secrets.json"

var (
	// ErrWrongKey is returned when the store was sealed with another keyring.
	ErrWrongKey = errors.New("sealed with another keyring; bring back the keyring that it was made with")
	// ErrDamaged is returned when the store's file is not what was written.
	ErrDamaged = errors.New("damaged, or changed by something that does not hold the keyring; restore it from a backup")
)

// Store is the provider "sealed": a directory of sealed secrets, in one file, secrets.json.
// Several processes may use it: writers wait for each other, and a reader sees what was
// written at its next Get. Safe for concurrent use.
type Store struct {
	path string
	keys *Keyring
	now  func() time.Time

	mu   sync.Mutex
	seen stamp   // guarded by mu; the file that held was read from
	held content // guarded by mu
	// open is the file of seen, guarded by mu. While it is open its inode cannot become that
	// of a newer file, which seen could not tell from it.
	open *os.File
}

// stamp tells whether a file was replaced. Every write makes a new file.
type stamp struct{ info fs.FileInfo }

func (s stamp) same(info fs.FileInfo) bool {
	return s.info != nil && os.SameFile(s.info, info) && s.info.Size() == info.Size() && s.info.ModTime().Equal(info.ModTime())
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
	s := &Store{path: filepath.Join(dir, StoreFile), keys: k, now: time.Now}
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

// Provider implements Provider.
func (*Store) Provider() string { return "sealed" }

// Has implements Provider.
func (s *Store) Has(name string) (bool, error) {
	_, err := s.find(name)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Get opens the secret of that name. It looks at the file's stamp every time (see
// BenchmarkGet) and reads it again when another process wrote it. A file that is gone or
// damaged by then fails every Get: what may have been revoked is not used.
func (s *Store) Get(name string) (Value, error) {
	v, err := s.get(name)
	if err != nil {
		return Value{}, fmt.Errorf("secret %.80q: %w", name, err)
	}
	return v, nil
}

func (s *Store) get(name string) (Value, error) {
	e, err := s.find(name)
	if err != nil {
		return Value{}, err
	}
	now := s.now()
	if e.expired(now) {
		return Value{}, ErrExpired
	}
	var v Value
	if v.open, err = s.keys.opener(purposeValue, name, e.Version, e.Sealed); err != nil {
		return Value{}, err
	}
	var olds []Value
	for _, f := range e.still(now) {
		open, err := s.keys.opener(purposeValue, name, f.Version, f.Sealed)
		if err != nil {
			return Value{}, fmt.Errorf("version %d: %w", f.Version, err)
		}
		olds = append(olds, Value{open: open})
	}
	return v.Replacing(olds...), nil
}

func (s *Store) find(name string) (entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		return entry{}, err
	}
	e, ok := s.held.secrets[name]
	if !ok {
		return entry{}, ErrNotFound
	}
	return e, nil // never changed in place
}

// Names are the secrets that the store holds, sorted; nil if it cannot be read any more.
func (s *Store) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.held.secrets))
}

// List implements Provider.
func (s *Store) List() ([]Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		return nil, err
	}
	list := make([]Info, 0, len(s.held.secrets))
	for _, name := range slices.Sorted(maps.Keys(s.held.secrets)) {
		e := s.held.secrets[name]
		list = append(list, Info{
			Name: name, Provider: s.Provider(), Version: e.Version, Set: e.Set, Expires: e.Expires,
			Short: e.Short, Former: len(e.still(s.now())),
		})
	}
	return list, nil
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

// load reads the file. s.mu is held.
func (s *Store) load() error {
	f, err := os.Open(s.path)
	if err != nil {
		return err
	}
	info, c, err := s.readContent(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if s.open != nil {
		_ = s.open.Close() // read only: nothing to lose
	}
	s.held, s.seen, s.open = c, stamp{info}, f
	return nil
}

func (s *Store) readContent(f *os.File) (fs.FileInfo, content, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, content{}, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, content{}, err
	}
	c, err := decode(text, s.keys)
	if err == nil && c.seq < s.held.seq {
		err = fmt.Errorf("older than what was read before; start again to use it: %w", ErrDamaged)
	}
	if err != nil {
		return nil, content{}, fmt.Errorf("%s: %w", s.path, err)
	}
	return info, c, nil
}
