package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pointsman/host/audit"
	"pointsman/host/broker"
	"pointsman/host/clientcert"
	"pointsman/host/gateway"
	"pointsman/host/pipeline"
	"pointsman/host/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// key is the credential of the consumer "shop"; otherKey that of "till", who may use nothing.
const (
	key      = "pmk_0123456789abcdef"
	otherKey = "pmk_fedcba9876543210"
)

// release is a fake: routes by exact path, or by prefix when the path ends in "{id}".
type release struct {
	routes  []*route
	authErr error // instead of a look at the credential
	limited time.Duration
	quota   int
	gateway *gateway.Gateway // nil: none
	gateErr error            // instead of a look at the proof
	asked   atomic.Int64     // calls of Authenticate
}

// tillCertificate is what a gateway says in Client-Cert that till showed.
const tillCertificate = "certificate of till"

func (*release) Number() uint64 { return 7 }

func (r *release) Prove(q gateway.Request) (gateway.Proof, bool, error) {
	if r.gateErr != nil {
		return gateway.Proof{}, false, r.gateErr
	}
	if r.gateway == nil {
		return gateway.Proof{}, true, nil
	}
	p, err := r.gateway.Verify(q)
	return p, false, err
}

func (r *release) Authenticate(_ context.Context, presented string, shown clientcert.Chain) (broker.Principal, error) {
	r.asked.Add(1)
	if len(shown) > 0 && string(shown[0]) == tillCertificate && presented == "" {
		return broker.Principal{ID: "till", Scopes: broker.NewScopes("read")}, nil
	}
	if r.authErr != nil {
		return broker.Principal{}, r.authErr
	}
	switch presented {
	case key:
		return broker.Principal{ID: "shop", Scopes: broker.NewScopes("read")}, nil
	case otherKey:
		return broker.Principal{ID: "till"}, nil
	}
	return broker.Principal{}, &broker.Error{Kind: broker.Unauthenticated, Detail: "no such key: " + presented}
}

func (r *release) Allow(broker.Principal) (bool, time.Duration) { return r.limited == 0, r.limited }

func (r *release) Quota(broker.Principal) (int, time.Duration) { return r.quota, time.Second }

func (r *release) Rewrap(p broker.Principal, text string) (string, error) {
	if text == "ptr_old" && p.ID != "" {
		return "ptr_new", nil
	}
	if text == "ptr_full" {
		return "", &broker.Error{Kind: broker.Unavailable, Err: errors.New("SECRET")}
	}
	return "", &broker.Error{Kind: broker.NotFound, Detail: "no such record"}
}

func (r *release) Match(path string) []rest.Match {
	var found []rest.Match
	for _, route := range r.routes {
		prefix, isParam := strings.CutSuffix(route.path, "{id}")
		if !isParam && path == route.path {
			found = append(found, rest.Match{Route: route})
		}
		if value, ok := strings.CutPrefix(path, prefix); isParam && ok && !strings.Contains(value, "/") {
			decoded, err := url.PathUnescape(value)
			if err != nil {
				panic(err) // the path was checked
			}
			found = append(found, rest.Match{Route: route, Params: map[string]string{"id": decoded}})
		}
	}
	return found
}

type route struct {
	name, method, path string
	public             bool // needs no scope
	serve              func(ctx context.Context, call broker.Call, params map[string]string) (pipeline.Result, error)
}

func (r *route) Name() string                    { return r.name }
func (r *route) Method() string                  { return r.method }
func (r *route) Permits(p broker.Principal) bool { return r.public || p.Scopes.Has("read") }

func (r *route) Bind(path map[string]string, query url.Values) (map[string]string, error) {
	params := map[string]string{}
	for name, value := range path {
		params[name] = value
	}
	for name := range query {
		if name != "lang" {
			return nil, &broker.Error{Kind: broker.Invalid, Detail: `query parameter "` + name + `" is not declared`,
				Err: errors.New("SECRET")}
		}
		params[name] = query.Get(name)
	}
	return params, nil
}

