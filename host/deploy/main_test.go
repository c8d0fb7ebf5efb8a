package deploy_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"pointsman/host/audit"
	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/capability/callcap"
	"pointsman/host/capability/httpcap"
	"pointsman/host/capability/logcap"
	"pointsman/host/consumer"
	"pointsman/host/credential"
	"pointsman/host/deploy"
	"pointsman/host/egress"
	"pointsman/host/sandbox"
	"pointsman/host/secret"
	"pointsman/host/wasm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var admin = broker.Principal{ID: "admin"}

// site is a deployer with the real parts, each of which can be looked at.
type site struct {
	t        *testing.T
	deployer *deploy.Deployer
	engine   *watched
	secrets  *secret.Store
	keys     *consumer.Keys
	audit    *audit.Log
	dir      string
	log      *lines
	inspects atomic.Int64 // modules that were inspected

	mu       sync.Mutex
	backends []map[string]*egress.Backend // guarded by mu; of every release that was compiled
}

func newSite(t *testing.T) *site {
	t.Helper()
	return newSiteOf(t, 64<<30)
}

// newSiteOf is a site whose sandboxes may take so many bytes.
func newSiteOf(t *testing.T, memory uint64) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), log: &lines{}}
	keyring, err := secret.OpenKeyring(filepath.Join(s.dir, "keyring.json"), true)
	must(t, err)
	s.secrets, err = secret.OpenStore(s.dir, keyring)
	must(t, err)
	s.keys, err = consumer.OpenKeys(s.dir, keyring.MAC)
	must(t, err)
	s.audit, err = audit.Open(s.dir, audit.Options{})
	must(t, err)
	engine, err := sandbox.NewExtism(sandbox.ExtismOptions{})
	must(t, err)
	s.engine = &watched{Engine: engine, open: map[*watchedModule]bool{}}
	s.deployer = deploy.New(deploy.Parts{
		Engine: s.engine,
		Credential: func(name string) (credential.Secret, error) {
			value, err := s.secrets.Get(name)
			if err != nil {
				return nil, err
			}
			return value, nil
		},
		Keys: s.keys, Audit: s.audit, Gate: s.gate, Memory: memory, Inspect: s.inspect, Log: slog.New(slog.NewTextHandler(s.log, nil)),
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.deployer.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		if n := s.engine.count(); n != 0 {
			t.Errorf("%d modules are open after Close, want none", n)
		}
		if err := s.audit.Close(); err != nil && !t.Failed() {
			t.Errorf("close the audit log: %v", err)
		}
	})
	return s
}

func (s *site) gate(systems deploy.Systems) *capability.Gate {
	s.mu.Lock()
	defer s.mu.Unlock()
	if systems.HTTP != nil {
		s.backends = append(s.backends, systems.HTTP)
	}
	return &capability.Gate{
		Capabilities: []capability.Capability{&httpcap.HTTP{Backends: systems.HTTP, Labels: systems.Labels}, &callcap.Call{Callee: systems.Calls}, &logcap.Log{Sink: noLog{}}},
		Recorder:     s.audit, Fault: func(broker.Call, string, error) {},
	}
}

func (s *site) inspect(module []byte) (*wasm.Info, error) {
	s.inspects.Add(1)
	return wasm.Inspect(module)
}

func (s *site) apply(src deploy.Source) {
	s.t.Helper()
	if err := s.deployer.Apply(context.Background(), admin, src); err != nil {
		s.t.Fatal(err)
	}
}

// number is that of the live release, 0 when there is none.
func (s *site) number() uint64 {
	r, release := s.deployer.Acquire()
	defer release()
	if r == nil {
		return 0
	}
	return r.Number()
}

// serve takes one request through the live release.
func (s *site) serve(path string) (answer string, err error) {
	r, release := s.deployer.Acquire()
	defer release()
	return serveOn(context.Background(), r, path)
}

