//go:build !wasip1

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

// canary is put wherever a back end or a caller can put text, and must appear in no error.
const canary = "CANARY-7f3a"

// derived is a bad case made from a good one. Only its outcome is judged.
type derived struct {
	name   string
	script []Exchange
	input  []byte
	code   wire.Code // wanted; "" means: see must
	after  int64     // wanted AfterMS
	must   bool      // it must fail, with any code
}

// Check derives bad cases from a file with a response, and returns what fn does wrong in
// them, a sentence each: see Run.
func Check(f *File, fn pdk.Function) []string {
	cases := badInputs(f)
	for i := range f.Script {
		cases = append(cases, badAnswers(f, i)...)
		cases = append(cases, badBodies(f, i)...)
	}
	var faults []string
	for _, c := range cases {
		output, err := fn(NewHost(quiet{}, c.script...).Guest(), c.input)
		if why := c.judge(output, err); why != "" {
			faults = append(faults, c.name+": "+why)
		}
	}
	first, _ := fn(NewHost(quiet{}, f.Script...).Guest(), f.Input)
	again, _ := fn(NewHost(quiet{}, f.Script...).Guest(), f.Input)
	if !bytes.Equal(first, again) {
		faults = append(faults, fmt.Sprintf("two equal calls gave\n%s\nand\n%s", first, again))
	}
	return faults
}

// judge says what is wrong with an outcome, or "".
func (c derived) judge(output []byte, err error) string {
	if err == nil {
		if c.must || c.code != "" {
			return fmt.Sprintf("it succeeded with %s, want an error", output)
		}
		if !json.Valid(output) {
			return "its output is not JSON"
		}
		return ""
	}
	e := asError(err)
	switch text := e.Message; {
	case !e.Code.Valid():
		return fmt.Sprintf("its error has the word %q", e.Code)
	case strings.Contains(text, pdk.PanicMessage):
		return text
	case strings.Contains(text, canary):
		return fmt.Sprintf("its error repeats what it was sent: %s", text)
	case c.code != "" && (e.Code != c.code || e.AfterMS != c.after):
		return fmt.Sprintf("its error is %s after %d ms, want %s after %d ms", e.Code, e.AfterMS, c.code, c.after)
	}
	return ""
}

func badAnswers(f *File, at int) []derived {
	var out []derived
	add := func(name string, ex Exchange, code wire.Code, after int64) {
		out = append(out, derived{name: fmt.Sprintf("request %d: %s", at+1, name), script: replace(f.Script, at, ex), input: f.Input, code: code, after: after})
	}
	bodies := []string{
		canary, "",
		`{"message":"` + canary + `","category":"` + canary + `","errors":[{"code":"` + canary + `","detail":"` + canary + `"}]}`,
		`[{"message":"` + canary + `","errorCode":"` + canary + `"}]`,
	}
	for status, code := range map[int]wire.Code{
		302: wire.Permanent, 400: wire.Permanent, 401: wire.Auth, 403: wire.Auth, 404: wire.NotFound, 408: wire.Transient,
		409: wire.Permanent, 422: wire.Permanent, 429: wire.RateLimited, 500: wire.Transient, 502: wire.Transient, 503: wire.Transient,
	} {
		for _, body := range bodies {
			reply := pdk.Reply{Status: status, Header: []pdk.Field{{Name: "x-note", Value: canary}}, Body: []byte(body)}
			add(fmt.Sprintf("status %d, body %q", status, body), Exchange{Reply: reply}, code, 0)
		}
	}
	for value, after := range map[string]int64{"7": 7000, "soon " + canary: 0, "-1": 0, "99999999999999999999": 0} {
		reply := pdk.Reply{Status: 429, Header: []pdk.Field{{Name: "retry-after", Value: value}}}
		add("retry-after "+value, Exchange{Reply: reply}, wire.RateLimited, after)
	}
	for _, code := range []wire.Code{wire.Denied, wire.Transient, wire.Permanent} {
		add("the host says "+string(code), Exchange{Refused: &wire.Error{Code: code, Message: "no"}}, code, 0)
	}
	slices.SortFunc(out, func(a, b derived) int { return strings.Compare(a.name, b.name) })
	return out
}

func badBodies(f *File, at int) []derived {
	ex := f.Script[at]
	if ex.Refused != nil || ex.Reply.Status > 299 {
		return nil
	}
	body := bytes.TrimSpace(ex.Reply.Body)
	var out []derived
	add := func(name string, body []byte, must bool) {
		reply := ex.Reply
		reply.Body = body
		out = append(out, derived{name: fmt.Sprintf("request %d: %s", at+1, name), script: replace(f.Script, at, Exchange{Reply: reply}), input: f.Input, must: must})
	}
	for _, text := range []string{
		"", canary, "<html>" + canary + "</html>", "null", "[]", "{}", `"` + canary + `"`, "1e999", "\xff\xfe",
		`{"` + canary + `":`, strings.Repeat("[", 20000), strings.Repeat(`{"a":`, 20000),
	} {
		add(fmt.Sprintf("body %.20q", text), []byte(text), true)
	}
	if !json.Valid(body) {
		return out
	}
	for n := 0; n < len(body); n += 1 + len(body)/64 {
		add(fmt.Sprintf("body torn after %d bytes", n), body[:n], true)
	}
	for _, m := range mutations(body) {
		add("body "+m.name, m.text, false)
	}
	return out
}

func badInputs(f *File) []derived {
	var out []derived
	for _, text := range []string{"", "{", "null", "[]", "1", `"` + canary + `"`, `{"noSuchField":"` + canary + `"}`, string(f.Input) + canary} {
		out = append(out, derived{name: fmt.Sprintf("input %.20q", text), script: anyRequest(f.Script), input: []byte(text), must: true})
	}
	for _, m := range mutations(f.Input) {
		out = append(out, derived{name: "input " + m.name, script: anyRequest(f.Script), input: m.text})
	}
	return out
}

func anyRequest(script []Exchange) []Exchange {
	out := slices.Clone(script)
	for i := range out {
		out[i].Want = nil
	}
	return out
}

func replace(script []Exchange, at int, ex Exchange) []Exchange {
	out := anyRequest(script)
	out[at] = ex
	return out
}

// quiet makes a Host that expects nothing: a derived case may send fewer requests. What else
// a Host could want of a test would be a fault of this package, and is a nil dereference.
type quiet struct{ testing.TB }

func (quiet) Helper()               {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Cleanup(func())        {}
