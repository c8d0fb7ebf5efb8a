package pointer_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pointsman/host/pointer"
)

// BenchmarkBarPointer mints and resolves the pointer of a short number. What it reports is
// the median of batches, which other programs that run now and then do not change.
func BenchmarkBarPointer(b *testing.B) {
	const batch = 20
	i := issuer(b, keys(b), pointer.Domain{Name: "customer", Epoch: 2, Accept: []int{1}})
	var took []float64 // µs
	for b.Loop() {
		start := time.Now()
		for range batch {
			text, err := i.Mint("customer", shop, "C-00471184")
			if err != nil {
				b.Fatal(err)
			}
			if _, err := i.Resolve("customer", shop, text); err != nil {
				b.Fatal(err)
			}
		}
		took = append(took, float64(time.Since(start).Nanoseconds())/1e3/batch)
	}
	b.ReportMetric(median(took), "mint-resolve-µs")
}

func median(of []float64) float64 { return slices.Sorted(slices.Values(of))[len(of)/2] }

// BenchmarkMintResolve is the same for ids of each size.
func BenchmarkMintResolve(b *testing.B) {
	i := issuer(b, keys(b), pointer.Domain{Name: "customer"})
	for _, n := range []int{31, 63, 127, 255} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			id := strings.Repeat("x", n)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := i.Resolve("customer", shop, mint(b, i, "customer", shop, id)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRefusing compares what it takes to find out that a pointer of the right length
// is bad with what a good one takes: each as a ratio, which is just below 1 because a good one
// makes the text of the id, and by how much the slowest refusal exceeds the fastest, which
// says what an attacker could tell them apart by. The cases take turns, in small batches whose order changes, and the medians are
// compared, so that what else the machine does meets all of them.
func BenchmarkRefusing(b *testing.B) {
	const batch = 20
	keyOf := keys(b)
	i := issuer(b, keyOf, pointer.Domain{Name: "customer", Epoch: 2, Accept: []int{1}})
	good := mint(b, i, "customer", shop, "4711")
	cases := []bad{{"good", good}}
	for _, c := range badOnes(b, keyOf, good, "4711") {
		if len(c.text) == len(good) {
			cases = append(cases, c)
		}
	}
	took := make([][]float64, len(cases))
	for round := 0; b.Loop(); round++ {
		for at := range cases {
			at = (at + round) % len(cases)
			start := time.Now()
			for range batch {
				_, _ = i.Resolve("customer", shop, cases[at].text)
			}
			took[at] = append(took[at], float64(time.Since(start).Nanoseconds())/batch)
		}
	}
	of, fastest, slowest := median(took[0]), math.Inf(1), 0.0
	for at, c := range cases[1:] {
		ratio := median(took[1+at]) / of
		fastest, slowest = min(fastest, ratio), max(slowest, ratio)
		b.ReportMetric(ratio, strings.ReplaceAll(strings.ReplaceAll(c.name, ",", ""), " ", "-")+"/good")
	}
	b.ReportMetric(of, "good-ns")
	b.ReportMetric(slowest/fastest-1, "refusals-apart")
}
