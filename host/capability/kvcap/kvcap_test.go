package kvcap_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/capability/capabilitytest"
	"pointsman/host/capability/kvcap"
	"pointsman/host/kv"
	"pointsman/host/secret"
	"pointsman/pdk/wire"
)

// counted counts the uses of a store.
type counted struct {
	*kv.Store
	n atomic.Int64
}

func (c *counted) uses() int { return int(c.n.Load()) }

func (c *counted) count(ctx context.Context) {
	if ctx.Err() == nil {
		c.n.Add(1)
	}
}

func (c *counted) Get(ctx context.Context, ns kv.Namespace, key string) (kv.Entry, error) {
	c.count(ctx)
	return c.Store.Get(ctx, ns, key)
}

func (c *counted) Put(ctx context.Context, ns kv.Namespace, l kv.Limits, p kv.Put) (uint64, error) {
	c.count(ctx)
	return c.Store.Put(ctx, ns, l, p)
}

func (c *counted) Swap(ctx context.Context, ns kv.Namespace, l kv.Limits, p kv.Put, version uint64) (kv.Swapped, error) {
	c.count(ctx)
	return c.Store.Swap(ctx, ns, l, p, version)
}

func (c *counted) Delete(ctx context.Context, ns kv.Namespace, key string) error {
	c.count(ctx)
	return c.Store.Delete(ctx, ns, key)
}

func open(t testing.TB) *counted {
	t.Helper()
	dir := t.TempDir()
	k, err := secret.OpenKeyring(filepath.Join(dir, "keyring.json"), true)
	if err != nil {
		t.Fatal(err)
	}
	s, err := kv.Open(context.Background(), filepath.Join(dir, "kv"), kv.Options{Keyring: k})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &counted{Store: s}
}

