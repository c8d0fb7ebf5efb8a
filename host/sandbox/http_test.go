package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/sandbox"
	"pointsman/pdk/wire"
)

// urlOp is an http.url that does what do says. It keeps the frames that it got.
type urlOp struct {
	got []string
	do  func(ctx context.Context) []byte
}

func (u *urlOp) imports() []sandbox.Import {
	return []sandbox.Import{{Capability: "http", Op: "url", Do: func(ctx context.Context, request []byte) []byte {
		head, body, err := wire.SplitFrame(request)
		if err != nil {
			return wire.Failed(wire.Error{Code: wire.Permanent, Message: err.Error()})
		}
		u.got = append(u.got, string(head)+"|"+string(body))
		return u.do(ctx)
	}}}
}

func httpAnswer(t *testing.T, status int, body string, header ...string) func(context.Context) []byte {
	t.Helper()
	reply := wire.HTTPReply{Status: status}
	for i := 0; i < len(header); i += 2 {
		reply.Header = append(reply.Header, wire.Field{Name: header[i], Value: header[i+1]})
	}
	frame, err := wire.Frame(reply, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return func(context.Context) []byte { return wire.Done(frame) }
}

// A request that is refused or fails ends the guest with what a guest of our PDK would say.
func TestExtismHTTPEndsTheGuest(t *testing.T) { onEngines(t, testExtismHTTPEndsTheGuest) }

func testExtismHTTPEndsTheGuest(t *testing.T) {
	for _, want := range []wire.Error{
		{Code: wire.Denied, Message: "plugin asked for DELETE; granted: GET /x"},
		{Code: wire.Transient, Message: "the back end did not answer in time"},
		{Code: wire.RateLimited, Message: "wait", AfterMS: 1500},
		{Code: wire.Permanent, Message: `with "quotes" and ü`},
	} {
		u := &urlOp{do: func(context.Context) []byte { return wire.Failed(want) }}
		m := compile(t, sandbox.Options{}, testModule(t, "extism_http"), u.imports(), sandbox.Limits{})
		for range 2 { // what a guest had done before it ended is not there in the next call
			out, err := m.Call(context.Background(), "times", []byte("{}"))
			said, ok := errors.AsType[*sandbox.GuestError](err)
			if !ok || out != nil {
				t.Fatalf("got %q, %v, want a *GuestError", out, err)
			}
			var got wire.Error
			if err := json.Unmarshal([]byte(said.Text), &got); err != nil || got != want || said.Code == 0 || said.Export != "times" {
				t.Errorf("got %+v, %v, want %+v", said, err, want)
			}
			if _, broke := errors.AsType[*sandbox.Fault](err); broke {
				t.Error("it is a fault, too: callers could not tell the kind")
			}
		}
		u.do = httpAnswer(t, 200, "")
		if out, err := m.Call(context.Background(), "times", []byte("{}")); err != nil || string(out) != "1" {
			t.Errorf("after a refusal: %q, %v", out, err)
		}
	}
}

// What is no request never reaches the operation; what the operation says has to be whole.
func TestExtismHTTPFaults(t *testing.T) { onEngines(t, testExtismHTTPFaults) }

func testExtismHTTPFaults(t *testing.T) {
	large := httpAnswer(t, 200, strings.Repeat("x", 8<<20))
	tests := []struct {
		name, export string
		do           func(context.Context) []byte
		want         sandbox.FaultKind
		detail       string
		asked        int
	}{
		{"no such request", "wild_request", httpAnswer(t, 200, ""), sandbox.ABI, "http_request(123456): no block begins there", 0},
		{"no such body", "wild_body", httpAnswer(t, 200, ""), sandbox.ABI, "http_request(123456): no block begins there", 0},
		{"an answer without room", "hoard", large, sandbox.ABI, "http_request: no room for an answer of 8388608 bytes", 1},
		{"no reply", "fetch", func(context.Context) []byte { return nil }, sandbox.ABI, "no reply", 1},
		{"no frame", "fetch", func(context.Context) []byte { return wire.Done([]byte("x")) }, sandbox.ABI, "no frame", 1},
		{"a panic", "fetch", func(context.Context) []byte { panic("secret") }, sandbox.ABI, "panicked (string)", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := &urlOp{do: tt.do}
			out, err := compile(t, sandbox.Options{}, testModule(t, "extism_http"), u.imports(), sandbox.Limits{}).
				Call(context.Background(), tt.export, []byte("{}"))
			if kind(err) != tt.want || out != nil || !strings.Contains(err.Error(), tt.detail) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %q, %v, want %s with %q", out, err, tt.want, tt.detail)
			}
			if len(u.got) != tt.asked {
				t.Errorf("asked %d times, want %d", len(u.got), tt.asked)
			}
		})
	}
	t.Run("too large a request", func(t *testing.T) {
		u := &urlOp{do: httpAnswer(t, 200, "")}
		m := compile(t, sandbox.Options{}, testModule(t, "extism_http"), u.imports(), sandbox.Limits{Input: 2 << 20})
		_, err := m.Call(context.Background(), "fetch", make([]byte, 1<<20+1))
		if said, ok := errors.AsType[*sandbox.GuestError](err); !ok || !strings.Contains(said.Text, `"denied"`) || len(u.got) > 0 {
			t.Errorf("got %v after %d requests, want it denied, unread", err, len(u.got))
		}
	})
	t.Run("too late", func(t *testing.T) {
		u := &urlOp{do: func(ctx context.Context) []byte { <-ctx.Done(); return wire.Done(nil) }}
		m := compile(t, sandbox.Options{}, testModule(t, "extism_http"), u.imports(), sandbox.Limits{Time: 200 * time.Millisecond})
		if _, err := m.Call(context.Background(), "fetch", []byte("{}")); kind(err) != sandbox.Timeout {
			t.Errorf("got %v, want a timeout", err)
		}
	})
}

