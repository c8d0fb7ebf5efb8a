package sandbox

import (
	"context"

	"pointsman/host/wasm"
	"pointsman/pdk/wire"
)

// bulk is what our PDK uses: input and output in one copy each, between the host and the
// guest's own memory, and whether a preparation is worth its time. Extism's functions, which
// move 8 bytes at a time, see the same input and output. See package wire for the contract.
func bulk() []hostFunc {
	return []hostFunc{
		rt("input_length", ":I", func(_ context.Context, c *call, s []uint64) { s[0] = uint64(len(c.kernel.input)) }),
		rt("input_read", "II:I", func(_ context.Context, c *call, s []uint64) {
			at, n := s[0], s[1]
			switch in := c.kernel.input; {
			case n < uint64(len(in)):
				c.abort(ABI, "input_read: room for %d bytes of %d", n, len(in))
			case !c.memory.within(at, n) || !c.memory.write(at, in):
				c.abort(ABI, "input_read(%d, %d): outside of memory", at, n)
			default:
				s[0] = uint64(len(in))
			}
		}),
		rt("output_write", "II", func(_ context.Context, c *call, s []uint64) {
			if b := c.bulkBlock("output_write", Output, s[0], s[1]); !c.kernel.setOutput(b, s[1]) {
				c.abort(Output, "output_write(%d, %d): outside of any block", b, s[1])
			}
		}),
		rt("error_write", "II", func(_ context.Context, c *call, s []uint64) {
			if b := c.bulkBlock("error_write", ABI, s[0], s[1]); !c.kernel.setFailure(b) {
				c.abort(ABI, "error_write(%d): no such block", b)
			}
		}),
		rt("kept", ":i", func(_ context.Context, c *call, s []uint64) {
			s[0] = 0
			if c.kept && c.stage == initializing {
				s[0] = 1
			}
		}),
	}
}

func rt(name, signature string, f body) hostFunc {
	return hostFunc{wasm.ImportName{Module: wire.RuntimeModule, Name: name}, sig(signature), f}
}

// bulkBlock puts n bytes of the guest's memory into a block of the kernel.
func (c *call) bulkBlock(name string, kind FaultKind, at, n uint64) (offset uint64) {
	if kind == Output && n > uint64(c.limits.Output) {
		c.abort(kind, "%d bytes, of at most %d", n, c.limits.Output)
	}
	if !c.memory.within(at, n) {
		c.abort(kind, "%s(%d, %d): outside of memory", name, at, n)
	}
	offset, ok := c.kernel.put(c.memory.buf[at : at+n])
	if !ok {
		c.abort(ABI, "%s: no room for %d bytes", name, n)
	}
	return offset
}
