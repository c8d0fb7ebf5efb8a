package pdk_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"pointsman/pdk"
	"pointsman/pdk/pdktest"
	"pointsman/pdk/wire"
)

type callInput struct {
	ID string `json:"id"`
}

type callOutput struct {
	Tier string      `json:"tier"`
	N    json.Number `json:"n"`
}

func TestCallBadReplies(t *testing.T) {
	const unreadable = "the host's reply cannot be read"
	tests := []struct {
		name, reply string
		want        wire.Error
	}{
		{"denied", string(wire.Failed(wire.Error{Code: wire.Denied, Message: "granted: a.b"})), wire.Error{Code: wire.Denied, Message: "granted: a.b"}},
		{"rate limited", string(wire.Failed(wire.Error{Code: wire.RateLimited, Message: "m", AfterMS: 7})), wire.Error{Code: wire.RateLimited, Message: "m", AfterMS: 7}},
		{"a word that is none", string(wire.Failed(wire.Error{Code: "canary"})), wire.Error{Code: wire.Permanent, Message: unreadable}},
		{"no reply", "", wire.Error{Code: wire.Permanent, Message: unreadable}},
		{"no output", "\x00", wire.Error{Code: wire.Permanent, Message: "the output of crm.get has another shape"}},
		{"torn", "\x00{\"tier\":\"canary", wire.Error{Code: wire.Permanent, Message: "the output of crm.get has another shape"}},
		{"another type", "\x00{\"tier\":{\"canary\":1}}", wire.Error{Code: wire.Permanent, Message: `the output of crm.get has another shape: field "tier" is not string`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := pdk.Call[callInput, callOutput](pdk.NewHost(raw(tt.reply)), "crm.get", callInput{"a"})
			if got := *wireError(t, err); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if out != (callOutput{}) {
				t.Errorf("got %+v with the error, want nothing", out)
			}
		})
	}
}

func TestCall(t *testing.T) {
	tests := []struct {
		name, output string
		want         callOutput
	}{
		{"fields that Out lacks", `{"tier":"gold","n":12345678901234567890,"more":[1]}`, callOutput{"gold", "12345678901234567890"}},
		{"nothing is shown", `null`, callOutput{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			host := pdktest.NewHost(t)
			host.Callees = map[string]pdktest.Callee{"crm.get": func([]byte) ([]byte, error) { return []byte(tt.output), nil }}
			out, err := pdk.Call[callInput, callOutput](host.Guest(), "crm.get", callInput{"a<b"})
			if err != nil || out != tt.want {
				t.Errorf("got %+v, %v, want %+v", out, err, tt.want)
			}
			if calls := host.FunctionCalls(); len(calls) != 1 || calls[0] != (pdktest.FunctionCall{Function: "crm.get", Input: `{"id":"a\u003cb"}`}) {
				t.Errorf("called %+v", calls)
			}
		})
	}
}

// TestCalleeFails: the code of a function's error comes back and none of its words, and
// calls share the budget of the plugin's other uses.
func TestCalleeFails(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want wire.Error
	}{
		{"a code", pdk.Errorf(pdk.NotFound, "canary"), wire.Error{Code: wire.NotFound, Message: "crm.get failed: not_found"}},
		{"a wait", pdk.RateLimited(time.Second), wire.Error{Code: wire.RateLimited, Message: "crm.get failed: rate_limited", AfterMS: 1000}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			host := pdktest.NewHost(t)
			host.Budget = 1
			host.Callees = map[string]pdktest.Callee{"crm.get": func([]byte) ([]byte, error) { return nil, tt.err }}
			_, err := pdk.Call[callInput, callOutput](host.Guest(), "crm.get", callInput{})
			if got := *wireError(t, err); got != tt.want || strings.Contains(err.Error(), "canary") {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			_, err = pdk.Call[callInput, callOutput](host.Guest(), "crm.get", callInput{})
			if pdk.CodeOf(err) != pdk.Denied || len(host.FunctionCalls()) != 1 {
				t.Errorf("beyond the budget: %v, %d calls", err, len(host.FunctionCalls()))
			}
		})
	}
}

func TestCallNoInput(t *testing.T) {
	_, err := pdk.Call[chan int, callOutput](pdktest.NewHost(t).Guest(), "crm.get", nil)
	if e := new(wire.Error); !errors.As(err, &e) || e.Message != "the input of type chan int cannot be written as JSON" {
		t.Errorf("got %v", err)
	}
}
