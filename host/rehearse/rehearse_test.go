package rehearse_test

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"pointsman/host/manifest"
	"pointsman/host/rehearse"
	"pointsman/host/sandbox"
	"pointsman/pdk/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func recording(t *testing.T, name, text string) *rehearse.Recording {
	t.Helper()
	r, err := rehearse.Parse(name, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func open(t *testing.T, module string, c rehearse.Config) (*rehearse.Rehearsal, error) {
	t.Helper()
	var err error
	if c.Module, err = os.ReadFile("../../testdata/wasm/" + module); err != nil {
		t.Fatal(err)
	}
	if c.Engine, err = sandbox.NewExtism(sandbox.ExtismOptions{}); err != nil {
		t.Fatal(err)
	}
	r, err := rehearse.Open(context.Background(), c)
	if err == nil {
		t.Cleanup(func() {
			if err := r.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	return r, err
}

func TestOpenRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, module, call string
		backends           map[string]string
		want               string
	}{
		{"a function that there is not", "extism_http.wasm", "fetsch", nil, `no function "fetsch"; it has`},
		{"an import that nobody has", "refused_unknown.wasm", "", nil, "import"},
		{"a URL that is none", "extism_http.wasm", "fetch", map[string]string{"crm": "crm.example"}, "backend crm: url"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var calls []*rehearse.Recording
			if tt.call != "" {
				calls = append(calls, recording(t, "f", "-- call --\n"+tt.call+"\n{}\n"))
			}
			if _, err := open(t, tt.module, rehearse.Config{Calls: calls, Backends: tt.backends}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error about %q", err, tt.want)
			}
		})
	}
}

// deaf is a back end on this machine that must not hear of anything.
func deaf(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		if c, err := l.Accept(); err == nil {
			c.Close()
			t.Error("a rehearsal reached a back end")
		}
	}()
	t.Cleanup(func() { l.Close(); <-heard })
	return "http://" + l.Addr().String()
}

// TestPlayReachesNobody: what is not recorded is refused and named, also when the back end is
// there to be asked; so is what could never be sent.
func TestPlayReachesNobody(t *testing.T) {
	url := deaf(t)
	const recorded = "-- request --\nGET crm /contacts/501\nquery q = 1\n-- reply --\n200\n\n{}\n"
	tests := []struct{ name, input, want string }{
		{"nothing is recorded", `{"url":"URL/contacts/502"}`, "no answer is recorded"},
		{"another query", `{"url":"URL/contacts/501?q=2"}`, "no answer is recorded"},
		{"another method", `{"url":"URL/contacts/501?q=1","method":"DELETE"}`, "no answer is recorded"},
		{"another host", `{"url":"http://other.example/contacts/501?q=1"}`, "lies within no back end"},
		{"a path that leads out", `{"url":"URL/contacts/../501?q=1"}`, "denied"},
		{"a header of the host's", `{"url":"URL/contacts/501?q=1","headers":{"Host":"x"}}`, "denied"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			input := strings.ReplaceAll(tt.input, "URL", url)
			r, err := open(t, "extism_http.wasm", rehearse.Config{
				Backends: map[string]string{"crm": url}, Calls: []*rehearse.Recording{recording(t, "f", "-- call --\nfetch\n"+input+"\n"+recorded)},
			})
			if err != nil {
				t.Fatal(err)
			}
			played, err := r.Play(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(played[0].Faults, "\n"); !strings.Contains(got, tt.want) || played[0].Uses != 0 {
				t.Errorf("faults %q after %d uses, want one about %q", got, played[0].Uses, tt.want)
			}
		})
	}
}

