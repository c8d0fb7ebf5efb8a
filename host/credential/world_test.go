package credential_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pointsman/host/broker"
	"pointsman/host/credential"
	"pointsman/host/egress"
	"pointsman/pdk/wire"
)

// The seam: what this package makes is what host/egress asks for.
var (
	_ egress.Placement = (*credential.StaticPlacement)(nil)
	_ egress.Placement = (*credential.HMACPlacement)(nil)
	_ egress.Placement = (*credential.SigV4Placement)(nil)
	_ egress.Placement = (*credential.Session)(nil)
)

// vault holds secrets by name.
type vault struct {
	mu     sync.Mutex
	values map[string]string
	former map[string][]string
}

type opened struct {
	value  string
	former []string
}

func (o opened) Expose() []byte { return []byte(o.value) }
func (o opened) Former() (all [][]byte) {
	for _, f := range o.former {
		all = append(all, []byte(f))
	}
	return all
}

func newVault(pairs ...string) *vault {
	v := &vault{values: map[string]string{}, former: map[string][]string{}}
	for i := 0; i < len(pairs); i += 2 {
		v.values[pairs[i]] = pairs[i+1]
	}
	return v
}

func (v *vault) open(name string) (credential.Secret, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, ok := v.values[name]
	if !ok {
		return nil, fmt.Errorf("there is no secret %s", name)
	}
	return opened{s, v.former[name]}, nil
}

// rotate sets a secret, whose value before becomes a former one.
func (v *vault) rotate(name, value string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.former[name] = append(v.former[name], v.values[name])
	v.values[name] = value
}

// revoke takes a secret away.
func (v *vault) revoke(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.values, name)
}

// clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// logged keeps what was logged.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// world is the surroundings of a credential: secrets, a clock, a log, and an authorization
// server that is reached through a real back end of host/egress.
type world struct {
	*vault
	*clock
	log      logged
	parts    credential.Parts
	endpoint *egress.Backend
	server   *httptest.Server

	mu    sync.Mutex
	forms []url.Values // what the server was sent
	auths []string     // its Authorization headers
}

// newWorld starts a server that answers with handle, after having noted the request.
func newWorld(t *testing.T, client egress.Placement, handle http.HandlerFunc, secrets ...string) *world {
	t.Helper()
	w := &world{vault: newVault(secrets...), clock: newClock()}
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		w.mu.Lock()
		w.forms, w.auths = append(w.forms, form), append(w.auths, r.Header.Get("Authorization"))
		w.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		handle(rw, r)
	}))
	t.Cleanup(w.server.Close)
	w.endpoint = backend(t, w.server.URL, client, 3*time.Second)
	w.parts = credential.Parts{
		Secret: w.open, Now: w.clock.Now, Log: slog.New(slog.NewTextHandler(&w.log, nil)),
		Fetch: func(ctx context.Context, r credential.Request) (credential.Answer, error) {
			a, err := w.endpoint.Do(ctx, egress.Request{Method: "POST", Path: "/token", Body: r.Body, Header: []wire.Field{{Name: "content-type", Value: r.ContentType}}})
			if err != nil {
				return credential.Answer{}, err
			}
			answer := credential.Answer{Status: a.Status, Body: a.Body}
			for _, h := range a.Header {
				if h.Name == "retry-after" {
					answer.After, _ = time.ParseDuration(h.Value + "s")
				}
			}
			return answer, nil
		},
	}
	return w
}

func backend(t *testing.T, origin string, p egress.Placement, limit time.Duration) *egress.Backend {
	t.Helper()
	b, err := egress.New(egress.Config{
		Name: "test", URL: origin, Insecure: true, Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Placement: p, Time: limit, Bytes: 64 << 10, Concurrent: 2000,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func (w *world) asked() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.forms)
}

func (w *world) form(i int) url.Values {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.forms[i]
}

// request is as host/egress makes it.
func request(t *testing.T, method, target, body string) *http.Request {
	t.Helper()
	path, query, _ := strings.Cut(target, "?")
	req := plainRequest()
	req.Method, req.URL.Opaque, req.URL.RawQuery = method, path, query
	req.ContentLength, req.Body = int64(len(body)), io.NopCloser(strings.NewReader(body))
	return req
}

func plainRequest() *http.Request {
	return &http.Request{
		Method: "GET", URL: &url.URL{Scheme: "https", Host: "api.example", Opaque: "/x"},
		Host: "api.example", Header: http.Header{"User-Agent": {"pointsman"}},
	}
}

// place places p into a request and returns it with the forms that are looked for.
func place(t *testing.T, p egress.Placement, req *http.Request, body string) (*http.Request, []string) {
	t.Helper()
	used, err := p.Place(t.Context(), req, []byte(body))
	if err != nil {
		t.Fatalf("Place: %v", err)
	}
	var forms []string
	for _, f := range used.Forms() {
		forms = append(forms, string(f))
	}
	used.Wipe()
	return req, forms
}

func bearerOf(t *testing.T, p egress.Placement) string {
	t.Helper()
	req, _ := place(t, p, request(t, "GET", "/x", ""), "")
	return strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
}

// refusedWith checks that err is Unavailable, and that neither what it shows nor what it
// tells the log has one of the secrets in it.
func refusedWith(t *testing.T, err error, log string, secrets ...string) *broker.Error {
	t.Helper()
	e, ok := err.(*broker.Error)
	if !ok || e.Kind != broker.Unavailable {
		t.Fatalf("error %v, want a *broker.Error of kind unavailable", err)
	}
	for _, s := range secrets {
		if s != "" && (strings.Contains(e.Error(), s) || strings.Contains(log, s)) {
			t.Errorf("%q is in the error %q or the log %q", s, e.Error(), log)
		}
	}
	for _, word := range []string{"127.0.0.1", "http", "example"} {
		if strings.Contains(e.Detail, word) {
			t.Errorf("the detail %q names a host", e.Detail)
		}
	}
	return e
}

func has(forms []string, want ...string) bool {
	return !slices.ContainsFunc(want, func(w string) bool { return !slices.Contains(forms, w) })
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}
