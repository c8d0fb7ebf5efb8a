package kv

import (
	"context"
	"database/sql"
	"errors"
)

// Reseal seals everything anew, so that the keyring's former keys can be retired, and returns
// how many entries it did. What is damaged stays so. Others may read and write meanwhile.
func (s *Store) Reseal(ctx context.Context) (n int, err error) {
	err = s.change(ctx, func(tx *sql.Tx) error {
		sealed, err := s.sealCheck()
		if err != nil {
			return err
		}
		_, err = tx.Exec(`UPDATE meta SET sealed = ?`, sealed)
		return err
	})
	for last, more := int64(0), true; more && err == nil; {
		err = s.change(ctx, func(tx *sql.Tx) error {
			batch, err := batchAfter(tx, last)
			if err != nil {
				return err
			}
			more = len(batch) > 0
			for _, b := range batch {
				last = b.id
				anew, err := s.anew(b)
				if err != nil {
					continue // damaged: no key opens it
				}
				if _, err := tx.Exec(`UPDATE entry SET sealed = ? WHERE id = ?`, anew, b.id); err != nil {
					return err
				}
				n++
			}
			return nil
		})
	}
	return n, err
}

// sealedRow is a row with what it is sealed under.
type sealedRow struct {
	row
	name
	id int64
}

// anew is what b has sealed, sealed with the present key.
func (s *Store) anew(b sealedRow) ([]byte, error) {
	plain, err := s.keys.Open(purposeValue, b.associated(b.version), b.sealed)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	return s.keys.Seal(purposeValue, b.associated(b.version), plain)
}

func batchAfter(tx *sql.Tx, id int64) ([]sealedRow, error) {
	rows, err := tx.Query(`SELECT entry.id, space.mac, entry.mac, version, sealed
		FROM entry JOIN space ON space.id = entry.space WHERE entry.id > ? ORDER BY entry.id LIMIT ?`, id, sweepBatch)
	if err != nil {
		return nil, err
	}
	var batch []sealedRow
	for rows.Next() {
		var b sealedRow
		if err := rows.Scan(&b.id, &b.space, &b.entry, &b.version, &b.sealed); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		batch = append(batch, b)
	}
	return batch, errors.Join(rows.Err(), rows.Close())
}
