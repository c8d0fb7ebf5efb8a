package consumer_test

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pointsman/host/broker"
	"pointsman/host/consumer"
)

func budget(id broker.PrincipalID, count int, per time.Duration) consumer.Definition {
	return consumer.Definition{ID: id, Subjects: consumer.Rate{Count: count, Per: per}}
}

func reveal(t testing.TB, d *consumer.Directory, id broker.PrincipalID, subject string, now time.Time, want bool) time.Duration {
	t.Helper()
	ok, after := d.Reveal(id, subject, now)
	if ok != want {
		t.Errorf("%s, subject %s: %v, want %v", id, subject, ok, want)
	}
	if ok && after != 0 {
		t.Errorf("%s, subject %s: it passed, and is told to wait %v", id, subject, after)
	}
	return after
}

func TestReveal(t *testing.T) {
	start := time.Now()
	d := consumer.NewDirectory([]consumer.Definition{budget("a", 2, 24*time.Hour), budget("b", 1, time.Hour), {ID: "free"}}, nil)
	tests := []struct {
		name    string
		id      broker.PrincipalID
		subject string
		at      time.Duration
		want    bool
		after   time.Duration
	}{
		{"not in the directory", "nobody", "1", 0, false, 0},
		{"the first", "a", "1", 0, true, 0},
		{"the second", "a", "2", time.Hour, true, 0},
		{"one too many", "a", "3", time.Hour, false, 24 * time.Hour},
		{"another one too many", "a", "4", 2 * time.Hour, false, 23 * time.Hour},
		{"a known one is free", "a", "1", 3 * time.Hour, true, 0},
		{"others count for themselves", "b", "3", 3 * time.Hour, true, 0},
		{"and have their own end", "b", "4", 3 * time.Hour, false, 62*time.Minute + 30*time.Second},
		{"no limit", "free", "9", 3 * time.Hour, true, 0},
		{"the refused one was not counted", "a", "2", 4 * time.Hour, true, 0},
		{"the first counts from when it was revealed last", "a", "3", 27*time.Hour + 59*time.Minute, false, time.Minute},
		{"then it is forgotten", "a", "3", 28 * time.Hour, true, 0},
		{"and would be one too many", "a", "1", 28 * time.Hour, false, time.Hour},
		{"everything is forgotten after a long time", "a", "8", 1000 * time.Hour, true, 0},
		{"who asks late is counted with the others", "a", "9", 999 * time.Hour, true, 0},
		{"and is not let in before", "a", "10", 999 * time.Hour, false, 26 * time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if after := reveal(t, d, tt.id, tt.subject, start.Add(tt.at), tt.want); after != tt.after {
				t.Errorf("it is told to wait %v, want %v", after, tt.after)
			}
		})
	}
}

func TestSubjectsSurviveRelease(t *testing.T) {
	now := time.Now()
	first := consumer.NewDirectory([]consumer.Definition{
		budget("same", 1, time.Hour), budget("raised", 1, time.Hour), budget("lowered", 3, time.Hour), budget("longer", 1, time.Hour), budget("freed", 1, time.Hour),
	}, nil)
	for _, id := range []broker.PrincipalID{"same", "raised", "lowered", "longer", "freed"} {
		reveal(t, first, id, "1", now, true)
	}
	reveal(t, first, "lowered", "2", now, true)
	second := consumer.NewDirectory([]consumer.Definition{
		budget("same", 1, time.Hour), budget("raised", 2, time.Hour), budget("lowered", 1, time.Hour), budget("longer", 1, 24*time.Hour), {ID: "freed"},
	}, first)
	reveal(t, second, "same", "2", now, false)
	reveal(t, second, "same", "1", now, true)
	reveal(t, second, "raised", "2", now, true)
	reveal(t, second, "raised", "3", now, false)
	reveal(t, first, "raised", "4", now, false) // the old release, which drains, counts with it
	reveal(t, second, "lowered", "3", now, false)
	reveal(t, second, "lowered", "2", now, true)
	reveal(t, second, "longer", "2", now, true)
	reveal(t, second, "freed", "2", now, true)
}

