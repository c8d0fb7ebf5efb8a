//go:build !wasip1

// Package pdktest owns the host that plugin code meets in native tests: it plays the back
// ends from scripted exchanges and remembers what the plugin did. It is for tests only and
// works in native builds only.
package pdktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pointsman/pdk"
	"pointsman/pdk/wire"
)

// Exchange is one request to a back end and what becomes of it.
type Exchange struct {
	Want    *pdk.Request // nil: any request will do
	Reply   pdk.Reply    // the answer, unless Refused is set
	Refused *wire.Error  // the host refuses the request or could not send it
}

// Host is a fake host for one call. It implements pdk.Fake. Not safe for concurrent use, as
// a guest is not.
type Host struct {
	// Budget is how many requests the plugin may send; 0 means 32, the broker's default
	// for one request of a consumer.
	Budget int
	// Callees answer for the functions of other plugins that the plugin may call, by
	// plugin.function. One can be the other plugin itself: pdk.Handler(Other{}.Get), given
	// another Host's Guest.
	Callees map[string]Callee
	// KV is what the plugin keeps; nil keeps nothing between this Host's calls and another's.
	KV *KV

	t      testing.TB
	script []Exchange
	calls  []pdk.Request
	logs   []wire.LogRecord
	called []FunctionCall
}

// Callee stands for a function of another plugin: JSON in, and JSON out as the grant's view
// shows it. Of its error the plugin is told the code.
type Callee func(input []byte) (output []byte, err error)

// FunctionCall is one call of another plugin.
type FunctionCall struct {
	Function string // plugin.function
	Input    string // JSON
}

// NewHost returns a Host that expects exactly these exchanges, in this order. A request that
// differs, one too many, or an exchange that never took place by the end of the test is an
// error of t.
func NewHost(t testing.TB, script ...Exchange) *Host {
	h := &Host{t: t, script: script}
	t.Cleanup(func() {
		t.Helper()
		if n := len(h.calls); n < len(script) && !t.Skipped() {
			t.Errorf("the plugin sent %d requests, want %d", n, len(script))
		}
	})
	return h
}

// Guest returns what plugin code takes as its host.
func (h *Host) Guest() *pdk.Host { return pdk.NewHost(h) }

// Calls returns the requests that the plugin sent, in order.
func (h *Host) Calls() []pdk.Request { return slices.Clone(h.calls) }

// FunctionCalls returns the calls of other plugins' functions, in order, refused ones too.
func (h *Host) FunctionCalls() []FunctionCall { return slices.Clone(h.called) }

// Logs returns what the plugin logged, in order.
func (h *Host) Logs() []wire.LogRecord { return slices.Clone(h.logs) }

// Call is the host's end of every import. It fails the test for what no host offers.
func (h *Host) Call(capability, op string, request []byte) []byte {
	h.t.Helper()
	switch capability + "." + op {
	case "http.request":
		return h.http(request)
	case "sql.query":
		return h.query(request)
	case "call.function":
		return h.call(request)
	case "log.write":
		return h.log(request)
	case "kv.get", "kv.put", "kv.swap", "kv.delete":
		return h.keep(op, request)
	case "pointer.open":
		return h.openPointer(request)
	case "pointer.mint":
		return h.mintPointer(request)
	}
	h.t.Errorf("the plugin called %s.%s, which is not offered", capability, op)
	return wire.Failed(wire.Error{Code: wire.Denied, Message: "not offered"})
}

func (h *Host) log(request []byte) []byte {
	h.t.Helper()
	var record wire.LogRecord
	if err := strict(request, &record); err != nil {
		h.t.Errorf("log.write: %v", err)
	}
	h.logs = append(h.logs, record)
	return wire.Done(nil)
}

func (h *Host) call(frame []byte) []byte {
	h.t.Helper()
	head, body, err := wire.SplitFrame(frame)
	if err != nil {
		h.t.Fatalf("call.function: %v", err)
	}
	var r wire.CallRequest
	if err := strict(head, &r); err != nil {
		h.t.Fatalf("call.function: head: %v", err)
	}
	if h.spent() {
		return errSpent()
	}
	callee := h.Callees[r.Function]
	if callee == nil && h.recordedCall() {
		return h.replay(r.Function, body)
	}
	h.called = append(h.called, FunctionCall{r.Function, string(body)})
	if callee == nil {
		h.t.Errorf("the plugin called the function %q, which is not among Callees", r.Function)
		return wire.Failed(wire.Error{Code: wire.Denied, Message: "not granted"})
	}
	output, err := callee(bytes.Clone(body))
	if err != nil {
		e := asError(err)
		return wire.Failed(wire.Error{Code: e.Code, Message: r.Function + " failed: " + string(e.Code), AfterMS: e.AfterMS})
	}
	return wire.Done(output)
}

// spent reports whether nothing is left of the budget that the plugin's uses share.
func (h *Host) spent() bool {
	budget := h.Budget
	if budget == 0 {
		budget = 32
	}
	return len(h.calls)+len(h.called) >= budget
}

func errSpent() []byte {
	return wire.Failed(wire.Error{Code: wire.Denied, Message: "the budget of requests is spent"})
}

func (h *Host) http(frame []byte) []byte {
	h.t.Helper()
	head, body, err := wire.SplitFrame(frame)
	if err != nil {
		h.t.Fatalf("http.request: %v", err)
	}
	var r wire.HTTPRequest
	if err := strict(head, &r); err != nil {
		h.t.Fatalf("http.request: head: %v", err)
	}
	got := pdk.Request{Backend: r.Backend, Method: r.Method, Path: r.Path, Query: r.Query, Header: r.Header, Body: bytes.Clone(body)}
	n, spent := len(h.calls), h.spent()
	h.calls = append(h.calls, got)
	if spent {
		return errSpent()
	}
	if n >= len(h.script) {
		h.t.Errorf("request %d is one too many:\n%s", n+1, formatRequest(got))
		return wire.Failed(wire.Error{Code: wire.Denied, Message: "no exchange is left"})
	}
	ex := h.script[n]
	if ex.Want != nil {
		if g, w := formatRequest(got), formatRequest(*ex.Want); g != w {
			h.t.Errorf("request %d\ngot:\n%s\nwant:\n%s", n+1, g, w)
		}
	}
	if ex.Refused != nil {
		return wire.Failed(*ex.Refused)
	}
	reply, err := wire.Frame(wire.HTTPReply{Status: ex.Reply.Status, Header: ex.Reply.Header}, ex.Reply.Body)
	if err != nil {
		h.t.Fatalf("http.request: reply: %v", err)
	}
	return wire.Done(reply)
}

func strict(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// formatRequest writes r as in an exchange file.
func formatRequest(r pdk.Request) string {
	var b strings.Builder
	method := r.Method
	if method == "" {
		method = "GET"
	}
	fmt.Fprintf(&b, "%s %s %s\n", method, r.Backend, r.Path)
	for _, f := range r.Query {
		fmt.Fprintf(&b, "query %s = %s\n", f.Name, f.Value)
	}
	for _, f := range r.Header {
		fmt.Fprintf(&b, "header %s = %s\n", f.Name, f.Value)
	}
	if len(r.Body) > 0 {
		fmt.Fprintf(&b, "\n%s\n", pretty(r.Body))
	}
	return b.String()
}

// pretty indents JSON, numbers kept as text, and leaves anything else as it is.
func pretty(text []byte) []byte {
	var b bytes.Buffer
	if json.Indent(&b, bytes.TrimSpace(text), "", "  ") != nil {
		return text
	}
	return b.Bytes()
}
