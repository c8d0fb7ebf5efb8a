package audit

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"pointsman/host/broker"
)

// Control is an act of administration: a deployment, a key, a secret, a grant.
type Control struct {
	Actor  string            // who: an admin's or an operating system user's name
	Action string            // what was done, e.g. "deploy.apply"
	Object string            // to what, by name
	Detail map[string]string // names and digests, never values; the first 32 by name are kept
}

// Decision says whether a use was let through. The zero Decision is not recorded: it
// makes Use fail.
type Decision string

const (
	Allowed Decision = "allowed"
	Denied  Decision = "denied"
)

// Use is one use of a power by a plugin.
type Use struct {
	Request    broker.RequestID
	Principal  broker.PrincipalID
	Release    uint64
	Route      string
	Step       string
	Plugin     string
	Function   string
	Capability string
	Op         string
	Resource   string // names and templates, as capability.Planned has them
	Decision   Decision
	Reason     string // why it was denied; a word or a sentence of ours
	Labels     string // those that a clearance lacked, with commas between them; else empty
}

// Request is how one request of a consumer went.
type Request struct {
	ID        broker.RequestID
	Principal broker.PrincipalID // empty when nobody proved who they are
	Release   uint64
	Route     string // the route's name, empty when none matched
	Method    string
	Status    int    // as sent to the consumer
	Outcome   string // "ok", or the kind of the failure
	Sources   []broker.Source
	Elapsed   time.Duration // kept in microseconds
}

// recovered says that Open cut off the piece of a line.
type recovered struct{ cut int64 }

// record is one kind of line.
type record interface {
	check() error
	encode(e *encoder)
}

// A record keeps at most this many details and this many sources; the field "more" says
// how many were left out. Both are well above what manifests and the program have.
const (
	maxDetails = 32
	maxSources = 64
)

func (c Control) check() error {
	if c.Actor == "" || c.Action == "" {
		return errors.New("a control record needs an actor and an action")
	}
	for name := range c.Detail {
		if !plainName(name) {
			return fmt.Errorf("a detail cannot be named %.80q", name)
		}
	}
	return nil
}

// plainName reports whether s is printable ASCII that needs neither escaping nor cutting:
// escaped and cut names could fall together, and a member twice is not a record.
func plainName(s string) bool {
	const most = 64 // characters
	for _, r := range s {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return false
		}
	}
	return s != "" && len(s) <= most
}

func (c Control) encode(e *encoder) {
	e.text("kind", "control")
	e.text("actor", c.Actor)
	e.text("action", c.Action)
	e.text("object", c.Object)
	if len(c.Detail) == 0 {
		return
	}
	names := slices.Sorted(maps.Keys(c.Detail))
	e.open("detail", '{')
	for _, name := range names[:min(len(names), maxDetails)] {
		e.member(name, c.Detail[name])
	}
	e.close('}')
	e.more(len(names) - maxDetails)
}

func (u Use) check() error {
	if u.Decision != Allowed && u.Decision != Denied {
		return errors.New("a use record needs a decision")
	}
	return nil
}

func (u Use) encode(e *encoder) {
	e.text("kind", "use")
	e.text("request", string(u.Request))
	e.text("principal", string(u.Principal))
	e.count("release", u.Release)
	e.text("route", u.Route)
	e.text("step", u.Step)
	e.text("plugin", u.Plugin)
	e.text("function", u.Function)
	e.text("capability", u.Capability)
	e.text("op", u.Op)
	e.text("resource", u.Resource)
	e.text("decision", string(u.Decision))
	e.text("reason", u.Reason)
	e.text("labels", u.Labels)
}

func (Request) check() error { return nil }

func (r Request) encode(e *encoder) {
	e.text("kind", "request")
	e.text("request", string(r.ID))
	e.text("principal", string(r.Principal))
	e.count("release", r.Release)
	e.text("route", r.Route)
	e.text("method", r.Method)
	e.number("status", int64(r.Status))
	e.text("outcome", r.Outcome)
	e.number("elapsed_us", r.Elapsed.Microseconds())
	if len(r.Sources) == 0 {
		return
	}
	e.open("sources", '[')
	for _, s := range r.Sources[:min(len(r.Sources), maxSources)] {
		e.open("", '{')
		e.text("name", s.Name)
		e.text("outcome", string(s.Outcome))
		e.number("elapsed_us", s.Elapsed.Microseconds())
		e.close('}')
	}
	e.close(']')
	e.more(len(r.Sources) - maxSources)
}

func (recovered) check() error { return nil }

func (r recovered) encode(e *encoder) {
	e.text("kind", "recovered")
	e.number("cut", r.cut)
}
