package egress_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"pointsman/host/egress"
	"pointsman/pdk/wire"
)

// answer4K is JSON as back ends send it, 4 KB with an escape here and there.
var answer4K = bytes.Repeat([]byte(`{"id":42,"name":"M\u00fcller","mail":"a@example.com","url":"https:\/\/x"},`), 60)[:4096]

// BenchmarkAgainstBareClient measures one request through a Backend, with policy, credential
// and redaction, and the same request through http.Client, in turn on the same machine at the
// same time, and reports the medians and what the first
// costs more.
func BenchmarkAgainstBareClient(b *testing.B) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer4K)
	}))
	defer srv.Close()
	backend := backend(b, srv.Listener.Addr().String(), func(c *egress.Config) { c.Placement = auth(b, "bearer", "", "sk_live_4eC39HqLyjWDarjtT1zdp7dc") })
	r := egress.Request{
		Method: "GET", Path: "/v2/contacts/42", Query: []wire.Field{{Name: "fields", Value: "id,name"}},
		Header: []wire.Field{{Name: "Accept", Value: "application/json"}},
	}
	bare := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer bare.CloseIdleConnections()
	ctx := context.Background()
	guarded := func() {
		if a, err := backend.Do(ctx, r); err != nil || len(a.Body) != len(answer4K) {
			b.Fatal(len(a.Body), err)
		}
	}
	plain := func() {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "GET", srv.URL+"/v2/contacts/42?fields=id,name", nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Accept", "application/json")
		req.Header.Set("Authorization", "Bearer sk_live_4eC39HqLyjWDarjtT1zdp7dc")
		resp, err := bare.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || len(body) != len(answer4K) {
			b.Fatal(len(body), err)
		}
	}
	guarded()
	plain()
	var with, without []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		guarded()
		middle := time.Now()
		plain()
		without = append(without, time.Since(middle))
		with = append(with, middle.Sub(start))
	}
	median := func(all []time.Duration) float64 { // other programs on the machine do not move it much
		slices.Sort(all)
		return float64(all[len(all)/2].Nanoseconds()) / 1000
	}
	b.ReportMetric(median(with), "µs-with/op")
	b.ReportMetric(median(without), "µs-bare/op")
	b.ReportMetric(median(with)-median(without), "µs-more/op")
}

// BenchmarkOwnWork is what policy, injection and redaction cost by themselves, without the
// network and without net/http.
func BenchmarkOwnWork(b *testing.B) {
	backend := backend(b, "127.0.0.1:1", func(c *egress.Config) { c.Placement = auth(b, "bearer", "", "sk_live_4eC39HqLyjWDarjtT1zdp7dc") })
	r := egress.Request{Method: "GET", Path: "/v2/contacts/42", Query: []wire.Field{{Name: "fields", Value: "id,name"}}, Header: []wire.Field{{Name: "Accept", Value: "application/json"}}}
	b.ReportAllocs()
	for b.Loop() {
		if err := egress.OwnWork(backend, r, answer4K); err != nil {
			b.Fatal(err)
		}
	}
}
