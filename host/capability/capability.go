// Package capability owns the Gate: the one door through which every use of a power by
// a guest goes. Each power is a package of its own below this folder.
package capability

import (
	"context"
	"encoding/json"
	"time"

	"pointsman/host/broker"
	"pointsman/host/grant"
	"pointsman/host/parcel"
	"pointsman/pdk/wire"
)

// Capability is one kind of power.
type Capability interface {
	// Name is the key in a manifest's grants and the Wasm import module after "pointsman:".
	Name() string
	// Ops are the names of all its operations, whoever may use them, sorted.
	Ops() []string
	// Recorded reports whether its uses are security relevant: written to the audit log
	// and counted against the request's budget. One that is not limits itself.
	Recorded() bool
	// Bind returns the operations that scope allows; what it forbids is left out, so that
	// a plugin that needs it does not link. Bind has no side effects.
	Bind(scope Scope) (map[string]Op, error)
}

// Scope is what one plugin was granted of one capability.
type Scope struct {
	Plugin string
	Grant  json.RawMessage // the grant as canonical JSON
	Wants  grant.Wants     // what its author asks for: words that a record of a refusal may hold
}

// Op decodes a request and checks it against the scope. It has no side effects.
// A refusal is a *broker.Error of kind Denied or Invalid whose Detail teaches the
// integrator; it never repeats what a back end said.
type Op func(request []byte) (Planned, error)

// Planned is a request that was decoded and allowed: the very value that was checked is
// the one that Do executes.
type Planned struct {
	// Resource names what is used, for the audit log: names and templates, never values.
	Resource string
	// Clear are the labels that a plugin may have seen and still make this use. A use by
	// which data can leave the sandbox is refused when the call has seen any other label.
	Clear broker.Labels
	// Inward says that nothing of what the plugin knows leaves by this use: Clear is not
	// asked. Reading a value of the plugin's own is such a use, asking a back end is not.
	Inward bool
	// Yields are the labels of what Do hands over. The Gate notes them before the guest gets
	// it. What depends on the data itself, Do adds to the call's Seen.
	Yields broker.Labels
	// Do has the effect and returns the operation's payload.
	Do func(ctx context.Context) ([]byte, error)
	// Promise is set instead of Do where the answer becomes a parcel: the plugin gets its
	// number at once, as wire.Parcel, and nothing of the answer.
	Promise *Promise
	// Carries returns the labels of parcels that go out with this use, which the plugin need not
	// have seen: Clear is asked for them, too. nil means that none goes out.
	Carries func(ctx context.Context) (broker.Labels, error)
}

// Promise is an effect whose answer stays on the host.
type Promise struct {
	Facts parcel.Facts // of the answer
	// Fetch has the effect and returns the answer. It returns soon after ctx ends.
	Fetch func(ctx context.Context) (parcel.Value, error)
}

// Said is the Err of a *broker.Error whose own word a plugin is told in place of the one for
// its Kind: that of another plugin, which failed. The word is all that it says.
type Said struct{ Code wire.Code }

func (s *Said) Error() string { return "the plugin says " + string(s.Code) }

// Failed is what a plugin's word for a failure comes to for the request; late says that a back
// end was too slow. after is how long to wait.
func Failed(code wire.Code, late bool, after time.Duration) *broker.Error {
	kind := broker.Upstream
	switch code {
	case wire.NotFound:
		kind = broker.NotFound
	case wire.Denied:
		kind = broker.Denied
	case wire.RateLimited:
		kind = broker.Unavailable
	case wire.Transient:
		if late {
			kind = broker.UpstreamTimeout
		}
	}
	return &broker.Error{Kind: kind, Err: &Said{Code: code}, After: after}
}