func (r *route) Serve(ctx context.Context, call broker.Call, params map[string]string) (pipeline.Result, error) {
	if r.serve == nil {
		return pipeline.Result{Answer: []byte(`{"ok":true}`), Complete: true}, nil
	}
	return r.serve(ctx, call, params)
}

// live serves one release; a nil one is no release. It counts pins.
type live struct {
	release *release
	mu      sync.Mutex
	pinned  int // guarded by mu
	unpins  int // guarded by mu
}

func (l *live) Acquire() (rest.Release, func()) {
	if l.release == nil {
		return nil, func() {}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pinned++
	return l.release, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.unpins++
	}
}

// recorder keeps records, or fails.
type recorder struct {
	err     error
	mu      sync.Mutex
	records []audit.Request // guarded by mu
}

func (r *recorder) Request(ctx context.Context, a audit.Request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.records = append(r.records, a)
	}
	return r.err
}

func (r *recorder) all() []audit.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]audit.Request(nil), r.records...)
}

// buffer is a log that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

type fixture struct {
	live     *live
	recorder *recorder
	log      *buffer
	options  rest.Options
}

// routes are those of most tests.
func routes() []*route {
	return []*route{
		{name: "read-item", method: "GET", path: "/v1/items/{id}"},
		{name: "write-item", method: "POST", path: "/v1/items/{id}"},
		{name: "news", method: "GET", path: "/v1/news", public: true},
		{name: "post-news", method: "POST", path: "/v1/news"},
	}
}

func newFixture(routes ...*route) *fixture {
	f := &fixture{live: &live{release: &release{routes: routes}}, recorder: &recorder{}, log: &buffer{}}
	f.options = rest.Options{
		Broker: f.live, Recorder: f.recorder, Plain: true,
		Log: slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	return f
}

func (f *fixture) handler(t testing.TB) http.Handler {
	t.Helper()
	s, err := rest.New(f.options)
	if err != nil {
		t.Fatal(err)
	}
	return s.Handler()
}

// do sends one request to the handler; headers are "Name: value".
func (f *fixture) do(t testing.TB, method, target string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, "http://x/", nil)
	r.RequestURI = target
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	f.handler(t).ServeHTTP(w, r)
	f.checkPins(t)
	return w
}

func (f *fixture) checkPins(t testing.TB) {
	t.Helper()
	f.live.mu.Lock()
	defer f.live.mu.Unlock()
	if f.live.pinned != f.live.unpins {
		t.Errorf("release pinned %d times, let go %d times", f.live.pinned, f.live.unpins)
	}
}

const auth = "Authorization: Bearer " + key

var ulidText = regexp.MustCompile(`[0-7][0-9A-HJKMNP-TV-Z]{25}`)

// anonymous replaces request ids, which differ every time.
func anonymous(s string) string { return ulidText.ReplaceAllString(s, "ID") }

// dump is the answer as text: status, headers in order, body.
func dump(r *http.Response) string {
	var b strings.Builder
	b.WriteString(r.Status + "\n")
	_ = r.Header.WriteSubset(&b, map[string]bool{"Date": true})
	body, _ := io.ReadAll(r.Body)
	b.WriteString("\n" + string(body))
	return anonymous(strings.ReplaceAll(b.String(), "\r", ""))
}

// checkProblem fails unless the answer is a problem with this status and its own id.
func checkProblem(t testing.TB, w *httptest.ResponseRecorder, status int) {
	t.Helper()
	id := w.Header().Get("Request-Id")
	if !ulidText.MatchString(id) {
		t.Errorf("Request-Id is %q, want a ULID", id)
	}
	if w.Code != status {
		t.Errorf("status %d, want %d; body %s", w.Code, status, w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type %q, want application/problem+json", got)
	}
	var p struct {
		Type, Title, Code, Instance string
		Status                      int
	}
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("body %q: %v", w.Body, err)
	}
	if p.Status != status || p.Instance != id || p.Title == "" || p.Type != "urn:pointsman:problem:"+p.Code {
		t.Errorf("problem %+v does not fit status %d and id %s", p, status, id)
	}
}

func golden(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