func TestExtismHTTP(t *testing.T) { onEngines(t, testExtismHTTP) }

func testExtismHTTP(t *testing.T) {
	tests := []struct {
		export string
		do     func(context.Context) []byte
		want   string
		asked  []string
	}{
		{"fetch", httpAnswer(t, 200, "text"), "text", []string{`{"url":"u"}|`}},
		{"fetch", httpAnswer(t, 200, ""), "", []string{`{"url":"u"}|`}},
		{"post", httpAnswer(t, 201, "made"), "made", []string{`{"url":"u"}|b`}},
		{"status", httpAnswer(t, 404, "no"), "4", []string{`{"url":"u"}|`}},
		{"headers", httpAnswer(t, 200, "", "Link", "a", "link", "b", "etag", `"1"`), `{"etag":"\"1\"","link":"a,b"}`, []string{`{"url":"u"}|`}},
		{"headers", httpAnswer(t, 200, ""), `{}`, []string{`{"url":"u"}|`}},
		{"before", httpAnswer(t, 200, ""), "0", nil},
		{"freed", httpAnswer(t, 200, ""), "0", []string{`{"url":"u"}|b`}},
	}
	for _, tt := range tests {
		u := &urlOp{do: tt.do}
		m := compile(t, sandbox.Options{}, testModule(t, "extism_http"), u.imports(), sandbox.Limits{})
		for range 2 {
			u.got = nil
			out, err := m.Call(context.Background(), tt.export, []byte(`{"url":"u"}`))
			if err != nil || string(out) != tt.want {
				t.Errorf("%s: got %q, %v, want %q", tt.export, out, err, tt.want)
			}
			if d := cmp.Diff(tt.asked, u.got); d != "" {
				t.Errorf("%s: %s", tt.export, d)
			}
		}
	}
}

// Only http.url is what Extism's http functions come to.
func TestExtismHTTPNeedsTheOperation(t *testing.T) {
	onEngines(t, func(t *testing.T) {
		for _, i := range []sandbox.Import{okHTTP, {Capability: "web", Op: "url", Do: okHTTP.Do}} {
			_, err := newEngine(t, sandbox.Options{}).Compile(context.Background(), testModule(t, "extism_http"), sandbox.Terms{Imports: []sandbox.Import{i}})
			if refused := importErrors(err); len(refused) != 3 || refused[0].Name != "http_request" {
				t.Errorf("lent %s.%s: got %v, want the three imports refused", i.Capability, i.Op, err)
			}
		}
	})
}

// An instance whose guest did not return is not used again: after a request that ended it, and
// after a program's end.
func TestUnwoundInstancesAreDiscarded(t *testing.T) {
	for _, tt := range []struct{ module, export, in string }{{"extism_http", "fetch", "{}"}, {"program", "_start", "1"}} {
		e, err := sandbox.New(sandbox.Options{Engine: "snapshot"})
		if err != nil {
			t.Fatal(err)
		}
		u := &urlOp{do: func(context.Context) []byte { return wire.Failed(wire.Error{Code: wire.Denied, Message: "no"}) }}
		m, err := e.Compile(context.Background(), testModule(t, tt.module), sandbox.Terms{Imports: u.imports()})
		if err != nil {
			t.Fatal(err)
		}
		before := sandbox.Made(m)
		const calls = 3
		for range calls {
			_, _ = m.Call(context.Background(), tt.export, []byte(tt.in)) // how it ends is tested elsewhere
		}
		if n := sandbox.Made(m) - before; n != calls-1 { // the first has the one that the image was taken of
			t.Errorf("%s: %d new instances for %d calls, want %d", tt.module, n, calls, calls-1)
		}
		if err := errors.Join(m.Close(context.Background()), e.(*sandbox.Snapshot).Close()); err != nil {
			t.Error(err)
		}
	}
}
