// Package parcelcap owns the power to take documents as parcels: to select from them, build of
// them, merge and hand on what a plugin need not have read, and to read what it may.
package parcelcap

import (
	"context"
	"errors"
	"strconv"
	"sync"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/parcel"
	"pointsman/pdk/wire"
)

// Parcel lends operations on the parcels of the call that uses them: see package wire. Those
// that make parcels answer a number at once and tell nothing of the documents. The others wait
// for them, until the call's time is over, and what they tell is noted as seen.
type Parcel struct{}

// Name is "parcel".
func (*Parcel) Name() string { return "parcel" }

// Ops are the operations, sorted.
func (*Parcel) Ops() []string {
	return []string{"build", "edit", "has", "merge", "read", "select", "size", "status"}
}

// Recorded is false: nothing leaves a call by them. How many parcels a call can have bounds
// them.
func (*Parcel) Recorded() bool { return false }

// Bind lends all of it for a grant, {} or {view}. What the view lets a plugin read of its
// input is decided where the input is made.
func (*Parcel) Bind(scope capability.Scope) (map[string]capability.Op, error) {
	var g *struct {
		View capability.Paths `json:"view"`
	}
	if err := capability.DecodeGrant(scope.Grant, &g, "{} or {view}"); err != nil {
		return nil, err
	}
	if g == nil {
		return nil, nil
	}
	if _, err := g.View.View(); err != nil {
		return nil, err
	}
	b := &bound{
		templates: newKnown(parcel.ParseTemplate), rules: newKnown(parcel.ParseRules), edits: newKnown(parcel.ParseEdit),
	}
	return map[string]capability.Op{
		"select": b.choose, "build": b.build, "merge": b.merge, "edit": b.edit,
		"read": read, "has": has, "size": size, "status": status,
	}, nil
}

// bound is what one plugin's uses share.
type bound struct {
	templates *known[*parcel.Template]
	rules     *known[*parcel.Rules]
	edits     *known[*parcel.Edit]
	memo      parcel.Memo
}

// made is a use that makes a parcel of those with the numbers. facts, which depends on operation
// alone, and do are called with what was found, in the order of the numbers.
func (b *bound) made(operation any, numbers []uint64, facts func([]parcel.Facts) parcel.Facts, do func([]parcel.Value) (parcel.Value, error)) capability.Planned {
	return capability.Planned{Inward: true, Do: func(ctx context.Context) ([]byte, error) {
		table := parcel.TableFrom(ctx)
		from, err := find(table, numbers)
		if err != nil {
			return nil, err
		}
		known := make([]parcel.Facts, len(from))
		for i, p := range from {
			known[i] = p.Facts()
		}
		h, err := table.Make(b.memo.Facts(operation, known, facts), func() (parcel.Value, error) {
			values := make([]parcel.Value, 0, len(from))
			for _, p := range from {
				v, err := p.Wait(context.Background()) // it is there
				if err != nil {
					return parcel.Value{}, err
				}
				values = append(values, v)
			}
			v, err := do(values)
			return v, failure(err)
		}, from...)
		if err != nil {
			return nil, err
		}
		return capability.Number(h), nil
	}}
}

// selecting is the operation that selects the value at a path.
type selecting string

func find(table *parcel.Table, numbers []uint64) ([]*parcel.Parcel, error) {
	from := make([]*parcel.Parcel, len(numbers))
	for i, n := range numbers {
		var err error
		if from[i], err = table.Get(parcel.Handle(n)); err != nil {
			return nil, err
		}
	}
	return from, nil
}

// failure is what a template's or rules' own failure comes to.
func failure(err error) error {
	f, ok := errors.AsType[*parcel.Failure](err)
	if !ok {
		return err
	}
	failed := capability.Failed(f.Code, false, 0)
	failed.Detail = f.Why // the author's words
	return failed
}

func (b *bound) choose(request []byte) (capability.Planned, error) {
	var asked wire.ParcelSelect
	if err := capability.Decode(request, &asked); err != nil {
		return capability.Planned{}, err
	}
	path, err := parcel.ParsePath(asked.Path)
	if err != nil {
		return capability.Planned{}, invalid("path: ", err)
	}
	return b.made(selecting(asked.Path), []uint64{asked.Parcel},
		func(f []parcel.Facts) parcel.Facts { return f[0].At(path) },
		func(v []parcel.Value) (parcel.Value, error) { return v[0].At(path), nil }), nil
}

func (b *bound) build(request []byte) (capability.Planned, error) {
	var asked wire.ParcelBuild
	t, err := framed(request, &asked, b.templates)
	if err != nil {
		return capability.Planned{}, err
	}
	names := t.Sources()
	numbers := make([]uint64, len(names))
	place := map[string]int{}
	for i, name := range names {
		n, ok := asked.Of[name]
		if !ok {
			return capability.Planned{}, &broker.Error{Kind: broker.Invalid, Detail: "the template takes a value of a parcel that was not given: " + strconv.Quote(name)}
		}
		numbers[i], place[name] = n, i
	}
	return b.made(t, numbers,
		func(f []parcel.Facts) parcel.Facts {
			return t.Facts(func(name string) parcel.Facts { return f[place[name]] })
		},
		func(v []parcel.Value) (parcel.Value, error) {
			return t.Make(func(name string) parcel.Value { return v[place[name]] })
		}), nil
}

func (b *bound) merge(request []byte) (capability.Planned, error) {
	var asked wire.ParcelMerge
	r, err := framed(request, &asked, b.rules)
	if err != nil {
		return capability.Planned{}, err
	}
	return b.made(r, asked.Parts, r.Facts, r.Merge), nil
}

