package sandbox

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// The kernel is a map from live offsets to blocks: whatever is allocated, freed and
// written, each block keeps its bytes, no two overlap, and nothing else can be reached.
func TestKernelKeepsBlocksApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := &kernel{limit: 8 << 10, most: 1 << 40}
		model := map[uint64][]byte{}
		live := func() []uint64 {
			var all []uint64
			for _, b := range k.blocks {
				if b.data != nil {
					all = append(all, b.offset)
				}
			}
			return all
		}
		t.Repeat(map[string]func(*rapid.T){
			"alloc": func(t *rapid.T) {
				n := rapid.Uint64Range(0, 2<<10).Draw(t, "n")
				if at := k.alloc(n); at != 0 {
					if _, twice := model[at]; twice {
						t.Fatalf("offset %d was given twice", at)
					}
					model[at] = make([]byte, n)
				} else if n != 0 && k.used+n+blockCost <= k.limit {
					t.Fatalf("no room for %d bytes with %d used", n, k.used)
				}
			},
			"free": func(t *rapid.T) {
				if all := live(); len(all) > 0 {
					at := rapid.SampledFrom(all).Draw(t, "at")
					k.free(at)
					delete(model, at)
				}
			},
			"free nothing": func(t *rapid.T) {
				at := rapid.Uint64().Draw(t, "at")
				if _, is := model[at]; !is {
					k.free(at)
				}
			},
			"write": func(t *rapid.T) {
				if all := live(); len(all) > 0 {
					at := rapid.SampledFrom(all).Draw(t, "at")
					i := rapid.IntRange(0, len(model[at])-1).Draw(t, "i")
					b, ok := k.slice(at+uint64(i), 1)
					if !ok {
						t.Fatalf("byte %d of block %d cannot be reached", i, at)
					}
					b[0]++
					model[at][i]++
				}
			},
			"": func(t *rapid.T) {
				used := uint64(0)
				for at, want := range model {
					if got, ok := k.block(at); !ok || !bytes.Equal(got, want) {
						t.Fatalf("block %d differs", at)
					}
					end := at + uint64(len(want))
					if _, ok := k.slice(at, uint64(len(want))+1); ok {
						t.Fatalf("block %d reaches beyond %d", at, end)
					}
					used += uint64(len(want)) + blockCost
				}
				if used != k.used || used > k.limit {
					t.Fatalf("%d bytes are accounted for, want %d", k.used, used)
				}
			},
		})
	})
}

func TestKernelWithManyBlocks(t *testing.T) {
	k := &kernel{limit: 1 << 20, most: 1 << 40}
	var kept []uint64
	for i := range 100_000 {
		at := k.alloc(1)
		if at == 0 {
			t.Fatalf("no room after %d blocks, %d used", i, k.used)
		}
		if i%1000 == 0 {
			kept = append(kept, at)
			k.blocks[k.last].data[0] = byte(i / 1000)
		} else {
			k.free(at)
		}
	}
	for i, at := range kept {
		if b, ok := k.block(at); !ok || b[0] != byte(i) {
			t.Errorf("block %d: got %v, %t", at, b, ok)
		}
	}
	if len(k.blocks) > 4*len(kept) {
		t.Errorf("%d blocks are kept for %d", len(k.blocks), len(kept))
	}
}

func TestKernelEndsAt32Bits(t *testing.T) {
	k := &kernel{limit: 1 << 30, most: 1 << 40, next: kernelEnd - 64}
	at := k.alloc(32)
	if at == 0 || at+32 >= kernelEnd {
		t.Fatalf("got %#x", at)
	}
	if at := k.alloc(32); at != 0 {
		t.Errorf("got %#x beyond 32 bits", at)
	}
}

func TestVariablesAreBounded(t *testing.T) {
	var v variables
	if v.set("large", make([]byte, maxVariables)) {
		t.Error("took more than there is room for")
	}
	for range 3 { // replacing does not add up
		if !v.set("half", make([]byte, maxVariables/2)) {
			t.Fatal("refused what there is room for")
		}
	}
	if v.set("other", make([]byte, maxVariables/2)) {
		t.Error("took more than there is room for")
	}
	if !v.set("half", nil) || v.used != 0 {
		t.Errorf("%d bytes are used by nothing", v.used)
	}
	n := 0
	for v.set(string(rune('a'+n)), []byte{}) {
		n++
	}
	if n > maxVariables/blockCost {
		t.Errorf("%d empty variables", n)
	}
}

func TestGuestMemory(t *testing.T) {
	m := &guestMemory{limit: 4 * pageSize}
	if len(m.Reallocate(pageSize)) != pageSize {
		t.Fatal("no first page")
	}
	if !m.write(pageSize-1, []byte{7}) || m.write(pageSize-1, []byte{7, 8}) || m.write(1<<64-1, []byte{1, 2}) {
		t.Error("writing across the end")
	}
	if len(m.Reallocate(3*pageSize)) != 3*pageSize || len(m.Reallocate(4*pageSize)) != 4*pageSize {
		t.Fatal("cannot grow to the limit")
	}
	if m.Reallocate(5*pageSize) != nil {
		t.Error("grew beyond the limit")
	}
	b, ok := m.read(pageSize-1, 2)
	if !ok || !bytes.Equal(b, []byte{7, 0}) {
		t.Errorf("growing lost bytes: %v", b)
	}
	b[0] = 9
	if m.buf[pageSize-1] != 7 {
		t.Error("a read shares memory with the guest")
	}
	if bytes.Count(m.buf, []byte{0}) != 4*pageSize-1 {
		t.Error("fresh pages are not zero")
	}
	for _, n := range []uint64{4 * pageSize, 1 << 32, 1<<64 - 1} {
		if m.within(1, n) || m.within(n, 4*pageSize) {
			t.Errorf("%d bytes lie within", n)
		}
	}
}
