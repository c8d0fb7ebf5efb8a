package deploy_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/broker"
	"pointsman/host/deploy"
	"pointsman/host/egress"
	"pointsman/host/manifest"
	"pointsman/host/wasm"
	"pointsman/pdk/wire"
)

const usesHTTP = `{module: {path: http_own.wasm}, grants: {http: [{backend: crm, allow: ["GET /own"], view: all}]}}`

// importsSystem is (module (import "env" "system" (func)) (func (export "f"))).
var importsSystem = []byte("\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x02\x0e\x01\x03env\x06system\x00\x00" +
	"\x03\x02\x01\x00" + "\x07\x05\x01\x01f\x00\x01" + "\x0a\x04\x01\x02\x00\x0b")

// withAbout is the echo module with its author's word.
func withAbout(t *testing.T, functions, wants string) []byte {
	t.Helper()
	about := "apiVersion: pointsman/v1\nkind: " + manifest.KindPluginAbout + "\nname: echo\nversion: 1.0.0\nfunctions: " + functions + "\n" + wants
	module, err := wasm.AppendCustom(fixture(t, "echo"), wire.PluginSection, []byte(about))
	must(t, err)
	return module
}

// TestApplyRefuses: whatever is wrong with a folder, the live release serves on and what
// was built half-way is closed.
func TestApplyRefuses(t *testing.T) {
	s := newSite(t)
	s.apply(source(t, echoing("one")))
	goodBackend := backendDoc("crm", `{url: "https://crm.acme.example"}`)
	call := routeDoc("own", "GET /own", "own.request", "{}")
	tests := []struct {
		name, manifests string
		files           map[string][]byte
		wantCodes       []string
		want            []string // each in the error
		atApply         bool     // only there: Validate cannot know
	}{
		{"not a manifest", "kind: Nonsense", nil, nil, nil, false},
		{"no such module", echoing("x") + pluginDoc("p", "{module: {path: gone.wasm}}"), nil, []string{"PM4001"}, []string{"there is no module gone.wasm"}, false},
		{"module of another digest", echoing("x") + pluginDoc("p", "{module: {path: echo.wasm, sha256: "+strings.Repeat("a", 64)+"}}"), nil, []string{"PM4001"}, []string{"not the pinned aaa"}, false},
		{"not a module", echoing("x") + pluginDoc("p", "{module: {path: text.wasm}}"), map[string][]byte{"text.wasm": []byte("hello")}, []string{"PM4001"}, []string{"text.wasm"}, false},
		{"module too large", echoing("x") + pluginDoc("p", "{module: {path: big.wasm}}"), map[string][]byte{"big.wasm": make([]byte, 16<<20+1)}, []string{"PM4001"}, []string{"larger than 16 MiB"}, false},
		{"its plugin.yaml is broken", echoing("x") + pluginDoc("p", "{module: {path: p.wasm}}"), map[string][]byte{"p.wasm": withAbout(t, "7", "")}, []string{"PM4001"}, []string{"plugin.yaml"}, false},
		{"a power that is not granted", goodBackend + pluginDoc("own", "{module: {path: http_own.wasm}}") + call, nil, []string{"PM4002"}, []string{"grants.http"}, false},
		{"a power that its author does not want", goodBackend + pluginDoc("p", "{module: {path: p.wasm}, grants: {log: {}}}"), map[string][]byte{"p.wasm": withAbout(t, "{echo: {}}", "")}, []string{"PM4002"}, []string{`"log"`}, false},
		{"Extism's own http", pluginDoc("p", "{module: {path: refused_extism_http.wasm}}"), nil, []string{"PM4002"}, []string{"http_request"}, false},
		{"no such function", pluginDoc("echo", "{module: {path: echo.wasm}}") + routeDoc("r", "GET /r", "echo.shout", "{}"), nil, []string{"PM4003"}, []string{`no function "shout"`, "echo"}, false},
		{"a function that its author does not declare", pluginDoc("echo", "{module: {path: p.wasm}}") + routeDoc("r", "GET /r", "echo.copy", "{}"), map[string][]byte{"p.wasm": withAbout(t, "{echo: {}}", "")}, []string{"PM4003"}, []string{`no function "copy"; it has echo`}, false},
		{"an export of the compiler's", pluginDoc("echo", "{module: {path: echo.wasm}}") + routeDoc("r", "GET /r", "echo.malloc", "{}"), nil, []string{"PM4003"}, []string{`no function "malloc"`}, false},
		{"an export that takes something", pluginDoc("echo", "{module: {path: echo.wasm}}") + routeDoc("r", "GET /r", "echo.takes", "{}"), nil, []string{"PM4003"}, []string{`no function "takes"`}, false},
		{"CA bundle without a certificate", backendDoc("crm", `{url: "https://crm.acme.example", tls: {ca: ca.pem}}`), map[string][]byte{"ca.pem": []byte("none")}, []string{"PM4005"}, []string{"holds no PEM certificate"}, false},
		{"CA bundle that is not there", backendDoc("crm", `{url: "https://crm.acme.example", tls: {ca: ca.pem}}`) + pluginDoc("own", usesHTTP) + call, nil, []string{"PM4005"}, []string{"ca.pem"}, true},
		{"secret that is not sealed", backendDoc("crm", `{url: "https://crm.acme.example", auth: {secret: token, as: bearer}}`) + pluginDoc("own", usesHTTP) + call, nil, []string{"PM4004"}, []string{"pointsman secret set token"}, true},
		{"memory that does not suffice", echoing("x") + pluginDoc("large", "{module: {path: large_memory.wasm}, limits: {memory: 64KiB}}"), nil, []string{"PM4006"}, []string{"plugin large"}, true},
		{"import that nobody offers", echoing("x") + pluginDoc("p", "{module: {path: p.wasm}}"), map[string][]byte{"p.wasm": importsSystem}, []string{"PM4006"}, []string{"import env.system is not offered"}, false},
		{"an initializer that traps", echoing("x") + pluginDoc("p", "{module: {path: init_trap.wasm}}"), nil, []string{"PM4006"}, []string{"its initialization broke off: trap: unreachable [ctors]"}, true},
		{"a start function that loops", echoing("x") + pluginDoc("p", "{module: {path: start_spin.wasm}, limits: {time: 100ms}}"), nil, []string{"PM4006"}, []string{"its initialization broke off: timeout [begin]"}, true},
		{"imports of all sorts", echoing("x") + pluginDoc("p", "{module: {path: refused_unknown.wasm}}"), nil, []string{"PM4002", "PM4002", "PM4006", "PM4006", "PM4006"},
			[]string{"grants.http", "grants.extism", "env.system", "extism:host/env.free has another signature", "main_1.f"}, false},
		{"all at once", backendDoc("a", `{url: "https://a.example", auth: {secret: token, as: bearer}}`) + backendDoc("b", `{url: "https://b.example", tls: {ca: b.pem}}`) +
			pluginDoc("large", "{module: {path: large_memory.wasm}, limits: {memory: 64KiB}}"), nil, []string{"PM4004", "PM4005", "PM4006"}, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := source(t, tt.manifests, tt.files)
			_, faults := deploy.Validate(src, []string{"http", "log"})
			if faults.HasErrors() == tt.atApply {
				t.Errorf("Validate says %v", faults)
			}
			before := s.auditText()
			err := s.deployer.Apply(context.Background(), admin, src)
			wantFaults(t, err, tt.wantCodes, tt.want)
			wantFaults(t, s.deployer.Check(context.Background(), src), tt.wantCodes, tt.want)
			if got := s.auditText(); got != before {
				t.Errorf("recorded %s", strings.TrimPrefix(got, before))
			}
			s.serves(t, 1, `{"said":"one"}`)
		})
	}
}