func (b *bound) edit(request []byte) (capability.Planned, error) {
	var asked wire.ParcelEdit
	e, err := framed(request, &asked, b.edits)
	if err != nil {
		return capability.Planned{}, err
	}
	return b.made(e, []uint64{asked.Parcel},
		func(f []parcel.Facts) parcel.Facts { return e.Facts(f[0]) },
		func(v []parcel.Value) (parcel.Value, error) { return e.Make(v[0]) }), nil
}

// tells is a use that waits for a parcel and tells something of it: labels are those of what
// it tells.
func tells(number uint64, labels func(parcel.Facts) broker.Labels, tell func(parcel.Value, parcel.Facts) ([]byte, error)) capability.Planned {
	return capability.Planned{Inward: true, Do: func(ctx context.Context) ([]byte, error) {
		p, err := parcel.TableFrom(ctx).Get(parcel.Handle(number))
		if err != nil {
			return nil, err
		}
		call, _ := broker.CallFrom(ctx)
		call.Seen.Add(labels(p.Facts())) // before the guest has it
		v, err := p.Wait(ctx)
		if err != nil {
			call.Seen.Add(all(p.Facts())) // that it failed, any part of it may have decided
			if ctx.Err() != nil {
				err = &broker.Error{Kind: broker.UpstreamTimeout, Detail: "the document did not come in time", Err: err}
			}
			return nil, err
		}
		return tell(v, p.Facts())
	}}
}

func number(request []byte) (uint64, error) {
	var asked wire.ParcelNumber
	err := capability.Decode(request, &asked)
	return asked.Parcel, err
}

func read(request []byte) (capability.Planned, error) {
	n, err := number(request)
	if err != nil {
		return capability.Planned{}, err
	}
	return tells(n,
		func(f parcel.Facts) broker.Labels { return f.Labels.Of(f.Shown) },
		func(v parcel.Value, f parcel.Facts) ([]byte, error) {
			if f.Shown.None() {
				return nil, &broker.Error{Kind: broker.Denied, Detail: "no grant of the plugin lets it read this document; it can select from it, build of it and hand it on"}
			}
			text, _, err := f.Shown.Append(nil, v.Append(nil))
			if err != nil {
				return nil, &broker.Error{Kind: broker.Upstream, Detail: "the document cannot be shown in part", Err: err}
			}
			return text, nil
		}), nil
}

func has(request []byte) (capability.Planned, error) {
	var asked wire.ParcelHas
	if err := capability.Decode(request, &asked); err != nil {
		return capability.Planned{}, err
	}
	path, err := parcel.ParsePath(asked.Path)
	if err != nil {
		return capability.Planned{}, invalid("path: ", err)
	}
	return tells(asked.Parcel,
		func(f parcel.Facts) broker.Labels { return f.At(path).Labels.All() },
		func(v parcel.Value, _ parcel.Facts) ([]byte, error) {
			at := v.At(path)
			return append(strconv.AppendBool([]byte(`{"has":`), !at.Absent() && !at.Null()), '}'), nil
		}), nil
}

func size(request []byte) (capability.Planned, error) {
	n, err := number(request)
	if err != nil {
		return capability.Planned{}, err
	}
	return tells(n, all, func(v parcel.Value, _ parcel.Facts) ([]byte, error) {
		return append(strconv.AppendInt([]byte(`{"size":`), int64(v.Size()), 10), '}'), nil
	}), nil
}

// status tells what failed, which a template of the plugin's can make depend on a document's
// content: so it counts as having seen it.
func status(request []byte) (capability.Planned, error) {
	n, err := number(request)
	if err != nil {
		return capability.Planned{}, err
	}
	return tells(n, all, func(parcel.Value, parcel.Facts) ([]byte, error) { return []byte("{}"), nil }), nil
}

func all(f parcel.Facts) broker.Labels { return f.Labels.All() }

// framed decodes a frame whose body is a text that is parsed once.
func framed[T any](request []byte, head any, parsed *known[T]) (t T, err error) {
	text, body, err := wire.SplitFrame(request)
	if err != nil {
		return t, &broker.Error{Kind: broker.Invalid, Detail: "the request is not a frame: four bytes of length, head, body"}
	}
	if err := capability.Decode(text, head); err != nil {
		return t, err
	}
	if t, err = parsed.get(body); err != nil {
		return t, invalid("", err)
	}
	return t, nil
}

func invalid(what string, err error) error {
	return &broker.Error{Kind: broker.Invalid, Detail: what + err.Error()} // names the author's text, which holds no data
}

// maxKnown is how many texts of a plugin are kept parsed: a plugin has a few of them, and one
// that makes new ones all the time has them parsed all the time.
const maxKnown = 64

// known keeps texts parsed. Safe for concurrent use.
type known[T any] struct {
	parse func([]byte) (T, error)
	mu    sync.RWMutex
	of    map[string]T // guarded by mu
}

func newKnown[T any](parse func([]byte) (T, error)) *known[T] {
	return &known[T]{parse: parse, of: map[string]T{}}
}

func (k *known[T]) get(text []byte) (T, error) {
	k.mu.RLock()
	t, ok := k.of[string(text)]
	k.mu.RUnlock()
	if ok {
		return t, nil
	}
	own := string(text) // the guest's memory changes
	t, err := k.parse([]byte(own))
	if err != nil {
		return t, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.of) < maxKnown {
		k.of[own] = t
	}
	return t, nil
}
