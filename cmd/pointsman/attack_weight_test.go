package main

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// weight is a module within every limit that is hard to bear for a runtime: by what it keeps
// for the module, for an instance or for a stack, or by what it makes of a trap.
type weight struct {
	name   string
	module []byte
	status int // of a call, 0 for one that fails
}

func weights() []weight {
	const functions, exports, segments = 49_000, 10_000, 199_000
	unreachable := []byte{0x00}
	empty := bodyOf(noLocals)
	return []weight{
		// A runtime may put the module's name before those of all functions.
		{"a module's name of a MiB, 500 functions", append(
			moduleOf(voidType, declared(500), exportCall, sectionOf(10, vectorOf(500, bodyOf(noLocals, unreachable), bytes.Repeat(empty, 499)))),
			named(strings.Repeat("m", 1<<20))...), 0},
		// Or look at all exports for each function.
		{"49,000 functions, 10,000 exports", moduleOf(voidType, declared(functions),
			sectionOf(7, vectorOf(exports, nameOf("call"), []byte{0, 0}, manyExports(exports-1))),
			sectionOf(10, vectorOf(functions, bodyOf(noLocals, unreachable), bytes.Repeat(empty, functions-1)))), 0},
		// They overlap, so they cannot be joined, and data.drop takes a new instance for each call.
		{"199,000 overlapping data segments", moduleOf(voidType, declared(1), oneMemory, exportCall, sectionOf(12, leb(segments)),
			sectionOf(10, vectorOf(1, bodyOf(noLocals, []byte{0xfc, 9, 0}, unreachable))),
			sectionOf(11, vectorOf(segments, bytes.Repeat([]byte{0, 0x41, 0, 0x0b, 1, 'x'}, segments)))), 0},
		{"10,000 globals", moduleOf(voidType, declared(1), oneMemory,
			sectionOf(6, vectorOf(10_000, bytes.Repeat([]byte{0x7e, 1, 0x42, 0, 0x0b}, 10_000))), exportCall,
			sectionOf(10, vectorOf(1, bodyOf(noLocals, unreachable)))), 0},
		{"a table of 100,000 elements", moduleOf(voidType, declared(1), sectionOf(4, vectorOf(1, []byte{0x70, 0}, leb(100_000))), exportCall,
			sectionOf(9, vectorOf(1, []byte{0, 0x41, 0, 0x0b}, leb(100_000), make([]byte, 100_000))),
			sectionOf(10, vectorOf(1, bodyOf(noLocals, []byte{0x41, 0, 0xd2, 0, 0x26, 0}, unreachable)))), 0},
		// Up to 30 frames of a trap's trace, each with the function's whole name.
		{"a function's name of 15 MB, in recursion", append(single(noLocals, []byte{0x10, 0}), named("", strings.Repeat("f", 15<<20))...), 0},
		// A runtime keeps each element of each segment, and evaluates it for each instance.
		{"3,000,000 elements in passive segments", elementSegments(30, []byte{0x00}), 0},
		{"3,000,000 elements, a new instance for each call", elementSegments(30, []byte{0xfc, 13, 0, 0x00}), 0},
		// Frames of 2.7 KiB that count as one unit of depth: 60 MB of stack, which stays
		// with the function of the idle instance. Status 200: it answers "0".
		{"a deep stack of wide frames", deepStack(), http.StatusOK},
	}
}

func elementSegments(n int, code []byte) []byte {
	segment := slices.Concat([]byte{1, 0}, leb(100_000), make([]byte, 100_000))
	return moduleOf(voidType, declared(1), sectionOf(4, vectorOf(1, []byte{0x70, 0, 1})), exportCall,
		sectionOf(9, vectorOf(n, bytes.Repeat(segment, n))), sectionOf(10, vectorOf(1, bodyOf(noLocals, code))))
}

// deepStack is 1,087 bytes: function 2 keeps 160 vectors across a call of itself, 7,900 deep.
func deepStack() []byte {
	const vectors = 160
	wide := slices.Concat(
		[]byte{0x20, 0, 0x45, 0x04, 0x40, 0x41, 0, 0x0f, 0x0b},        // if !n return 0
		bytes.Repeat([]byte{0x20, 0, 0xfd, 0x11}, vectors),            // i32x4.splat(n), 160 times
		[]byte{0x20, 0, 0x41, 1, 0x6b, 0x10, 2, 0xfd, 0x11},           // i32x4.splat(self(n-1))
		bytes.Repeat([]byte{0xfd, 0x50}, vectors), []byte{0xfd, 0x53}) // any_true of all, or'ed
	call := []byte{0x41, 0xdc, 0x3d, 0x10, 2, 0x1a, 0x42, 0, 0x42, 1, 0x10, 0} // drop(wide(7900)), output_write(0, 1)
	return moduleOf(sectionOf(1, vectorOf(3, []byte{0x60, 0, 0}, []byte{0x60, 1, 0x7f, 1, 0x7f}, []byte{0x60, 2, 0x7e, 0x7e, 0})),
		sectionOf(2, vectorOf(1, nameOf("pointsman:rt"), nameOf("output_write"), []byte{0, 2})),
		sectionOf(3, vectorOf(2, []byte{0, 1})), oneMemory, sectionOf(7, vectorOf(1, nameOf("call"), []byte{0, 1})),
		sectionOf(10, vectorOf(2, bodyOf(noLocals, call), bodyOf(noLocals, wide))),
		sectionOf(11, vectorOf(1, []byte{0, 0x41, 0, 0x0b, 1, '0'})))
}

// testWeights deploys modules that are hard to bear, and calls them.
func testWeights(t *testing.T, s *siege) {
	// A runtime keeps what a module declares (199,000 segments: some 35 MiB), and Go's heap may
	// be twice what lives in it. When the module goes, all of it has to.
	s.heavy = rssRoom
	for _, w := range weights() {
		t.Run(w.name, func(t *testing.T) {
			s.during(t, w.name, func() {
				said := s.deploy(t, w.module, "call")
				if strings.Contains(said, saysRefused) { // better still
					t.Logf("refused: %.300s", said)
					return
				}
				for range 3 {
					var group sync.WaitGroup
					for range 4 {
						group.Go(func() {
							got, err := s.try("/v1/bad")
							if err != nil || got.status != w.status && (w.status == http.StatusOK || isProblem(got) != nil) {
								t.Errorf("a call: %d %.200s, %v", got.status, got.body, err)
							}
						})
					}
					group.Wait()
				}
			})
		})
	}
	s.heavy = 0
	s.during(t, "none of them any more", func() {
		if said := s.deploy(t, attackGuest(t, "nothing"), "call"); !strings.Contains(said, saysLive) {
			t.Errorf("the broker says %.600q, want %s", said, saysLive)
		}
	})
}
