// Package kvcap owns the power to keep values between calls: what a plugin puts, only the same
// plugin gets, until its time is over.
package kvcap

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/kv"
	"pointsman/pdk/wire"
)

// What a grant allows unless it says otherwise: a cache of some thousand small values that
// lives for a day.
const (
	defaultQuota = 1 << 20 // bytes
	defaultKeys  = 10_000
	defaultTTL   = 24 * time.Hour
)

// Store keeps the values. *kv.Store is one.
type Store interface {
	Get(ctx context.Context, ns kv.Namespace, key string) (kv.Entry, error)
	Put(ctx context.Context, ns kv.Namespace, l kv.Limits, p kv.Put) (version uint64, err error)
	Swap(ctx context.Context, ns kv.Namespace, l kv.Limits, p kv.Put, version uint64) (kv.Swapped, error)
	Delete(ctx context.Context, ns kv.Namespace, key string) error
}

// KV lends four operations, each of which takes a frame: "get" and "delete" one of wire.KVKey,
// "put" one of wire.KVPut and the value, "swap" one of wire.KVSwap and the value.
//
// A value is kept with the labels of what its call had seen, and who gets it has seen them,
// too. So put and swap need clearance, and delete, by which a plugin could tell something to
// its next call as well. Get does not: a key that is asked for goes nowhere.
type KV struct{ Store Store }

// Name is "kv".
func (*KV) Name() string { return "kv" }

// Ops is "delete", "get", "put" and "swap".
func (*KV) Ops() []string { return []string{"delete", "get", "put", "swap"} }

// Recorded is true: what is kept outlives the request.
func (*KV) Recorded() bool { return true }

// Bind takes a grant {quota, keys, ttl, clear}; what it leaves out is 1 MiB, 10000 keys and
// 24h, and no label.
func (c *KV) Bind(scope capability.Scope) (map[string]capability.Op, error) {
	if len(scope.Grant) == 0 || string(scope.Grant) == "null" {
		return nil, nil
	}
	limits, clearance, err := parseGrant(scope.Grant)
	if err != nil {
		return nil, err
	}
	s := &space{store: c.Store, name: kv.Namespace(scope.Plugin), limits: limits, clear: clearance}
	return map[string]capability.Op{"delete": s.planDelete, "get": s.planGet, "put": s.planPut, "swap": s.planSwap}, nil
}

func parseGrant(raw []byte) (kv.Limits, broker.Labels, error) {
	var g struct {
		Quota *int64   `json:"quota"`
		Keys  *int     `json:"keys"`
		TTL   *string  `json:"ttl"`
		Clear []string `json:"clear"`
	}
	refused := func(err error) (kv.Limits, broker.Labels, error) { return kv.Limits{}, broker.Labels{}, err }
	if err := capability.DecodeGrant(raw, &g, "{quota, keys, ttl, clear}"); err != nil {
		return refused(err)
	}
	l := kv.Limits{Bytes: defaultQuota, Keys: defaultKeys, TTL: defaultTTL}
	if g.Quota != nil {
		l.Bytes = *g.Quota
	}
	if g.Keys != nil {
		l.Keys = *g.Keys
	}
	if g.TTL != nil {
		var err error
		if l.TTL, err = time.ParseDuration(*g.TTL); err != nil {
			return refused(fmt.Errorf("ttl %.40q is not a time such as 24h", *g.TTL))
		}
	}
	if l.Bytes < 1 || l.Keys < 1 || l.TTL < time.Millisecond {
		return refused(fmt.Errorf("quota and keys must be 1 or more, and ttl a millisecond or longer"))
	}
	return l, broker.NewLabels(g.Clear...), nil
}

// space is what one plugin keeps, in one release.
type space struct {
	store  Store
	name   kv.Namespace
	limits kv.Limits
	clear  broker.Labels
}

// resource is what the audit log says of every use: a key can be somebody's name.
const resource = "kv"

func (s *space) planGet(request []byte) (capability.Planned, error) {
	key, err := parseKey(request)
	if err != nil {
		return capability.Planned{}, err
	}
	return capability.Planned{Resource: resource, Inward: true,
		Do: func(ctx context.Context) ([]byte, error) { return s.get(ctx, key) }}, nil
}

func (s *space) planDelete(request []byte) (capability.Planned, error) {
	key, err := parseKey(request)
	if err != nil {
		return capability.Planned{}, err
	}
	return capability.Planned{Resource: resource, Clear: s.clear,
		Do: func(ctx context.Context) ([]byte, error) { return nil, failure(s.store.Delete(ctx, s.name, key)) }}, nil
}

func (s *space) planPut(request []byte) (capability.Planned, error) {
	var asked wire.KVPut
	value, err := split(request, &asked)
	if err != nil {
		return capability.Planned{}, err
	}
	p, err := s.check(asked.Key, asked.TTLMS, value)
	if err != nil {
		return capability.Planned{}, err
	}
	return capability.Planned{Resource: resource, Clear: s.clear,
		Do: func(ctx context.Context) ([]byte, error) { return s.put(ctx, p) }}, nil
}

func (s *space) planSwap(request []byte) (capability.Planned, error) {
	var asked wire.KVSwap
	value, err := split(request, &asked)
	if err != nil {
		return capability.Planned{}, err
	}
	p, err := s.check(asked.Key, asked.TTLMS, value)
	if err != nil {
		return capability.Planned{}, err
	}
	return capability.Planned{Resource: resource, Clear: s.clear,
		Do: func(ctx context.Context) ([]byte, error) { return s.swap(ctx, p, asked.Version) }}, nil
}

func (s *space) get(ctx context.Context, key string) ([]byte, error) {
	e, err := s.store.Get(ctx, s.name, key)
	if err != nil {
		return nil, failure(err)
	}
	note(ctx, e.Labels)
	head := wire.KVEntry{Version: e.Version}
	if e.Version != 0 {
		head.ExpiresMS = e.Expires.UnixMilli()
	}
	return wire.Frame(head, e.Value)
}

func (s *space) put(ctx context.Context, p kv.Put) ([]byte, error) {
	p.Labels = seen(ctx)
	version, err := s.store.Put(ctx, s.name, s.limits, p)
	if err != nil {
		return nil, failure(err)
	}
	return json.Marshal(wire.KVVersion{Done: true, Version: version})
}

func (s *space) swap(ctx context.Context, p kv.Put, version uint64) ([]byte, error) {
	p.Labels = seen(ctx)
	done, err := s.store.Swap(ctx, s.name, s.limits, p, version)
	if err != nil {
		return nil, failure(err)
	}
	note(ctx, done.Labels)
	return json.Marshal(wire.KVVersion{Done: done.Done, Version: done.Version})
}

// seen is what the call has seen by now: the value that it puts may tell it.
func seen(ctx context.Context) broker.Labels {
	call, _ := broker.CallFrom(ctx)
	return call.Seen.Labels()
}

// note adds what a value was put with to what the call has seen, before the guest has it.
func note(ctx context.Context, l broker.Labels) {
	call, _ := broker.CallFrom(ctx)
	call.Seen.Add(l)
}
