//go:build !wasip1

package pdktest

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"pointsman/pdk"
	"pointsman/pdk/wire"
)

// Suite is what a plugin promises.
type Suite struct {
	Dir       string                  // folder of exchange files; "" means testdata
	Functions map[string]pdk.Function // by the name that they are exported under
	Update    bool                    // rewrite requests, responses, errors and logs in the files
}

// Run plays every exchange file of s and compares requests, output, error and log; then it
// checks what every plugin must do, deriving bad cases from the good ones:
//
//   - Answers of 401, 403, 404, 429 (with and without Retry-After), 4xx and 5xx become the
//     error that their status means (see pdk.Reply.Err), and so do refusals by the host.
//   - A body that is garbage, or torn, is an error; one with a value of another type is no panic.
//   - An input that is garbage is an error; one with a value of another type is no panic.
//   - No error holds a word of what the back end or the caller sent.
//   - The same call gives the same bytes.
//
// Every function needs at least one file with a response.
func Run(t *testing.T, s Suite) {
	t.Helper()
	if s.Dir == "" {
		s.Dir = "testdata"
	}
	files, err := ReadFiles(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	good := map[string]bool{}
	for _, f := range files {
		fn := s.Functions[f.Function]
		if fn == nil {
			t.Errorf("%s: there is no function %q", f.Path, f.Function)
			continue
		}
		name := strings.TrimSuffix(filepath.Base(f.Path), ".txtar")
		t.Run(name, func(t *testing.T) { golden(t, f, fn, s.Update) })
		if f.Response == nil {
			continue
		}
		good[f.Function] = true
		t.Run(name+"/conformance", func(t *testing.T) {
			for _, fault := range Check(f, fn) {
				t.Error(fault)
			}
		})
	}
	for name := range s.Functions {
		if !good[name] && !s.Update {
			t.Errorf("%s: function %q has no file with a response", s.Dir, name)
		}
	}
}

func golden(t *testing.T, f *File, fn pdk.Function, update bool) {
	script := f.Script
	if update {
		script = make([]Exchange, len(f.Script))
		copy(script, f.Script)
		for i := range script {
			script[i].Want = nil
		}
	}
	h := NewHost(t, script...)
	output, err := fn(h.Guest(), f.Input)
	response, failure := outcome(output, err)
	log := formatLogs(h.Logs())
	if update {
		if err := f.rewrite(h.Calls(), response, failure, log); err != nil {
			t.Error(err)
		}
		return
	}
	compare(t, "response", response, f.Response)
	compare(t, "error", failure, f.Error)
	compare(t, "log", []byte(log), []byte(f.Log))
}

func outcome(output []byte, err error) (response, failure []byte) {
	if err == nil {
		return append(pretty(output), '\n'), nil
	}
	text, _ := json.Marshal(asError(err)) // strings and a number: they always marshal
	return nil, append(pretty(text), '\n')
}

// asError is err as it would cross the boundary; a Function returns nothing else.
func asError(err error) *wire.Error {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return e
	}
	return &wire.Error{Code: "?", Message: "not an *pdk.Error: wrap the method in pdk.Handler"}
}

func compare(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if g, w := bytes.TrimSpace(pretty(got)), bytes.TrimSpace(pretty(want)); !bytes.Equal(g, w) {
		t.Errorf("%s\ngot:\n%s\nwant:\n%s", what, g, w)
	}
}

func formatLogs(logs []wire.LogRecord) string {
	var b strings.Builder
	for _, l := range logs {
		b.WriteString(l.Level + ": " + l.Message)
		for _, f := range l.Fields {
			b.WriteString(" " + f.Name + "=" + f.Value)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
