package rest_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/audit"
	"pointsman/host/broker"
	"pointsman/host/pipeline"
)

// Nobody learns from a 401 what was wrong, or whether there is such a route.
func TestOneUnauthenticated(t *testing.T) {
	tests := []struct {
		name, method, target string
		headers              []string
	}{
		{"nothing", "GET", "/v1/items/1", nil},
		{"unknown path", "GET", "/nowhere", nil},
		{"root", "GET", "/", nil},
		{"method not offered", "DELETE", "/v1/items/1", nil},
		{"options", "OPTIONS", "/v1/items/1", nil},
		{"unknown query parameter", "GET", "/v1/items/1?x=%zz", nil},
		{"empty bearer", "GET", "/v1/items/1", []string{"Authorization: Bearer "}},
		{"bearer without a token", "GET", "/v1/items/1", []string{"Authorization: Bearer"}},
		{"wrong bearer", "GET", "/v1/items/1", []string{auth + "0"}},
		{"empty key", "GET", "/v1/items/1", []string{"X-Api-Key: "}},
		{"wrong key", "GET", "/v1/items/1", []string{"X-Api-Key: pmk_1"}},
		{"key with a space before", "GET", "/v1/items/1", []string{"Authorization: Bearer  " + key}},
		{"another scheme", "GET", "/v1/items/1", []string{"Authorization: Basic " + key}},
		{"another scheme beside a good key", "GET", "/v1/items/1", []string{"Authorization: Basic eDp5", "X-Api-Key: " + key}},
		{"no scheme", "GET", "/v1/items/1", []string{"Authorization: " + key}},
		{"both and different", "GET", "/v1/items/1", []string{auth, "X-Api-Key: " + otherKey}},
		{"both, one wrong", "GET", "/v1/items/1", []string{"X-Api-Key: " + key, "Authorization: Bearer x"}},
		{"both, one empty", "GET", "/v1/items/1", []string{"X-Api-Key: ", auth}},
		{"bearer twice", "GET", "/v1/items/1", []string{auth, auth}},
		{"key twice", "GET", "/v1/items/1", []string{"X-Api-Key: " + key, "X-Api-Key: " + key}},
		{"too long", "GET", "/v1/items/1", []string{"X-Api-Key: " + strings.Repeat("k", 5000)}},
		{"in the query", "GET", "/v1/items/1?api_key=" + key, nil},
	}
	want := golden(t, "testdata/401.txt")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(routes()...)
			w := f.do(t, tt.method, tt.target, tt.headers...)
			if diff := cmp.Diff(want, dump(w.Result())); diff != "" {
				t.Error(diff)
			}
			if n := len(f.recorder.all()); n != 0 {
				t.Errorf("%d requests recorded, want 0", n)
			}
		})
	}
}

// A route that is not for the consumer is not there.
func TestOneNotFound(t *testing.T) {
	tests := []struct{ name, method, target, key string }{
		{"unknown path", "GET", "/nowhere", key},
		{"root", "GET", "/", key},
		{"longer path", "GET", "/v1/items/1/2", key},
		{"other case", "GET", "/V1/items/1", key},
		{"not permitted", "GET", "/v1/items/1", otherKey},
		{"not permitted, other method", "POST", "/v1/items/1", otherKey},
		{"not permitted, method not offered", "DELETE", "/v1/items/1", otherKey},
		{"not permitted, options", "OPTIONS", "/v1/items/1", otherKey},
		{"not permitted, bad query", "GET", "/v1/items/1?x=%zz", otherKey},
		{"options of an unknown path", "OPTIONS", "/nowhere", key},
		{"unknown method of an unknown path", "BREW", "/nowhere", key},
	}
	want := golden(t, "testdata/404.txt")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(routes()...)
			w := f.do(t, tt.method, tt.target, "X-Api-Key: "+tt.key)
			if diff := cmp.Diff(want, dump(w.Result())); diff != "" {
				t.Error(diff)
			}
			if r := f.recorder.all(); len(r) != 1 || r[0].Status != 404 || r[0].Outcome != "not-found" {
				t.Errorf("recorded %+v, want one 404", r)
			}
		})
	}
}

