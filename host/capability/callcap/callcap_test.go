package callcap_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"pointsman/host/audit"
	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/capability/callcap"
	"pointsman/host/capability/capabilitytest"
	"pointsman/host/grant"
	"pointsman/pdk/wire"
)

// callee answers as it is told to and remembers what it was asked.
type callee struct {
	output string
	labels broker.Labels
	err    error

	calls  int
	asked  string // plugin, function and input of the last call
	caller broker.Call
}

func (c *callee) Call(_ context.Context, caller broker.Call, plugin, function string, input []byte) ([]byte, broker.Labels, error) {
	c.calls++
	c.asked, c.caller = fmt.Sprintf("%s %s %s", plugin, function, input), caller
	return []byte(c.output), c.labels, c.err
}

func (c *callee) count() int { return c.calls }

const grants = `[{"function":"crm.get","view":["id","address.city"],"clear":["pii.contact"]},{"function":"crm.all","view":"all"},{"function":"crm.none"}]`

func TestCapability(t *testing.T) {
	c := &callee{output: `{}`}
	capabilitytest.Run(t, &callcap.Call{Callee: c}, capabilitytest.Case{
		Name: "function", Grant: grants, Op: "function", Effects: c.count, Canaries: []string{"canary-1"},
		Request: frame(t, "crm.get", `{"id":"canary-1"}`),
	})
}

func TestBindRefuses(t *testing.T) {
	for name, grant := range map[string]string{
		"no plugin":       `[{"function":".get"}]`,
		"no function":     `[{"function":"crm."}]`,
		"no dot":          `[{"function":"crm"}]`,
		"nothing":         `[{}]`,
		"twice":           `[{"function":"crm.get"},{"function":"crm.get","view":"all"}]`,
		"a bad path":      `[{"function":"crm.get","view":["a..b"]}]`,
		"another word":    `[{"function":"crm.get","view":"All"}]`,
		"key in capitals": `[{"Function":"crm.get"}]`,
		"key twice":       `[{"function":"crm.get","function":"crm.all"}]`,
	} {
		if _, err := new(callcap.Call).Bind(capability.Scope{Plugin: "p", Grant: json.RawMessage(grant)}); err == nil {
			t.Errorf("%s: bound, want a refusal", name)
		}
	}
	if ops, err := new(callcap.Call).Bind(capability.Scope{Plugin: "p", Grant: json.RawMessage("[]")}); err != nil || len(ops) > 0 {
		t.Errorf("empty grant: %d operations, %v, want none", len(ops), err)
	}
}

func TestRefusals(t *testing.T) {
	const (
		ungranted = "the plugin asked for a function that it was not granted; granted: crm.all, crm.get, crm.none"
		notJSON   = "the input is not one JSON value without repeated names, in UTF-8, of at most 64 levels"
	)
	tests := []struct {
		name, function, input string
		wantKind              broker.Kind
		want                  string
	}{
		{"another function", "crm.canary", "{}", broker.Denied, ungranted},
		{"another plugin", "canary.get", "{}", broker.Denied, ungranted},
		{"in capitals", "crm.Get", "{}", broker.Denied, ungranted},
		{"a function of a function", "crm.get.canary", "{}", broker.Denied, ungranted},
		{"with a NUL", "crm.get\x00", "{}", broker.Denied, ungranted},
		{"none", "", "{}", broker.Denied, ungranted},
		{"no input", "crm.get", "", broker.Invalid, notJSON},
		{"no JSON", "crm.get", "canary", broker.Invalid, notJSON},
		{"two values", "crm.get", `{} "canary"`, broker.Invalid, notJSON},
		{"a name twice", "crm.get", `{"canary":1,"canary":2}`, broker.Invalid, notJSON},
		{"a name twice, escaped", "crm.get", `{"canary":1,"c\u0061nary":2}`, broker.Invalid, notJSON},
		{"no UTF-8", "crm.get", "\"canary\xff\"", broker.Invalid, notJSON},
		{"half a surrogate", "crm.get", `"canary\ud800"`, broker.Invalid, notJSON},
		{"too deep", "crm.get", strings.Repeat("[", 65) + strings.Repeat("]", 65), broker.Invalid, notJSON},
		{"too large", "crm.get", `"` + strings.Repeat("x", 1<<20) + `"`, broker.TooLarge, "the input is larger than 1048576 bytes"},
	}
	c := &callee{}
	op := bind(t, c)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := op(frame(t, tt.function, tt.input))
			e, ok := errors.AsType[*broker.Error](err)
			if !ok || e.Kind != tt.wantKind || e.Detail != tt.want || strings.Contains(err.Error(), "canary") {
				t.Errorf("got %v, want %v: %s", err, tt.wantKind, tt.want)
			}
		})
	}
	if c.calls != 0 {
		t.Errorf("%d calls were made, want none", c.calls)
	}
}

