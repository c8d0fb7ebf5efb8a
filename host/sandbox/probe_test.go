package sandbox_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"testing"

	"pointsman/host/sandbox"
	"pointsman/pdk/wire"
)

// The functions of the probe, in the order of testdata/wasm/probe.wat.
const (
	probeAlloc = iota
	probeFree
	probeLength
	probeLengthUnsafe
	probeLoad8
	probeLoad64
	probeStore8
	probeStore64
	probeInputSet
	probeOutputSet
	probeErrorSet
	probeInput8
	probeInput64
	probeVarGet
	probeVarSet
	probeConfigGet
	probeLogInfo
	probeOwn
	probeUser
	probeReplyRead
	probeReset
	probeWrite
	probeRandom
	probeClock
	probeStat
	probeArgs
	probes // how many
)

// probe calls one host function of a guest with memory of 64 KiB, all 0xAA. The input,
// 17 bytes at kernel offset 16, is what Extism's functions may reach.
func probe(m sandbox.Module, op byte, a, b uint64) ([]byte, error) {
	in := append(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64([]byte{op}, a), b), "rest"...)
	return m.Call(context.Background(), "probe", in)
}

// newProbe returns a probe whose operation counts requests that are not a part of what
// the guest may reach.
func newProbe(t testing.TB) (m sandbox.Module, foreign *atomic.Int64) {
	foreign = new(atomic.Int64)
	op := sandbox.Import{Capability: "test", Op: "op", Do: func(_ context.Context, request []byte) []byte {
		if own := bytes.Count(request, []byte{0xAA}) == len(request); !own && !bytes.HasSuffix(request, []byte("rest")) {
			foreign.Add(1)
		}
		return wire.Done(request)
	}}
	return compile(t, sandbox.Options{Logger: new(logLines)}, testModule(t, "probe"), []sandbox.Import{op}, sandbox.Limits{}), foreign
}

func TestOffsetsThatMakeNoSense(t *testing.T) { onEngines(t, testOffsetsThatMakeNoSense) }

func testOffsetsThatMakeNoSense(t *testing.T) {
	const (
		page  = 64 << 10
		first = 16      // the input's offset in kernel memory
		input = 21      // its length
		high  = 1 << 32 // what a cut to 32 bits would lose
	)
	tests := []struct {
		name string
		op   byte
		a, b uint64
		want sandbox.FaultKind
	}{
		{"load below", probeLoad8, first - 1, 0, sandbox.ABI},
		{"load at 0", probeLoad8, 0, 0, sandbox.ABI},
		{"load beyond", probeLoad8, first + input, 0, sandbox.ABI},
		{"load high", probeLoad8, high + first, 0, sandbox.ABI},
		{"load at the end of numbers", probeLoad8, 1<<64 - 1, 0, sandbox.ABI},
		{"load last", probeLoad8, first + input - 1, 0, ""},
		{"word across the end", probeLoad64, first + input - 7, 0, sandbox.ABI},
		{"word high", probeLoad64, high + first, 0, sandbox.ABI},
		{"word that wraps", probeLoad64, 1<<64 - 4, 0, sandbox.ABI},
		{"last word", probeLoad64, first + input - 8, 0, ""},
		{"store below", probeStore8, first - 1, 1, sandbox.ABI},
		{"store high", probeStore8, high + first, 1, sandbox.ABI},
		{"store", probeStore8, first, 1, ""},
		{"store word across", probeStore64, first + input - 7, 1, sandbox.ABI},
		{"store word high", probeStore64, high + first, 1, sandbox.ABI},
		{"store word", probeStore64, first, 1, ""},
		{"input_set beyond", probeInputSet, first, input + 1, sandbox.ABI},
		{"input_set wraps", probeInputSet, first, 1<<64 - 1, sandbox.ABI},
		{"input_set high", probeInputSet, high + first, 1, sandbox.ABI},
		{"input_set part", probeInputSet, first + 1, input - 1, ""},
		{"output_set beyond", probeOutputSet, first, input + 1, sandbox.Output},
		{"output_set high", probeOutputSet, high + first, 1, sandbox.Output},
		{"output_set high length", probeOutputSet, first, high + 1, sandbox.Output},
		{"output_set", probeOutputSet, first, input, ""},
		{"error_set nowhere", probeErrorSet, first + 1, 0, sandbox.ABI},
		{"error_set high", probeErrorSet, high + first, 0, sandbox.ABI},
		{"input byte beyond", probeInput8, input, 0, sandbox.ABI},
		{"input byte high", probeInput8, high, 0, sandbox.ABI},
		{"input byte", probeInput8, input - 1, 0, ""},
		{"input word beyond", probeInput64, input - 7, 0, sandbox.ABI},
		{"input word wraps", probeInput64, 1<<64 - 8, 0, sandbox.ABI},
		{"input word", probeInput64, input - 8, 0, ""},
		{"var_get nowhere", probeVarGet, 999, 0, sandbox.ABI},
		{"var_get high", probeVarGet, high + first, 0, sandbox.ABI},
		{"var_set nowhere", probeVarSet, first, 999, sandbox.ABI},
		{"var_set high", probeVarSet, first, high + first, sandbox.ABI},
		{"config_get high", probeConfigGet, high + first, 0, sandbox.ABI},
		{"config_get", probeConfigGet, first, 0, ""},
		{"log high", probeLogInfo, high + first, 0, sandbox.ABI},
		{"log inside", probeLogInfo, first + 1, 0, sandbox.ABI},
		{"log", probeLogInfo, first, 0, ""},
		{"own door beyond", probeOwn, page, 1, sandbox.ABI},
		{"own door across", probeOwn, page - 1, 2, sandbox.ABI},
		{"own door high", probeOwn, high, 1, sandbox.ABI},
		{"own door wraps", probeOwn, 1<<64 - 1, 2, sandbox.ABI},
		{"own door long", probeOwn, 0, high, ""}, // refused with a reply
		{"own door nothing", probeOwn, page, 0, ""},
		{"own door all", probeOwn, 0, page, ""},
		{"user door nowhere", probeUser, 999, 0, sandbox.ABI},
		{"user door high", probeUser, high + first, 0, sandbox.ABI},
		{"user door inside", probeUser, first + 1, 0, sandbox.ABI},
		{"user door", probeUser, first, 0, ""},
		{"user door nothing", probeUser, 0, 0, ""},
		{"reply_read without", probeReplyRead, 0, 8, sandbox.ABI},
		{"reply_read high", probeReplyRead, high, high, sandbox.ABI},
		{"alloc immense", probeAlloc, 1<<64 - 1, 0, ""}, // 0
		{"free nowhere", probeFree, 1<<64 - 1, 0, ""},
		{"length nowhere", probeLength, high + first, 0, ""}, // 0
		{"length_unsafe nowhere", probeLengthUnsafe, high + first, 0, ""},
		{"reset", probeReset, 0, 0, ""},
		{"fd_write beyond", probeWrite, page - 4, 1, ""}, // WASI's errno
		{"fd_write vectors of 0xAA", probeWrite, 0, 1, ""},
		{"fd_write too many", probeWrite, 0, 1 << 31, ""},
		{"random beyond", probeRandom, page - 1, 2, ""},
		{"random all", probeRandom, 0, page, ""},
		{"clock beyond", probeClock, page - 7, 0, ""},
		{"stat beyond", probeStat, page - 23, 0, ""},
		{"args beyond", probeArgs, page - 3, 0, ""},
	}
	m, foreign := newProbe(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if out, err := probe(m, tt.op, tt.a, tt.b); kind(err) != tt.want && !(tt.op == probeErrorSet && tt.want == "") {
				t.Errorf("got %q, %v, want %q", out, err, tt.want)
			}
		})
	}
	if n := foreign.Load(); n != 0 {
		t.Errorf("%d requests held what the guest cannot reach", n)
	}
}