func TestMethodNotOffered(t *testing.T) {
	tests := []struct{ name, method, target, key, wantAllow string }{
		{"delete", "DELETE", "/v1/items/1", key, "GET, HEAD, OPTIONS, POST"},
		{"lower case", "get", "/v1/items/1", key, "GET, HEAD, OPTIONS, POST"},
		{"unknown", "BREW", "/v1/items/1", key, "GET, HEAD, OPTIONS, POST"},
		{"trace", "TRACE", "/v1/items/1", key, "GET, HEAD, OPTIONS, POST"},
		{"there, but for others", "POST", "/v1/news", otherKey, "GET, HEAD, OPTIONS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newFixture(routes()...).do(t, tt.method, tt.target, "X-Api-Key: "+tt.key)
			checkProblem(t, w, 405)
			if got := w.Header().Get("Allow"); got != tt.wantAllow {
				t.Errorf("Allow: %s, want %s", got, tt.wantAllow)
			}
		})
	}
}

func TestCaps(t *testing.T) {
	many := make([]string, 101)
	for i := range many {
		many[i] = "X-Many: 1"
	}
	tests := []struct {
		name, target string
		headers      []string
		wantStatus   int
	}{
		{"long URL", "/v1/items/" + strings.Repeat("a", 8<<10), []string{auth}, 414},
		{"long query", "/v1/items/1?lang=" + strings.Repeat("a", 8<<10), []string{auth}, 414},
		{"many parameters", "/v1/items/1?" + strings.Repeat("&", 64), []string{auth}, 413},
		{"many headers", "/v1/items/1", append(many, auth), 431},
		{"long URL of nobody", "/" + strings.Repeat("a", 8<<10), nil, 414},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(routes()...)
			checkProblem(t, f.do(t, "GET", tt.target, tt.headers...), tt.wantStatus)
		})
	}
}

func TestBodyIsRefused(t *testing.T) {
	for _, method := range []string{"GET", "POST", "DELETE"} {
		r := httptest.NewRequest(method, "/v1/items/1", strings.NewReader("{}"))
		r.Header.Set("X-Api-Key", key)
		w := httptest.NewRecorder()
		newFixture(routes()...).handler(t).ServeHTTP(w, r)
		checkProblem(t, w, 413)
		if got := w.Header().Get("Connection"); got != "close" {
			t.Errorf("%s: Connection %q, want close", method, got)
		}
	}
}

func TestQuery(t *testing.T) {
	tests := []struct{ name, query, wantDetail string }{
		{"not declared", "x=1", `query parameter \"x\" is not declared`},
		{"twice", "lang=de&lang=en", `query parameter \"lang\" is given more than once`},
		{"twice, in two spellings", "lang=de&l%61ng=en", `query parameter \"lang\" is given more than once`},
		{"bad escape", "lang=%zz", "invalid percent-encoding"},
		{"semicolon", "lang=de;x=1", "semicolon"},
		{"NUL", "lang=%00", `query parameter \"lang\" has a control character`},
		{"line break", "lang=a%0d%0ab", `query parameter \"lang\" has a control character`},
		{"invalid UTF-8", "lang=%ff", `query parameter \"lang\" has a control character or invalid UTF-8`},
		{"control in a name", "a%01=1", "the name of a query parameter has a control character"},
		{"markup in a name", "%3Cscript%3E=1", `\u003cscript\u003e`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newFixture(routes()...).do(t, "GET", "/v1/items/1?"+tt.query, auth)
			checkProblem(t, w, 400)
			if body := w.Body.String(); !strings.Contains(body, tt.wantDetail) || strings.Contains(body, "SECRET") {
				t.Errorf("body %s, want detail %s", body, tt.wantDetail)
			}
		})
	}
	long := newFixture(routes()...).do(t, "GET", "/v1/items/1?"+strings.Repeat("é", 600)+"=1", auth)
	checkProblem(t, long, 400)
	if n := long.Body.Len(); n > 600 {
		t.Errorf("a long name makes a problem of %d bytes, want at most 600", n)
	}
}

