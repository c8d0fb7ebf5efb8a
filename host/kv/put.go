package kv

import (
	"context"
	"database/sql"
)

// Put keeps p in ns, in place of what was there, and returns its version. When it returns,
// the value is on stable storage. The error is ErrKey, ErrLarge, ErrTTL, ErrKeys, ErrBytes,
// ctx's, or one of the disk; nothing has changed then, unless the disk failed.
//
// The quota counts the bytes of keys and values as they were put, not as they lie in the
// file, which is some 400 bytes more for each. Expired entries do not count. A put that makes
// neither more keys nor more bytes of what is there fits always, even where a quota was
// lowered below it.
func (s *Store) Put(ctx context.Context, ns Namespace, l Limits, p Put) (version uint64, err error) {
	done, err := s.swap(ctx, ns, l, p, nil)
	return done.Version, err
}

// Swap is Put if what is there has this version, or if version is 0 and nothing is there.
// Otherwise nothing changes.
func (s *Store) Swap(ctx context.Context, ns Namespace, l Limits, p Put, version uint64) (Swapped, error) {
	return s.swap(ctx, ns, l, p, &version)
}

// swap is Swap, and Put if want is nil.
func (s *Store) swap(ctx context.Context, ns Namespace, l Limits, p Put, want *uint64) (Swapped, error) {
	if err := p.check(l); err != nil {
		return Swapped{}, err
	}
	if err := s.ready(ctx); err != nil {
		return Swapped{}, err
	}
	n, now := s.nameOf(ns, p.Key), s.time()
	if want == nil || *want == 0 { // others do not add a key
		if err := s.full(ctx, n, l, now); err != nil {
			return Swapped{}, err
		}
	}
	next, err := s.seal(n, p, l, now)
	if err != nil {
		return Swapped{}, err
	}
	out := Swapped{Done: true, Version: next.version}
	err = s.change(ctx, func(tx *sql.Tx) error {
		old, err := find(tx, n)
		if err != nil {
			return err
		}
		if want != nil {
			there, err := s.current(n, old, now)
			if err != nil {
				return err
			}
			if there.Version != *want {
				out = Swapped{Version: there.Version, Labels: there.Labels}
				return nil
			}
		}
		sp, err := openSpace(tx, n)
		if err != nil {
			return err
		}
		if err := sp.fit(tx, l, now, n, old, next.size); err != nil {
			return err
		}
		return sp.put(tx, n, next)
	})
	if err != nil {
		return Swapped{}, err
	}
	return out, nil
}

// find returns the row of n, of version 0 if there is none.
func find(tx *sql.Tx, n name) (row, error) {
	var r row
	err := tx.QueryRow(selectEntry, n.entry).Scan(&r.version, &r.expires, &r.size, &r.sealed)
	return r, absent(err)
}

// Delete takes away what is kept under key in ns, if there is something, durably. Its place
// in the file is overwritten when SQLite next moves its log into it; until then the sealed
// bytes lie there. The error is ErrKey, ctx's, or one of the disk.
func (s *Store) Delete(ctx context.Context, ns Namespace, key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	n := s.nameOf(ns, key)
	return s.change(ctx, func(tx *sql.Tx) error {
		return remove(tx, `mac = ?`, n.entry)
	})
}