func frame(t testing.TB, head any, body string) []byte {
	t.Helper()
	b, err := wire.Frame(head, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func bind(t testing.TB, s kvcap.Store, plugin, grant string) map[string]capability.Op {
	t.Helper()
	ops, err := (&kvcap.KV{Store: s}).Bind(capability.Scope{Plugin: plugin, Grant: json.RawMessage(grant)})
	if err != nil {
		t.Fatal(err)
	}
	return ops
}

// call is a call whose sandbox has seen labels.
func call(seen ...string) context.Context {
	s := new(broker.Seen)
	s.Add(broker.NewLabels(seen...))
	return broker.WithCall(context.Background(), broker.Call{Request: "r", Plugin: "p", Seen: s})
}

func seenBy(ctx context.Context) string {
	c, _ := broker.CallFrom(ctx)
	return c.Seen.Labels().String()
}

// do plans and does; its errors are the operation's.
func do(ctx context.Context, op capability.Op, request []byte) ([]byte, error) {
	planned, err := op(request)
	if err != nil {
		return nil, err
	}
	return planned.Do(ctx)
}

func TestCapability(t *testing.T) {
	s := open(t)
	canaries := []string{"canary-key", "canary-value"}
	key, value := "canary-key", "canary-value"
	c := func(op, name string, request []byte) capabilitytest.Case {
		return capabilitytest.Case{Name: name, Grant: "{}", Op: op, Request: request, Canaries: canaries, Effects: s.uses}
	}
	capabilitytest.Run(t, &kvcap.KV{Store: s},
		c("put", "put", frame(t, wire.KVPut{Key: key, TTLMS: 60000}, value)),
		c("swap", "swap of another version", frame(t, wire.KVSwap{Key: key, Version: 9}, value)),
		c("get", "get", frame(t, wire.KVKey{Key: key}, "")),
		c("delete", "delete", frame(t, wire.KVKey{Key: key}, "")),
		c("swap", "swap of nothing", frame(t, wire.KVSwap{Key: key}, value)),
	)
}

func TestBindRefuses(t *testing.T) {
	for _, grant := range []string{
		`{"quota":0}`, `{"quota":-1}`, `{"quota":1.5}`, `{"quota":"1MiB"}`, `{"keys":0}`, `{"keys":-1}`, `{"ttl":"0s"}`, `{"ttl":"-1h"}`,
		`{"ttl":"a day"}`, `{"ttl":24}`, `{"clear":"all"}`, `{"keys":1,"keys":2}`, `{"Keys":1}`, `{"namespace":"other"}`, `[]`,
	} {
		ops, err := (&kvcap.KV{}).Bind(capability.Scope{Plugin: "p", Grant: json.RawMessage(grant)})
		if err == nil || ops != nil {
			t.Errorf("%s: lends %d operations, %v", grant, len(ops), err)
		}
	}
}

func TestRequestsRefused(t *testing.T) {
	s := open(t)
	ops := bind(t, s, "p", `{"ttl":"1h"}`)
	tests := []struct {
		name, op, head, body string
		kind                 broker.Kind
	}{
		{"no key", "get", `{}`, "", broker.Invalid},
		{"NUL", "get", `{"key":"a\u0000b"}`, "", broker.Invalid},
		{"half a letter", "get", `{"key":"\ud800"}`, "", broker.Invalid},
		{"a long key", "get", `{"key":"` + strings.Repeat("k", 257) + `"}`, "", broker.Invalid},
		{"a value", "get", `{"key":"k"}`, "v", broker.Invalid},
		{"another plugin's name", "get", `{"key":"k","plugin":"q"}`, "", broker.Invalid},
		{"a name twice", "get", `{"key":"k","key":"l"}`, "", broker.Invalid},
		{"a value", "delete", `{"key":"k"}`, "v", broker.Invalid},
		{"a line end", "delete", `{"key":"k\n"}`, "", broker.Invalid},
		{"no key", "put", `{}`, "v", broker.Invalid},
		{"a large value", "put", `{"key":"k"}`, strings.Repeat("v", 64<<10+1), broker.TooLarge},
		{"a large head", "put", `{"key":"` + strings.Repeat("k", 65<<10) + `"}`, "", broker.TooLarge},
		{"a negative time", "put", `{"key":"k","ttl_ms":-1}`, "v", broker.Invalid},
		{"a time that overflows", "put", `{"key":"k","ttl_ms":9223372036854775807}`, "v", broker.Invalid},
		{"a longer time", "put", `{"key":"k","ttl_ms":3600001}`, "v", broker.Denied},
		{"a version", "put", `{"key":"k","version":1}`, "v", broker.Invalid},
		{"a negative version", "swap", `{"key":"k","version":-1}`, "v", broker.Invalid},
		{"a fraction", "swap", `{"key":"k","version":1.5}`, "v", broker.Invalid},
		{"a longer time", "swap", `{"key":"k","version":0,"ttl_ms":3600001}`, "v", broker.Denied},
	}
	for _, tt := range tests {
		t.Run(tt.op+" with "+tt.name, func(t *testing.T) {
			_, err := do(call(), ops[tt.op], frame(t, json.RawMessage(tt.head), tt.body))
			if e, ok := errors.AsType[*broker.Error](err); !ok || e.Kind != tt.kind || e.Detail == "" {
				t.Errorf("error %v, want one of kind %v that says why", err, tt.kind)
			}
		})
	}
	if s.uses() != 0 {
		t.Errorf("the store was used %d times", s.uses())
	}
}

// What the store refuses, the plugin is told with the right word.
func TestStoreRefuses(t *testing.T) {
	s := open(t)
	ops := bind(t, s, "p", `{"quota":10,"keys":2}`)
	must := func(key, value string) {
		t.Helper()
		if _, err := do(call(), ops["put"], frame(t, wire.KVPut{Key: key}, value)); err != nil {
			t.Fatal(err)
		}
	}
	kind := func(name string, want broker.Kind, ops map[string]capability.Op, key, value string) {
		t.Helper()
		if _, err := do(call(), ops["put"], frame(t, wire.KVPut{Key: key}, value)); broker.KindOf(err) != want {
			t.Errorf("%s: error %v, want kind %v", name, err, want)
		}
	}
	must("a", "1")
	kind("too many bytes", broker.Denied, ops, "b", "123456789")
	must("b", "1")
	kind("too many keys", broker.Denied, ops, "c", "")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	kind("a closed store", broker.Unavailable, ops, "a", "2")
	s.Store = open(t).Store // for the cleanup
}

func TestPluginsAreApart(t *testing.T) {
	s := open(t)
	a, b := bind(t, s, "a", "{}"), bind(t, s, "b", "{}")
	for _, key := range []string{"x", "../b/x", "b/x"} {
		if _, err := do(call(), a["put"], frame(t, wire.KVPut{Key: key}, "of a")); err != nil {
			t.Fatal(err)
		}
		got, err := do(call(), b["get"], frame(t, wire.KVKey{Key: key}, ""))
		if head, body, _ := wire.SplitFrame(got); err != nil || string(head) != `{"version":0}` || len(body) != 0 {
			t.Errorf("b finds %q under %q, %v", got, key, err)
		}
		if _, err := do(call(), b["delete"], frame(t, wire.KVKey{Key: key}, "")); err != nil {
			t.Fatal(err)
		}
		if got := get(t, call(), a, key); got != "of a" {
			t.Errorf("a finds %q", got)
		}
	}
}

func get(t testing.TB, ctx context.Context, ops map[string]capability.Op, key string) string {
	t.Helper()
	reply, err := do(ctx, ops["get"], frame(t, wire.KVKey{Key: key}, ""))
	if err != nil {
		t.Fatal(err)
	}
	_, body, err := wire.SplitFrame(reply)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// What a call had seen when it put a value, who gets the value has seen.
func TestLabels(t *testing.T) {
	s := open(t)
	ops := bind(t, s, "p", `{"clear":["pii.contact"]}`)
	clearance := map[string]string{"put": "pii.contact", "swap": "pii.contact", "delete": "pii.contact", "get": "inward"}
	for op, want := range clearance {
		var head any = wire.KVKey{Key: "k"}
		switch op {
		case "put":
			head = wire.KVPut{Key: "k"}
		case "swap":
			head = wire.KVSwap{Key: "k"}
		}
		planned, err := ops[op](frame(t, head, ""))
		if err != nil {
			t.Fatal(err)
		}
		if got := map[bool]string{true: "inward", false: planned.Clear.String()}[planned.Inward]; got != want {
			t.Errorf("%s needs %q, want %q", op, got, want)
		}
	}
	if _, err := do(call("pii.contact"), ops["put"], frame(t, wire.KVPut{Key: "k"}, "v")); err != nil {
		t.Fatal(err)
	}
	if _, err := do(call(), ops["put"], frame(t, wire.KVPut{Key: "plain"}, "v")); err != nil {
		t.Fatal(err)
	}
	next := call("loyalty.balance")
	if get(t, next, ops, "plain"); seenBy(next) != "loyalty.balance" {
		t.Errorf("after an unlabelled value it has seen %q", seenBy(next))
	}
	if get(t, next, ops, "k"); seenBy(next) != "loyalty.balance, pii.contact" {
		t.Errorf("after a labelled value it has seen %q", seenBy(next))
	}
	beside := call()
	reply, err := do(beside, ops["swap"], frame(t, wire.KVSwap{Key: "k"}, "w"))
	if err != nil || !bytes.Contains(reply, []byte(`"done":false`)) || seenBy(beside) != "pii.contact" {
		t.Errorf("a swap that found a labelled value: %s, %v, has seen %q", reply, err, seenBy(beside))
	}
}

// FuzzRequest: what is planned by put keeps the very value of the frame under a key that is
// one, and get finds it again.
func FuzzRequest(f *testing.F) {
	s := open(f)
	ops := bind(f, s, "p", `{"quota":1073741824,"keys":1000000}`)
	f.Add([]byte("\x0b\x00\x00\x00{\"key\":\"k\"}value"))
	f.Add([]byte("\x1a\x00\x00\x00{\"key\":\"../x\",\"ttl_ms\":60}v"))
	f.Add([]byte("\xff\xff\xff\xff{}"))
	f.Fuzz(func(t *testing.T, request []byte) {
		for _, name := range []string{"get", "delete", "swap"} {
			if _, err := ops[name](request); err != nil && broker.KindOf(err) != broker.Invalid && broker.KindOf(err) != broker.Denied && broker.KindOf(err) != broker.TooLarge {
				t.Errorf("%s: %v", name, err)
			}
		}
		planned, err := ops["put"](request)
		if err != nil {
			return
		}
		head, body, _ := wire.SplitFrame(request)
		var asked wire.KVPut
		if err := json.Unmarshal(head, &asked); err != nil || kv.CheckKey(asked.Key) != nil {
			t.Fatalf("planned %q: %v", head, err)
		}
		asked.TTLMS = 0 // a millisecond would be over
		if planned, err = ops["put"](frame(t, asked, string(body))); err != nil {
			t.Fatal(err)
		}
		if _, err := planned.Do(call()); err != nil {
			t.Fatal(err)
		}
		if got := get(t, call(), ops, asked.Key); got != string(body) {
			t.Errorf("put %q, got %q", body, got)
		}
	})
}