// wantFaults checks that err has faults of exactly these codes, in this order; nil stands
// for any.
func wantFaults(t *testing.T, err error, codes, words []string) {
	t.Helper()
	faults, ok := errors.AsType[manifest.Faults](err)
	if !ok {
		t.Fatalf("got %v, want faults", err)
	}
	var got []string
	for _, f := range faults {
		if f.Severity != manifest.SeverityWarning {
			got = append(got, f.Code)
			if f.File != "all.yaml" && codes != nil {
				t.Errorf("%v has no place", f)
			}
		}
	}
	if diff := cmp.Diff(codes, got); codes != nil && diff != "" {
		t.Errorf("codes (-want +got):\n%s%v", diff, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

// serves checks that release number is live, answers, and that nothing else is open.
func (s *site) serves(t *testing.T, number uint64, answer string) {
	t.Helper()
	if got, err := s.serve("/say"); got != answer || err != nil || s.number() != number {
		t.Errorf("release %d answers %s, %v; want release %d to answer %s", s.number(), got, err, number, answer)
	}
	if n := s.engine.count(); n != 1 {
		t.Errorf("%d modules are open, want the live one", n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, backends := range s.backends {
		for name, b := range backends {
			_, err := b.Do(context.Background(), egress.Request{Method: "GET", Path: "/"})
			if broker.KindOf(err) != broker.Unavailable {
				t.Errorf("back end %s is open: %v", name, err)
			}
		}
	}
}

// TestFailedReleaseClosesItsBackends: those that were opened before another part failed.
func TestFailedReleaseClosesItsBackends(t *testing.T) {
	s := newSite(t)
	s.apply(source(t, echoing("one")))
	err := s.deployer.Apply(context.Background(), admin, source(t, backendDoc("crm", `{url: "https://crm.acme.example"}`)+pluginDoc("own", usesHTTP)+
		pluginDoc("large", "{module: {path: large_memory.wasm}, limits: {memory: 64KiB}}")))
	wantFaults(t, err, []string{"PM4006"}, nil)
	if n := len(s.backends[len(s.backends)-1]); n != 1 {
		t.Fatalf("%d back ends were opened, want 1", n)
	}
	s.serves(t, 1, `{"said":"one"}`)
}

func TestMissingCAIsAWarningBeforeDeployment(t *testing.T) {
	sum, faults := deploy.Validate(source(t, echoing("x")+backendDoc("crm", `{url: "https://crm.acme.example", tls: {ca: ca.pem}}`)), []string{"http", "log"})
	if faults.HasErrors() || sum.Backends != 1 || sum.Plugins != 1 || sum.Routes != 1 || sum.Consumers != 1 || len(sum.Digest) != 64 {
		t.Errorf("got %+v, %v, want a summary and warnings only", sum, faults)
	}
	var warned bool
	for _, f := range faults {
		warned = warned || f.Code == deploy.CodeBackend && f.Severity == manifest.SeverityWarning
	}
	if !warned {
		t.Errorf("got %v, want a warning of the CA bundle", faults)
	}
}

func TestModuleMustBeAFile(t *testing.T) {
	src := source(t, pluginDoc("p", "{module: {path: folder.wasm}}"))
	src.Modules = fstest.MapFS{"folder.wasm/x": &fstest.MapFile{}}
	_, faults := deploy.Validate(src, nil)
	wantFaults(t, faults.Err(), []string{"PM4001"}, []string{"is not a file"})
}

func TestCodesAreExplained(t *testing.T) {
	for _, code := range []string{deploy.CodeModule, deploy.CodeGrant, deploy.CodeFunction, deploy.CodeSecret, deploy.CodeBackend, deploy.CodeCompile, deploy.CodeMemory} {
		if c, ok := deploy.Explain(code); !ok || c.ID != code || c.Title == "" || c.Explanation == "" {
			t.Errorf("%s is not explained: %+v", code, c)
		}
	}
	if _, ok := deploy.Explain("PM4000"); ok {
		t.Error("PM4000 is explained, and there is none")
	}
}

// TestApplyNeedsTheRecord: what cannot be recorded is not deployed.
func TestApplyNeedsTheRecord(t *testing.T) {
	s := newSite(t)
	s.apply(source(t, echoing("one")))
	must(t, s.audit.Close())
	err := s.deployer.Apply(context.Background(), admin, source(t, echoing("two")))
	if err == nil || !strings.Contains(err.Error(), "record the deployment") {
		t.Errorf("got %v, want a refusal", err)
	}
	s.serves(t, 1, `{"said":"one"}`)
}

func TestApplyIsRecorded(t *testing.T) {
	s := newSite(t)
	s.apply(source(t, echoing("one")))
	first := s.auditText()
	for _, want := range []string{`"actor":"admin","action":"approve","object":"plugin echo"`, `"actor":"admin","action":"apply","object":"release 1"`} {
		if !strings.Contains(first, want) {
			t.Errorf("the record lacks %s:\n%s", want, first)
		}
	}
	s.apply(source(t, echoing("two")))
	second := strings.TrimPrefix(s.auditText(), first)
	if strings.Contains(second, `"approve"`) || !strings.Contains(second, `"object":"release 2"`) {
		t.Errorf("the same module with the same grant is approved anew:\n%s", second)
	}
	must(t, s.deployer.Check(context.Background(), source(t, echoing("three"))))
	if got := s.auditText(); got != first+second {
		t.Errorf("Check left a record: %s", strings.TrimPrefix(got, first+second))
	}
	s.serves(t, 2, `{"said":"two"}`)
}

// TestApplyCancelled: a context that ends while modules compile ends the deployment, with
// its own error and not with faults of the manifests.
func TestApplyCancelled(t *testing.T) {
	s := newSite(t)
	s.apply(source(t, echoing("one")))
	ctx, cancel := context.WithCancel(context.Background())
	s.engine.compiling = func(context.Context, []byte) { cancel() }
	err := s.deployer.Apply(ctx, admin, source(t, echoing("two")+pluginDoc("own", usesHTTP)+backendDoc("crm", `{url: "https://crm.acme.example"}`)))
	if _, faults := errors.AsType[manifest.Faults](err); faults || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled and no faults", err)
	}
	s.engine.compiling = nil
	s.serves(t, 1, `{"said":"one"}`)
}

// TestApplySurvivesABrokenEngine: a module over which the compiler panics is refused.
func TestApplySurvivesABrokenEngine(t *testing.T) {
	s := newSite(t)
	s.apply(source(t, echoing("one")))
	s.engine.compiling = func(_ context.Context, module []byte) {
		if string(module) == string(fixture(t, "counter")) {
			panic("index out of range")
		}
	}
	err := s.deployer.Apply(context.Background(), admin, source(t, echoing("two")+pluginDoc("bad", "{module: {path: counter.wasm}}")))
	wantFaults(t, err, []string{"PM4006"}, []string{"plugin bad"})
	s.engine.compiling = nil
	s.serves(t, 1, `{"said":"one"}`)
}

func TestNothingIsLive(t *testing.T) {
	s := newSite(t)
	r, release := s.deployer.Acquire()
	release()
	if r != nil {
		t.Errorf("got release %d, want none", r.Number())
	}
}

// TestConsumersOfARelease: a key opens only the release that knows its consumer.
func TestConsumersOfARelease(t *testing.T) {
	s := newSite(t)
	s.apply(source(t, echoing("one")))
	key, err := s.keys.New("shop")
	must(t, err)
	stranger, err := s.keys.New("stranger")
	must(t, err)
	r, release := s.deployer.Acquire()
	defer release()
	for name, presented := range map[string]string{"nothing": "", "garbage": "x", "of a consumer that is not deployed": stranger} {
		if p, err := r.Authenticate(t.Context(), presented, nil); broker.KindOf(err) != broker.Unauthenticated || p.ID != "" {
			t.Errorf("%s: got %q, %v, want a refusal", name, p.ID, err)
		}
	}
	p, err := r.Authenticate(t.Context(), key, nil)
	if err != nil || p.ID != "shop" {
		t.Fatalf("got %q, %v, want shop", p.ID, err)
	}
	route := r.Match("/say")[0].Route
	if route.Permits(broker.Principal{}) || route.Permits(broker.Principal{ID: "shop"}) || !route.Permits(p) {
		t.Error("the route is for those who have its scope, and only for them")
	}
	if n, window := r.Quota(p); n != 5 || window != time.Second {
		t.Errorf("quota is %d in %v, want 5 in 1 s", n, window)
	}
	if n, window := r.Quota(broker.Principal{ID: "nobody"}); n != 0 || window != 0 {
		t.Errorf("the quota of nobody is %d in %v", n, window)
	}
	for i := range 6 {
		if ok, after := r.Allow(p); ok != (i < 5) || ok != (after == 0) {
			t.Errorf("request %d: %v, %v", i+1, ok, after)
		}
	}
	if ok, _ := r.Allow(broker.Principal{ID: "nobody"}); ok {
		t.Error("nobody is allowed")
	}
	s.apply(source(t, echoing("two"))) // a deployment gives nobody a fresh allowance
	next, leave := s.deployer.Acquire()
	defer leave()
	if ok, _ := next.Allow(p); ok {
		t.Error("the next release starts to count anew")
	}
}
