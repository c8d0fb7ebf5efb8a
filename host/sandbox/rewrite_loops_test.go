package sandbox_test

import (
	"context"
	"errors"
	"sort"
	"testing"

	"pointsman/host/wasm"
)

// These tests count the fuel that loops take, to the unit. testdata/wat/loops.wat of host/wasm
// says how many instructions they have; the function that they call has one.

// How a loop that calls nothing spends, as host/wasm documents it.
const (
	prepaid = 64   // units on entry
	bought  = 4096 // units at a time
)

// budgeted is what n turns of a loop take that calls nothing, from what is left of a budget.
func budgeted(n, turn int64, budget *int64) (fuel int64) {
	for range n {
		if *budget -= turn; *budget < 0 {
			fuel += bought - *budget
			*budget = bought
		}
	}
	return fuel
}

func TestEachTurnIsChargedOnce(t *testing.T) {
	tests := []struct {
		export string
		want   func(n int64) int64
	}{
		{"fuel_plain", func(n int64) int64 {
			budget := int64(prepaid)
			return 1 + prepaid + budgeted(n, 7, &budget)
		}},
		{"fuel_calling", func(n int64) int64 { return n * (1 + 8 + 1) }},
		{"fuel_after_if", func(n int64) int64 { return 6 + n*(8+1) }},
		{"fuel_after_more", func(n int64) int64 { return 4 + n*(8+1) }},
		{"fuel_nested", func(n int64) int64 {
			budget, fuel := int64(prepaid), int64(1+prepaid)
			for range n {
				fuel += 10 + 1 + budgeted(5, 7, &budget)
			}
			return fuel
		}},
	}
	g := newGuest(t, rewritten(t, fixture(t, "loops"), wasm.Options{}))
	for _, tt := range tests {
		t.Run(tt.export, func(t *testing.T) {
			turns := []int64{1, 2, 3, 9, 10, 585, 586, 100_000}
			for refuels := range int64(3) { // the turns around a refuel
				n := 1 + int64(sort.Search(allowance, func(n int) bool { return tt.want(int64(n)+1) > refuels*allowance }))
				turns = append(turns, max(n-1, 1), n, n+1)
			}
			for _, n := range turns {
				g.renew()
				g.used, g.refuels = 0, 0
				if trap := g.call(tt.export, uint64(n)).Trap; trap != "" {
					t.Fatal(trap)
				}
				used := g.used - int64(g.mod.ExportedGlobal(wasm.FuelExport).Get())
				if want := tt.want(n); used != want || int64(g.refuels) < 1 || int64(g.refuels) > 1+want/allowance {
					t.Errorf("%d turns took %d units and %d refuels, want %d units", n, used, g.refuels, want)
				}
			}
		})
	}
}

// The smallest of loops have to ask for more, too, whatever way they are charged.
func TestSmallestLoopsStop(t *testing.T) {
	g := newGuest(t, rewritten(t, fixture(t, "loops"), wasm.Options{}))
	for _, export := range []string{"ever_plain", "ever_calling", "ever_nested"} {
		t.Run(export, func(t *testing.T) {
			g.refuels, g.limit = 0, 5
			if _, err := g.mod.ExportedFunction(export).Call(context.Background()); !errors.Is(err, errFuel) {
				t.Errorf("got error %v, want %v", err, errFuel)
			}
			g.renew()
		})
	}
}
