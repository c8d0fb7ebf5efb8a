package view_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pointsman/host/view"
)

// contact is an answer of 4 KB as customer systems give it: properties, an address, orders,
// texts of some length, and some that are not ASCII.
func contact(tb testing.TB) []byte {
	tb.Helper()
	text, err := os.ReadFile("testdata/contact.json")
	if err != nil {
		tb.Fatal(err)
	}
	if len(text) < 4000 || len(text) > 4200 {
		tb.Fatalf("the document has %d bytes, not 4 KB", len(text))
	}
	return text
}

// six are the fields that the benchmark keeps.
var six = []string{"id", "tier", "email", "address.city", "orders[].number", "orders[].total"}

// selectByMap is how it is done without this package.
func selectByMap(text []byte) ([]byte, error) {
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	kept := map[string]any{"id": doc["id"], "tier": doc["tier"], "email": doc["email"]}
	if address, ok := doc["address"].(map[string]any); ok {
		kept["address"] = map[string]any{"city": address["city"]}
	}
	if orders, ok := doc["orders"].([]any); ok {
		list := make([]any, len(orders))
		for i, o := range orders {
			if order, ok := o.(map[string]any); ok {
				list[i] = map[string]any{"number": order["number"], "total": order["total"]}
			}
		}
		kept["orders"] = list
	}
	return json.Marshal(kept)
}

// BenchmarkBarView selects six fields of 4 KB. The sub-benchmarks view and map are for
// profiles; turns measures the promises, both ways in turns, so that a machine that becomes
// slower does so for both.
func BenchmarkBarView(b *testing.B) {
	text := contact(b)
	v, err := view.Parse(six)
	if err != nil {
		b.Fatal(err)
	}
	byView := func() {
		if out, _, err := v.Append(nil, text); err != nil || len(out) < 100 {
			b.Fatalf("got %q, %v", out, err)
		}
	}
	byMap := func() {
		if out, err := selectByMap(text); err != nil || len(out) < 100 {
			b.Fatalf("got %q, %v", out, err)
		}
	}
	b.Run("view", func(b *testing.B) { each(b, text, byView) })
	b.Run("map", func(b *testing.B) { each(b, text, byMap) })
	b.Run("all", func(b *testing.B) {
		var out []byte
		each(b, text, func() {
			if out, _, err = view.All().Append(out[:0], text); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("turns", func(b *testing.B) {
		const rounds = 16 // of a view for one of a map: about as much time each
		var views, maps []time.Duration
		for b.Loop() {
			views = append(views, timed(func() {
				for range rounds {
					byView()
				}
			}))
			maps = append(maps, timed(byMap))
		}
		one := median(views) / rounds
		b.ReportMetric(0, "ns/op") // leaves it out
		b.ReportMetric(one/float64(time.Microsecond), "view-µs")
		b.ReportMetric(testing.AllocsPerRun(100, byView), "view-allocs")
		b.ReportMetric(median(maps)/one, "x-faster")
	})
}

func each(b *testing.B, text []byte, f func()) {
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
}

func timed(f func()) time.Duration {
	begun := time.Now()
	f()
	return time.Since(begun)
}

// median is that of many durations, which it sorts.
func median(ds []time.Duration) float64 {
	slices.Sort(ds)
	return float64(ds[len(ds)/2])
}

// BenchmarkNames is the worst that names can be: one object of as many as a document may have.
func BenchmarkNames(b *testing.B) {
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, `,"k%d":0`, i)
	}
	doc := []byte("{" + text.String()[1:] + "}")
	each(b, doc, func() {
		if _, _, err := (view.View{}).Append(nil, doc); err != nil {
			b.Fatal(err)
		}
	})
}
