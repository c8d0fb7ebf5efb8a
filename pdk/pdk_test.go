package pdk_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pointsman/pdk"
	"pointsman/pdk/pdktest"
	"pointsman/pdk/wire"
)

type input struct {
	ID    string `json:"id"`
	Count int    `json:"count"`
}

func echo(_ *pdk.Host, in input) (input, error) { return in, nil }

func TestHandlerInput(t *testing.T) {
	tests := []struct {
		name, input string
		want        string // output, or the message's beginning
	}{
		{"unknown field", `{"id":"a","secret-key":1}`, "input: it has a field that this function does not take"},
		{"something follows", `{"id":"a"}{}`, "input: something follows"},
		{"wrong type", `{"id":"a","count":"canary"}`, `input: field "count" must be int`},
		{"fraction", `{"count":1.5}`, `input: field "count" must be int`},
		{"no object", `["canary"]`, `input: field "" must be`},
		{"empty", ``, "input: not the JSON"},
		{"torn", `{"id":"canary`, "input: not the JSON"},
		{"good", `{"id":"a","count":2}`, `{"id":"a","count":2}`},
		{"white space follows", "{} \n", `{"id":"","count":0}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			output, err := pdk.Handler(echo)(nil, []byte(tt.input))
			got := string(output)
			if err != nil {
				got = wireError(t, err).Message
			}
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("got %q, want it to begin with %q", got, tt.want)
			}
			if strings.Contains(got, "canary") || strings.Contains(got, "secret") {
				t.Errorf("%q repeats the input", got)
			}
		})
	}
}

func TestHandlerErrors(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want wire.Error
	}{
		{"without a code", errors.New("canary"), wire.Error{Code: wire.Permanent, Message: "the plugin returned an error without a code, of type *errors.errorString"}},
		{"a word that is none", &pdk.Error{Code: "canary"}, wire.Error{Code: wire.Permanent, Message: "the plugin returned an error without a code, of type *wire.Error"}},
		{"a nil error in an interface", (*pdk.Error)(nil), wire.Error{Code: wire.Permanent, Message: "the plugin returned an error without a code, of type *wire.Error"}},
		{"wrapped", fmt.Errorf("canary: %w", pdk.Errorf(pdk.NotFound, "no such record")), wire.Error{Code: wire.NotFound, Message: "no such record"}},
		{"rate limited", pdk.RateLimited(1500e6), wire.Error{Code: wire.RateLimited, Message: "the back end asks to wait", AfterMS: 1500}},
		{"rate limited, time unknown", pdk.RateLimited(-1), wire.Error{Code: wire.RateLimited, Message: "the back end asks to wait"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fn := pdk.Handler(func(*pdk.Host, input) (*input, error) { return nil, tt.err })
			_, err := fn(nil, []byte(`{}`))
			if got := *wireError(t, err); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestHandlerPanic(t *testing.T) {
	fn := pdk.Handler(func(_ *pdk.Host, in input) (int, error) { return broken(in.ID), nil })
	_, err := fn(nil, []byte(`{"id":"canary"}`))
	e := wireError(t, err)
	if e.Code != wire.Permanent || !strings.HasPrefix(e.Message, pdk.PanicMessage+" pointsman/pdk_test.broken at pdk_test.go:") {
		t.Errorf("got %v", e)
	}
	if strings.Contains(e.Message, "canary") {
		t.Errorf("%q holds the panic's value", e.Message)
	}
	fn = pdk.Handler(func(_ *pdk.Host, in input) (int, error) { return in.Count / len(in.ID), nil })
	_, err = fn(nil, []byte(`{}`))
	if e := wireError(t, err); !strings.Contains(e.Message, "TestHandlerPanic") {
		t.Errorf("a panic of the runtime: got %v", e)
	}
}

//go:noinline
func broken(value string) int { panic("value " + value) }

func TestHandlerOutput(t *testing.T) {
	fn := pdk.Handler(func(*pdk.Host, input) (any, error) { return map[string]any{"canary": make(chan int)}, nil })
	if _, err := fn(nil, []byte(`{}`)); pdk.CodeOf(err) != pdk.Permanent || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
	null := pdk.Handler(func(*pdk.Host, input) (*input, error) { return nil, nil })
	if out, err := null(nil, []byte(`{}`)); string(out) != "null" || err != nil {
		t.Errorf("a nil record: got %s, %v", out, err)
	}
}

func TestCodeOf(t *testing.T) {
	if got := pdk.CodeOf(nil); got != "" {
		t.Errorf("CodeOf(nil) = %q", got)
	}
	if got := pdk.CodeOf(errors.New("x")); got != pdk.Permanent {
		t.Errorf("CodeOf(an error without a code) = %q", got)
	}
}

func TestLog(t *testing.T) {
	host := pdktest.NewHost(t)
	host.Guest().Log(pdk.Warn, "two records", pdk.Field{Name: "rule", Value: "newest"})
	got, _ := json.Marshal(host.Logs())
	if want := `[{"level":"warn","message":"two records","fields":[{"name":"rule","value":"newest"}]}]`; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func wireError(t *testing.T, err error) *wire.Error {
	t.Helper()
	e, ok := err.(*wire.Error)
	if !ok {
		t.Fatalf("error %v of type %T is no *wire.Error", err, err)
	}
	return e
}
