// Package broker owns the nouns that the other packages share: who asks, for which
// call, and what kind of failure it was. It does no I/O.
package broker

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Names of different things have different types, so that the compiler keeps them apart.
type (
	PrincipalID string // a consumer's name in the manifests
	Sector      string // the group within which pointers are stable
	RequestID   string // a ULID, made by the host for every request
)

// Scopes is a sorted set of scope names. The zero value holds none.
type Scopes struct{ names []string }

// NewScopes returns the set of the given names.
func NewScopes(names ...string) Scopes {
	s := slices.Clone(names)
	slices.Sort(s)
	return Scopes{slices.Compact(s)}
}

// Has reports whether name is in the set.
func (s Scopes) Has(name string) bool {
	_, ok := slices.BinarySearch(s.names, name)
	return ok
}

// HasAll reports whether every one of names is in the set. It is true for no names.
func (s Scopes) HasAll(names []string) bool {
	for _, n := range names {
		if !s.Has(n) {
			return false
		}
	}
	return true
}

func (s Scopes) String() string { return strings.Join(s.names, " ") }

// Principal is a consumer that proved who it is. The zero value is nobody and has no scopes.
type Principal struct {
	ID     PrincipalID
	Sector Sector
	Scopes Scopes
}

// Call is one use of one sandbox: which plugin works for whom, in which request.
// It is the one value that travels by context, because the Wasm boundary passes nothing
// else. The zero Call has no principal and no budget: nothing can be done with it.
type Call struct {
	Request   RequestID
	Principal Principal
	Release   uint64 // number of the release that serves the request
	Route     string
	Step      string
	Plugin    string
	Function  string
	// Callers are the plugins on whose behalf Plugin was called, the step's own first; none
	// in a call that a step makes. Nobody changes the slice.
	Callers  []string
	Budget   *Budget  // shared by every call of a request; nil allows nothing
	Witness  *Witness // of this call alone; may be nil
	LogClear Labels   // labels that the plugin may have seen and its own words still be logged
	Seen     *Seen    // of this call alone; nil: nothing that has a label may be handed over
}

// Loggable returns what a plugin said as it may be logged: not at all when the call has seen
// data with a label that its plugin's log is not cleared for. Words of the host's own need no
// clearance.
func (c Call) Loggable(text string) string {
	missing := c.Seen.Labels().Minus(c.LogClear)
	if missing.Empty() {
		return text
	}
	return "[withheld: the plugin has seen data labelled " + missing.String() + "]"
}

// Witness remembers what the host saw during one call and the guest's own words may not
// tell: "transient" does not say that a back end was too slow. Safe for concurrent use.
type Witness struct {
	late   atomic.Bool
	waited atomic.Int64 // nanoseconds
}

// SawTimeout notes that a back end was too slow. A nil Witness forgets.
func (w *Witness) SawTimeout() {
	if w != nil {
		w.late.Store(true)
	}
}

// Timeout reports whether a back end was too slow.
func (w *Witness) Timeout() bool { return w != nil && w.late.Load() }

// Waited notes that the host worked for the guest for so long, while the guest did nothing.
// A nil Witness forgets.
func (w *Witness) Waited(d time.Duration) {
	if w != nil {
		w.waited.Add(int64(d))
	}
}

// Waiting is how long the guest did nothing because the host worked for it.
func (w *Witness) Waiting() time.Duration {
	if w == nil {
		return 0
	}
	return time.Duration(w.waited.Load())
}

type callKey struct{}

// WithCall returns a context that carries c.
func WithCall(ctx context.Context, c Call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// CallFrom returns the call that ctx carries, or the zero Call and false.
func CallFrom(ctx context.Context) (Call, bool) {
	c, ok := ctx.Value(callKey{}).(Call)
	return c, ok
}

// Budget counts down the uses of powers that one request has left. Safe for concurrent use.
type Budget struct{ left atomic.Int64 }

// NewBudget allows n uses.
func NewBudget(n int) *Budget {
	b := new(Budget)
	b.left.Store(int64(n))
	return b
}

// Take uses one up and reports whether there was one. first is true for the first that
// there was not: the one refusal that is worth recording. A nil Budget has none.
func (b *Budget) Take() (ok, first bool) {
	if b == nil {
		return false, true
	}
	left := b.left.Add(-1)
	return left >= 0, left == -1
}

// Outcome says how one source of an answer went. The words are shown to consumers.
type Outcome string

const (
	OK      Outcome = "ok"
	Late    Outcome = "timeout" // its deadline passed
	Failed  Outcome = "error"   // it failed, whoever's fault
	Refused Outcome = "denied"  // a grant did not cover what it needed
	Absent  Outcome = "absent"  // there was no such record, or nothing to look it up by
)

// Source is one step's part in an answer.
type Source struct {
	Name    string
	Outcome Outcome
	Elapsed time.Duration
}
