package deploy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"pointsman/host/admission"
	"pointsman/host/audit"
	"pointsman/host/broker"
	"pointsman/host/consumer"
	"pointsman/host/egress"
	"pointsman/host/pointer"
	"pointsman/host/sqldb"
	"pointsman/host/view"
)

// Release is one complete, validated, immutable set of manifests, provisioned. Its methods
// may be called concurrently between Acquire and the function that Acquire returned.
type Release struct {
	number    uint64
	digest    string
	plugins   map[string]*plugin
	backends  map[string]*egress.Backend
	databases map[string]*sqldb.DB
	labels    map[string]view.Labels // of the back ends' answers
	routes    router
	directory *consumer.Directory
	rates     map[broker.PrincipalID]consumer.Rate
	keys      *consumer.Keys
	door      *door
	log       *slog.Logger
	pointers  *pointer.Issuer
	record    *audit.Log // what becomes of labelled data

	refs atomic.Int64  // requests inside, and 1 for being live
	idle chan struct{} // closed when refs has come to 0
}

// Number counts deployments since the start of this process, from 1.
func (r *Release) Number() uint64 { return r.number }

// Allow counts one request of p against its rate. When it is spent, after is how long
// until the next is allowed.
func (r *Release) Allow(p broker.Principal) (ok bool, after time.Duration) {
	return r.directory.Allow(p.ID, time.Now())
}

// Quota is p's rate: requests per window. Zero when its manifest declares none.
func (r *Release) Quota(p broker.Principal) (requests int, window time.Duration) {
	rate := r.rates[p.ID]
	return rate.Count, rate.Per
}

// Rewrap returns the pointer of the current epoch for one of p's that resolves. Everything
// else is one and the same NotFound.
func (r *Release) Rewrap(p broker.Principal, text string) (string, error) {
	return r.pointers.Rewrap(p.Sector, text)
}

// reveal counts the subjects that p is about to be told of against its budget.
func (r *Release) reveal(p broker.Principal, subjects []string) error {
	for _, s := range subjects {
		if ok, after := r.directory.Reveal(p.ID, s, time.Now()); !ok {
			return &broker.Error{
				Kind: broker.Spent, Detail: "this consumer was told of as many different subjects as it may be for now", After: after,
				Err: errSubjects,
			}
		}
	}
	return nil
}

var errSubjects = errors.New("the subject budget is used up")

// takers is what a release's plugins take of their inputs.
type takers struct{ *Release }

// Opens implements pipeline.Plugins.
func (r takers) Opens(plugin, domain string) bool {
	return slices.Contains(r.plugins[plugin].opens, domain)
}

// Moves implements pipeline.Plugins.
func (r takers) Moves(plugin string) (view.View, bool) {
	s := r.plugins[plugin].shape
	return s.reads, s.moves
}

// Match is a route that fits a path.
type Match struct {
	Route  *Route
	Params map[string]string // of the path, decoded once; nil when it has none
}

// Match returns the routes that path fits, one for each method, whoever may use them, in
// the order of their methods. Of two for one method it is the one that has a literal where
// the other has a parameter, at the first segment where they differ. path is escaped, as
// it was sent, and has passed the path policy.
func (r *Release) Match(path string) []Match { return r.routes.match(path) }

// shares are the plugins' parts in the memory of all sandboxes; none of a nil release.
func (r *Release) shares() []*admission.Share {
	if r == nil {
		return nil
	}
	shares := make([]*admission.Share, 0, len(r.plugins))
	for _, p := range r.plugins {
		shares = append(shares, p.guard.Share)
	}
	return shares
}

// enter pins the release. It reports false when it is closed or about to be.
func (r *Release) enter() bool {
	for {
		n := r.refs.Load()
		if n <= 0 {
			return false
		}
		if r.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// leave is the end of one enter, or of being live.
func (r *Release) leave() {
	if r.refs.Add(-1) == 0 {
		close(r.idle)
	}
}

// drained waits until nothing is inside. That ctx has ended is an error only when
// something is.
func (r *Release) drained(ctx context.Context) error {
	select {
	case <-r.idle:
		return nil
	default:
	}
	select {
	case <-r.idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d requests are still running: %w", r.refs.Load(), context.Cause(ctx))
	}
}

// close ends the release: it waits for the requests inside until ctx ends, then frees
// plugins and connections. To be called once.
func (r *Release) close(ctx context.Context) error {
	r.leave()
	var errs []error
	if err := r.drained(ctx); err != nil {
		errs = append(errs, err)
	}
	for _, p := range r.plugins {
		if p.module == nil {
			continue
		}
		if err := p.module.Close(ctx); err != nil {
			errs = append(errs, fmt.Errorf("close plugin %s: %w", p.name, err))
		}
	}
	r.door.close()
	for _, b := range r.backends {
		b.Close()
	}
	for name, db := range r.databases {
		if err := db.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close backend %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}