// In no stretch of time as long as the window is a consumer told of more than its number, one
// that it was told of within the window is never refused, and nobody is refused while there
// is room.
func TestRevealProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const window = time.Hour
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		d := consumer.NewDirectory([]consumer.Definition{budget("a", limit, window)}, nil)
		now := time.Now()
		told := map[string]time.Time{} // when last
		within := func(d time.Duration) int {
			n := 0
			for at := range maps.Values(told) {
				if now.Sub(at) < d {
					n++
				}
			}
			return n
		}
		t.Repeat(map[string]func(*rapid.T){
			"time passes": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(window/3)).Draw(t, "for")))
			},
			"much time passes": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(3*window)).Draw(t, "for")))
			},
			"reveal": func(t *rapid.T) {
				subject := fmt.Sprint(rapid.IntRange(1, 8).Draw(t, "subject"))
				last, known := told[subject]
				ok, after := d.Reveal("a", subject, now)
				switch {
				case ok:
					told[subject] = now
					if n := within(window); n > limit {
						t.Fatalf("told of %d within the window, limit %d", n, limit)
					}
				case known && now.Sub(last) < window:
					t.Fatalf("refused %s, which it was told of %v ago", subject, now.Sub(last))
				case within(window+window/24) < limit:
					t.Fatalf("refused %s with %d of %d told of", subject, within(window+window/24), limit)
				case after <= 0 || after > window+window/24:
					t.Fatalf("to wait %v", after)
				}
			},
		})
	})
}

func TestRevealConcurrent(t *testing.T) {
	d := consumer.NewDirectory([]consumer.Definition{budget("a", 100, time.Hour)}, nil)
	start := time.Now()
	var mu sync.Mutex
	told := map[string]bool{} // guarded by mu
	var refused atomic.Int64
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := range 200 {
				subject := fmt.Sprint((i*7 + w*25) % 300)
				ok, _ := d.Reveal("a", subject, start.Add(time.Duration(i)*time.Second))
				if !ok {
					refused.Add(1)
					continue
				}
				mu.Lock()
				told[subject] = true
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if len(told) != 100 || refused.Load() == 0 {
		t.Errorf("told of %d, refused %d times; want 100 and some", len(told), refused.Load())
	}
	for subject := range told {
		reveal(t, d, "a", subject, start.Add(time.Minute), true)
	}
}

// A budget that nobody can mean is bounded, and so is the memory that it takes.
func TestSubjectsAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("a million subjects take a few seconds")
	}
	d := consumer.NewDirectory([]consumer.Definition{budget("a", 1<<40, time.Hour)}, nil)
	now := time.Now()
	before := heap()
	for i := range consumer.MaxSubjects {
		if ok, _ := d.Reveal("a", fmt.Sprint(i), now); !ok {
			t.Fatalf("subject %d was refused", i)
		}
	}
	reveal(t, d, "a", "one more", now, false)
	reveal(t, d, "a", "0", now, true)
	full := heap()
	if each := float64(full-before) / consumer.MaxSubjects; each > 41 {
		t.Errorf("%.1f bytes for each subject", each)
	}
	reveal(t, d, "a", "one more", now.Add(2*time.Hour), true)
	if after := heap(); after > before+1<<20 {
		t.Errorf("%d bytes are kept of what was forgotten", after-before)
	}
	runtime.KeepAlive(d)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkReveal(b *testing.B) {
	const n = 50_000
	d := consumer.NewDirectory([]consumer.Definition{budget("a", n, 24*time.Hour)}, nil)
	subjects := slices.Collect(func(yield func(string) bool) {
		for i := range 2 * n {
			if !yield(fmt.Sprint("customer:", i)) {
				return
			}
		}
	})
	now, before := time.Now(), heap()
	for _, s := range subjects {
		d.Reveal("a", s, now)
	}
	each := float64(heap()-before) / n
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Second)
		d.Reveal("a", subjects[i%len(subjects)], now)
		i++
	}
	b.ReportMetric(each, "B/subject") // Loop would reset it
}
