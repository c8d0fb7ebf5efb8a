package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pointsman/host/admission"
	"pointsman/host/broker"
	"pointsman/host/manifest"
	"pointsman/host/sandbox"
)

// newGuard returns what stands before the plugin.
func (d *Deployer) newGuard(m *manifest.Plugin, at place) *admission.Guard {
	return &admission.Guard{
		Slots:   admission.NewSlots(concurrencyOf(m), at.users),
		Share:   d.newShare(m, at),
		Breaker: admission.NewBreaker(m.Name, d.parts.Log),
	}
}

// newCalled returns what stands before the plugin where others call it, by their names.
//
// They have as many slots as the routes have, and these are others: whoever holds a slot or
// memory waits for nothing but a slot of this kind, of a plugin further down, so that nobody
// waits in a circle. The memory was lent to the first of the chain. Each caller has a breaker
// of its own: what one plugin gives another to break on closes it for nobody else.
func (d *Deployer) newCalled(m *manifest.Plugin, at place) map[string]*admission.Guard {
	if len(m.CallableBy) == 0 {
		return nil
	}
	slots := admission.NewSlots(concurrencyOf(m), at.callers)
	called := make(map[string]*admission.Guard, len(m.CallableBy))
	for _, caller := range m.CallableBy {
		called[caller] = &admission.Guard{Slots: slots, Breaker: admission.NewBreaker(m.Name+" called by "+caller, d.parts.Log)}
	}
	return called
}

func (d *Deployer) newShare(m *manifest.Plugin, at place) *admission.Share {
	return d.memory.Share(at.footprint, cmp.Or(m.Limits.Reserved, manifest.DefaultReserved))
}

func limitsOf(m *manifest.Plugin) sandbox.Limits {
	return sandbox.Limits{
		Memory: m.Limits.Memory, Time: m.Limits.Time, Output: int(m.Limits.Output),
		Fuel: uint64(m.Limits.Fuel), HostCalls: m.Limits.Calls,
	}
}

// overBudget says that the plugins of set reserve more memory than there is, at the place
// of the one that reserves most. What runs of the release before is no concern: its
// reservations end when this one's begin.
func (d *Deployer) overBudget(set *manifest.Set) manifest.Faults {
	type reserving struct {
		*manifest.Plugin
		*admission.Share
	}
	places := placesOf(set)
	plugins := make([]reserving, len(set.Plugins))
	shares := make([]*admission.Share, len(set.Plugins))
	for i, m := range set.Plugins {
		shares[i] = d.newShare(m, places[m.Name])
		plugins[i] = reserving{m, shares[i]}
	}
	sum, ok := d.memory.Fits(shares)
	if ok {
		return nil
	}
	slices.SortStableFunc(plugins, func(a, b reserving) int { return cmp.Compare(b.Reserved(), a.Reserved()) })
	const most = 3 // that are named: the ones to begin with
	var largest []string
	for _, p := range plugins[:min(most, len(plugins))] {
		largest = append(largest, fmt.Sprintf("%s %s", p.Name, manifest.FormatSize(int64(p.Reserved()))))
	}
	return manifest.Faults{fault(plugins[0].Pos, CodeMemory, "spec.limits",
		"the plugins reserve %s of memory, and the server has %s for sandboxes; the most is reserved by %s; lower limits.memory or limits.reserved there, or give the server more with --sandbox-memory",
		manifest.FormatSize(int64(sum)), manifest.FormatSize(int64(d.memory.Budget())), strings.Join(largest, ", "))}
}

// timed makes imports tell the Witness of the call how long they took.
func timed(imports []sandbox.Import) []sandbox.Import {
	timed := slices.Clone(imports)
	for i := range timed {
		do := timed[i].Do
		timed[i].Do = func(ctx context.Context, request []byte) []byte {
			call, _ := broker.CallFrom(ctx)
			began := time.Now()
			defer func() { call.Witness.Waited(time.Since(began)) }()
			return do(ctx, request)
		}
	}
	return timed
}

// leastOwn is how long a guest has to have computed for a timeout to be its own fault, at
// most: less is what is left when others have used up a request's time. A call of a large
// Go guest takes some milliseconds.
const leastOwn = 100 * time.Millisecond

// judge says what the end of a call says about the plugin. A guest that says that it failed
// did what it was asked; one whose time went by while a back end was slow is not at fault.
func judge(err error, took, waited, limit time.Duration) admission.Verdict {
	if err == nil {
		return admission.Fine
	}
	if _, said := errors.AsType[*sandbox.GuestError](err); said {
		return admission.Fine
	}
	fault, ok := errors.AsType[*sandbox.Fault](err)
	if !ok {
		return admission.Nothing // the host's fault, or the release has gone
	}
	switch fault.Kind {
	case sandbox.Timeout:
		least := leastOwn
		if limit > 0 {
			least = min(least, limit/2)
		}
		if own := took - waited; own < took/2 || own < least {
			return admission.Nothing
		}
		return admission.Broken
	case sandbox.Trap, sandbox.Depth, sandbox.Memory, sandbox.Output, sandbox.ABI, sandbox.Exit, sandbox.Fuel, sandbox.Calls:
		return admission.Broken
	}
	return admission.Nothing // stopped by its caller, or given what it cannot take
}
