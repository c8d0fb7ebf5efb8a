package consumer_test

import (
	"hash/crc32"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pointsman/host/broker"
	"pointsman/host/consumer"
)

func crc(s string) uint32 { return crc32.ChecksumIEEE([]byte(s)) }

func definition(id broker.PrincipalID, count int, per time.Duration) consumer.Definition {
	return consumer.Definition{ID: id, Rate: consumer.Rate{Count: count, Per: per}}
}

// allowed counts how many of 1000 requests pass at now.
func allowed(d *consumer.Directory, id broker.PrincipalID, now time.Time) (n int) {
	for range 1000 {
		if ok, _ := d.Allow(id, now); ok {
			n++
		}
	}
	return n
}

func TestAllow(t *testing.T) {
	d := consumer.NewDirectory([]consumer.Definition{
		definition("a", 10, time.Second), definition("b", 60, time.Minute), {ID: "free"},
	}, nil)
	now := time.Now()
	tests := []struct {
		name  string
		id    broker.PrincipalID
		after time.Duration // since now
		want  int
	}{
		{"not in the directory", "nobody", 0, 0},
		{"a burst", "a", 0, 10},
		{"none left", "a", 0, 0},
		{"not before a tenth of a second", "a", 99 * time.Millisecond, 0},
		{"one after a tenth of a second", "a", 100 * time.Millisecond, 1},
		{"no more than the burst after an hour", "a", time.Hour, 10},
		{"others count for themselves", "b", 0, 60},
		{"one a second", "b", 2 * time.Second, 2},
		{"no limit", "free", 0, 1000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := allowed(d, tt.id, now.Add(tt.after)); got != tt.want {
				t.Errorf("%d requests passed, want %d", got, tt.want)
			}
		})
	}
}

func TestAllowAfter(t *testing.T) {
	d := consumer.NewDirectory([]consumer.Definition{definition("a", 1, time.Second)}, nil)
	now := time.Now()
	d.Allow("a", now)
	ok, after := d.Allow("a", now.Add(400*time.Millisecond))
	if ok || after < 599*time.Millisecond || after > 601*time.Millisecond {
		t.Errorf("Allow = %v after %v, want false after 600ms", ok, after)
	}
	if ok, _ := d.Allow("a", now.Add(400*time.Millisecond+after)); !ok {
		t.Error("refused after the time that was told")
	}
	if ok, after := d.Allow("nobody", now); ok || after != 0 {
		t.Errorf("nobody: %v after %v", ok, after)
	}
}

func TestLimitersSurviveRelease(t *testing.T) {
	now := time.Now()
	first := consumer.NewDirectory([]consumer.Definition{
		definition("same", 10, time.Second), definition("raised", 10, time.Second), definition("freed", 10, time.Second),
	}, nil)
	for _, id := range []broker.PrincipalID{"same", "raised", "freed"} {
		if got := allowed(first, id, now); got != 10 {
			t.Fatalf("%s: %d passed, want 10", id, got)
		}
	}
	second := consumer.NewDirectory([]consumer.Definition{
		definition("same", 10, time.Second), definition("raised", 20, time.Second), {ID: "freed"}, definition("new", 5, time.Second),
	}, first)
	for id, want := range map[broker.PrincipalID]int{"same": 0, "raised": 20, "freed": 1000, "new": 5} {
		if got := allowed(second, id, now); got != want {
			t.Errorf("%s: %d passed after the release, want %d", id, got, want)
		}
	}
	later := now.Add(time.Second)
	if got := allowed(first, "same", later) + allowed(second, "same", later); got != 10 {
		t.Errorf("%d passed through both releases, want 10 together", got)
	}
}

func TestAllowConcurrent(t *testing.T) {
	d := consumer.NewDirectory([]consumer.Definition{definition("a", 100, time.Hour)}, nil)
	now := time.Now()
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { passed.Add(int64(allowed(d, "a", now))) })
	}
	all.Wait()
	if passed.Load() != 100 {
		t.Errorf("%d passed, want 100", passed.Load())
	}
}