func TestOutput(t *testing.T) {
	const output = ` {"id":12345678901234567890, "email":"canary", "address":{"city":"Ulm","street":"canary"}} `
	tests := []struct{ name, function, output, want string }{
		{"a view", "crm.get", output, `{"id":12345678901234567890,"address":{"city":"Ulm"}}`},
		{"all", "crm.all", output, strings.TrimSpace(output)},
		{"no view", "crm.none", output, "null"},
		{"no view of what is no JSON", "crm.none", "canary", "null"},
		{"another shape", "crm.get", `["canary"]`, "[null]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &callee{output: tt.output}
			got, err := do(t, c, tt.function)
			if err != nil {
				t.Fatal(err)
			}
			if tt.name == "another shape" {
				if bytes.Contains(got, []byte("canary")) {
					t.Errorf("got %s", got)
				}
			} else if compact(t, got) != compact(t, []byte(tt.want)) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if c.asked != strings.Replace(tt.function, ".", " ", 1)+` {"id":"a"}` || c.caller.Plugin != "caller" {
				t.Errorf("asked %s for %+v", c.asked, c.caller)
			}
		})
	}
}

func TestOutputThatIsNoJSON(t *testing.T) {
	for _, output := range []string{"", "canary", `{"a":1,"a":"canary"}`, `{} canary`, "\"\xff\"", strings.Repeat("[", 65) + strings.Repeat("]", 65), "1e", "NaN"} {
		for _, function := range []string{"crm.get", "crm.all"} {
			got, err := do(t, &callee{output: output}, function)
			if broker.KindOf(err) != broker.Upstream || got != nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: %.20q: got %s, %v, want a failure", function, output, got, err)
			}
		}
	}
}

// TestLabels: what the function was handed counts as seen by its caller, whether or not
// anything of it is shown, and also when it failed; and who has seen what the grant is not
// cleared for does not call.
func TestLabels(t *testing.T) {
	contact, identity := broker.NewLabels("pii.contact"), broker.NewLabels("pii.identity")
	tests := []struct {
		name, function string
		seen, labels   broker.Labels
		err            error
		want           string // what has been seen afterwards
		wantCode       wire.Code
	}{
		{"an output", "crm.get", broker.Labels{}, contact, nil, "pii.contact", ""},
		{"an output that is not shown", "crm.none", broker.Labels{}, contact, nil, "pii.contact", ""},
		{"a failure", "crm.get", broker.Labels{}, contact, &broker.Error{Kind: broker.NotFound}, "pii.contact", wire.NotFound},
		{"cleared", "crm.get", contact, identity, nil, "pii.contact, pii.identity", ""},
		{"not cleared for one", "crm.get", contact.Union(identity), contact, nil, "pii.contact, pii.identity", wire.Denied},
		{"cleared for none", "crm.all", contact, contact, nil, "pii.contact", wire.Denied},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &callee{output: `{}`, labels: tt.labels, err: tt.err}
			seen := new(broker.Seen)
			seen.Add(tt.seen)
			_, err := wire.ParseReply(through(t, c, seen, tt.function))
			code := wire.Code("")
			if e, ok := errors.AsType[*wire.Error](err); ok {
				code = e.Code
			}
			if code != tt.wantCode || seen.Labels().String() != tt.want {
				t.Errorf("got %v and has seen %v, want code %q and %s", err, seen.Labels(), tt.wantCode, tt.want)
			}
			if denied := tt.wantCode == wire.Denied; (c.calls == 0) != denied {
				t.Errorf("%d calls", c.calls)
			}
		})
	}
}

// TestCodes: through the Gate, a failure keeps the code of the function and its time.
func TestCodes(t *testing.T) {
	for _, code := range []wire.Code{wire.Config, wire.Auth, wire.NotFound, wire.RateLimited, wire.Transient, wire.Permanent, wire.Denied} {
		c := &callee{err: &broker.Error{Kind: broker.Upstream, Detail: "crm.get failed: " + string(code), After: 1e9, Err: &capability.Said{Code: code}}}
		_, err := wire.ParseReply(through(t, c, new(broker.Seen), "crm.get"))
		e, ok := errors.AsType[*wire.Error](err)
		if want := (wire.Error{Code: code, Message: "crm.get failed: " + string(code), AfterMS: 1000}); !ok || *e != want {
			t.Errorf("got %+v, want %+v", err, want)
		}
	}
}

