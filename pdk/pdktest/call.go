//go:build !wasip1

package pdktest

import (
	"bytes"
	"errors"
	"strings"

	"pointsman/pdk"
	"pointsman/pdk/wire"
)

// recordedCall reports whether the next exchange is a call of another plugin.
func (h *Host) recordedCall() bool {
	n := len(h.calls)
	return n < len(h.script) && h.script[n].Want != nil && h.script[n].Want.Method == "CALL"
}

// replay plays a function of another plugin as an exchange whose method is CALL, whose back end
// is the plugin and whose path is the function. The reply's body is the output; a status that
// is no success stands for the code that Reply.Err gives it.
func (h *Host) replay(name string, input []byte) []byte {
	h.t.Helper()
	plugin, function, _ := strings.Cut(name, ".")
	got := pdk.Request{Method: "CALL", Backend: plugin, Path: function, Body: bytes.Clone(input)}
	n := len(h.calls)
	h.calls = append(h.calls, got)
	ex := h.script[n]
	if g, w := formatRequest(got), formatRequest(*ex.Want); g != w {
		h.t.Errorf("request %d\ngot:\n%s\nwant:\n%s", n+1, g, w)
	}
	if ex.Refused != nil {
		return wire.Failed(*ex.Refused)
	}
	if e, ok := errors.AsType[*wire.Error](ex.Reply.Err()); ok {
		return wire.Failed(wire.Error{Code: e.Code, Message: name + " failed: " + string(e.Code), AfterMS: e.AfterMS})
	}
	return wire.Done(bytes.TrimSpace(ex.Reply.Body))
}
