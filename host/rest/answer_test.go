package rest_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/broker"
	"pointsman/host/pipeline"
)

var update = flag.Bool("update", false, "rewrite golden files")

var errSecret = errors.New("SECRET 10.0.0.7")

// Every failure and answer of a route, as consumers see it.
func TestAnswers(t *testing.T) {
	sources := []broker.Source{
		{Name: "crm", Outcome: broker.OK, Elapsed: 34*time.Millisecond + 900*time.Microsecond},
		{Name: "loyalty", Outcome: broker.Late, Elapsed: 300 * time.Millisecond},
	}
	failed := func(k broker.Kind) error { return &broker.Error{Kind: k, Detail: "a detail", Err: errSecret} }
	tests := []struct {
		name   string
		result pipeline.Result
		err    error
	}{
		{"whole", pipeline.Result{Answer: []byte(`{"tier":"gold"}`), Sources: sources[:1], Complete: true}, nil},
		{"partial", pipeline.Result{Answer: []byte(`{"tier":null}`), Sources: sources}, nil},
		{"without sources", pipeline.Result{Answer: []byte(`[]`), Complete: true}, nil},
		{"unclassified", pipeline.Result{Answer: []byte("SECRET")}, errSecret},
		{"internal", pipeline.Result{}, failed(broker.Internal)},
		{"unknown kind", pipeline.Result{}, failed(broker.Kind(200))},
		{"invalid", pipeline.Result{}, failed(broker.Invalid)},
		{"not found", pipeline.Result{}, failed(broker.NotFound)},
		{"too large", pipeline.Result{}, failed(broker.TooLarge)},
		{"unavailable", pipeline.Result{}, failed(broker.Unavailable)},
		{"upstream", pipeline.Result{Answer: []byte("SECRET"), Sources: sources, Complete: true}, failed(broker.Upstream)},
		{"upstream timeout", pipeline.Result{Sources: sources}, failed(broker.UpstreamTimeout)},
		{"denied", pipeline.Result{}, failed(broker.Denied)},
		{"told of too many subjects", pipeline.Result{Sources: sources}, &broker.Error{Kind: broker.Spent, Detail: "a detail", After: 90 * time.Second, Err: errSecret}},
		{"wrapped", pipeline.Result{}, fmt.Errorf("SECRET: %w", failed(broker.Upstream))},
		{"canceled by us", pipeline.Result{}, failed(broker.Canceled)},
		{"a back end refused our credential", pipeline.Result{}, failed(broker.Unauthenticated)},
		{"a back end limits us", pipeline.Result{}, failed(broker.RateLimited)},
		{"a back end does not offer the method", pipeline.Result{}, failed(broker.NotAllowed)},
		{"source with a hostile name", pipeline.Result{Answer: []byte("1"), Complete: true,
			Sources: []broker.Source{{Name: "a, b;s=ok", Outcome: broker.OK}, {Name: "crm", Outcome: broker.Refused, Elapsed: -1}}}, nil},
	}
	var got strings.Builder // txtar
	got.WriteString("Answers of a route to GET /v1/items/1. Rewritten by -update.\n")
	for _, tt := range tests {
		f := newFixture(&route{name: "read-item", method: "GET", path: "/v1/items/{id}",
			serve: func(context.Context, broker.Call, map[string]string) (pipeline.Result, error) {
				return tt.result, tt.err
			}})
		answer := dump(f.do(t, "GET", "/v1/items/1", auth).Result())
		if strings.Contains(answer, "SECRET") || strings.Contains(answer, "10.0.0.7") {
			t.Errorf("%s: leaked: %s", tt.name, answer)
		}
		fmt.Fprintf(&got, "-- %s --\n%s\n", tt.name, strings.TrimSuffix(answer, "\n"))
	}
	const file = "testdata/answers.txtar"
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(golden(t, file), got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestHead(t *testing.T) {
	f := newFixture(routes()...)
	get := f.do(t, "GET", "/v1/items/1", auth)
	head := f.do(t, "HEAD", "/v1/items/1", auth)
	if head.Body.Len() != 0 {
		t.Errorf("body %q, want none", head.Body)
	}
	get.Header().Set("Request-Id", "ID")
	head.Header().Set("Request-Id", "ID")
	if diff := cmp.Diff(get.Header(), head.Header()); diff != "" || get.Code != head.Code {
		t.Errorf("status %d and %d, headers: %s", get.Code, head.Code, diff)
	}
	missing := f.do(t, "HEAD", "/nowhere", auth)
	if missing.Code != 404 || missing.Body.Len() != 0 {
		t.Errorf("HEAD of nothing: %d %q, want 404 without a body", missing.Code, missing.Body)
	}
}

func TestOptions(t *testing.T) {
	f := newFixture(routes()...)
	w := f.do(t, "OPTIONS", "/v1/news", "X-Api-Key: "+otherKey)
	if w.Code != 204 || w.Header().Get("Allow") != "GET, HEAD, OPTIONS" || w.Body.Len() != 0 {
		t.Errorf("%d, Allow %q, body %q; want 204 with what the consumer may use", w.Code, w.Header().Get("Allow"), w.Body)
	}
}

func TestCallNamesTheRequest(t *testing.T) {
	var got broker.Call
	var params map[string]string
	f := newFixture(&route{name: "read-item", method: "GET", path: "/v1/items/{id}",
		serve: func(ctx context.Context, call broker.Call, p map[string]string) (pipeline.Result, error) {
			got, params = call, p
			if _, ok := ctx.Deadline(); !ok {
				t.Error("the route may run without end")
			}
			return pipeline.Result{Answer: []byte("1"), Complete: true}, nil
		}})
	for _, headers := range [][]string{{auth}, {"X-Api-Key: " + key}, {auth, "X-Api-Key: " + key},
		{"authorization: bearer " + key, "Request-Id: chosen-by-the-client"}} {
		w := f.do(t, "GET", "/v1/items/a%20b?lang=d+e", headers...)
		if w.Code != 200 {
			t.Fatalf("%v: status %d: %s", headers, w.Code, w.Body)
		}
		id := w.Header().Get("Request-Id")
		want := broker.Call{Request: broker.RequestID(id), Release: 7, Route: "read-item"}
		if got.Request != want.Request || got.Release != want.Release || got.Route != want.Route || got.Principal.ID != "shop" {
			t.Errorf("call %+v, want %+v of shop", got, want)
		}
		if !ulidText.MatchString(id) {
			t.Errorf("Request-Id %q, want a ULID of ours", id)
		}
		if diff := cmp.Diff(map[string]string{"id": "a b", "lang": "d e"}, params); diff != "" {
			t.Error(diff)
		}
	}
}
