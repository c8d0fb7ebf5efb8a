package deploy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/admission"
	"pointsman/host/broker"
	"pointsman/host/deploy"
	"pointsman/pdk/wire"
)

// Documents of plugins that call each other. The guest of caller takes
// ["plugin.function",INPUT]; see testdata/wasm/call.wat.
func caller(name, by string, functions ...string) string {
	grants := make([]string, len(functions))
	for i, f := range functions {
		grants[i] = "{function: " + f + ", view: all}"
	}
	return pluginDoc(name, "{module: {path: call.wasm}, callableBy: ["+by+"], grants: {call: ["+strings.Join(grants, ", ")+"]}}")
}

func callee(name, module, by, more string) string {
	return pluginDoc(name, "{module: {path: "+module+".wasm}, callableBy: ["+by+"]"+more+"}")
}

func TestCallsThatAreNotDeployed(t *testing.T) {
	five := caller("a", "", "b.relay") + caller("b", "a", "c.relay") + caller("c", "b", "d.relay") + caller("d", "c", "e.relay")
	tests := []struct {
		name, docs string
		codes      []string
		want       string
	}{
		{"a callee that does not say so", caller("a", "", "b.echo") + callee("b", "echo", "", ""), []string{"PM3018"}, "callableBy"},
		{"a callee that names another", caller("a", "", "b.echo") + caller("c", "", "b.echo") + callee("b", "echo", "c", ""), []string{"PM3018"}, "callableBy"},
		{"a function that is not there", caller("a", "", "b.canary") + callee("b", "echo", "a", ""), []string{"PM4003"}, `plugin b has no function "canary"; it has `},
		{"a circle of two", caller("a", "b", "b.relay") + caller("b", "a", "a.relay"), []string{"PM3019"}, "plugins call each other"},
		{"a circle of one", caller("a", "a", "a.relay"), nil, "call"},
		{"a chain of six", five + caller("e", "d", "f.echo") + callee("f", "echo", "e", ""), nil, "4 deep"},
		{"calls that nobody granted", callee("a", "call", "", ""), []string{"PM4002"}, `capability "call" is needed`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			err := s.deployer.Apply(context.Background(), admin, source(t, tt.docs))
			wantFaults(t, err, tt.codes, []string{tt.want})
			if s.number() != 0 {
				t.Error("it is live")
			}
		})
	}
}

