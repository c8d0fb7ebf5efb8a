package kv

import (
	"context"
	"database/sql"
	"time"
)

const (
	// sweepBatch is how many expired entries one transaction takes away, so that a put waits
	// for no more than some milliseconds (BenchmarkSweep).
	sweepBatch = 256
	// sweepEvery is how long an expired entry stays in the file at most, where nothing else
	// needs its place. Nobody can read it meanwhile.
	sweepEvery = time.Minute
)

// expire deletes at most sweepBatch of the entries that the condition names, the oldest first.
func expire(tx *sql.Tx, condition string, args ...any) (n int, err error) {
	return removed(tx, `id IN (SELECT id FROM entry WHERE `+condition+` ORDER BY expires LIMIT ?)`, append(args, sweepBatch)...)
}

// Sweep takes at most 256 expired entries out of the file and returns how many it took.
func (s *Store) Sweep(ctx context.Context) (n int, err error) {
	now := s.time()
	err = s.change(ctx, func(tx *sql.Tx) (err error) {
		n, err = expire(tx, `expires <= ?`, now)
		return err
	})
	return n, err
}

// Run sweeps once a minute until ctx ends, and tells fault what failed.
func (s *Store) Run(ctx context.Context, fault func(error)) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		for n := sweepBatch; n == sweepBatch; { // each batch lets others write in between
			var err error
			if n, err = s.Sweep(ctx); err != nil && ctx.Err() == nil {
				fault(err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
