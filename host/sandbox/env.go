package sandbox

import (
	"context"
	"encoding/binary"

	"pointsman/host/wasm"
	"pointsman/pdk/wire"
)

// hostFunc is one function that guests may import, whatever engine links it.
type hostFunc struct {
	wasm.ImportName // as guests name it
	wasm.FuncType
	body body
}

const (
	i32 = wasm.I32
	i64 = wasm.I64
)

// sig makes a signature of words: "ii:i" takes two i32 and returns one; I is i64.
func sig(s string) wasm.FuncType {
	var t wasm.FuncType
	to := &t.Params
	for _, r := range s {
		switch r {
		case 'i':
			*to = append(*to, i32)
		case 'I':
			*to = append(*to, i64)
		case ':':
			to = &t.Results
		}
	}
	return t
}

// extismABI is Extism's own interface, without its http functions: a guest reaches the
// network through a grant or not at all; see extismHTTP. Offsets are 64 bits wide and never cut.
func extismABI() []hostFunc {
	return []hostFunc{
		env("alloc", "I:I", func(_ context.Context, c *call, s []uint64) { s[0] = c.kernel.alloc(s[0]) }),
		env("free", "I", func(_ context.Context, c *call, s []uint64) { c.kernel.free(s[0]) }),
		env("length", "I:I", func(_ context.Context, c *call, s []uint64) { s[0] = c.kernel.length(s[0]) }),
		env("length_unsafe", "I:I", func(_ context.Context, c *call, s []uint64) { s[0] = c.kernel.length(s[0]) }),
		env("reset", "", func(_ context.Context, c *call, _ []uint64) { c.kernel.reset() }),
		env("memory_bytes", ":I", func(_ context.Context, c *call, s []uint64) { s[0] = c.kernel.used }),

		env("load_u8", "I:i", func(_ context.Context, c *call, s []uint64) { s[0] = uint64(c.block("load_u8", loads, s[0], 1)[0]) }),
		env("load_u64", "I:I", func(_ context.Context, c *call, s []uint64) {
			s[0] = binary.LittleEndian.Uint64(c.block("load_u64", loads, s[0], 8))
		}),
		env("store_u8", "Ii", func(_ context.Context, c *call, s []uint64) { c.block("store_u8", stores, s[0], 1)[0] = byte(s[1]) }),
		env("store_u64", "II", func(_ context.Context, c *call, s []uint64) {
			binary.LittleEndian.PutUint64(c.block("store_u64", stores, s[0], 8), s[1])
		}),

		env("input_length", ":I", func(_ context.Context, c *call, s []uint64) { s[0] = uint64(len(c.kernel.input)) }),
		env("input_offset", ":I", func(_ context.Context, c *call, s []uint64) { s[0] = c.kernel.inputAt }),
		env("input_load_u8", "I:i", inputByte),
		env("input_load_u64", "I:I", inputWord),
		env("input_set", "II", func(_ context.Context, c *call, s []uint64) {
			if !c.kernel.setInput(s[0], s[1]) {
				c.abort(ABI, "input_set(%d, %d): outside of any block", s[0], s[1])
			}
		}),

		env("output_set", "II", outputSet),
		env("output_length", ":I", func(_ context.Context, c *call, s []uint64) { s[0] = uint64(len(c.kernel.output)) }),
		env("output_offset", ":I", func(_ context.Context, c *call, s []uint64) { s[0] = c.kernel.outputAt }),
		env("error_set", "I", func(_ context.Context, c *call, s []uint64) {
			if !c.kernel.setFailure(s[0]) {
				c.abort(ABI, "error_set(%d): no such block", s[0])
			}
		}),
		env("error_get", ":I", func(_ context.Context, c *call, s []uint64) { s[0] = c.kernel.failureAt }),

		env("config_get", "I:I", configGet),
		env("var_get", "I:I", varGet),
		env("var_set", "II", varSet),

		logger("log_trace", "debug"),
		logger("log_debug", "debug"),
		logger("log_info", "info"),
		logger("log_warn", "warn"),
		logger("log_error", "error"),
		// 1 is debug: guests send what is worth it, the host's logger selects.
		env("get_log_level", ":i", func(_ context.Context, _ *call, s []uint64) { s[0] = 1 }),
	}
}

