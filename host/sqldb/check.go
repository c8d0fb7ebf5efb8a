package sqldb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"pointsman/host/broker"
)

// Report is what a check of a database found.
type Report struct {
	Server     string        // what it is, with its version
	Latency    time.Duration // of one question over a connection that stands
	ReadOnly   bool          // it takes no writes: a standby, or a file that was opened so
	TLSExpires time.Time     // when the first certificate that it showed ends; zero: it showed none
	// Faults are statements that the database does not take, such as those of a table that
	// there is not. They are for operators: they hold the database's words.
	Faults []error

	texts []namedText
}

type namedText struct{ statement, text string }

func (r *Report) fault(t namedText, err error) {
	r.Faults = append(r.Faults, fmt.Errorf("statement %s: %w", t.statement, err))
}

// Check connects, asks for the state of the server and has it prepare every statement,
// without running one. It may take ten times as long as a use.
func (d *DB) Check(ctx context.Context) (Report, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*d.limits.Time)
	defer cancel()
	var r Report
	for _, name := range slices.Sorted(maps.Keys(d.statements)) {
		for _, text := range slices.Sorted(maps.Values(d.statements[name].texts)) {
			r.texts = append(r.texts, namedText{name, text})
		}
	}
	if err := d.engine.check(ctx, &r); err != nil {
		return Report{}, failure(ctx, fmt.Errorf("database %s: %w", d.name, err))
	}
	latency := Report{}
	start := time.Now()
	if err := d.engine.check(ctx, &latency); err != nil {
		return Report{}, failure(ctx, fmt.Errorf("database %s: %w", d.name, err))
	}
	r.Latency, r.texts = time.Since(start), nil
	if remote, ok := d.engine.(interface{ certificate() time.Time }); ok {
		r.TLSExpires = remote.certificate()
	}
	if r.ReadOnly && d.writes() {
		r.Faults = append(r.Faults, &broker.Error{Kind: broker.Upstream, Detail: "statements write, and the database takes no writes", Err: errors.New("read-only")})
	}
	return r, nil
}

func (r *remote) certificate() time.Time {
	if at := r.expires.Load(); at != 0 {
		return time.Unix(at, 0)
	}
	return time.Time{}
}
