package sandbox_test

import (
	"runtime/metrics"
	"testing"
)

// pauses are the histograms of how long the world has stood still so far, from the moment
// that someone asked for it: for the garbage collector, and for anything else.
func pauses() []metrics.Sample {
	s := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}, {Name: "/sched/pauses/total/other:seconds"}}
	metrics.Read(s)
	return s
}

// longestPause is the longest between two looks, in seconds, rounded up to where its
// bucket ends, or 0 without one.
func longestPause(before, after []metrics.Sample) (longest float64) {
	for i := range after {
		was, is := before[i].Value.Float64Histogram(), after[i].Value.Float64Histogram()
		for n := range is.Counts {
			if is.Counts[n] > was.Counts[n] {
				// The last bucket has no end; its start is more than a day.
				longest = max(longest, is.Buckets[min(n+1, len(is.Buckets)-2)])
			}
		}
	}
	return longest
}

func TestLongestPause(t *testing.T) {
	of := func(counts ...uint64) []metrics.Sample {
		s := pauses()
		h := s[0].Value.Float64Histogram()
		clear(h.Counts)
		copy(h.Counts, counts)
		return s[:1]
	}
	if got := longestPause(of(1, 2, 3), of(1, 2, 3)); got != 0 {
		t.Errorf("got %v without a pause", got)
	}
	after := of(1, 4, 3)
	if got, want := longestPause(of(1, 2, 3), after), after[0].Value.Float64Histogram().Buckets[2]; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
