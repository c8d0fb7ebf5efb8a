package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// made is a result of one round: n requests of a second each, at a rate.
func made(name string, rate float64, n int, cpu time.Duration) result {
	latencies := make([]time.Duration, n)
	for i := range latencies {
		latencies[i] = time.Second
	}
	return result{name: name, peak: 3 << 20, rounds: []taken{{rate: rate, latencies: latencies, cpu: cpu, cpuKnown: cpu > 0}}}
}

func TestMetricsBar(t *testing.T) {
	tests := []struct {
		name string
		rate float64 // of pointsman, where naive does 100
		met  bool
	}{
		{"below", 79, false},
		{"at the bar", 80, true},
		{"above", 200, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bars := 0
			for _, m := range metrics([]result{made("go", 1000, 1, 0), made("naive", 100, 1, 0), made("pointsman", tt.rate, 1, 0)}) {
				if (m.Bar == nil) != (m.Met == nil) {
					t.Errorf("%s has one of bar and met", m.Name)
				}
				if m.Bar != nil {
					bars++
					if *m.Met != tt.met {
						t.Errorf("%s %v, bar %v: met is %v", m.Name, m.Value, *m.Bar, *m.Met)
					}
				}
			}
			if bars != 1 {
				t.Errorf("%d bars, want 1", bars)
			}
		})
	}
}

// The file is for programs: names, units and nulls are a promise.
func TestJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "bench.json")
	results := []result{
		made("go", 200, 2, 4*time.Millisecond), made("naive", 10, 2, 400*time.Millisecond), made("pointsman", 20, 2, 200*time.Millisecond),
	}
	if err := writeJSON(path, metrics(results)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var list []map[string]any
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	entry := func(name string, value float64, unit string, bar, met any) map[string]any {
		return map[string]any{"name": name, "value": value, "unit": unit, "bar": bar, "met": met}
	}
	var want []map[string]any
	for _, c := range []struct {
		name      string
		rate, cpu float64
	}{{"go", 200, 2}, {"naive", 10, 200}, {"pointsman", 20, 100}} {
		want = append(want,
			entry("profile."+c.name+".throughput", c.rate, "requests/s", nil, nil),
			entry("profile."+c.name+".p50", 1000, "ms", nil, nil),
			entry("profile."+c.name+".p99", 1000, "ms", nil, nil),
			entry("profile."+c.name+".cpu", c.cpu, "ms/request", nil, nil),
			entry("profile."+c.name+".peak memory", 3, "MiB", nil, nil))
	}
	want = append(want,
		entry("profile.pointsman.throughput vs go", 0.1, "ratio", nil, nil),
		entry("profile.pointsman.cpu vs go", 50, "ratio", nil, nil),
		entry("profile.pointsman.throughput vs naive", 2, "ratio", 0.8, true),
		entry("profile.pointsman.cpu vs naive", 0.5, "ratio", nil, nil))
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Where there is no /proc, what it would tell is left out, not zero.
func TestUnknownIsLeftOut(t *testing.T) {
	results := []result{made("go", 1, 1, 0), made("naive", 1, 1, 0), made("pointsman", 1, 1, 0)}
	for i := range results {
		results[i].peak = 0
	}
	for _, m := range metrics(results) {
		if strings.Contains(m.Name, "cpu") || strings.Contains(m.Name, "memory") {
			t.Errorf("%s is %v", m.Name, m.Value)
		}
	}
	var table strings.Builder
	if err := writeTable(&table, options{rounds: 1}, results); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(table.String(), " - ") || strings.Contains(table.String(), "NaN") {
		t.Errorf("got\n%s", &table)
	}
}