func TestRateLimit(t *testing.T) {
	tests := []struct {
		name       string
		after      time.Duration
		quota      int
		wantAfter  string
		wantPolicy string
	}{
		{"soon", time.Millisecond, 200, "1", `"consumer";q=200;w=1`},
		{"later", 2100 * time.Millisecond, 5, "3", `"consumer";q=5;w=1`},
		{"no quota shown", time.Second, 0, "1", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(routes()...)
			f.live.release.limited, f.live.release.quota = tt.after, tt.quota
			w := f.do(t, "GET", "/v1/items/1?x=%zz", auth)
			checkProblem(t, w, 429)
			h := w.Header()
			if got := h.Get("Retry-After"); got != tt.wantAfter {
				t.Errorf("Retry-After: %s, want %s", got, tt.wantAfter)
			}
			if got, want := h.Get("RateLimit"), `"consumer";r=0;t=`+tt.wantAfter; got != want {
				t.Errorf("RateLimit: %s, want %s", got, want)
			}
			if got := h.Get("RateLimit-Policy"); got != tt.wantPolicy {
				t.Errorf("RateLimit-Policy: %s, want %s", got, tt.wantPolicy)
			}
		})
	}
	f := newFixture(routes()...)
	f.live.release.limited = time.Second
	w := f.do(t, "OPTIONS", "/v1/items/1", auth)
	checkProblem(t, w, 429)
	if got := w.Header().Get("Allow"); got != "" {
		t.Errorf("Allow: %q on a 429, want none", got)
	}
}

func TestNoRelease(t *testing.T) {
	f := newFixture()
	f.live.release = nil
	w := f.do(t, "GET", "/v1/items/1", auth)
	checkProblem(t, w, 503)
	if w.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestCredentialsCannotBeChecked(t *testing.T) {
	f := newFixture(routes()...)
	f.live.release.authErr = &broker.Error{Kind: broker.Unavailable, Err: errors.New("SECRET file is broken")}
	w := f.do(t, "GET", "/v1/items/1", auth)
	checkProblem(t, w, 503)
	if strings.Contains(dump(w.Result()), "SECRET") {
		t.Errorf("leaked: %s", w.Body)
	}
}

// What is not recorded is not answered.
func TestAuditFailure(t *testing.T) {
	for _, target := range []string{"/v1/items/1", "/nowhere", "/v1/items/1?x=1"} {
		f := newFixture(&route{name: "read-item", method: "GET", path: "/v1/items/{id}",
			serve: func(context.Context, broker.Call, map[string]string) (pipeline.Result, error) {
				return pipeline.Result{Answer: []byte(`"SECRET"`), Complete: true,
					Sources: []broker.Source{{Name: "crm", Outcome: broker.OK}}}, nil
			}})
		f.recorder.err = errors.New("disk is full: SECRET")
		w := f.do(t, "GET", target, auth)
		checkProblem(t, w, 503)
		if got := dump(w.Result()); strings.Contains(got, "SECRET") || strings.Contains(got, "Pointsman-") {
			t.Errorf("leaked: %s", got)
		}
		if !strings.Contains(f.log.String(), "disk is full") {
			t.Errorf("log does not say why: %s", f.log)
		}
	}
}

func TestRecorderPanics(t *testing.T) {
	f := newFixture(routes()...)
	f.options.Recorder = panicking{}
	w := f.do(t, "GET", "/v1/items/1", auth)
	checkProblem(t, w, 503)
	if strings.Contains(w.Body.String(), "SECRET") {
		t.Errorf("leaked: %s", w.Body)
	}
}

type panicking struct{}

func (panicking) Request(context.Context, audit.Request) error { panic("SECRET") }

// The record is there before the first byte of the answer.
func TestRecordedFirst(t *testing.T) {
	f := newFixture(routes()...)
	w := &watchingWriter{ResponseRecorder: httptest.NewRecorder(), recorder: f.recorder}
	r := httptest.NewRequest("GET", "/v1/items/1", nil)
	r.Header.Set("X-Api-Key", key)
	f.handler(t).ServeHTTP(w, r)
	if w.recordedAtFirstByte != 1 {
		t.Errorf("%d records when the answer began, want 1", w.recordedAtFirstByte)
	}
}

type watchingWriter struct {
	*httptest.ResponseRecorder
	recorder            *recorder
	recordedAtFirstByte int
}

func (w *watchingWriter) WriteHeader(status int) {
	w.recordedAtFirstByte = len(w.recorder.all())
	w.ResponseRecorder.WriteHeader(status)
}

func TestPanic(t *testing.T) {
	f := newFixture(&route{name: "read-item", method: "GET", path: "/v1/items/{id}",
		serve: func(context.Context, broker.Call, map[string]string) (pipeline.Result, error) {
			panic("SECRET")
		}})
	w := f.do(t, "GET", "/v1/items/1", auth)
	checkProblem(t, w, 500)
	if got := dump(w.Result()); strings.Contains(got, "SECRET") || strings.Contains(got, "goroutine") {
		t.Errorf("leaked: %s", got)
	}
	log := f.log.String()
	if id := w.Header().Get("Request-Id"); !strings.Contains(log, `"msg":"request panicked","call":"`+id) {
		t.Errorf("log does not have the panic under %s: %s", id, log)
	}
	if r := f.recorder.all(); len(r) != 1 || r[0].Status != 500 {
		t.Errorf("recorded %+v, want one 500", r)
	}
}

// A route that never ends by itself is ended.
func TestNoRouteRunsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(&route{name: "endless", method: "GET", path: "/endless",
			serve: func(ctx context.Context, _ broker.Call, _ map[string]string) (pipeline.Result, error) {
				<-ctx.Done()
				return pipeline.Result{}, &broker.Error{Kind: broker.UpstreamTimeout, Err: ctx.Err()}
			}})
		began := time.Now()
		checkProblem(t, f.do(t, "GET", "/endless", auth), 504)
		if got, want := time.Since(began), 30*time.Second; got != want {
			t.Errorf("ended after %v, want %v", got, want)
		}
	})
}

