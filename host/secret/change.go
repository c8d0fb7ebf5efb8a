package secret

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"time"
)

// Terms are what goes with a new value. The zero Terms are a value that never expires and
// that forgets the one it replaces.
type Terms struct {
	// Expires is when the value is refused from; zero means never. Kept to the second.
	Expires time.Time
	// Overlap is for how long the value that is replaced is still looked for in what back
	// ends say. It is never sent again. What was looked for before still is, for its time.
	Overlap time.Duration
}

// MaxOverlap is the longest Overlap: a month, after which who still echoes an old
// credential is not going to stop.
const MaxOverlap = 31 * 24 * time.Hour

func (t Terms) check(now time.Time) error {
	switch {
	case !t.Expires.IsZero() && !now.Before(t.Expires):
		return errors.New("it would have expired already")
	case t.Overlap < 0 || t.Overlap > MaxOverlap:
		return fmt.Errorf("an overlap is 0 to %v", MaxOverlap)
	}
	return nil
}

// Set seals plain under name for ever; see Put.
func (s *Store) Set(name string, plain []byte) error { return s.Put(name, plain, Terms{}) }

// Put seals plain under name, replacing what was there. It is durable when Put returns.
// The name is one that a manifest could use. plain is neither kept nor wiped.
func (s *Store) Put(name string, plain []byte, t Terms) error {
	return s.put(name, plain, t, func(bool) error { return nil })
}

// Rotate is Put for a secret that is there already: ErrNotFound if it is not.
func (s *Store) Rotate(name string, plain []byte, t Terms) error {
	return s.put(name, plain, t, func(there bool) error {
		if !there {
			return ErrNotFound
		}
		return nil
	})
}

func (s *Store) put(name string, plain []byte, t Terms, may func(there bool) error) error {
	now := s.now()
	for _, err := range []error{CheckName(name), CheckSize(len(plain)), t.check(now)} {
		if err != nil {
			return fmt.Errorf("secret %.80q: %w", name, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.change(func(c *content) error {
		was, there := c.secrets[name]
		if err := may(there); err != nil {
			return err
		}
		if !there && len(c.secrets) >= MaxCount {
			return fmt.Errorf("there are %d secrets already", MaxCount)
		}
		next := entry{Version: was.Version + 1, Set: seconds(now), Expires: seconds(t.Expires), Short: len(plain) < Redactable}
		next.Former = was.still(now)
		if there && t.Overlap > 0 {
			next.Former = append(next.Former, former{was.Version, seconds(now.Add(t.Overlap)), was.Sealed})
		}
		if len(next.Former) > maxFormer {
			return fmt.Errorf("%d earlier values are still looked for; wait, or revoke the secret and set it anew", maxFormer)
		}
		if len(next.Former) == 0 {
			next.Former = nil
		}
		var err error
		if next.Sealed, err = s.keys.sealVersion(purposeValue, name, next.Version, plain); err != nil {
			return err
		}
		c.secrets[name] = next
		return nil
	})
	if err != nil {
		return fmt.Errorf("set secret %s: %w", name, err)
	}
	return nil
}

func seconds(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Second)
}

// Remove takes name away, with what it replaced. It is durable when Remove returns.
// ErrNotFound if it is not there.
func (s *Store) Remove(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.change(func(c *content) error {
		if _, ok := c.secrets[name]; !ok {
			return ErrNotFound
		}
		delete(c.secrets, name)
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove secret %.80q: %w", name, err)
	}
	return nil
}

// Rewrap seals everything anew under the keyring's primary key and returns the number of
// values. If one does not open, nothing is changed.
func (s *Store) Rewrap() (values int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.change(func(c *content) error {
		for name, e := range c.secrets {
			e.Former = append([]former(nil), e.Former...)
			sealed := []*[]byte{&e.Sealed}
			versions := []uint64{e.Version}
			for i := range e.Former {
				sealed = append(sealed, &e.Former[i].Sealed)
				versions = append(versions, e.Former[i].Version)
			}
			for i := range sealed {
				if err := s.reseal(name, versions[i], sealed[i]); err != nil {
					return err
				}
				values++
			}
			c.secrets[name] = e
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("rewrap: %w", err)
	}
	return values, nil
}

func (s *Store) reseal(name string, version uint64, sealed *[]byte) error {
	open, err := s.keys.opener(purposeValue, name, version, *sealed)
	if err != nil {
		return err
	}
	plain := open()
	defer clear(plain)
	*sealed, err = s.keys.sealVersion(purposeValue, name, version, plain)
	return err
}

// KeyUse tells how many ciphertexts of the store each key is needed for.
func (s *Store) KeyUse() (map[KeyID]int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		return nil, err
	}
	use := map[KeyID]int{}
	count := func(sealed []byte) {
		if id, ok := sealedWith(sealed); ok {
			use[id]++
		}
	}
	count(s.held.check)
	for _, e := range s.held.secrets {
		count(e.Sealed)
		for _, f := range e.Former {
			count(f.Sealed)
		}
	}
	return use, nil
}

// change applies edit to what is in the file now and writes the result, alone among all
// processes. s.mu is held.
func (s *Store) change(edit func(*content) error) (err error) {
	unlock, err := lock(s.path + ".lock")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	next := content{secrets: map[string]entry{}}
	switch err := s.load(); {
	case errors.Is(err, fs.ErrNotExist) && s.seen.info == nil: // the first write
	case err != nil:
		return err
	default:
		next = content{seq: s.held.seq, secrets: maps.Clone(s.held.secrets)}
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
