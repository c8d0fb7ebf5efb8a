package kv

import (
	"context"
	"database/sql"
	"errors"
)

const selectEntry = `SELECT version, expires, size, sealed FROM entry WHERE mac = ?`

// Get returns what is kept under key in ns: the zero Entry if there is nothing, or nothing
// any more. The error is ErrKey, ErrDamaged, ctx's, or one of the disk.
func (s *Store) Get(ctx context.Context, ns Namespace, key string) (Entry, error) {
	if err := CheckKey(key); err != nil {
		return Entry{}, err
	}
	if err := s.ready(ctx); err != nil {
		return Entry{}, err
	}
	n := s.nameOf(ns, key)
	var r row
	err := s.entry.QueryRowContext(ctx, n.entry).Scan(&r.version, &r.expires, &r.size, &r.sealed)
	if absent(err) != nil {
		return Entry{}, err
	}
	return s.current(n, r, s.time())
}

// current is the entry of r, unless its time is over or there is none.
func (s *Store) current(n name, r row, now int64) (Entry, error) {
	if r.version == 0 || r.expires <= now {
		return Entry{}, nil
	}
	return s.open(n, r)
}

// absent makes no error of there being no row.
func absent(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}
