package wasm

// Loops that call nothing spend from a local variable, their budget, which a compiler keeps
// in a register, and buy more of it from the global from time to time; see BenchmarkFuel in
// host/sandbox. What is left of it when the function ends is lost, so a guest pays too much,
// never too little. Over a call nothing stays in a register: the other loops spend from the
// global, which takes 8 to 10 points off what fuel costs a Go guest.
const (
	loopPrepaid = 64   // units, paid on entry of a function that has a budget
	loopBudget  = 4096 // units bought at a time; an allowance should be many of it
)

// price is the charge in units for a stretch of n instructions. Long stretches are
// cheaper: those of compilers are mostly branched over. The Go compiler makes one loop
// of every function, and would pay for all of it on every turn.
func price(n uint32) uint32 {
	const full, rebate = 256, 16 // a body of MaxBody still pays for every 16 instructions
	if n <= full {
		return max(n, 1)
	}
	return full + (n-full)/rebate
}

// putCharge appends the charge of a constant cost.
func (w *rewriter) putCharge(b []byte, cost uint32) []byte {
	b = putU32(append(b, opGlobalGet), w.fuelGlobal)
	b = putSigned(append(b, opI64Const), int64(cost))
	return w.putCharged(b)
}

// putLoop appends the charge at the header of a loop that calls nothing, to the variable
// budget:
//
//	budget -= cost
//	if budget >= 0 {} else { budget = charge_loop(budget) }
//
// The call stands in the else, here and in putCharged, because wazero takes over what lies in
// registers from the branch that comes first in the code. Out of one with a call nothing does,
// and a loop would load all it works on from the stack on every turn: a C guest then took
// 35 % longer, not 20 %.
func (w *rewriter) putLoop(b []byte, budget, cost uint32) []byte {
	b = putU32(append(b, opLocalGet), budget)
	b = putSigned(append(b, opI32Const), int64(cost))
	b = putU32(append(b, opI32Sub, opLocalTee), budget)
	b = append(b, opI32Const, 0, opI32GeS, opIf, noResult, opElse)
	b = putU32(append(b, opLocalGet), budget)
	b = w.putCall(b, chargeLoop)
	b = putU32(append(b, opLocalSet), budget)
	return append(b, opEnd)
}

// putCharged appends the end of every charge: fuel and cost are on the stack.
func (w *rewriter) putCharged(b []byte) []byte {
	b = append(b, opI64Sub)
	b = putU32(append(b, opGlobalSet), w.fuelGlobal)
	b = putU32(append(b, opGlobalGet), w.fuelGlobal)
	b = append(b, opI64Const, 0, opI64GeS, opIf, noResult, opElse)
	b = putU32(append(b, opCall), w.helpers[outOfFuel])
	return append(b, opEnd)
}

// chargedInLoop reports whether the first loop's header charges what the entry of f would:
// it is always reached before anything else could run, and each of its turns is at most a
// quarter dearer for it. The Go compiler makes most functions so.
func (w *rewriter) chargedInLoop(f *body) bool {
	return f.direct && !f.budget && f.cost <= w.loops[f.loops].cost/4
}
