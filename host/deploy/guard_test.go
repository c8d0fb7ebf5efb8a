package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"pointsman/host/admission"
	"pointsman/host/broker"
	"pointsman/host/deploy"
	"pointsman/host/sandbox"
)

const kernel = 4 << 20 // bytes of every sandbox, beside the guest's

// TestOverBudget: plugins that reserve more memory than there is are not deployed, whatever
// runs; those that reserve just as much are.
func TestOverBudget(t *testing.T) {
	const sandboxSize = 64<<20 + kernel
	with := func(limits string) string {
		return echoing("one") + pluginDoc("other", "{module: {path: echo.wasm}, limits: "+limits+"}")
	}
	tests := []struct {
		name, limits string
		budget       uint64
		want         []string // in the refusal; none: it is deployed
	}{
		{"no budget", "{}", 0, []string{"reserve 136MiB", "server has 0GiB"}},
		{"one byte short", "{}", 2*sandboxSize - 1, []string{"reserve 136MiB", "echo 68MiB, other 68MiB", "--sandbox-memory"}},
		{"just enough", "{}", 2 * sandboxSize, nil},
		{"much memory", "{memory: 1GiB}", 1 << 30, []string{"reserve 1096MiB", "server has 1GiB", "other 1028MiB, echo 68MiB"}},
		{"many sandboxes", "{reserved: 32}", 2 << 30, []string{"reserve 2244MiB", "other 2176MiB"}},
		{"many sandboxes that are small", "{reserved: 12, memory: 1MiB}", 2 * sandboxSize, nil},
		{"many that may run and are not reserved", "{concurrency: 1024}", 2 * sandboxSize, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSiteOf(t, tt.budget)
			src := source(t, with(tt.limits))
			err := s.deployer.Apply(context.Background(), admin, src)
			if tt.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				if err := s.deployer.Check(context.Background(), src); err != nil {
					t.Errorf("what runs is in the way of a check: %v", err)
				}
				s.apply(src) // again, beside the one that runs
				return
			}
			wantFaults(t, err, []string{"PM4007"}, tt.want)
			if n := s.engine.count(); n != 0 || s.number() != 0 {
				t.Errorf("%d modules are open and release %d is live, want none", n, s.number())
			}
		})
	}
}

// TestOverBudgetChangesNothing: what ran before runs on.
func TestOverBudgetChangesNothing(t *testing.T) {
	s := newSiteOf(t, 68<<20)
	s.apply(source(t, echoing("one")))
	err := s.deployer.Apply(context.Background(), admin, source(t, echoing("two")+pluginDoc("other", "{module: {path: echo.wasm}}")))
	wantFaults(t, err, []string{"PM4007"}, nil)
	s.serves(t, 1, `{"said":"one"}`)
}

// held makes calls of "echo" wait, and says when one does.
func (s *site) held() (holding chan context.Context, free chan struct{}) {
	holding, free = make(chan context.Context, 100), make(chan struct{})
	s.engine.calling = func(ctx context.Context, export string) {
		if export == "echo" {
			holding <- ctx
			<-free
		}
	}
	return holding, free
}

// TestSwapInAFullBudget: a release goes live while the one before uses all the memory; its
// requests wait for it to drain, and all of both are answered.
func TestSwapInAFullBudget(t *testing.T) {
	s := newSiteOf(t, 68<<20)
	s.apply(source(t, echoing("one")))
	holding, free := s.held()
	answers := make(chan string, 2)
	var group sync.WaitGroup
	ask := func() {
		group.Go(func() {
			got, err := s.serve("/say")
			if err != nil {
				t.Error(err)
			}
			answers <- got
		})
	}
	ask()
	<-holding
	s.apply(source(t, echoing("two")))
	ask()
	select {
	case <-holding:
		t.Error("two sandboxes run in a budget of one")
	case <-time.After(50 * time.Millisecond):
	}
	close(free)
	group.Wait()
	if first, second := <-answers, <-answers; first != `{"said":"one"}` || second != `{"said":"two"}` {
		t.Errorf("answers %s, %s", first, second)
	}
}

