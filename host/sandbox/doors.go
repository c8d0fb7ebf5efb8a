package sandbox

import (
	"context"

	"pointsman/host/wasm"
	"pointsman/pdk/wire"
)

// maxRequest is the largest request of an operation, in bytes. Larger ones are refused
// with a reply, unread.
const maxRequest = 1 << 20

// doors offers an import both ways; see package wire.
func doors(i Import) []hostFunc {
	own := wasm.ImportName{Module: wire.ModulePrefix + i.Capability, Name: i.Op}
	user := wasm.ImportName{Module: wire.ExtismUser, Name: "pointsman_" + i.Capability + "_" + i.Op}
	return []hostFunc{
		{own, sig("II:I"), func(ctx context.Context, c *call, s []uint64) {
			ptr, n := s[0], s[1]
			if n > maxRequest {
				c.reply = c.refuse()
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
				reply = c.refuse()
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
// what may have taken long. What it costs counts towards the call's limits.
func (c *call) do(ctx context.Context, i Import, request []byte) []byte {
	c.operate()
	c.carry(len(request))
	if c.stage != serving {
		return wire.Failed(wire.Error{Code: wire.Denied, Message: "operations are not available during " + string(c.stage)})
	}
	operation := ctx
	if r, ok := ctx.(*record); ok {
		operation = r.operation()
	}
	reply := i.Do(operation, request)
	c.check(ctx)
	c.carry(len(reply))
	return reply
}

// operate counts an operation and ends the guest when it has used too many.
func (c *call) operate() {
	if c.operations++; c.operations > c.limits.HostCalls {
		c.abort(Calls, "more than %d operations", c.limits.HostCalls)
	}
}

// carry counts n bytes of a request or reply and ends the guest when they are too many.
func (c *call) carry(n int) {
	if c.carried += int64(n); c.carried > c.limits.HostBytes {
		c.abort(Calls, "more than %d bytes of requests and replies", c.limits.HostBytes)
	}
}

// refuse answers a request that is not read. It counts like any other.
func (c *call) refuse() []byte {
	c.operate()
	return tooLarge()
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
