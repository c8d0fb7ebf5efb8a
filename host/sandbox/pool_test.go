package sandbox

import "testing"

// many puts n new instances.
func many(p *pool, n int) {
	for range n {
		p.put(&instance{})
	}
}

func TestPoolsShareWhatIsSpare(t *testing.T) {
	t.Parallel()
	s := newSpare(3)
	a, b := &pool{limit: 2, spare: s}, &pool{limit: 2, spare: s}
	many(a, 10)
	if len(a.idle) != 5 {
		t.Fatalf("the busy pool keeps %d, want its 2 and the 3 spare", len(a.idle))
	}
	many(b, 10)
	if len(b.idle) != 2 {
		t.Fatalf("the other pool keeps %d, want its own 2", len(b.idle))
	}
	for range 5 {
		a.take()
	}
	if got := s.left.Load(); got != 3 {
		t.Fatalf("%d places are spare when a pool is empty, want 3", got)
	}
	many(b, 10)
	if len(b.idle) != 5 {
		t.Fatalf("the other pool keeps %d once there is room, want 5", len(b.idle))
	}
	if err := b.drain(); err != nil {
		t.Fatal(err)
	}
	if got := s.left.Load(); got != 3 {
		t.Fatalf("%d places are spare after the pool was drained, want 3", got)
	}
}

func TestPoolLetsGoOfWhatIsNotNeeded(t *testing.T) {
	t.Parallel()
	s := newSpare(6)
	p := &pool{limit: 2, spare: s}
	many(p, 8)
	for range 3 * sweepEvery { // one call at a time
		p.put(p.take())
	}
	if len(p.idle) != 2 || s.left.Load() != 6 {
		t.Fatalf("%d wait and %d places are spare after a quiet time, want 2 and 6", len(p.idle), s.left.Load())
	}
}

func TestPoolWithoutSpareKeepsItsLimit(t *testing.T) {
	t.Parallel()
	p := &pool{limit: 2}
	many(p, 5)
	if len(p.idle) != 2 {
		t.Fatalf("%d wait, want 2", len(p.idle))
	}
}
