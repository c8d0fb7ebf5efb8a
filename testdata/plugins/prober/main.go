// Command prober is a plugin for tests of the running broker: it does what its input says,
// good or bad.
package main

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"

	"pointsman/pdk"
)

func main() {}

type fetchInput struct {
	Backend string      `json:"backend"`
	Method  string      `json:"method"`
	Path    string      `json:"path"`
	Query   []pdk.Field `json:"query,omitempty"`
	Header  []pdk.Field `json:"header,omitempty"`
	Body    string      `json:"body,omitempty"`
	// Strict makes the function fail with what the host said, instead of reporting it.
	Strict bool `json:"strict,omitempty"`
}

type fetchOutput struct {
	Status int         `json:"status,omitempty"`
	Header []pdk.Field `json:"header,omitempty"`
	Body   string      `json:"body,omitempty"`
	Error  string      `json:"error,omitempty"`
}

//go:wasmexport fetch
func fetch() int32 {
	return pdk.Serve(func(h *pdk.Host, in fetchInput) (*fetchOutput, error) {
		for i, f := range in.Header {
			in.Header[i] = pdk.Field{Name: unquote(f.Name), Value: unquote(f.Value)}
		}
		reply, err := h.Do(pdk.Request{
			Backend: in.Backend, Method: in.Method, Path: in.Path,
			Query: in.Query, Header: in.Header, Body: []byte(in.Body),
		})
		if err != nil {
			if in.Strict {
				return nil, err
			}
			return &fetchOutput{Error: err.Error()}, nil
		}
		if in.Strict {
			if err := reply.Err(); err != nil {
				return nil, err
			}
		}
		return &fetchOutput{Status: reply.Status, Header: reply.Header, Body: string(reply.Body)}, nil
	})
}

// unquote reads Go's escapes, because a consumer cannot send control characters as they are.
func unquote(s string) string {
	if text, err := strconv.Unquote(`"` + s + `"`); err == nil {
		return text
	}
	return s
}

//go:wasmexport say
func say() int32 {
	return pdk.Serve(func(_ *pdk.Host, in json.RawMessage) (json.RawMessage, error) { return in, nil })
}

//go:wasmexport spin
func spin() int32 {
	for {
	}
}

//go:wasmexport recurse
func recurse() int32 { return deeper(1) }

//go:noinline
func deeper(n int32) int32 { return deeper(n+1) + n }

//go:wasmexport grow
func grow() int32 {
	var held [][]byte
	for {
		held = append(held, make([]byte, 1<<20))
	}
}

//go:wasmexport crash
func crash() int32 { panic("the plugin crashed with canary-7f3a in its message") }

//go:wasmexport leave
func leave() int32 {
	os.Exit(0)
	return 0
}

//go:wasmexport shout
func shout() int32 {
	return pdk.Serve(func(h *pdk.Host, _ json.RawMessage) (string, error) {
		for range 1_000 {
			h.Log(pdk.Info, strings.Repeat("loud ", 100)+"\x1b[31m\n{\"level\":\"fake\"}")
		}
		return "done", nil
	})
}
