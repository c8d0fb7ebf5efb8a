package pdk_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"pointsman/pdk"
	"pointsman/pdk/pdktest"
	"pointsman/pdk/wire"
)

// said answers every operation with the same reply.
type said []byte

func (s said) Call(string, string, []byte) []byte { return s }

func TestKVRefuses(t *testing.T) {
	kv := &pdktest.KV{Quota: 20, Keys: 2, TTL: time.Hour}
	host := pdktest.NewHost(t)
	host.KV = kv
	h := host.Guest()
	if _, err := h.KVPut("there", []byte("12345"), 0); err != nil {
		t.Fatal(err)
	}
	put := func(key, value string, ttl time.Duration) func() error {
		return func() error { _, err := h.KVPut(key, []byte(value), ttl); return err }
	}
	tests := []struct {
		name string
		op   func() error
		code pdk.Code
	}{
		{"no key", put("", "v", 0), pdk.Permanent},
		{"NUL", put("a\x00", "v", 0), pdk.Permanent},
		{"a long key", put(strings.Repeat("k", 257), "v", 0), pdk.Permanent},
		{"a large value", put("k", strings.Repeat("v", 64<<10+1), 0), pdk.Permanent},
		{"too many bytes", put("k", strings.Repeat("v", 10), 0), pdk.Denied},
		{"too long", put("k", "v", time.Hour+time.Microsecond), pdk.Denied},
		{"a negative time", put("k", "v", -time.Second), pdk.Permanent},
		{"get of no key", func() error { _, _, err := h.KVGet("\n"); return err }, pdk.Permanent},
		{"delete of no key", func() error { return h.KVDelete("") }, pdk.Permanent},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.op(); pdk.CodeOf(err) != tt.code {
				t.Errorf("error %v, want %s", err, tt.code)
			}
		})
	}
	if all := kv.All(); len(all) != 1 || all["there"] != "12345" {
		t.Errorf("kept: %q", all)
	}
	if err := put("two", "", 0)(); err != nil {
		t.Fatal(err)
	}
	if err := put("three", "", 0)(); pdk.CodeOf(err) != pdk.Denied {
		t.Errorf("a third key: %v", err)
	}
}

func TestKVRepliesThatMakeNoSense(t *testing.T) {
	for name, reply := range map[string][]byte{
		"nothing": nil, "no frame": wire.Done([]byte("x")), "no JSON": wire.Done([]byte{1, 0, 0, 0, '{'}), "another code": wire.Failed(wire.Error{Code: "odd"}),
	} {
		h := pdk.NewHost(said(reply))
		_, version, err := h.KVGet("k")
		if e, ok := errors.AsType[*pdk.Error](err); !ok || e.Code != pdk.Permanent || version != 0 {
			t.Errorf("get of %s: version %d, %v", name, version, err)
		}
		if version, err := h.KVPut("k", nil, 0); pdk.CodeOf(err) != pdk.Permanent || version != 0 {
			t.Errorf("put of %s: version %d, %v", name, version, err)
		}
		if _, done, err := h.KVSwap("k", 0, nil, 0); pdk.CodeOf(err) != pdk.Permanent || done {
			t.Errorf("swap of %s: done %v, %v", name, done, err)
		}
	}
}

func TestKV(t *testing.T) {
	kv := new(pdktest.KV)
	call := func() *pdk.Host { // each call of a plugin has a Host of its own
		host := pdktest.NewHost(t)
		host.KV = kv
		return host.Guest()
	}
	binary := []byte("\x00\xff{")
	if value, version, err := call().KVGet("k"); len(value) > 0 || version != 0 || err != nil {
		t.Errorf("of nothing: %q, %d, %v", value, version, err)
	}
	first, done, err := call().KVSwap("k", 0, binary, time.Minute)
	if err != nil || !done || first == 0 {
		t.Fatalf("swap of nothing: %d, %v, %v", first, done, err)
	}
	if now, done, err := call().KVSwap("k", 0, []byte("other"), 0); err != nil || done || now != first {
		t.Errorf("swap of something: %d, %v, %v", now, done, err)
	}
	if value, version, err := call().KVGet("k"); !bytes.Equal(value, binary) || version != first || err != nil {
		t.Errorf("got %q, %d, %v", value, version, err)
	}
	kv.Pass(time.Minute)
	if _, version, err := call().KVGet("k"); version != 0 || err != nil {
		t.Errorf("after its time: version %d, %v", version, err)
	}
	if second, err := call().KVPut("k", []byte("v"), 0); err != nil || second == 0 || second == first {
		t.Errorf("put: %d, %v", second, err)
	}
	if err := call().KVDelete("k"); err != nil || len(kv.All()) != 0 {
		t.Errorf("delete: %v, then %q", err, kv.All())
	}
}

// A rehearsal keeps nothing and finds nothing.
func TestKVRehearses(t *testing.T) {
	fn := func(h *pdk.Host, in struct {
		ID string `json:"id"`
	}) (string, error) {
		_, version, err := h.KVGet(in.ID)
		if err == nil && version != 0 {
			err = pdk.Errorf(pdk.Permanent, "version %d", version)
		}
		if err == nil {
			_, err = h.KVPut(in.ID, []byte("v"), 0)
		}
		if err == nil {
			err = h.KVDelete(in.ID)
		}
		if _, done, swapErr := h.KVSwap(in.ID, 0, nil, 0); err == nil && (swapErr != nil || !done) {
			err = pdk.Errorf(pdk.Permanent, "swap: %v", swapErr)
		}
		return "done", err
	}
	if err := pdk.Rehearse(pdk.Handler(fn), exchange); err != nil {
		t.Error(err)
	}
}