// Logs and records have names and numbers, never what the consumer sent.
func TestNothingOfTheRequestIsKept(t *testing.T) {
	f := newFixture(routes()...)
	for _, target := range []string{"/v1/items/canary", "/canary", "/v1/items/1?canary=1", "/v1/items/1?lang=canary",
		"/v1/%2e/canary"} {
		f.do(t, "GET", target, auth, "X-Canary: canary", "User-Agent: canary")
	}
	f.do(t, "CANARY", "/v1/items/1", auth)
	f.do(t, "GET", "/v1/items/1", "X-Api-Key: canary")
	for _, r := range f.recorder.all() {
		if strings.Contains(strings.ToLower(r.Method+r.Route+r.Outcome), "canary") {
			t.Errorf("record %+v has what was sent", r)
		}
	}
	if log := strings.ToLower(f.log.String()); strings.Contains(log, "canary") || strings.Contains(log, key) {
		t.Errorf("log has what was sent: %s", log)
	}
}

func TestRecord(t *testing.T) {
	sources := []broker.Source{{Name: "crm", Outcome: broker.Late, Elapsed: time.Second}}
	f := newFixture(&route{name: "read-item", method: "GET", path: "/v1/items/{id}",
		serve: func(context.Context, broker.Call, map[string]string) (pipeline.Result, error) {
			return pipeline.Result{Answer: []byte("{}"), Sources: sources}, nil
		}})
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.options.Now = func() time.Time { now = now.Add(time.Millisecond); return now }
	w := f.do(t, "HEAD", "/v1/items/1", auth)
	want := []audit.Request{{
		ID: broker.RequestID(w.Header().Get("Request-Id")), Principal: "shop", Release: 7, Route: "read-item",
		Method: "HEAD", Status: http.StatusOK, Outcome: "partial", Sources: sources, Elapsed: time.Millisecond,
	}}
	if diff := cmp.Diff(want, f.recorder.all()); diff != "" {
		t.Error(diff)
	}
}
