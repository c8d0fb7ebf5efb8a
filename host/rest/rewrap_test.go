package rest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// rewrap sends a body to the one path that takes one.
func (f *fixture) rewrap(t *testing.T, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, "http://x/", strings.NewReader(body))
	r.RequestURI = target
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	f.handler(t).ServeHTTP(w, r)
	f.checkPins(t)
	return w
}

func TestRewrapRefuses(t *testing.T) {
	const (
		path = "/pointers:rewrap"
		kind = "Content-Type: application/json"
		body = `{"pointers":["ptr_old"]}`
	)
	many := `{"pointers":["a"` + strings.Repeat(`,"a"`, 100) + `]}`
	tests := []struct {
		name, method, target, body string
		headers                    []string
		want                       int
	}{
		{"nobody", "POST", path, body, []string{kind}, http.StatusUnauthorized},
		{"another method", "PUT", path, body, []string{auth, kind}, http.StatusRequestEntityTooLarge},
		{"another path", "POST", path + "/x", body, []string{auth, kind}, http.StatusRequestEntityTooLarge},
		{"in capitals", "POST", "/Pointers:rewrap", body, []string{auth, kind}, http.StatusRequestEntityTooLarge},
		{"an escaped colon", "POST", "/pointers%3Arewrap", body, []string{auth, kind}, http.StatusRequestEntityTooLarge},
		{"a query", "POST", path + "?x=1", body, []string{auth, kind}, http.StatusBadRequest},
		{"no type", "POST", path, body, []string{auth}, http.StatusBadRequest},
		{"a form", "POST", path, body, []string{auth, "Content-Type: application/x-www-form-urlencoded"}, http.StatusBadRequest},
		{"no body", "POST", path, "", []string{auth, kind}, http.StatusBadRequest},
		{"no JSON", "POST", path, "ptr_old", []string{auth, kind}, http.StatusBadRequest},
		{"no list", "POST", path, `{"pointers":"ptr_old"}`, []string{auth, kind}, http.StatusBadRequest},
		{"null", "POST", path, `{"pointers":null}`, []string{auth, kind}, http.StatusBadRequest},
		{"none", "POST", path, `{"pointers":[]}`, []string{auth, kind}, http.StatusBadRequest},
		{"a name twice", "POST", path, `{"pointers":["a"],"pointers":["b"]}`, []string{auth, kind}, http.StatusBadRequest},
		{"an unknown name", "POST", path, `{"pointers":["a"],"sector":"b"}`, []string{auth, kind}, http.StatusBadRequest},
		{"too many", "POST", path, many, []string{auth, kind}, http.StatusBadRequest},
		{"too large", "POST", path, `{"pointers":["` + strings.Repeat("x", 64<<10) + `"]}`, []string{auth, kind}, http.StatusRequestEntityTooLarge},
		{"none can be traded now", "POST", path, `{"pointers":["ptr_full"]}`, []string{auth, kind}, http.StatusServiceUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newFixture(routes()...).rewrap(t, tt.method, tt.target, tt.body, tt.headers...)
			checkProblem(t, w, tt.want)
			if got := w.Body.String(); strings.Contains(got, "ptr_") || strings.Contains(got, "SECRET") {
				t.Errorf("the answer is %s", got)
			}
		})
	}
}

// TestRewrap: a pointer of the consumer's becomes a current one; of all else it cannot be told
// what it is.
func TestRewrap(t *testing.T) {
	f := newFixture(routes()...)
	w := f.rewrap(t, "POST", "/pointers:rewrap", `{"pointers":["ptr_old","","ptr_of_another","ptr_old"]}`, auth, "Content-Type: application/json; charset=utf-8")
	if got, want := w.Body.String(), `{"pointers":["ptr_new",null,null,"ptr_new"]}`; w.Code != http.StatusOK || got != want {
		t.Errorf("got %d %s, want %s", w.Code, got, want)
	}
	if r := f.recorder.all(); len(r) != 1 || r[0].Route != "/pointers:rewrap" || r[0].Outcome != "ok" {
		t.Errorf("recorded %+v", r)
	}
}
