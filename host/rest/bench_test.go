package rest_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"pointsman/host/audit"
)

type recordNothing struct{}

func (recordNothing) Request(context.Context, audit.Request) error { return nil }

// What the listener adds to a route that does nothing: all doors, the record and the log
// line, without the network.
func BenchmarkHandler(b *testing.B) {
	f := newFixture(routes()...)
	f.options.Recorder = recordNothing{}
	f.options.Log = slog.New(slog.NewJSONHandler(io.Discard, nil))
	h := f.handler(b)
	r := httptest.NewRequest("GET", "/v1/items/1?lang=de", nil)
	r.Header.Set("X-Api-Key", key)
	w := &discard{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		h.ServeHTTP(w, r)
		if w.status != 200 {
			b.Fatalf("status %d", w.status)
		}
	}
}

type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