func TestWhatFunctionsAnswer(t *testing.T) { onEngines(t, testWhatFunctionsAnswer) }

func testWhatFunctionsAnswer(t *testing.T) {
	const wasiInval, wasiFault = 28, 21
	tests := []struct {
		name string
		op   byte
		a, b uint64
		want uint64
	}{
		{"alloc nothing", probeAlloc, 0, 0, 0},
		{"alloc too much", probeAlloc, 1 << 40, 0, 0},
		{"alloc", probeAlloc, 1, 0, 48}, // after the input
		{"length", probeLength, 16, 0, 21},
		{"length of a part", probeLength, 17, 0, 0},
		{"length high", probeLength, 1<<32 + 16, 0, 0},
		{"unknown variable", probeVarGet, 16, 0, 0},
		{"config", probeConfigGet, 16, 0, 0},
		{"own door", probeOwn, 0, 100, 101},
		{"fd_write beyond", probeWrite, 65532, 1, wasiFault},
		{"fd_write too many", probeWrite, 0, 1025, wasiInval},
		{"fd_write none", probeWrite, 0, 0, 0},
		{"random beyond", probeRandom, 65535, 2, wasiFault},
		{"random", probeRandom, 65535, 1, 0},
		{"clock beyond", probeClock, 65529, 0, wasiFault},
		{"clock", probeClock, 65528, 0, 0},
		{"stat beyond", probeStat, 65513, 0, wasiFault},
		{"stat", probeStat, 65512, 0, 0},
		{"args beyond", probeArgs, 0, 65533, wasiFault},
		{"args", probeArgs, 0, 65532, 0},
	}
	m, _ := newProbe(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := probe(m, tt.op, tt.a, tt.b)
			if err != nil || len(out) != 8 || binary.LittleEndian.Uint64(out) != tt.want {
				t.Errorf("got %v, %v, want %d", out, err, tt.want)
			}
		})
	}
}

// Whatever a guest passes to a host function, it gets an answer or breaks off as a fault
// of its own doing, and no function hands on what lies outside of the guest.
func FuzzHostFunctions(f *testing.F) {
	for op := range byte(probes) {
		f.Add(op, uint64(16), uint64(8))
		f.Add(op, uint64(1<<32+16), uint64(1<<64-1))
		f.Add(op, uint64(65535), uint64(1))
	}
	m, foreign := newProbe(f)
	f.Fuzz(func(t *testing.T, op byte, a, b uint64) {
		op %= probes
		out, err := probe(m, op, a, b)
		var fault *sandbox.Fault
		var said *sandbox.GuestError
		switch {
		case err == nil && (op == probeOutputSet && uint64(len(out)) == b || op != probeOutputSet && len(out) == 8):
		case errors.As(err, &said) && op == probeErrorSet:
		case errors.As(err, &fault) && fault.Kind == sandbox.ABI && !bytes.Contains([]byte(fault.Detail), []byte("panicked")):
		case errors.As(err, &fault) && fault.Kind == sandbox.Output && op == probeOutputSet:
		default:
			t.Errorf("op %d (%d, %d): got %q, %v", op, a, b, out, err)
		}
		if foreign.Load() != 0 {
			t.Errorf("op %d (%d, %d): the request is not the guest's", op, a, b)
		}
	})
}
