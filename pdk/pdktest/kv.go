//go:build !wasip1

package pdktest

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"pointsman/pdk/wire"
)

// KV is what a plugin keeps between calls, in memory: give the same one to each call's Host.
// It refuses what the broker refuses, and knows no labels. The zero KV is empty and has the
// limits that a grant has unless it says otherwise. Not safe for concurrent use.
type KV struct {
	Quota int64         // bytes of keys and values; 0 means 1 MiB
	Keys  int           // number of keys; 0 means 10000
	TTL   time.Duration // the longest time; 0 means 24h

	now     time.Duration // since the first call
	version uint64
	entries map[string]kept
}

type kept struct {
	value   []byte
	version uint64
	ends    time.Duration
}

// kvStart is when a KV begins: pdktest knows no clock.
var kvStart = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// Pass lets time pass: what was kept for no longer is gone.
func (k *KV) Pass(d time.Duration) { k.now += d }

// All returns what is kept, by key.
func (k *KV) All() map[string]string {
	k.expire()
	all := make(map[string]string, len(k.entries))
	for key, e := range k.entries {
		all[key] = string(e.value)
	}
	return all
}

func (k *KV) expire() {
	maps.DeleteFunc(k.entries, func(_ string, e kept) bool { return e.ends <= k.now })
}

// keep is the host's end of the operations of kv.
func (h *Host) keep(op string, frame []byte) []byte {
	h.t.Helper()
	head, body, err := wire.SplitFrame(frame)
	if err != nil {
		h.t.Fatalf("kv.%s: %v", op, err)
	}
	if h.KV == nil {
		h.KV = new(KV)
	}
	h.KV.expire()
	switch op {
	case "get", "delete":
		var r wire.KVKey
		if err := strict(head, &r); err != nil || len(body) > 0 {
			h.t.Fatalf("kv.%s: head: %v; %d bytes of body", op, err, len(body))
		}
		return h.KV.at(op, r.Key)
	case "put":
		var r wire.KVPut
		if err := strict(head, &r); err != nil {
			h.t.Fatalf("kv.put: head: %v", err)
		}
		return h.KV.put(r.Key, r.TTLMS, body)
	}
	var r wire.KVSwap
	if err := strict(head, &r); err != nil {
		h.t.Fatalf("kv.swap: head: %v", err)
	}
	if there := h.KV.entries[r.Key].version; there != r.Version {
		return kvDone(wire.KVVersion{Version: there})
	}
	return h.KV.put(r.Key, r.TTLMS, body)
}

func (k *KV) at(op, key string) []byte {
	e, there := k.entries[key]
	switch {
	case !validKey(key):
		return kvRefused(wire.Permanent, "this cannot be a key")
	case op == "delete":
		delete(k.entries, key)
		return wire.Done(nil)
	}
	entry := wire.KVEntry{Version: e.version}
	if there {
		entry.ExpiresMS = kvStart.Add(e.ends).UnixMilli()
	}
	reply, err := wire.Frame(entry, e.value)
	if err != nil {
		return kvRefused(wire.Permanent, err.Error())
	}
	return wire.Done(reply)
}

func (k *KV) put(key string, ttlMS int64, value []byte) []byte {
	longest, ttl := orElse(k.TTL, 24*time.Hour), time.Duration(ttlMS)*time.Millisecond
	before, there := k.entries[key]
	size := int64(len(key) + len(value))
	for other, e := range k.entries {
		if other != key {
			size += int64(len(other) + len(e.value))
		}
	}
	switch {
	case !validKey(key):
		return kvRefused(wire.Permanent, "this cannot be a key")
	case len(value) > 64<<10:
		return kvRefused(wire.Permanent, "a value has at most 65536 bytes")
	case ttl < 0:
		return kvRefused(wire.Permanent, "ttl_ms is not a time")
	case ttl > longest:
		return kvRefused(wire.Denied, "values may be kept for less")
	case !there && len(k.entries) >= orElse(k.Keys, 10_000):
		return kvRefused(wire.Denied, "the quota of keys is used up")
	case size > orElse(k.Quota, 1<<20) && (!there || len(value) > len(before.value)):
		return kvRefused(wire.Denied, "the quota of bytes is used up")
	}
	if k.entries == nil {
		k.entries = map[string]kept{}
	}
	k.version++
	k.entries[key] = kept{bytes.Clone(value), k.version, k.now + orElse(ttl, longest)}
	return kvDone(wire.KVVersion{Done: true, Version: k.version})
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func validKey(key string) bool {
	return key != "" && len(key) <= 256 && utf8.ValidString(key) && !strings.ContainsFunc(key, unicode.IsControl)
}

func kvDone(v wire.KVVersion) []byte {
	text, err := json.Marshal(v)
	if err != nil { // a bool and a number always marshal
		return kvRefused(wire.Permanent, err.Error())
	}
	return wire.Done(slices.Clip(text))
}

func kvRefused(code wire.Code, message string) []byte {
	return wire.Failed(wire.Error{Code: code, Message: message})
}
