package kv_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pointsman/host/kv"
)

// A million keys: as many are kept as the quota says, and the file does not grow with the
// others. Short runs try 20,000.
func TestMillionKeys(t *testing.T) {
	tries := 1_000_000
	if testing.Short() || race {
		tries = 20_000
	}
	dir := home(t)
	s := openAt(t, dir, nil)
	limits := kv.Limits{Bytes: 1 << 20, Keys: 500, TTL: time.Hour}
	var kept atomic.Int64
	var one atomic.Value // a key that was kept
	var all sync.WaitGroup
	const workers = 4
	for w := range workers {
		all.Go(func() {
			for i := w; i < tries; i += workers {
				key := fmt.Sprint("key", i)
				_, err := s.Put(ctx, "greedy", limits, kv.Put{Key: key, Value: []byte("v")})
				switch {
				case err == nil:
					kept.Add(1)
					one.Store(key)
				case !errors.Is(err, kv.ErrKeys):
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if n := entries(t, dir); kept.Load() != 500 || n != 500 {
		t.Errorf("%d keys were kept, %d are in the file, want 500", kept.Load(), n)
	}
	last := fmt.Sprint("key", tries-1)
	want(t, s, "greedy", one.Load().(string), "v")
	want(t, s, "greedy", last, "")
	put(t, s, "modest", last, "v")
	size := 0
	for _, text := range readAll(t, dir) {
		size += len(text)
	}
	if size > 8<<20 { // 500 entries and a log of 4 MiB (SQLite's wal_autocheckpoint)
		t.Errorf("%d bytes on disk", size)
	}
}

func BenchmarkGet(b *testing.B) {
	s := openAt(b, home(b), nil)
	put(b, s, "a", "k", "value")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Get(ctx, "a", "k"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPut(b *testing.B) {
	s := openAt(b, home(b), nil)
	b.ReportAllocs()
	for b.Loop() {
		put(b, s, "a", "k", "value")
	}
}

// BenchmarkSweep is one full batch.
func BenchmarkSweep(b *testing.B) {
	c := newClock()
	s := openAt(b, home(b), c.Now)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		for i := range 256 {
			if _, err := s.Put(ctx, "a", wide, kv.Put{Key: fmt.Sprint(i), Value: make([]byte, 100), TTL: time.Second}); err != nil {
				b.Fatal(err)
			}
		}
		c.add(time.Second)
		b.StartTimer()
		if n, err := s.Sweep(ctx); n != 256 || err != nil {
			b.Fatal(n, err)
		}
	}
}