// TestNoMemoryInTime: who waits for memory until its deadline is told to try again, and a
// plugin that has reserved its own does not notice.
func TestNoMemoryInTime(t *testing.T) {
	s := newSiteOf(t, 2*68<<20)
	s.apply(source(t, echoing("one")+pluginDoc("other", "{module: {path: echo.wasm}}")+routeDoc("other", "GET /other", "other.copy", "{other: true}")))
	holding, free := s.held()
	var group sync.WaitGroup
	group.Go(func() {
		if _, err := s.serve("/say"); err != nil {
			t.Error(err)
		}
	})
	<-holding
	r, release := s.deployer.Acquire()
	defer release()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err := serveOn(ctx, r, "/say")
	if e := deepest(err); e == nil || e.Kind != broker.Unavailable || e.After < time.Second || !errors.Is(err, admission.ErrWaited) {
		t.Errorf("got %v, want unavailable", err)
	}
	if got, err := s.serve("/other"); err != nil || got != `{"other":true}` {
		t.Errorf("another plugin answers %s, %v", got, err)
	}
	close(free)
	group.Wait()
}

// TestRoutesShareSlots: one route's calls leave slots to the other routes of the plugin,
// and beyond slots and queue they are refused at once.
func TestRoutesShareSlots(t *testing.T) {
	s := newSite(t)
	s.apply(source(t, pluginDoc("echo", "{module: {path: echo.wasm}, limits: {concurrency: 4}}")+
		routeDoc("slow", "GET /slow", "echo.echo", "{}")+routeDoc("fast", "GET /fast", "echo.copy", "{fast: true}")))
	holding, free := s.held()
	var group sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	refused := make(chan error, 100)
	for range 3 + 8 + 5 { // all that a route may hold; its half of the queue; too many
		group.Go(func() {
			r, release := s.deployer.Acquire()
			defer release()
			if _, err := serveOn(ctx, r, "/slow"); errors.Is(err, admission.ErrFull) {
				refused <- err
			}
		})
	}
	for range 5 {
		if e := deepest(<-refused); e.Kind != broker.Unavailable || e.After < time.Second {
			t.Errorf("refused with %v, want unavailable, and when to try again", e)
		}
	}
	for range 3 {
		<-holding
	}
	for range 3 {
		if got, err := s.serve("/fast"); err != nil || got != `{"fast":true}` {
			t.Errorf("the other route answers %s, %v", got, err)
		}
	}
	cancel()
	close(free)
	group.Wait()
	if got, err := s.serve("/slow"); err != nil || got != "{}" {
		t.Errorf("afterwards: %s, %v", got, err)
	}
}

// TestMoreStepsThanSlots: one request that makes more calls at once than there are slots is
// served, one after the other.
func TestMoreStepsThanSlots(t *testing.T) {
	var steps, answer []string
	for i := range 30 {
		steps = append(steps, fmt.Sprintf("s%d: {call: echo.echo, with: {n: %d}, required: true}", i, i))
		answer = append(answer, fmt.Sprintf(`"${s%d}"`, i))
	}
	s := newSite(t)
	s.apply(source(t, pluginDoc("echo", "{module: {path: echo.wasm}, limits: {concurrency: 1}}")+
		"---\napiVersion: pointsman/v1\nkind: Route\nmetadata: {name: many}\nspec:\n  path: GET /many\n  scopes: [read]\n  deadline: 10s\n  steps: {"+
		strings.Join(steps, ", ")+"}\n  answer: ["+strings.Join(answer, ", ")+"]\n  view: all\n"))
	got, err := s.serve("/many")
	if err != nil || !strings.HasSuffix(got, `{"n":28},{"n":29}]`) {
		t.Errorf("got %s, %v", got, err)
	}
}

// TestConsumersShareSlots: one consumer's calls leave slots to the others. Consumers count
// who may use a route of the plugin.
func TestConsumersShareSlots(t *testing.T) {
	consumer := func(name, scope string) string {
		return "---\napiVersion: pointsman/v1\nkind: Consumer\nmetadata: {name: " + name + "}\nspec: {auth: {apiKey: {}}, scopes: [" + scope + "]}\n"
	}
	docs := pluginDoc("echo", "{module: {path: echo.wasm}, limits: {concurrency: 4}}") + routeDoc("say", "GET /say", "echo.echo", "{}") + consumer("shop", "read")
	for _, tt := range []struct {
		name, more string
		want       int // slots of one consumer
	}{
		{"alone", "", 4},
		{"with one who may not use it", consumer("till", "other"), 4},
		{"with another", consumer("till", "read"), 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			s.apply(source(t, docs+tt.more))
			holding, free := s.held()
			var group sync.WaitGroup
			for range 6 {
				group.Go(func() {
					if _, err := s.serve("/say"); err != nil {
						t.Error(err)
					}
				})
			}
			for range tt.want {
				<-holding
			}
			select {
			case <-holding:
				t.Errorf("one consumer has more than %d slots", tt.want)
			case <-time.After(50 * time.Millisecond):
			}
			close(free)
			group.Wait()
		})
	}
}

