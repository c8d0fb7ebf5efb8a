package sandbox

import (
	"context"
	"runtime"

	"pointsman/host/wasm"
	"pointsman/pdk/wire"
)

// maxRequest is the largest request of an operation, in bytes. Larger ones are refused
// with a reply, unread.
const maxRequest = 1 << 20

// fuelRefill is how many units of fuel a guest gets between two looks at the clock: what
// wasm.FuelExport advises: 0.05 to 0.2 ms of ordinary code.
const fuelRefill = 200_000

// doors offers an import both ways; see package wire.
func doors(i Import) []hostFunc {
	own := wasm.ImportName{Module: wire.ModulePrefix + i.Capability, Name: i.Op}
	user := wasm.ImportName{Module: wire.ExtismUser, Name: "pointsman_" + i.Capability + "_" + i.Op}
	return []hostFunc{
		{own, sig("II:I"), func(ctx context.Context, c *call, s []uint64) {
			ptr, n := s[0], s[1]
			if n > maxRequest {
				c.reply = tooLarge()
			} else {
				request, ok := c.memory.read(ptr, n)
				if !ok {
					c.abort(ABI, "%s(%d, %d): outside of memory", own, ptr, n)
				}
				c.reply = c.do(ctx, i, request)
			}
			c.hasReply = true
			s[0] = uint64(len(c.reply))
		}},
		{user, sig("I:I"), func(ctx context.Context, c *call, s []uint64) {
			block := c.whole(user.Name, s[0])
			var reply []byte
			if len(block) > maxRequest {
				reply = tooLarge()
			} else {
				reply = c.do(ctx, i, append(make([]byte, 0, len(block)), block...))
			}
			at, ok := c.kernel.put(reply)
			if !ok {
				c.abort(ABI, "%s: no room for a reply of %d bytes", user.Name, len(reply))
			}
			s[0] = at
		}},
	}
}

// do runs the operation on behalf of the guest and looks at the time afterwards: it is
// what may have taken long.
func (c *call) do(ctx context.Context, i Import, request []byte) []byte {
	if c.starting {
		return wire.Failed(wire.Error{Code: wire.Denied, Message: "operations are not available during initialization"})
	}
	operation := ctx
	if r, ok := ctx.(*record); ok {
		operation = r.operation()
	}
	reply := i.Do(operation, request)
	c.check(ctx)
	return reply
}

func tooLarge() []byte {
	return wire.Failed(wire.Error{Code: wire.Denied, Message: "the request exceeds 1 MiB"})
}

// replyRead copies the reply of the last operation to the guest's memory and forgets it.
func replyRead() hostFunc {
	return hostFunc{
		wasm.ImportName{Module: wire.RuntimeModule, Name: "reply_read"}, sig("II:I"),
		func(_ context.Context, c *call, s []uint64) {
			ptr, n := s[0], s[1]
			reply, has := c.reply, c.hasReply
			c.reply, c.hasReply = nil, false
			switch {
			case !has:
				c.abort(ABI, "reply_read: there is no reply to read")
			case n < uint64(len(reply)):
				c.abort(ABI, "reply_read: room for %d bytes of %d", n, len(reply))
			case !c.memory.within(ptr, n) || !c.memory.write(ptr, reply):
				c.abort(ABI, "reply_read(%d, %d): outside of memory", ptr, n)
			}
			s[0] = uint64(len(reply))
		},
	}
}

// instruments are what host/wasm writes into every module.
func instruments() []hostFunc {
	return []hostFunc{
		{wasm.ImportName{Module: wasm.RuntimeModule, Name: wasm.RefuelImport}, sig("I:I"), func(_ context.Context, _ *call, s []uint64) {
			runtime.Gosched()
			s[0] = fuelRefill
		}},
		{wasm.ImportName{Module: wasm.RuntimeModule, Name: wasm.DepthImport}, sig(""), func(_ context.Context, c *call, _ []uint64) {
			c.abort(Depth, "")
		}},
	}
}