// TestCallsAreCheckedAgain: what the manifests are checked for holds for every call, too,
// whatever they say.
func TestCallsAreCheckedAgain(t *testing.T) {
	s := newSite(t)
	s.apply(source(t, caller("a", "", "b.relay")+caller("b", "a", "c.echo")+callee("c", "echo", "b", "")+echoing("x")))
	r, release := s.deployer.Acquire()
	defer release()
	tests := []struct {
		name             string
		caller           string // and who called it before, first to last
		plugin, function string
		want             string
	}{
		{"back to its caller", "a b", "a", "relay", "plugin a waits for this call already; plugins must not call each other in a circle"},
		{"itself", "a", "a", "relay", "plugin a waits for this call already; plugins must not call each other in a circle"},
		{"back to the first", "a x b", "a", "relay", "plugin a waits for this call already; plugins must not call each other in a circle"},
		{"too deep", "v w x y a", "b", "relay", "5 plugins wait for each other already, and 4 is the most"},
		{"not callable by it", "a", "c", "echo", "plugin c does not let itself be called by a; callableBy would list it"},
		{"not callable at all", "a", "echo", "echo", "plugin echo does not let itself be called by a; callableBy would list it"},
		{"not there", "a", "z", "echo", "plugin z does not let itself be called by a; callableBy would list it"},
		{"no such function", "b", "c", "canary", "plugin c has no function canary"},
		{"a function that cannot be called", "b", "c", "malloc", "plugin c has no function malloc"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			chain := strings.Fields(tt.caller)
			last := len(chain) - 1
			call := broker.Call{Principal: broker.Principal{ID: "shop"}, Plugin: chain[last], Callers: chain[:last], Seen: new(broker.Seen)}
			s.engine.calling = func(context.Context, string) { t.Error("a guest was called") }
			_, _, err := deploy.Calls(r).Call(context.Background(), call, tt.plugin, tt.function, []byte("{}"))
			e, ok := errors.AsType[*broker.Error](err)
			if !ok || e.Kind != broker.Denied || e.Detail != tt.want {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestCall: a function is called with its own name and powers, for the same request, and
// both uses are on record.
func TestCall(t *testing.T) {
	s := newSite(t)
	s.apply(source(t, caller("a", "", "b.relay")+caller("b", "a", "c.relay")+caller("c", "b", "d.relay")+caller("d", "c", "e.echo")+
		callee("e", "echo", "d", "")+
		routeDoc("r", "GET /r", "a.relay", `[b.relay, [c.relay, [d.relay, [e.echo, {n: 1}]]]]`)))
	var calls []broker.Call // one after another: each waits for the next
	s.engine.calling = func(ctx context.Context, _ string) {
		call, _ := broker.CallFrom(ctx)
		calls = append(calls, call)
	}
	if got, err := s.serve("/r"); err != nil || got != `{"n":1}` {
		t.Fatalf("got %s, %v", got, err)
	}
	var got []string
	for i, c := range calls {
		got = append(got, fmt.Sprintf("%s.%s for %v", c.Plugin, c.Function, c.Callers))
		if c.Request != "01HZZZZZZZZZZZZZZZZZZZZZZZ" || c.Principal.ID != "shop" || c.Route != "r" || c.Step != "s" || c.Release != 1 || c.Budget != calls[0].Budget {
			t.Errorf("call %d is %+v", i, c)
		}
		if i > 0 && (c.Witness == calls[i-1].Witness || c.Seen == calls[i-1].Seen) {
			t.Errorf("call %d shares what it saw with its caller", i)
		}
	}
	if diff := cmp.Diff([]string{"a.relay for []", "b.relay for [a]", "c.relay for [a b]", "d.relay for [a b c]", "e.echo for [a b c d]"}, got); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	for _, want := range [][2]string{{"a", "b.relay"}, {"b", "c.relay"}, {"c", "d.relay"}, {"d", "e.echo"}} {
		if !s.recorded(want[0], want[1], "allowed") {
			t.Errorf("no record of the call of %s by %s\n%s", want[1], want[0], s.auditText())
		}
	}
}

// recorded reports whether there is a record of a call of function by plugin.
func (s *site) recorded(plugin, function, decision string) bool {
	for line := range strings.Lines(s.auditText()) {
		if strings.Contains(line, `"plugin":"`+plugin+`"`) && strings.Contains(line, `"capability":"call"`) &&
			strings.Contains(line, `"resource":"`+function+`"`) && strings.Contains(line, `"decision":"`+decision+`"`) &&
			strings.Contains(line, "01HZZZZZZZZZZZZZZZZZZZZZZZ") {
			return true
		}
	}
	return false
}

// TestCalleeFails: the caller is told a code and names, and nothing that the function said.
func TestCalleeFails(t *testing.T) {
	said := func(code string) string { return "{code: " + code + ", message: " + canary + "}" }
	tests := []struct {
		name, function, with string
		want                 wire.Error
	}{
		{"not found", "echo.code7", said("not_found"), wire.Error{Code: wire.NotFound, Message: "echo.code7 failed: not_found"}},
		{"denied", "echo.code7", said("denied"), wire.Error{Code: wire.Denied, Message: "echo.code7 failed: denied"}},
		{"permanent", "echo.code7", said("permanent"), wire.Error{Code: wire.Permanent, Message: "echo.code7 failed: permanent"}},
		{"transient", "echo.code7", said("transient"), wire.Error{Code: wire.Transient, Message: "echo.code7 failed: transient"}},
		{"configuration", "echo.code7", said("config"), wire.Error{Code: wire.Config, Message: "echo.code7 failed: config"}},
		{"credential", "echo.code7", said("auth"), wire.Error{Code: wire.Auth, Message: "echo.code7 failed: auth"}},
		{"a wait", "echo.code7", "{code: rate_limited, message: x, after_ms: 1500}", wire.Error{Code: wire.RateLimited, Message: "echo.code7 failed: rate_limited", AfterMS: 1500}},
		{"a wait that overflows", "echo.code7", "{code: rate_limited, message: x, after_ms: 9223372036854775807}", wire.Error{Code: wire.RateLimited, Message: "echo.code7 failed: rate_limited", AfterMS: 3600000}},
		{"a code that is none", "echo.code7", said("internal"), wire.Error{Code: wire.Permanent, Message: "echo.code7 failed: permanent"}},
		{"only a text", "echo.code7", canary, wire.Error{Code: wire.Permanent, Message: "echo.code7 failed: permanent"}},
		{"a trap", "traps.unreachable", "{}", wire.Error{Code: wire.Permanent, Message: "traps.unreachable failed: permanent"}},
		{"an exit, with success", "traps.exit0", "{}", wire.Error{Code: wire.Permanent, Message: "traps.exit0 failed: permanent"}},
		{"no output", "output.never", "{}", wire.Error{Code: wire.Permanent, Message: "output.never failed: permanent"}},
		{"output that is not JSON", "output.empty", "{}", wire.Error{Code: wire.Permanent, Message: "output.empty failed: permanent"}},
		{"a huge output", "huge.huge", "{}", wire.Error{Code: wire.Permanent, Message: "huge.huge failed: permanent"}},
		{"its time is up", "runaway.spin", "{}", wire.Error{Code: wire.Transient, Message: "runaway.spin failed: transient"}},
	}
	var docs strings.Builder
	var functions []string
	for i, tt := range tests {
		functions = append(functions, tt.function)
		docs.WriteString(routeDoc(fmt.Sprint("r", i), fmt.Sprint("GET /", i), "a.report", "["+tt.function+", "+tt.with+"]"))
	}
	functions = append([]string(nil), functions...)
	docs.WriteString(caller("a", "", unique(append(functions, "echo.echo"))...))
	for _, p := range []string{"echo", "output", "traps", "runaway"} {
		docs.WriteString(callee(p, p, "a", ", limits: {time: 1s}"))
	}
	docs.WriteString(caller("huge", "a", "echo.echo"))
	s := newSite(t)
	s.apply(source(t, strings.Replace(docs.String(), "callableBy: [a], limits", "callableBy: [a, huge], limits", 1)))
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer, err := s.serve(fmt.Sprint("/", i))
			var got wire.Error
			if err != nil || json.Unmarshal([]byte(answer), &got) != nil || got != tt.want {
				t.Errorf("got %s, %v, want %+v", answer, err, tt.want)
			}
		})
	}
	if strings.Contains(s.auditText(), canary) {
		t.Error("the audit log holds what a guest said")
	}
}

func unique(words []string) []string {
	seen := map[string]bool{}
	var first []string
	for _, w := range words {
		if !seen[w] {
			first = append(first, w)
		}
		seen[w] = true
	}
	return first
}

// TestSlowCallee: the deadline is the request's, and a caller that fails because the other
// plugin was too slow makes the request's failure one of time.
func TestSlowCallee(t *testing.T) {
	s := newSite(t)
	docs := caller("a", "", "b.spin") + caller("late", "", "b.spin")
	s.apply(source(t, docs+callee("b", "runaway", "a, late", ", limits: {time: 100ms}")+callee("c", "runaway", "d", ", limits: {time: 30s}")+caller("d", "", "c.spin")+
		routeDoc("own", "GET /own", "a.relay", "[b.spin, {}]")+
		strings.Replace(routeDoc("whole", "GET /whole", "d.relay", "[c.spin, {}]"), "deadline: 5s", "deadline: 300ms", 1)))
	for _, path := range []string{"/own", "/whole"} {
		began := time.Now()
		answer, err := s.serve(path)
		if broker.KindOf(err) != broker.UpstreamTimeout || answer != "" {
			t.Errorf("%s: got %s, %v, want too slow", path, answer, err)
		}
		if took := time.Since(began); took > 10*time.Second { // it would be 30
			t.Errorf("%s: took %v", path, took)
		}
	}
	// Its caller did nothing but wait, which is no fault of its own.
	for range 30 {
		if _, err := s.serve("/own"); errors.Is(err, admission.ErrOpen) {
			t.Fatalf("the caller's breaker opened: %v", err)
		}
	}
}

// TestCallsShareTheBudget: 32 uses for a request, whoever makes them.
func TestCallsShareTheBudget(t *testing.T) {
	s := newSite(t)
	s.apply(source(t, caller("a", "", "b.again", "c.echo")+caller("b", "a", "c.echo")+callee("c", "echo", "a, b", "")+
		routeDoc("r", "GET /r", "a.again", "[b.again, [c.echo, {}]]")))
	var calls int
	s.engine.calling = func(context.Context, string) { calls++ }
	got, err := s.serve("/r")
	if err != nil || !strings.Contains(got, "budget") {
		t.Errorf("got %s, %v, want that the budget is used up", got, err)
	}
	if calls != 1+32 {
		t.Errorf("%d calls of plugins, want one by the step and 32 by plugins", calls)
	}
}

// TestCalleesViews: what reaches the callee, and what of its output reaches the caller, each
// in its own manifest's words.
func TestCalleesViews(t *testing.T) {
	tests := []struct{ name, grant, callee, want string }{
		{"all", "view: all", "", `{"id":1,"email":"x","more":{"a":1,"b":2}}`},
		{"the caller's view", "view: [id, more.b]", "", `{"id":1,"more":{"b":2}}`},
		{"no view", "", "", `null`},
		{"the callee's input", "view: all", ", input: [id, email]", `{"id":1,"email":"x"}`},
		{"the callee's output", "view: all", ", output: [email]", `{"email":"x"}`},
		{"both", "view: [id]", ", output: [email]", `{}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			grant := strings.TrimSuffix("{function: b.echo, "+tt.grant, ", ") + "}"
			s.apply(source(t, pluginDoc("a", "{module: {path: call.wasm}, grants: {call: ["+grant+"]}}")+callee("b", "echo", "a", tt.callee)+
				routeDoc("r", "GET /r", "a.relay", "[b.echo, {id: 1, email: x, more: {a: 1, b: 2}}]")))
			if got, err := s.serve("/r"); err != nil || got != tt.want {
				t.Errorf("got %s, %v, want %s", got, err, tt.want)
			}
		})
	}
}

// TestCallLabels: what its caller has seen the callee has seen, too, and the other way round.
func TestCallLabels(t *testing.T) {
	contact := broker.NewLabels("pii.contact")
	tests := []struct {
		name, callee string
		seen         broker.Labels
		function     string
		input        string
		want         string // labels of the output
		wantDenied   bool
	}{
		{"nothing seen", "", broker.Labels{}, "echo", "{}", "", false},
		{"cleared", ", clear: [pii.contact]", contact, "echo", "{}", "pii.contact", false},
		{"not cleared", "", contact, "echo", "{}", "pii.contact", true},
		{"taken out", ", declassify: [pii.contact]", contact, "echo", "{}", "", false},
		{"of a failure", ", clear: [pii.contact]", contact, "code7", `{"code":"not_found"}`, "pii.contact", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			s.apply(source(t, caller("a", "", "b.echo")+callee("b", "echo", "a", tt.callee)))
			r, release := s.deployer.Acquire()
			defer release()
			seen := new(broker.Seen)
			seen.Add(tt.seen)
			call := broker.Call{Request: "01HZZZZZZZZZZZZZZZZZZZZZZZ", Principal: broker.Principal{ID: "shop"}, Plugin: "a", Seen: seen, Budget: broker.NewBudget(1)}
			var got broker.Labels
			s.engine.calling = func(ctx context.Context, _ string) {
				c, _ := broker.CallFrom(ctx)
				got = c.Seen.Labels()
			}
			out, labels, err := deploy.Calls(r).Call(context.Background(), call, "b", tt.function, []byte(tt.input))
			if got.String() != tt.seen.String() {
				t.Errorf("the callee began with %v, want %v", got, tt.seen)
			}
			if labels.String() != tt.want {
				t.Errorf("labels %v, want %s", labels, tt.want)
			}
			if denied := err != nil && strings.HasSuffix(err.Error(), "the plugin says denied"); denied != tt.wantDenied || err != nil && out != nil {
				t.Errorf("got %s, %v", out, err)
			}
		})
	}
}

// TestNoDeadlock: with slots for one and memory for what is reserved, requests that call a
// plugin through another and requests that call it at once all end, whatever the order.
func TestNoDeadlock(t *testing.T) {
	tests := []struct {
		name, concurrency string
		budget            uint64 // sandboxes
	}{
		{"slots of one, memory for one of each", "1", 3},
		{"slots for four, memory for one of each", "4", 3},
		{"slots of one, memory for all", "1", 100},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSiteOf(t, tt.budget*(64<<20+kernel))
			limits := ", limits: {concurrency: " + tt.concurrency + "}"
			src := source(t, pluginDoc("a", "{module: {path: call.wasm}, grants: {call: [{function: b.echo, view: all}]}"+limits+"}")+
				callee("b", "echo", "a", limits)+
				routeDoc("through", "GET /through", "a.relay", "[b.echo, {n: 1}]")+routeDoc("direct", "GET /direct", "b.echo", "{n: 1}"))
			s.apply(src)
			var group sync.WaitGroup
			for i := range 100 {
				path := []string{"/through", "/direct"}[i%2]
				group.Go(func() {
					for {
						got, err := s.serve(path)
						if errors.Is(err, admission.ErrFull) { // the queue is short; nobody waited
							time.Sleep(time.Millisecond)
							continue
						}
						if err != nil || got != `{"n":1}` {
							t.Errorf("%s: got %s, %v", path, got, err)
						}
						return
					}
				})
			}
			for range 5 { // releases that are being replaced have no reservations any more
				s.apply(src)
			}
			group.Wait()
		})
	}
}

// TestCallersReserveTheirCallees: a sandbox of a plugin is lent the memory of those that it
// may have called at one time.
func TestCallersReserveTheirCallees(t *testing.T) {
	const one = 64<<20 + kernel
	docs := caller("a", "", "b.relay", "d.echo") + caller("b", "a", "c.echo") + callee("c", "echo", "b", "") + callee("d", "echo", "a", ", limits: {memory: 100MiB}")
	const need = (1+1+1)*one + 2*one + one + 104<<20
	for _, tt := range []struct {
		budget uint64
		want   []string
	}{{need, nil}, {need - 1, []string{"a 204MiB", "b 136MiB", "d 104MiB"}}} {
		s := newSiteOf(t, tt.budget)
		err := s.deployer.Apply(context.Background(), admin, source(t, docs))
		if tt.want == nil && err != nil {
			t.Error(err)
		}
		if tt.want != nil {
			wantFaults(t, err, []string{"PM4007"}, tt.want)
		}
	}
}

// TestCallersCloseTheirCalleeForNobodyElse: what one plugin makes of another does not open
// the breaker that others meet.
func TestCallersCloseTheirCalleeForNobodyElse(t *testing.T) {
	s := newSite(t)
	s.apply(source(t, caller("a", "", "b.unreachable")+caller("c", "", "b.unreachable")+callee("b", "traps", "a, c", "")+
		routeDoc("a", "GET /a", "a.report", "[b.unreachable, {}]")+routeDoc("c", "GET /c", "c.report", "[b.unreachable, {}]")+
		routeDoc("direct", "GET /direct", "b.unreachable", "{}")))
	for range 30 {
		if got, err := s.serve("/a"); err != nil {
			t.Fatalf("got %s, %v", got, err)
		}
	}
	if got, err := s.serve("/a"); err != nil || !strings.Contains(got, "transient") {
		t.Errorf("the caller gets %s, %v, want to try again later", got, err)
	}
	if got, err := s.serve("/c"); err != nil || !strings.Contains(got, "permanent") {
		t.Errorf("another caller gets %s, %v, want the function's failure", got, err)
	}
	if _, err := s.serve("/direct"); broker.KindOf(err) != broker.Upstream || errors.Is(err, admission.ErrOpen) {
		t.Errorf("a step gets %v, want the function's failure", err)
	}
}
