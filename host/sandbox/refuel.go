package sandbox

import (
	"context"
	"runtime"

	"pointsman/host/wasm"
)

// fuelRefill is how many units of fuel a guest gets between two looks at the clock: what
// wasm.FuelExport advises: 0.05 to 0.2 ms of ordinary code.
const fuelRefill = 200_000

// refuel is how much fuel a guest gets that has so much left, which is below zero when it
// asks. It ends the guest when it has used more than its limit: to the unit, however much
// it gets at a time.
func (c *call) refuel(left int64) int64 {
	if c.limits.Fuel == 0 {
		return fuelRefill
	}
	used := c.fuel - left
	unused := int64(c.limits.Fuel) - used
	if unused < 0 {
		c.abort(Fuel, "more than %d units", c.limits.Fuel)
	}
	next := min(fuelRefill, unused)
	c.fuel = used + next
	return next
}

// instruments are what host/wasm writes into every module.
func instruments() []hostFunc {
	return []hostFunc{
		{wasm.ImportName{Module: wasm.RuntimeModule, Name: wasm.RefuelImport}, sig("I:I"), func(_ context.Context, c *call, s []uint64) {
			runtime.Gosched()
			s[0] = uint64(c.refuel(int64(s[0])))
		}},
		{wasm.ImportName{Module: wasm.RuntimeModule, Name: wasm.DepthImport}, sig(""), func(_ context.Context, c *call, _ []uint64) {
			c.abort(Depth, "")
		}},
	}
}
