package admission_test

import (
	"context"
	"log/slog"
	"testing"

	"pointsman/host/admission"
)

// BenchmarkEnter is what a call costs that need not wait: the price of all limits over a
// plugin's calls.
func BenchmarkEnter(b *testing.B) {
	m := admission.NewMemory(1 << 30)
	share := m.Share(1<<20, 1)
	m.Swap(nil, []*admission.Share{share})
	g := &admission.Guard{
		Slots: admission.NewSlots(32, admission.Users{Routes: 4, Consumers: 8}), Share: share,
		Breaker: admission.NewBreaker("p", slog.New(slog.DiscardHandler)),
	}
	b.ReportAllocs()
	for b.Loop() {
		leave, err := g.Enter(context.Background(), admission.Caller{Route: "customer-profile", Consumer: "web-shop"})
		if err != nil {
			b.Fatal(err)
		}
		leave(admission.Fine)
	}
}
