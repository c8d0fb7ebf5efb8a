package sandbox_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/sandbox"
	"pointsman/pdk/wire"
	"pointsman/testdata/guests"
)

// Plugins of any language, written for Extism's hosts, do the same on both engines.
func TestLanguages(t *testing.T) {
	if testing.Short() {
		t.Skip("compilers of other languages take seconds")
	}
	for _, name := range guests.Names() {
		t.Run(name, func(t *testing.T) { testLanguage(t, guests.Build(t, name)) })
	}
}

func testLanguage(t *testing.T, module []byte) {
	const request = `{"url":"https://x.example/a?b=c","method":"GET","headers":{"X-A":"1"}}`
	allowed := httpAnswer(t, 200, `[1,2]`, "content-type", "application/json", "link", "a", "link", "b")
	denied := func(context.Context) []byte {
		return wire.Failed(wire.Error{Code: wire.Denied, Message: "not granted"})
	}
	all := []string{"config", "count", "echo", "fail", "fetch", "log", "trap"}
	tests := []struct {
		name, export, in string
		do               func(context.Context) []byte
		want             told
		asked            []string
	}{
		{"echo", "echo", `{"a":[1,"ü"]}`, nil, told{Out: []byte(`{"a":[1,"ü"]}`)}, nil},
		{"count", "count", "", nil, told{Out: []byte("1")}, nil},
		{"config", "config", "", nil, told{Out: []byte("configured")}, nil},
		{"log", "log", "a line", nil, told{Out: []byte("true"), Lines: []string{"info:a line"}}, nil},
		{"fail", "fail", "words", nil, told{Said: `guest function fail failed with code 1: "words"`}, nil},
		{"trap", "trap", "", nil, told{Kind: sandbox.Trap}, nil},
		{"fetch", "fetch", request, allowed, told{Out: []byte(`{"status":200,"headers":{"content-type":"application/json","link":"a,b"},"body":[1,2]}`)}, []string{request + "|"}},
		{"an empty answer", "fetch", request, httpAnswer(t, 204, ""), told{Out: []byte(`{"status":204,"headers":{},"body":}`)}, []string{request + "|"}},
		{"a refusal", "fetch", request, denied, told{Said: `guest function fetch failed with code 1: "{\"code\":\"denied\",\"message\":\"not granted\"}"`}, []string{request + "|"}},
	}
	for _, engine := range []string{"extism", "snapshot"} {
		var l logLines
		e, err := sandbox.New(sandbox.Options{Engine: engine, Logger: &l})
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := e.(*sandbox.Snapshot); ok {
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
		}
		u := &urlOp{}
		m, err := e.Compile(context.Background(), module, sandbox.Terms{
			Imports: u.imports(), Config: map[string]string{"greeting": "configured"}, Limits: sandbox.Limits{Time: time.Minute},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := m.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		if d := cmp.Diff(all, slices.DeleteFunc(m.Exports(), func(name string) bool { return !slices.Contains(all, name) })); d != "" {
			t.Errorf("%s: exports: %s", engine, d)
		}
		for range 2 {
			for _, tt := range tests {
				u.got, u.do = nil, tt.do
				got := ask(m, &l, tt.export, []byte(tt.in))
				if got.Last = ""; tt.want.Kind == sandbox.Trap { // languages say differently why
					got.Lines = nil
				}
				if d := cmp.Diff(tt.want, got); d != "" {
					t.Errorf("%s: %s: %s", engine, tt.name, d)
				}
				if d := cmp.Diff(tt.asked, u.got); d != "" {
					t.Errorf("%s: %s: requests: %s", engine, tt.name, d)
				}
			}
		}
	}
}