// FuzzRequest: what is planned is within the grant, and the function gets the JSON that was
// sent and nothing else.
func FuzzRequest(f *testing.F) {
	c := &callee{output: "{}"}
	op := bind(f, c)
	f.Add(frame(f, "crm.get", `{"id":"a","n":1e400}`))
	f.Add(frame(f, "crm.other", `null`))
	f.Add(frame(f, "crm.none", `{"a":1,"a":2}`))
	f.Add([]byte("\x10\x00\x00\x00{\"function\":\"crm.all\"}[]"))
	f.Fuzz(func(t *testing.T, request []byte) {
		sent := bytes.Clone(request)
		planned, err := op(request)
		if err != nil {
			if _, ok := errors.AsType[*broker.Error](err); !ok {
				t.Errorf("refused with %T", err)
			}
			return
		}
		for i := range request {
			request[i] = 0xff
		}
		if _, err := planned.Do(calling(new(broker.Seen))); err != nil {
			t.Fatal(err)
		}
		head, body, err := wire.SplitFrame(sent)
		var asked wire.CallRequest
		if err != nil || json.Unmarshal(head, &asked) != nil || asked.Function != planned.Resource {
			t.Fatalf("planned %q for the head %q, %v", planned.Resource, head, err)
		}
		want, known := map[string]string{"crm.get": "crm get ", "crm.all": "crm all ", "crm.none": "crm none "}[asked.Function]
		input, ok := strings.CutPrefix(c.asked, want)
		if !known || !ok || compact(t, []byte(input)) != compact(t, body) {
			t.Fatalf("the function got %q of %q", c.asked, sent)
		}
	})
}

func bind(t testing.TB, c callcap.Callee) capability.Op {
	t.Helper()
	ops, err := (&callcap.Call{Callee: c}).Bind(capability.Scope{Plugin: "caller", Grant: json.RawMessage(grants)})
	if err != nil {
		t.Fatal(err)
	}
	return ops["function"]
}

func do(t testing.TB, c callcap.Callee, function string) ([]byte, error) {
	t.Helper()
	planned, err := bind(t, c)(frame(t, function, `{"id":"a"}`))
	if err != nil {
		t.Fatal(err)
	}
	if planned.Resource != function {
		t.Errorf("the resource is %q", planned.Resource)
	}
	return planned.Do(calling(new(broker.Seen)))
}

func calling(seen *broker.Seen) context.Context {
	return broker.WithCall(context.Background(), broker.Call{
		Request: "01HZZZZZZZZZZZZZZZZZZZZZZZ", Principal: broker.Principal{ID: "c"}, Plugin: "caller", Step: "s",
		Budget: broker.NewBudget(10), Seen: seen, Witness: new(broker.Witness),
	})
}

// through sends one call through the Gate and returns the reply that the guest gets.
func through(t *testing.T, c callcap.Callee, seen *broker.Seen, function string) []byte {
	t.Helper()
	gate := capability.Gate{
		Capabilities: []capability.Capability{&callcap.Call{Callee: c}}, Recorder: nobody{}, Fault: func(broker.Call, string, error) {},
	}
	approved, err := grant.Approve(grant.Ask{Plugin: "caller", Grants: map[string]json.RawMessage{"call": json.RawMessage(grants)}, Offered: gate.Names()})
	if err != nil {
		t.Fatal(err)
	}
	lent, err := gate.Lend(approved)
	if err != nil || len(lent) != 1 || lent[0].Capability != "call" || lent[0].Op != "function" {
		t.Fatalf("lent %v, %v", lent, err)
	}
	return lent[0].Do(calling(seen), frame(t, function, `{"id":"a"}`))
}

type nobody struct{}

func (nobody) Use(context.Context, audit.Use) error { return nil }

func frame(t testing.TB, function, input string) []byte {
	t.Helper()
	b, err := wire.Frame(wire.CallRequest{Function: function}, []byte(input))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func compact(t testing.TB, text []byte) string {
	t.Helper()
	v := jsontext.Value(bytes.Clone(text))
	if err := v.Compact(); err != nil {
		t.Fatalf("%q is not JSON: %v", text, err)
	}
	return string(v)
}
