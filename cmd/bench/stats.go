package main

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// median returns the middle of the values, or the mean of the two middle ones; NaN of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// percentile returns the smallest value that p percent of the values do not exceed (the
// nearest rank); the zero value of none.
func percentile[T cmp.Ordered](values []T, p float64) T {
	if len(values) == 0 {
		var zero T
		return zero
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// result is what one contender did in all rounds.
type result struct {
	name   string
	rounds []taken
	peak   int64 // bytes; 0 if it is not known
}

func (r result) rates() []float64 {
	rates := make([]float64, len(r.rounds))
	for i, t := range r.rounds {
		rates[i] = t.rate
	}
	return rates
}

// cpus is the CPU time of one request in each round, in milliseconds; nil if it is not known.
func (r result) cpus() []float64 {
	cpus := make([]float64, len(r.rounds))
	for i, t := range r.rounds {
		if !t.cpuKnown || len(t.latencies) == 0 {
			return nil
		}
		cpus[i] = t.cpu.Seconds() * 1000 / float64(len(t.latencies))
	}
	return cpus
}

// latencies are those of all rounds together.
func (r result) latencies() []time.Duration {
	var all []time.Duration
	for _, t := range r.rounds {
		all = append(all, t.latencies...)
	}
	return all
}

// ratio is the median over the rounds of a against b: what disturbed a whole round cancels
// out. NaN if a or b is not known.
func ratio(a, b []float64) float64 {
	if len(a) != len(b) {
		return math.NaN()
	}
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	return median(ratios)
}
