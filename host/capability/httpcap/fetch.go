package httpcap

import (
	"context"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/egress"
	"pointsman/host/parcel"
	"pointsman/pdk/wire"
)

// maxFaults is how many faults a request may tell apart.
const maxFaults = 16

// planFetch is the operation "fetch": a request as plan decodes it, whose answer becomes a
// parcel.
func (p policy) planFetch(request []byte) (capability.Planned, error) {
	head, body, err := wire.SplitFrame(request)
	if err != nil {
		return capability.Planned{}, errNoFrame()
	}
	var asked wire.HTTPFetch
	if err := capability.Decode(head, &asked); err != nil {
		return capability.Planned{}, err
	}
	if asked.Body != 0 && len(body) > 0 {
		return capability.Planned{}, &broker.Error{Kind: broker.Invalid, Detail: "the request has a body and body_parcel; it can have one"}
	}
	faults, err := newFaults(asked.Faults)
	if err != nil {
		return capability.Planned{}, err
	}
	e, rule, out, err := p.allow(asked.HTTPRequest, body)
	if err != nil {
		return capability.Planned{}, err
	}
	var sent *parcel.Parcel // taken while the call is on: numbers end with it
	planned := capability.Planned{Resource: e.backend.Name() + " " + rule.String(), Clear: e.clear}
	planned.Promise = &capability.Promise{Facts: e.facts, Fetch: func(ctx context.Context) (parcel.Value, error) {
		if sent == nil {
			return e.fetch(ctx, out, faults)
		}
		return e.fetchSending(ctx, out, sent, faults)
	}}
	if asked.Body != 0 {
		planned.Carries = func(ctx context.Context) (labels broker.Labels, err error) {
			if sent, err = parcel.TableFrom(ctx).Get(parcel.Handle(asked.Body)); err != nil {
				return broker.Labels{}, err
			}
			return sent.Facts().Labels.All(), nil
		}
	}
	return planned, nil
}

// fetchSending sends a request whose body is a parcel, when that is there.
func (e *entry) fetchSending(ctx context.Context, out egress.Request, sent *parcel.Parcel, faults []fault) (parcel.Value, error) {
	v, err := sent.Wait(ctx)
	if err != nil {
		return parcel.Value{}, err
	}
	out.Body = v.Append(nil)
	if err := e.backend.Check(out); err != nil { // its size was not known before
		return parcel.Value{}, err
	}
	return e.fetch(ctx, out, faults)
}

// fetch asks the back end and returns the document that it answered.
func (e *entry) fetch(ctx context.Context, r egress.Request, faults []fault) (parcel.Value, error) {
	a, err := e.backend.Do(ctx, r)
	if err != nil {
		return parcel.Value{}, err
	}
	v, parseErr := parcel.Parse(a.Body)
	code := wire.CodeOf(a.Status)
	if code == "" {
		if parseErr != nil { // a page of a proxy's, or JSON that two programs would read in two ways
			return parcel.Value{}, capability.Failed(wire.Transient, false, 0)
		}
		return v, nil
	}
	if parseErr == nil {
		for _, f := range faults {
			if f.status == a.Status && f.is(v) {
				code = f.code
				break
			}
		}
	}
	failed := capability.Failed(code, false, 0)
	failed.Detail = "the back end answered " + strconv.Itoa(a.Status)
	if code == wire.RateLimited || code == wire.Transient {
		failed.After = a.After
	}
	return parcel.Value{}, failed
}

// fault is a wire.HTTPFault made ready.
type fault struct {
	status int
	path   parcel.Path
	text   string
	code   wire.Code
}

func newFaults(asked []wire.HTTPFault) ([]fault, error) {
	if len(asked) > maxFaults {
		return nil, &broker.Error{Kind: broker.Invalid, Detail: "faults can tell 16 answers apart"}
	}
	faults := make([]fault, len(asked))
	for i, f := range asked {
		path, err := parcel.ParsePath(f.Path)
		if err != nil || !f.Code.Valid() || wire.CodeOf(f.Status) == "" {
			return nil, &broker.Error{Kind: broker.Invalid, Detail: "faults[" + strconv.Itoa(i) + "]: want a status that is not 2xx, a path, a text and a code"}
		}
		faults[i] = fault{f.Status, path, f.Is, f.Code}
	}
	return faults, nil
}

// is reports whether the text of the fault is where it says.
func (f fault) is(v parcel.Value) bool {
	plain, err := jsontext.AppendUnquote(nil, v.At(f.path).Append(nil))
	return err == nil && string(plain) == f.text
}

// askedFetch decodes a request that was refused.
func (p policy) askedFetch(request []byte) (r wire.HTTPRequest, ok bool) {
	head, _, err := wire.SplitFrame(request)
	var asked wire.HTTPFetch
	if err != nil || capability.Decode(head, &asked) != nil {
		return r, false
	}
	return asked.HTTPRequest, true
}
