package deploy_test

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/broker"
)

const bindRoute = `---
apiVersion: pointsman/v1
kind: Route
metadata: {name: bind}
spec:
  path: GET /v1/{id}
  scopes: [read]
  params:
    id: {in: path, pattern: "[a-z]+|x[0-9]", maxLength: 6}
    word: {in: query, pattern: "(?m)^[a-z]+$", maxLength: 5}
    lang: {in: query, default: en}
    must: {in: query, required: true, maxLength: 3}
  steps: {s: {call: echo.echo, with: {id: "${params.id}", word: "${params.word}", lang: "${params.lang}", must: "${params.must}"}, required: true}}
  answer: "${s}"
  view: all
`

func TestBind(t *testing.T) {
	s := newSite(t)
	s.apply(source(t, pluginDoc("echo", "{module: {path: echo.wasm}}")+bindRoute))
	r, release := s.deployer.Acquire()
	defer release()
	route := r.Match("/v1/abc")[0].Route
	good := map[string]string{"id": "abc"}
	must := url.Values{"must": {"m"}}
	with := func(name string, values ...string) url.Values {
		q := maps.Clone(must)
		q[name] = values
		return q
	}
	refused := []struct {
		name     string
		path     map[string]string
		query    url.Values
		want     broker.Kind
		wantName string // in Detail
	}{
		{"not declared", good, with("extra", "1"), broker.Invalid, `"extra"`},
		{"a path parameter in the query", good, with("id", "abc"), broker.Invalid, `"id"`},
		{"another case", good, with("Word", "a"), broker.Invalid, `"Word"`},
		{"no name", good, with("", "a"), broker.Invalid, `""`},
		{"twice", good, with("word", "a", "a"), broker.Invalid, `"word"`},
		{"no value at all", good, with("word"), broker.Invalid, `"word"`},
		{"too long", good, with("must", "mmmm"), broker.Invalid, `"must" is longer than 3`},
		{"too long in characters", good, with("must", "ääää"), broker.Invalid, `"must" is longer than 3`},
		{"required", good, url.Values{}, broker.Invalid, `"must" is required`},
		{"not UTF-8", good, with("must", "a\xff"), broker.Invalid, `"must" is not valid UTF-8`},
		{"matches in its middle only", good, with("word", "a1"), broker.Invalid, `"word" does not match`},
		{"a newline at the end", good, with("word", "ab\n"), broker.Invalid, `"word" does not match`},
		{"a line that matches", good, with("word", "ab\n1"), broker.Invalid, `"word" does not match`},
		{"empty, against a pattern", good, with("word", ""), broker.Invalid, `"word" does not match`},
		{"path: a newline at the end", map[string]string{"id": "abc\n"}, must, broker.Invalid, `"id" does not match`},
		{"path: an alternative is anchored too", map[string]string{"id": "1x1"}, must, broker.Invalid, `"id" does not match`},
		{"path: too long", map[string]string{"id": "abcdefg"}, must, broker.Invalid, `"id" is longer than 6`},
		{"path: missing", nil, must, broker.Invalid, `"id" is required`},
		{"path: not declared", map[string]string{"id": "abc", "other": "x"}, must, broker.Internal, ""},
		{"path: declared for the query", map[string]string{"id": "abc", "word": "x"}, must, broker.Internal, ""},
	}
	for _, tt := range refused {
		t.Run(tt.name, func(t *testing.T) {
			bound, err := route.Bind(tt.path, tt.query)
			e, ok := err.(*broker.Error)
			if !ok || bound != nil || e.Kind != tt.want || !strings.Contains(e.Detail, tt.wantName) {
				t.Errorf("got %v, %v, want a refusal as %v that names %s", bound, err, tt.want, tt.wantName)
			}
		})
	}
	allowed := []struct {
		name  string
		path  map[string]string
		query url.Values
		want  map[string]string
	}{
		{"defaults", good, must, map[string]string{"id": "abc", "lang": "en", "must": "m"}},
		{"given", map[string]string{"id": "x1"}, url.Values{"must": {"äöü"}, "lang": {"de"}, "word": {"a"}},
			map[string]string{"id": "x1", "lang": "de", "must": "äöü", "word": "a"}},
		{"given but empty", good, url.Values{"must": {""}, "lang": {""}}, map[string]string{"id": "abc", "lang": "", "must": ""}},
	}
	for _, tt := range allowed {
		t.Run(tt.name, func(t *testing.T) {
			query := maps.Clone(tt.query)
			got, err := route.Bind(tt.path, tt.query)
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			if !maps.EqualFunc(query, tt.query, slices.Equal) || len(tt.path) != 1 {
				t.Error("Bind changed what it was given")
			}
		})
	}
}

func TestRouteSaysWhatItIs(t *testing.T) {
	s := newSite(t)
	s.apply(source(t, pluginDoc("echo", "{module: {path: echo.wasm}}")+bindRoute))
	r, release := s.deployer.Acquire()
	defer release()
	route := r.Match("/v1/abc")[0].Route
	got := []string{route.Name(), route.Method(), route.Template(), route.Deadline().String()}
	if diff := cmp.Diff([]string{"bind", "GET", "/v1/{id}", "2s"}, got); diff != "" {
		t.Error(diff)
	}
}