// TestBreakerClosesAPlugin: a plugin that traps on everything a consumer sends is closed for
// it, with word when to try again; for another consumer and another plugin nothing changes.
func TestBreakerClosesAPlugin(t *testing.T) {
	s := newSite(t)
	s.apply(source(t, echoing("hello")+pluginDoc("traps", "{module: {path: traps.wasm}}")+routeDoc("trap", "GET /trap", "traps.divide", "{}")))
	for i := range 20 {
		if _, err := s.serve("/trap"); broker.KindOf(err) != broker.Upstream {
			t.Fatalf("call %d: %v, want a bad source", i, err)
		}
	}
	_, err := s.serve("/trap")
	if e := deepest(err); e.Kind != broker.Unavailable || e.After < time.Second || e.After > 5*time.Second || !errors.Is(err, admission.ErrOpen) {
		t.Errorf("the next call: %v, want unavailable", err)
	}
	s.otherServes(t)
	if n := strings.Count(s.log.String(), "breaker opened"); n != 1 {
		t.Errorf("the log tells %d times that it opened", n)
	}
}

// TestFailuresThatAreNotFaults: a back end that is down and a record that is missing do not
// close a plugin, however many say so.
func TestFailuresThatAreNotFaults(t *testing.T) {
	s := newSite(t)
	var docs strings.Builder
	docs.WriteString(pluginDoc("echo", "{module: {path: echo.wasm}}"))
	codes := []string{"not_found", "transient", "permanent", "rate_limited", "auth", "nonsense"}
	for _, code := range codes {
		docs.WriteString(routeDoc(strings.ReplaceAll(code, "_", "-"), "GET /"+code, "echo.code7", "{code: "+code+", message: x}"))
	}
	s.apply(source(t, docs.String()))
	for range 10 {
		for _, code := range codes {
			if _, err := s.serve("/" + code); err == nil || errors.Is(err, admission.ErrOpen) {
				t.Fatalf("%s: %v", code, err)
			}
		}
	}
}

// otherServes checks that the other plugin answers.
func (s *site) otherServes(t *testing.T) {
	t.Helper()
	if got, err := s.serve("/say"); err != nil || got != `{"said":"hello"}` {
		t.Errorf("another plugin answers %s, %v", got, err)
	}
}

