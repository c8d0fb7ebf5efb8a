package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pointsman/cmd/backends/sim"
)

// Schema is the schema of the table in PostgreSQL.
const Schema = "pointsman_demo"

// qualified is the table in PostgreSQL, as SQL names it.
const qualified = Schema + "." + Table

// mark is the comment by which a table is known to be made here.
const mark = "made by pointsman demo"

// lockKey is the advisory lock that says that somebody has the table: "pointsma" in ASCII.
const lockKey = 0x706f696e74736d61

// timeLimit is how long connecting, filling and removing may take each. 3000 rows take well below a second.
const timeLimit = 30 * time.Second

// ErrForeign says that there is a table, or another relation, that this package did not make.
var ErrForeign = errors.New("there is a " + qualified + " in the database that pointsman demo did not make; it is left as it is")

// ErrTaken says that another process has the table.
var ErrTaken = errors.New("another pointsman demo uses the database")

// Postgres is the table in a database, from Fill to Close. Its methods may not be called concurrently.
type Postgres struct {
	Target
	conn       *pgx.Conn
	madeSchema bool
}

// Fill makes the table Schema.Table with the rows, in place of one that it made before. The errors ErrForeign and
// ErrTaken mean that nothing was changed; so does every other error.
func Fill(ctx context.Context, t Target, rows []sim.StoreRow) (_ *Postgres, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()
	if err := t.reach(ctx); err != nil {
		return nil, err
	}
	p := &Postgres{Target: t}
	if p.conn, err = pgx.ConnectConfig(ctx, t.config); err != nil {
		return nil, fmt.Errorf("connect with %s: %w", t.Address, err)
	}
	if err := p.fill(ctx, rows); err != nil {
		return nil, errors.Join(err, p.conn.Close(ctx))
	}
	return p, nil
}

func (p *Postgres) fill(ctx context.Context, rows []sim.StoreRow) error {
	free := false
	if err := p.conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", int64(lockKey)).Scan(&free); err != nil {
		return err
	}
	if !free {
		return ErrTaken
	}
	return pgx.BeginFunc(ctx, p.conn, func(tx pgx.Tx) error {
		if err := dropOurs(ctx, tx); err != nil {
			return err
		}
		there := false
		if err := tx.QueryRow(ctx, "SELECT to_regnamespace($1) IS NOT NULL", Schema).Scan(&there); err != nil {
			return err
		}
		if p.madeSchema = !there; !there {
			if _, err := tx.Exec(ctx, "CREATE SCHEMA "+Schema); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, "CREATE TABLE "+qualified+` (
			number text PRIMARY KEY, given text, family text, email text, phone text, street text, city text, region text,
			postal_code text, country text, language text, birthday date, email_opt_out boolean, updated timestamptz)`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "COMMENT ON TABLE "+qualified+" IS '"+mark+"'"); err != nil {
			return err
		}
		_, err := tx.CopyFrom(ctx, pgx.Identifier{Schema, Table}, columns, pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) {
			return append(texts(rows[i]), rows[i].Birthday, rows[i].EmailOptOut, rows[i].Updated), nil
		}))
		return err
	})
}

// dropOurs removes the table if it carries the mark. Without the mark the error is ErrForeign.
func dropOurs(ctx context.Context, tx pgx.Tx) error {
	var there, ours bool
	err := tx.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL, coalesce(obj_description(to_regclass($1), 'pg_class') = $2, false)", qualified, mark).Scan(&there, &ours)
	switch {
	case err != nil:
		return err
	case !there:
		return nil
	case !ours:
		return ErrForeign
	}
	_, err = tx.Exec(ctx, "DROP TABLE "+qualified)
	return err
}

// Close ends the use of the table. Unless keep is set it removes the table, and the schema if Fill made it and nothing
// else is in it.
func (p *Postgres) Close(keep bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeLimit) // the caller's may have ended: that is why it closes
	defer cancel()
	var err error
	if !keep {
		err = pgx.BeginFunc(ctx, p.conn, func(tx pgx.Tx) error {
			if err := dropOurs(ctx, tx); err != nil || !p.madeSchema {
				return err
			}
			empty := false
			if err := tx.QueryRow(ctx, "SELECT NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace($1))", Schema).Scan(&empty); err != nil || !empty {
				return err
			}
			_, err := tx.Exec(ctx, "DROP SCHEMA "+Schema) // not CASCADE: what else is in it stays
			return err
		})
	}
	return errors.Join(err, p.conn.Close(ctx))
}