// TestNamesThatNobodyCanGrant: what a plugin asks for becomes text that an admin deploys, so
// that only what could be a name there is one here.
func TestNamesThatNobodyCanGrant(t *testing.T) {
	frame := func(head any, body string) []byte {
		b, err := wire.Frame(head, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	text := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, name := range []string{"", "a b", "x\nkind: Plugin", "CRM", "crm: {}", "\u202e", "../x", strings.Repeat("x", 64)} {
		for what, request := range map[string][]byte{
			"http.request":  frame(wire.HTTPRequest{Backend: name, Method: "GET", Path: "/x"}, ""),
			"sql.query":     text(wire.SQLQuery{Backend: name, Statement: "s"}),
			"sql.query s":   text(wire.SQLQuery{Backend: "store", Statement: name}),
			"call.function": frame(wire.CallRequest{Function: name + ".get"}, "{}"),
			"pointer.open":  text(wire.PointerOpen{Domain: name, Pointer: "x"}),
			"pointer.mint":  text(wire.PointerMint{Domain: name, ID: "x"}),
		} {
			op, _, _ := strings.Cut(what, " ")
			capability, op, _ := strings.Cut(op, ".")
			grants, faults := rehearse.Ask(capability, op, request)
			if diff := cmp.Diff(rehearse.Grants{}, grants); diff != "" || len(faults) != 1 || !strings.Contains(faults[0], "no name that a grant could have") {
				t.Errorf("%s of %q: faults %q, learned %s", what, name, faults, diff)
			}
		}
	}
}

// TestUnlikeTheRecording: a call that does not go as recorded says nothing of grants.
func TestUnlikeTheRecording(t *testing.T) {
	const head = "-- call --\nfetch\n{\"url\":\"https://crm.example/a\"}\n-- request --\nGET crm /a\n-- reply --\n200\n\n{\"a\":1}\n"
	for _, tt := range []struct{ name, text, want string }{
		{"another output", head + "-- response --\n{\"a\":2}\n", "its output is not the recorded one"},
		{"an output for an error", head + "-- error --\n{}\n", "it answered, and an error is recorded"},
		{"a request that never comes", head + "-- request --\nGET crm /b\n-- reply --\n200\n\n{}\n", "it never asked for what is recorded next"},
		{"as recorded", head + "-- response --\n{ \"a\": 1 }\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := open(t, "extism_http.wasm", rehearse.Config{Backends: map[string]string{"crm": "https://crm.example"}, Calls: []*rehearse.Recording{recording(t, "f", tt.text)}})
			if err != nil {
				t.Fatal(err)
			}
			played, err := r.Play(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(played[0].Faults, "\n"); !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("faults %q, want %q", got, tt.want)
			}
		})
	}
}

// TestLearn: the grants are what was used, by the admin's names, and what they lend beside it
// is named.
func TestLearn(t *testing.T) {
	url := deaf(t)
	call := func(name, id string) *rehearse.Recording {
		return recording(t, name, "-- call --\nstatus\n{\"url\":\""+url+"/contacts/"+id+"?q=1\",\"headers\":{\"x-page\":\"2\"}}\n"+
			"-- request --\nGET crm /contacts/"+id+"\nquery q = 1\nheader x-page = 2\n-- reply --\n200\n\n{\"name\":\"A\",\"email\":\"e\"}\n-- response --\n2\n")
	}
	set, faults := manifest.Load(fstest.MapFS{"all.yaml": {Data: []byte(`
apiVersion: pointsman/v1
kind: Backend
metadata: {name: acme-crm}
spec: {http: {url: https://crm.acme.example}}
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: p}
spec:
  module: {path: p.wasm}
  grants:
    http: [{backend: acme-crm, as: crm, allow: ["GET /contacts/{id}", "DELETE /contacts/{id}"], query: [fields], headers: [X-Page], view: [name]}]
    log: {}
`)}})
	if faults.HasErrors() {
		t.Fatal(faults)
	}
	r, err := open(t, "extism_http.wasm", rehearse.Config{Backends: map[string]string{"crm": url}, Calls: []*rehearse.Recording{call("a", "501"), call("b", "502")}})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	played, err := r.Play(ctx)
	if err != nil {
		t.Fatal(err)
	}
	lesson, err := r.Learn(ctx, played, set.Plugins[0])
	if err != nil {
		t.Fatal(err)
	}
	want := &rehearse.Lesson{
		Grants:  rehearse.Grants{HTTP: []rehearse.HTTPGrant{{Backend: "acme-crm", As: "crm", Allow: []string{"GET /contacts/{id}"}, Query: []string{"q"}, Headers: []string{"X-Page"}}}},
		Wanted:  []string{},
		Beyond:  []string{},
		Granted: []string{"http crm DELETE /contacts/{id}", "http crm query fields", "http crm view name", "log"},
		Missing: []string{"http crm query q"},
		Notes:   map[string]string{"http crm": "0 of 2 recorded fields change what comes out"},
	}
	if diff := cmp.Diff(want, lesson); diff != "" {
		t.Error(diff)
	}
	text := lesson.Manifest("p", "p.wasm")
	whole := "apiVersion: pointsman/v1\nkind: Backend\nmetadata: {name: acme-crm}\nspec: {http: {url: https://crm.acme.example}}\n---\n" + text
	again, faults := manifest.Load(fstest.MapFS{"all.yaml": {Data: []byte(whole)}})
	if faults.HasErrors() {
		t.Fatalf("what it prints is no manifest: %v\n%s", faults, text)
	}
	if got := again.Plugins[0].HTTPGrants[0]; got.As != "crm" || got.Allow[0] != "GET /contacts/{id}" || got.View.Written() {
		t.Errorf("what it prints is read as %+v", got)
	}
}

// TestLearnStops: whoever has enough can end it.
func TestLearnStops(t *testing.T) {
	r, err := open(t, "extism_http.wasm", rehearse.Config{Backends: map[string]string{"crm": "https://crm.example"}, Calls: []*rehearse.Recording{
		recording(t, "f", "-- call --\nfetch\n{\"url\":\"https://crm.example/a\"}\n-- request --\nGET crm /a\n-- reply --\n200\n\n{\"a\":1}\n"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Play(ctx); err != context.Canceled {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