func env(name, signature string, f body) hostFunc {
	return hostFunc{wasm.ImportName{Module: wire.ExtismEnv, Name: name}, sig(signature), f}
}

// block returns n bytes of a kernel block, or ends the guest. The shim does the rest of the
// block by itself.
func (c *call) block(op string, window int, offset, n uint64) []byte {
	b, ok := c.kernel.slice(offset, n)
	if !ok {
		c.abort(ABI, "%s(%d): %d bytes there are not within a block", op, offset, n)
	}
	c.kernel.show(window)
	return b
}

// whole returns the block that begins at offset, or ends the guest.
func (c *call) whole(op string, offset uint64) []byte {
	b, ok := c.kernel.block(offset)
	if !ok {
		c.abort(ABI, "%s(%d): no block begins there", op, offset)
	}
	return b
}

func inputByte(_ context.Context, c *call, s []uint64) {
	if s[0] >= uint64(len(c.kernel.input)) {
		c.abort(ABI, "input_load_u8(%d) of an input of %d bytes", s[0], len(c.kernel.input))
	}
	s[0] = uint64(c.kernel.input[s[0]])
}

func inputWord(_ context.Context, c *call, s []uint64) {
	word, ok := c.kernel.inputWord(s[0])
	if !ok {
		c.abort(ABI, "input_load_u64(%d) of an input of %d bytes", s[0], len(c.kernel.input))
	}
	s[0] = word
}

func outputSet(_ context.Context, c *call, s []uint64) {
	offset, n := s[0], s[1]
	if n > uint64(c.limits.Output) {
		c.abort(Output, "%d bytes, of at most %d", n, c.limits.Output)
	}
	if !c.kernel.setOutput(offset, n) {
		c.abort(Output, "output_set(%d, %d): outside of any block", offset, n)
	}
}

// configGet leaves the block of the name alone, as go-sdk does. 0 means that there is none.
func configGet(_ context.Context, c *call, s []uint64) {
	value, ok := c.config[string(c.whole("config_get", s[0]))]
	if !ok {
		s[0] = 0
		return
	}
	at, ok := c.kernel.put([]byte(value))
	if !ok {
		c.abort(ABI, "config_get: no room for %d bytes", len(value))
	}
	s[0] = at
}

// varGet frees the block of the name, as go-sdk does.
func varGet(_ context.Context, c *call, s []uint64) {
	value, ok := c.vars.values[string(c.whole("var_get", s[0]))]
	c.kernel.free(s[0])
	if !ok {
		s[0] = 0
		return
	}
	at, ok := c.kernel.put(value)
	if !ok {
		c.abort(ABI, "var_get: no room for %d bytes", len(value))
	}
	s[0] = at
}

// varSet frees the blocks it is given, as go-sdk does.
func varSet(_ context.Context, c *call, s []uint64) {
	name := string(c.whole("var_set", s[0]))
	value := c.whole("var_set", s[1])
	if s[1] == 0 {
		value = nil
	}
	if !c.vars.set(name, value) {
		c.abort(ABI, "var_set: variables exceed %d bytes", maxVariables)
	}
	c.kernel.free(s[0])
	c.kernel.free(s[1])
}

// logger is one of Extism's log functions. go-sdk's level is one for the whole process,
// so its functions are not used. The block is freed, as go-sdk does.
func logger(name, level string) hostFunc {
	return env(name, "I", func(ctx context.Context, c *call, s []uint64) {
		c.log.write(ctx, level, c.whole(name, s[0]))
		c.kernel.free(s[0])
	})
}