func TestJudge(t *testing.T) {
	fault := func(k sandbox.FaultKind) error { return fmt.Errorf("call: %w", &sandbox.Fault{Kind: k}) }
	const s, ms = time.Second, time.Millisecond
	tests := []struct {
		name                string
		err                 error
		took, waited, limit time.Duration
		want                admission.Verdict
	}{
		{"an answer", nil, s, 0, 0, admission.Fine},
		{"its own word that it failed", fmt.Errorf("call: %w", &sandbox.GuestError{Text: "x"}), s, 0, 0, admission.Fine},
		{"the release has gone", sandbox.ErrClosed, s, 0, 0, admission.Nothing},
		{"the caller went away", fault(sandbox.Stopped), s, 0, 0, admission.Nothing},
		{"an input beyond the limit", fault(sandbox.Input), s, 0, 0, admission.Nothing},
		{"no such export", fault(sandbox.Export), s, 0, 0, admission.Nothing},
		{"a trap", fault(sandbox.Trap), 0, 0, 0, admission.Broken},
		{"recursion", fault(sandbox.Depth), 0, 0, 0, admission.Broken},
		{"memory", fault(sandbox.Memory), 0, 0, 0, admission.Broken},
		{"output", fault(sandbox.Output), 0, 0, 0, admission.Broken},
		{"nonsense to the host", fault(sandbox.ABI), 0, 0, 0, admission.Broken},
		{"an exit", fault(sandbox.Exit), 0, 0, 0, admission.Broken},
		{"fuel", fault(sandbox.Fuel), 0, 0, 0, admission.Broken},
		{"too many operations", fault(sandbox.Calls), 0, 0, 0, admission.Broken},
		{"a runaway", fault(sandbox.Timeout), 2 * s, 0, 0, admission.Broken},
		{"a runaway within its own short time", fault(sandbox.Timeout), 20 * ms, 0, 20 * ms, admission.Broken},
		{"a back end that is slow", fault(sandbox.Timeout), 2 * s, 1900 * ms, 0, admission.Nothing},
		{"half and half", fault(sandbox.Timeout), 2 * s, s, 0, admission.Broken},
		{"time that others had used up", fault(sandbox.Timeout), 20 * ms, 0, 10 * s, admission.Nothing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := deploy.Judge(tt.err, tt.took, tt.waited, tt.limit); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// TestLimitsReachTheEngine: each limit that a manifest sets ends a call by itself.
func TestLimitsReachTheEngine(t *testing.T) {
	tests := []struct {
		name, plugin, call, with string
		want                     string // in the log
	}{
		{"time", "{module: {path: runaway.wasm}, limits: {time: 20ms}}", "p.spin", "{}", "spin: timeout"},
		{"fuel", "{module: {path: runaway.wasm}, limits: {fuel: 1000000, time: 30s}}", "p.spin", "{}", "spin: fuel"},
		{"operations", `{module: {path: storm.wasm}, limits: {calls: 5, time: 30s}, grants: {http: [{backend: crm, as: target, allow: ["GET /a"], view: all}]}}`, "p.denied", "{}", "denied: calls"},
		{"output", "{module: {path: echo.wasm}, limits: {output: 8}}", "p.echo", "{a: more than eight bytes}", "echo: output"},
	}
	storm, err := os.ReadFile("../../testdata/attacks/storm.wasm")
	must(t, err)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			s.apply(source(t, backendDoc("crm", `{url: "https://crm.acme.example"}`)+pluginDoc("p", tt.plugin)+routeDoc("r", "GET /r", tt.call, tt.with),
				map[string][]byte{"storm.wasm": storm}))
			got, err := s.serve("/r")
			if e := deepest(err); e == nil || got != "" || e.Detail != "" || strings.Contains(err.Error(), "[") {
				t.Errorf("got %s, %v, want a failure that says no more than its kind", got, err)
			}
			if !strings.Contains(s.log.String(), tt.want) {
				t.Errorf("the log does not say %q:\n%s", tt.want, s.log)
			}
		})
	}
}

// TestErrorLog: an operator finds request, plugin, guest functions and the last host
// function in the line of a plugin that failed.
func TestErrorLog(t *testing.T) {
	s := newSite(t)
	s.apply(source(t, pluginDoc("traps", "{module: {path: traps.wasm}}")+pluginDoc("echo", "{module: {path: echo.wasm}}")+
		routeDoc("trap", "GET /trap", "traps.unreachable", "{}")+routeDoc("exit", "GET /exit", "traps.exit0", "{}")+
		routeDoc("fail", "GET /fail", "echo.code7", `{code: permanent, message: "a\u00a0b"}`)))
	for path, want := range map[string][]string{
		"/trap": {"call=01HZZZZZZZZZZZZZZZZZZZZZZZ", "route=trap", "step=s", "plugin.name=traps", "plugin.function=unreachable", `plugin.host_call=""`, "[inner < outer < "},
		"/exit": {"plugin.host_call=wasi_snapshot_preview1.proc_exit"},
		"/fail": {"plugin.name=echo", "plugin.host_call=extism:host/env.error_set", "permanent", `a\\u{a0}b`}, // escaped, and its \ by the handler
	} {
		before := s.log.String()
		if _, err := s.serve(path); err == nil {
			t.Errorf("%s does not fail", path)
		}
		line := strings.TrimPrefix(s.log.String(), before)
		for _, w := range want {
			if !strings.Contains(line, w) {
				t.Errorf("%s: the log does not say %s:\n%s", path, w, line)
			}
		}
	}
}

// TestInspectOfTheHost: a deployer reads modules as its host says, so that one that remembers
// is asked; validation without a host needs none.
func TestInspectOfTheHost(t *testing.T) {
	s := newSite(t)
	for n := range 3 {
		s.apply(source(t, echoing("one")))
		if got := s.inspects.Load(); got != int64(n+1) {
			t.Errorf("the host's way was used %d times in %d deployments of one plugin", got, n+1)
		}
	}
	if _, faults := deploy.Validate(source(t, echoing("one")), nil); faults.HasErrors() || s.inspects.Load() != 3 {
		t.Errorf("%v; %d inspections", faults, s.inspects.Load())
	}
}