func serveOn(ctx context.Context, r *deploy.Release, path string) (string, error) {
	found := r.Match(path)
	if len(found) != 1 {
		return "", &broker.Error{Kind: broker.NotFound}
	}
	route := found[0].Route
	params, err := route.Bind(found[0].Params, nil)
	if err != nil {
		return "", err
	}
	result, err := route.Serve(ctx, broker.Call{Request: "01HZZZZZZZZZZZZZZZZZZZZZZZ", Principal: broker.Principal{ID: "shop"}}, params)
	return string(result.Answer), err
}

func (s *site) auditText() string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, audit.FileName))
	must(s.t, err)
	return string(text)
}

// within waits until ok is true.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type noLog struct{}

func (noLog) PluginLog(context.Context, logcap.Record) {}

// lines is a log. Safe for concurrent use.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// watched is the real engine; it knows which modules are open.
type watched struct {
	sandbox.Engine
	compiling func(ctx context.Context, module []byte) // before it compiles; may be nil
	calling   func(ctx context.Context, export string) // before each call; may be nil

	mu   sync.Mutex
	open map[*watchedModule]bool // guarded by mu
}

type watchedModule struct {
	sandbox.Module
	engine *watched
}

func (w *watched) Compile(ctx context.Context, module []byte, terms sandbox.Terms) (sandbox.Module, error) {
	if w.compiling != nil {
		w.compiling(ctx, module)
	}
	m, err := w.Engine.Compile(ctx, module, terms)
	if err != nil {
		return nil, err
	}
	wm := &watchedModule{m, w}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[wm] = true
	return wm, nil
}

func (m *watchedModule) Call(ctx context.Context, export string, in []byte) ([]byte, error) {
	if m.engine.calling != nil {
		m.engine.calling(ctx, export)
	}
	return m.Module.Call(ctx, export, in)
}

func (m *watchedModule) Close(ctx context.Context) error {
	m.engine.mu.Lock()
	delete(m.engine.open, m)
	m.engine.mu.Unlock()
	return m.Module.Close(ctx)
}

func (w *watched) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.open)
}

// fixture reads a module of testdata/wasm.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	module, err := os.ReadFile(filepath.Join("../../testdata/wasm", name+".wasm"))
	must(t, err)
	return module
}

// source is manifests in one file, and modules by name; every fixture of testdata/wasm is
// there by its own.
func source(t testing.TB, manifests string, more ...map[string][]byte) deploy.Source {
	t.Helper()
	modules := fstest.MapFS{}
	files, err := filepath.Glob("../../testdata/wasm/*.wasm")
	must(t, err)
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".wasm")
		modules[name+".wasm"] = &fstest.MapFile{Data: fixture(t, name)}
	}
	texts := fstest.MapFS{"all.yaml": &fstest.MapFile{Data: []byte(manifests)}}
	for _, m := range more {
		for name, data := range m {
			if strings.HasSuffix(name, ".wasm") {
				modules[name] = &fstest.MapFile{Data: data}
			} else {
				texts[name] = &fstest.MapFile{Data: data}
			}
		}
	}
	return deploy.Source{Manifests: texts, Modules: modules}
}

// Documents of manifests, each with its separator.
func pluginDoc(name, spec string) string {
	return "---\napiVersion: pointsman/v1\nkind: Plugin\nmetadata: {name: " + name + "}\nspec: " + spec + "\n"
}

func routeDoc(name, path, call, with string) string {
	return "---\napiVersion: pointsman/v1\nkind: Route\nmetadata: {name: " + name + "}\nspec:\n  path: " + path +
		"\n  scopes: [read]\n  deadline: 5s\n  steps: {s: {call: " + call + ", with: " + with + ", required: true}}\n  answer: \"${s}\"\n  view: all\n"
}

func backendDoc(name, http string) string {
	return "---\napiVersion: pointsman/v1\nkind: Backend\nmetadata: {name: " + name + "}\nspec: {http: " + http + "}\n"
}

// echoing is a folder whose GET /say answers {"said":word}.
func echoing(word string) string {
	return pluginDoc("echo", "{module: {path: echo.wasm}}") + routeDoc("say", "GET /say", "echo.echo", "{said: "+word+"}") +
		"---\napiVersion: pointsman/v1\nkind: Consumer\nmetadata: {name: shop}\nspec: {auth: {apiKey: {}}, scopes: [read], rate: 5/s}\n"
}
