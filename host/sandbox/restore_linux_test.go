package sandbox

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

// restorable returns a module of 2.6 MiB with one instance.
func restorable(t testing.TB, way way) (*snapshotModule, *instance) {
	t.Helper()
	e, err := NewSnapshot(SnapshotOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if way != "" {
		e.dirty.way = way
	}
	module, err := e.Compile(context.Background(), selftest, Terms{})
	if err != nil {
		t.Fatal(err)
	}
	m := module.(*snapshotModule)
	i := m.pool.take()
	if i == nil {
		t.Fatal("no instance waits")
	}
	t.Cleanup(func() {
		m.pool.put(i)
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return m, i
}

// Whatever bytes are changed, restoring brings the image back, in each way.
func TestRestore(t *testing.T) {
	for _, way := range []way{byScan, byPagemap, byRemap} {
		t.Run(string(way), func(t *testing.T) {
			m, i := restorable(t, way)
			d := m.engine.dirty
			if way != byRemap && !d.finds() {
				t.Skip("does not work here")
			}
			size := len(i.memory.buf)
			for n := range 400 {
				for k := range n % 50 { // scattered, and more than a scan's worth of regions
					i.memory.buf[(n*7919+k*2*d.page+k*31)%size] ^= 0xff
				}
				if n%40 == 0 {
					for at := range i.memory.buf {
						i.memory.buf[at] = 0xee
					}
				}
				if n%7 == 0 {
					if _, ok := i.size.Grow(uint32(n%5 + 1)); !ok {
						t.Fatal("cannot grow")
					}
					i.memory.buf[len(i.memory.buf)-1] = 0xee
				}
				i.globals[1].Set(uint64(n))
				if err := i.restore(m.image, d); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(i.memory.buf, m.image.bytes) || i.globals[1].Get() != m.image.globals[1] {
					t.Fatalf("round %d: something is left", n)
				}
				if have := int(i.size.Size()); have != size {
					t.Fatalf("round %d: %d bytes, want %d", n, have, size)
				}
			}
		})
	}
}

// The way that is chosen here is the best that works.
func TestWayIsChosen(t *testing.T) {
	d := openDirtyPages()
	defer d.close()
	t.Log(d.way)
	if d.way == byRemap {
		t.Skip("/proc/self/pagemap cannot be read")
	}
	if !d.finds() {
		t.Error("what was chosen does not work")
	}
}

func BenchmarkRestore(b *testing.B) {
	for _, way := range []way{byScan, byPagemap, byRemap} {
		b.Run(string(way), func(b *testing.B) {
			m, i := restorable(b, way)
			page := m.engine.dirty.page
			for b.Loop() {
				for k := range 10 {
					i.memory.buf[k*30*page] = 0xee
				}
				if err := i.restore(m.image, m.engine.dirty); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Restoring after a call that has written ten pages of 2.6 MiB, in the way taken here.
func BenchmarkBarRestore(b *testing.B) {
	m, i := restorable(b, "")
	page, g := m.engine.dirty.page, m.image
	var took []time.Duration
	for b.Loop() {
		for k := range 10 {
			i.memory.buf[k*30*page] = 0xee
		}
		begun := time.Now()
		if err := i.restore(g, m.engine.dirty); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	b.ReportMetric(0, "ns/op") // leaves it out
	b.ReportMetric(float64(took[len(took)/2])/1e3, "restore-µs")
}

func TestSelfTestInEachWay(t *testing.T) {
	for _, way := range []way{byScan, byPagemap, byRemap} {
		t.Run(string(way), func(t *testing.T) {
			pages := FindPages()
			if way != byRemap && pages.dirty.way == byRemap {
				t.Skip("/proc/self/pagemap cannot be read")
			}
			pages.dirty.way = way
			e, err := NewSnapshot(SnapshotOptions{Pages: pages})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(e.SelfTest(context.Background()), e.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

// Where instances cannot be restored, the portable engine takes over, with a warning; who
// insists on the other gets an error.
func TestNewFallsBack(t *testing.T) {
	broken := func() *Pages {
		p := FindPages()
		p.dirty.way = "no way"
		return p
	}
	var warned bytes.Buffer
	e, err := New(Options{Pages: broken(), Log: slog.New(slog.NewTextHandler(&warned, nil))})
	if err != nil || e.Name() != "extism" {
		t.Errorf("got %v, %v", e, err)
	}
	if !strings.Contains(warned.String(), "level=WARN") || !strings.Contains(warned.String(), "self-test") {
		t.Errorf("logged %q", &warned)
	}
	if e, err := New(Options{Engine: "snapshot", Pages: broken()}); err == nil {
		t.Errorf("got %v for an engine that does not work", e)
	}
	if e, err := New(Options{Engine: "fastest"}); err == nil {
		t.Errorf("got %v for an engine that there is not", e)
	}
	e, err = New(Options{Engine: "extism"})
	if err != nil || e.Name() != "extism" {
		t.Errorf("got %v, %v", e, err)
	}
}

// A guest that there is no memory for is told from one that traps.
func TestNoMemoryToReserve(t *testing.T) {
	m, _ := restorable(t, "")
	m.memory = 1 << 62
	_, err := m.Call(context.Background(), "clean", nil)
	if f := new(Fault); !errors.As(err, &f) || f.Kind != Memory || f.Export != "clean" {
		t.Errorf("got %v", err)
	}
}
