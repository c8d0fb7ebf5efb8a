package sqldb

import (
	"context"
	"errors"
	"fmt"

	"pointsman/host/broker"
)

// Writes reports whether the statement may change something.
func (u *Use) Writes() bool { return u.s.Write }

// Do runs the statement in a transaction of its own and returns its rows. It ends by the
// database's limit of time, or ctx's.
//
// The error is a *broker.Error that holds nothing of what the database said in its Detail:
// UpstreamTimeout if the time was over, here or on the server; Upstream if the database
// could not be reached, or its answer not be handed over; Unavailable if all connections
// were in use until the time was over, or the server has none left; Invalid if an argument
// or a constraint of the database refuses the use; Canceled if ctx was.
//
// A write that fails with anything but Invalid may have happened: the answer to a commit
// can be lost.
func (u *Use) Do(ctx context.Context) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, failure(ctx, err)
	}
	limited, cancel := context.WithTimeout(ctx, u.db.limits.Time)
	defer cancel()
	select {
	case u.db.slots <- struct{}{}:
		defer func() { <-u.db.slots }()
	case <-limited.Done():
		if err := ctx.Err(); errors.Is(err, context.Canceled) {
			return Result{}, failure(ctx, err)
		}
		return Result{}, &broker.Error{Kind: broker.Unavailable, Detail: "every connection with the database is in use", Err: limited.Err()}
	}
	out := &result{limits: u.db.limits, rows: u.s.rows, text: []byte{'['}}
	if err := u.db.engine.query(limited, u.s, u.text, u.args, out); err != nil {
		return Result{}, failure(limited, fmt.Errorf("database %s: statement %s: %w", u.db.name, u.s.name, err))
	}
	return Result{Rows: append(out.text, ']'), Count: out.count, Truncated: out.truncated, Affected: out.affected}, nil
}
