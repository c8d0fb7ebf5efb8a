package main

import (
	"math"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	tests := []struct {
		name   string
		values []float64
		want   float64
	}{
		{"none", nil, math.NaN()},
		{"one", []float64{7}, 7},
		{"odd", []float64{9, 1, 5}, 5},
		{"even", []float64{4, 1, 3, 2}, 2.5},
		{"one far off", []float64{1, 1, 1e9}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			given := append([]float64{}, tt.values...)
			if got := median(tt.values); got != tt.want && !(math.IsNaN(got) && math.IsNaN(tt.want)) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			for i := range given {
				if given[i] != tt.values[i] {
					t.Fatal("the values were moved")
				}
			}
		})
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = 100 - i
	}
	tests := []struct {
		name   string
		values []int
		p      float64
		want   int
	}{
		{"none", nil, 50, 0},
		{"one", []int{3}, 99, 3},
		{"lowest", hundred, 0, 1},
		{"middle", hundred, 50, 50},
		{"p99", hundred, 99, 99},
		{"highest", hundred, 100, 100},
		{"p99 of few is the highest", []int{1, 2, 3}, 99, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := percentile(tt.values, tt.p); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestRatioComparesWithinRounds(t *testing.T) {
	tests := []struct {
		name string
		a, b []float64
		want float64
	}{
		{"not known", nil, []float64{1}, math.NaN()},
		{"neither known", nil, nil, math.NaN()},
		{"half as much in each round", []float64{1, 10, 100}, []float64{2, 20, 200}, 0.5},
		{"one round disturbed", []float64{1, 1, 1}, []float64{2, 2, 1}, 0.5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ratio(tt.a, tt.b); got != tt.want && !(math.IsNaN(got) && math.IsNaN(tt.want)) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestCPUOfARequest(t *testing.T) {
	r := result{rounds: []taken{
		{latencies: make([]time.Duration, 10), cpu: 50 * time.Millisecond, cpuKnown: true},
		{latencies: make([]time.Duration, 4), cpu: 40 * time.Millisecond, cpuKnown: true},
	}}
	if got := r.cpus(); len(got) != 2 || got[0] != 5 || got[1] != 10 {
		t.Errorf("got %v, want [5 10]", got)
	}
	r.rounds[1].cpuKnown = false
	if got := r.cpus(); got != nil {
		t.Errorf("got %v, want none where one round is not known", got)
	}
}

func TestParseStat(t *testing.T) {
	const after = " S 1 2 3 0 -1 4194560 100 0 0 0 250 50 7 7 20 0 8 0 1 2 3"
	tests := []struct {
		name, text string
		want       time.Duration
		ok         bool
	}{
		{"empty", "", 0, false},
		{"short", "1 (x) S 1 2", 0, false},
		{"no numbers", "1 (x) S a b c d e f g h i j k l m n", 0, false},
		{"plain", "42 (pointsman)" + after, 3 * time.Second, true},
		{"a name like fields", "42 (a) S 9 9 (b)" + after, 3 * time.Second, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := parseStat([]byte(tt.text))
			if ok != tt.ok || ok && got != tt.want {
				t.Errorf("got %v, %v, want %v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestParseStatus(t *testing.T) {
	tests := []struct {
		name, text string
		want       int64
		ok         bool
	}{
		{"empty", "", 0, false},
		{"without it", "Name:\tx\nVmRSS:\t  10 kB\n", 0, false},
		{"no number", "VmHWM:\t many kB\n", 0, false},
		{"there", "Name:\tx\nVmHWM:\t   2048 kB\nVmRSS:\t 10 kB\n", 2 << 20, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := parseStatus([]byte(tt.text))
			if ok != tt.ok || ok && got != tt.want {
				t.Errorf("got %v, %v, want %v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}
