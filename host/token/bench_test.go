package token_test

import (
	"fmt"
	"strings"
	"testing"

	"pointsman/host/token"
)

// A token that is known costs at most 2 µs; see cache.
func BenchmarkKnown(b *testing.B) {
	v := all(b)
	for _, size := range []int{0, 500, 2000} {
		text := keys()[token.RS256].token(start, object{"x": strings.Repeat("x", size)})
		b.Run(fmt.Sprintf("%d bytes", len(text)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), text); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "µs/token")
		})
	}
	b.Run("parallel", func(b *testing.B) {
		text := keys()[token.RS256].token(start, object{"x": strings.Repeat("x", 500)})
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := v.Verify(b.Context(), text); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// What a stranger can have us do: a token whose signature does not hold is checked each time.
func BenchmarkUnknown(b *testing.B) {
	v := all(b)
	for _, alg := range token.Algorithms() {
		b.Run(alg, func(b *testing.B) {
			p := keys()[alg]
			text := p.token(start, nil)
			text = text[:strings.LastIndexByte(text, '.')+1] + b64(p.sign("something else"))
			for b.Loop() {
				if _, err := v.Verify(b.Context(), text); token.ReasonOf(err) != token.BadSignature {
					b.Fatal(err)
				}
			}
		})
	}
}
