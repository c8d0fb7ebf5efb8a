package kvcap_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"pointsman/host/capability"
	"pointsman/host/manifest"
	"pointsman/pdk"
	"pointsman/pdk/wire"
)

type visitInput struct {
	Consumer string `json:"consumer"`
}

type visitOutput struct {
	Count int `json:"count"`
}

// visit counts the visits of a consumer within the hour.
func visit(h *pdk.Host, in visitInput) (*visitOutput, error) {
	for range 10 {
		value, version, err := h.KVGet("visits/" + in.Consumer)
		if err != nil {
			return nil, err
		}
		count, _ := strconv.Atoi(string(value)) // 0 where there is nothing yet
		count++
		_, done, err := h.KVSwap("visits/"+in.Consumer, version, []byte(strconv.Itoa(count)), 0)
		if err != nil {
			return nil, err
		}
		if done {
			return &visitOutput{Count: count}, nil
		}
	}
	return nil, pdk.Errorf(pdk.Transient, "others count at the same time")
}

// lent is the operations of a grant, as the PDK calls them.
type lent map[string]capability.Op

func (l lent) Call(_, op string, request []byte) []byte {
	payload, err := do(call(), l[op], request)
	if err != nil {
		return wire.Failed(wire.Error{Code: wire.Permanent, Message: err.Error()})
	}
	return wire.Done(payload)
}

// TestKVPage binds the grant of docs/KV.md and runs its function.
func TestKVPage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/KV.md")
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile("page_test.go")
	if err != nil {
		t.Fatal(err)
	}
	block := func(language string) string {
		m := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(page)
		if m == nil {
			t.Fatalf("the page has no %s", language)
		}
		return string(m[1])
	}
	if !strings.Contains(string(own), block("go")) {
		t.Error("the page's function is not the one that runs here")
	}
	set, faults := manifest.Load(fstest.MapFS{"a.yaml": {Data: []byte(block("yaml"))}})
	if faults.HasErrors() {
		t.Fatal(faults.Err())
	}
	grant := set.Plugins[0].Grants["kv"]
	s := open(t)
	ops := bind(t, s, set.Plugins[0].Name, string(grant))
	visitor := pdk.Handler(visit)
	for want := range 3 {
		out, err := visitor(pdk.NewHost(lent(ops)), []byte(`{"consumer":"shop"}`))
		var got visitOutput
		if err != nil || json.Unmarshal(out, &got) != nil || got.Count != want+1 {
			t.Errorf("visit %d: %s, %v", want+1, out, err)
		}
	}
	if _, err := do(call(), ops["put"], frame(t, wire.KVPut{Key: "k"}, strings.Repeat("v", 64<<10))); err == nil {
		t.Error("more than the page's quota was kept")
	}
	if planned, err := ops["put"](frame(t, wire.KVPut{Key: "k"}, "v")); err != nil || planned.Clear.String() != "pii.contact" {
		t.Errorf("put is cleared for %q, %v", planned.Clear, err)
	}
}
