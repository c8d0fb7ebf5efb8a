package kv

import (
	"context"
	"database/sql"
	"errors"
)

// space is how much a namespace keeps, within one transaction.
type space struct {
	id    int64
	keys  int
	bytes int64
}

// openSpace returns the space of n, and makes it.
func openSpace(tx *sql.Tx, n name) (space, error) {
	if _, err := tx.Exec(`INSERT INTO space (mac, keys, bytes) VALUES (?, 0, 0) ON CONFLICT (mac) DO NOTHING`, n.space); err != nil {
		return space{}, err
	}
	return findSpace(tx, n)
}

func findSpace(tx *sql.Tx, n name) (sp space, err error) {
	err = tx.QueryRow(`SELECT id, keys, bytes FROM space WHERE mac = ?`, n.space).Scan(&sp.id, &sp.keys, &sp.bytes)
	return sp, err
}

const selectRoom = `SELECT keys, (SELECT count(*) FROM entry WHERE mac = ?),
	(SELECT min(expires) FROM entry WHERE entry.space = space.id) FROM space WHERE mac = ?`

// full refuses with ErrKeys what would be one key too many, without waiting for those who
// write: a plugin that goes on and on at its quota is in nobody's way. What it lets through,
// fit decides.
func (s *Store) full(ctx context.Context, n name, l Limits, now int64) error {
	var keys, there int
	var oldest sql.NullInt64
	err := s.room.QueryRowContext(ctx, n.entry, n.space).Scan(&keys, &there, &oldest)
	if err == nil && keys >= l.Keys && there == 0 && oldest.Int64 > now {
		return ErrKeys
	}
	return absent(err)
}

// fit makes room for an entry of size in place of old: old is taken away, and, if that is not
// enough, what has expired. It refuses with ErrKeys or ErrBytes.
func (sp *space) fit(tx *sql.Tx, l Limits, now int64, n name, old row, size int64) error {
	if old.expires <= now {
		old.size = -1 // it gives no right to its place
	}
	if err := remove(tx, `mac = ?`, n.entry); err != nil {
		return err
	}
	for {
		var err error
		if *sp, err = findSpace(tx, n); err != nil {
			return err
		}
		refusal := sp.refuses(l, old.size, size)
		if refusal == nil {
			return nil
		}
		freed, err := expire(tx, `space = ? AND expires <= ?`, sp.id, now)
		if err != nil {
			return err
		}
		if freed == 0 {
			return refusal
		}
	}
}

// refuses says what would be too much with one more entry of size, where one of size old
// was, or none if old is negative.
func (sp *space) refuses(l Limits, old, size int64) error {
	switch {
	case sp.keys >= l.Keys && old < 0:
		return ErrKeys
	case sp.bytes+size > l.Bytes && size > old:
		return ErrBytes
	}
	return nil
}

// put inserts r under n, where nothing is.
func (sp *space) put(tx *sql.Tx, n name, r row) error {
	_, err := tx.Exec(`INSERT INTO entry (mac, space, version, expires, size, sealed) VALUES (?, ?, ?, ?, ?, ?)`,
		n.entry, sp.id, r.version, r.expires, r.size, r.sealed)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE space SET keys = keys + 1, bytes = bytes + ? WHERE id = ?`, r.size, sp.id)
	return err
}

// remove deletes the entries that the condition names, and counts them off.
func remove(tx *sql.Tx, condition string, args ...any) error {
	_, err := removed(tx, condition, args...)
	return err
}

func removed(tx *sql.Tx, condition string, args ...any) (n int, err error) {
	gone := map[int64]space{} // by id
	rows, err := tx.Query(`DELETE FROM entry WHERE `+condition+` RETURNING space, size`, args...)
	if err != nil {
		return 0, err
	}
	for rows.Next() {
		var id, size int64
		if err := rows.Scan(&id, &size); err != nil {
			return 0, errors.Join(err, rows.Close())
		}
		g := gone[id]
		gone[id] = space{keys: g.keys + 1, bytes: g.bytes + size}
		n++
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return 0, err
	}
	for id, g := range gone {
		if _, err := tx.Exec(`UPDATE space SET keys = keys - ?, bytes = bytes - ? WHERE id = ?`, g.keys, g.bytes, id); err != nil {
			return 0, err
		}
	}
	return n, nil
}
