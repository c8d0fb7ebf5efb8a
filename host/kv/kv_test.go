package kv_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/broker"
	"pointsman/host/kv"
)

var ctx = context.Background()

func TestCheckKeyRefuses(t *testing.T) {
	tests := []struct{ name, key string }{
		{"nothing", ""}, {"one byte too many", strings.Repeat("k", 257)}, {"NUL", "a\x00b"}, {"a line end", "a\n"},
		{"DEL", "a\x7f"}, {"a C1 control", "a\u009b"}, {"no UTF-8", "a\xff"}, {"half a letter", "a\xc3"}, {"a surrogate", "\xed\xa0\x80"},
	}
	s := openAt(t, home(t), nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantErr(t, "check", kv.CheckKey(tt.key), kv.ErrKey)
			_, err := s.Put(ctx, "a", wide, kv.Put{Key: tt.key, Value: []byte("v")})
			wantErr(t, "put", err, kv.ErrKey)
			_, err = s.Swap(ctx, "a", wide, kv.Put{Key: tt.key, Value: []byte("v")}, 0)
			wantErr(t, "swap", err, kv.ErrKey)
			_, err = s.Get(ctx, "a", tt.key)
			wantErr(t, "get", err, kv.ErrKey)
			wantErr(t, "delete", s.Delete(ctx, "a", tt.key), kv.ErrKey)
		})
	}
}

// Names that mean something elsewhere are keys like any other, and each its own.
func TestKeysDoNotCollide(t *testing.T) {
	s := openAt(t, home(t), nil)
	keys := []string{
		"x", "../b/x", "..", "/", "b/x", "./x", "x/", "%2e%2e/b/x", `..\b\x`, "C:\\x", "a'; DROP TABLE entry; --", "*", "%", "_",
		"é", "e\u0301", "K", "\u212a", "ﬁ", "fi", "а" /* Cyrillic */, "a", "A", " x", "x ", "\u200bx", "\ufeffx", "\u202ex", strings.Repeat("k", 256), strings.Repeat("🚉", 64),
	}
	for i, key := range keys {
		put(t, s, "a", key, fmt.Sprint("value", i))
	}
	for i, key := range keys {
		want(t, s, "a", key, fmt.Sprint("value", i))
		want(t, s, "b", key, "")
	}
	if err := s.Delete(ctx, "a", "../b/x"); err != nil {
		t.Fatal(err)
	}
	want(t, s, "a", "../b/x", "")
	want(t, s, "a", "b/x", "value4")
}

func TestNamespacesAreApart(t *testing.T) {
	s := openAt(t, home(t), nil)
	// The first two would be one if namespace and key were put together without lengths.
	names := []struct {
		ns  kv.Namespace
		key string
	}{{"ab", "c"}, {"a", "bc"}, {"a", "c"}, {"a-b", "c"}, {"", "abc"}}
	for i, n := range names {
		put(t, s, n.ns, n.key, fmt.Sprint("value", i))
	}
	for i, n := range names {
		want(t, s, n.ns, n.key, fmt.Sprint("value", i))
	}
	if err := s.Delete(ctx, "a", "bc"); err != nil {
		t.Fatal(err)
	}
	want(t, s, "ab", "c", "value0")
}

func TestPutRefuses(t *testing.T) {
	large := bytes.Repeat([]byte("v"), kv.MaxValue+1)
	limits := kv.Limits{Bytes: 100, Keys: 2, TTL: time.Hour}
	tests := []struct {
		name   string
		limits kv.Limits
		put    kv.Put
		want   error
	}{
		{"no limits", kv.Limits{}, kv.Put{Key: "k"}, kv.ErrTTL},
		{"no keys", kv.Limits{Bytes: 100, TTL: time.Hour}, kv.Put{Key: "k"}, kv.ErrKeys},
		{"no bytes", kv.Limits{Keys: 1, TTL: time.Hour}, kv.Put{Key: "k"}, kv.ErrBytes},
		{"a large value", wide, kv.Put{Key: "k", Value: large}, kv.ErrLarge},
		{"more than the quota", limits, kv.Put{Key: "k", Value: large[:100]}, kv.ErrBytes},
		{"longer than the limit", limits, kv.Put{Key: "k", TTL: time.Hour + 1}, kv.ErrTTL},
		{"a negative time", limits, kv.Put{Key: "k", TTL: -1}, kv.ErrTTL},
		{"no time", limits, kv.Put{Key: "k", TTL: time.Microsecond}, kv.ErrTTL},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := openAt(t, home(t), nil)
			_, err := s.Put(ctx, "a", tt.limits, tt.put)
			wantErr(t, "put", err, tt.want)
			_, err = s.Swap(ctx, "a", tt.limits, tt.put, 0)
			wantErr(t, "swap", err, tt.want)
			want(t, s, "a", "k", "")
		})
	}
}

func TestQuota(t *testing.T) {
	c := newClock()
	s := openAt(t, home(t), c.Now)
	limits := kv.Limits{Bytes: 20, Keys: 3, TTL: time.Hour}
	lower := kv.Limits{Bytes: 5, Keys: 1, TTL: time.Hour}
	steps := []struct {
		name   string
		limits kv.Limits
		put    kv.Put
		wait   time.Duration // before
		want   error
	}{
		{"the first", limits, kv.Put{Key: "a", Value: []byte("1234")}, 0, nil},
		{"the second", limits, kv.Put{Key: "b", Value: []byte("1234")}, 0, nil},
		{"too many bytes", limits, kv.Put{Key: "c", Value: []byte("1234567890")}, 0, kv.ErrBytes},
		{"all bytes", limits, kv.Put{Key: "c", Value: []byte("123456789"), TTL: time.Minute}, 0, nil},
		{"too many keys", limits, kv.Put{Key: "d"}, 0, kv.ErrKeys},
		{"a smaller value in its place", limits, kv.Put{Key: "a", Value: []byte("12")}, 0, nil},
		{"too large in its place", limits, kv.Put{Key: "a", Value: []byte("12345")}, 0, kv.ErrBytes},
		{"as large as it was", limits, kv.Put{Key: "a", Value: []byte("1234")}, 0, nil},
		{"another namespace's is not counted", limits, kv.Put{Key: "d"}, 0, kv.ErrKeys},
		{"a lower quota: no more bytes", lower, kv.Put{Key: "a", Value: []byte("12345")}, 0, kv.ErrBytes},
		{"a lower quota: as many", lower, kv.Put{Key: "a", Value: []byte("4321")}, 0, nil},
		{"a lower quota: no other", lower, kv.Put{Key: "e"}, 0, kv.ErrKeys},
		{"what has expired is not counted", limits, kv.Put{Key: "d", Value: []byte("12345678"), TTL: time.Minute}, time.Minute, nil},
		{"but what has taken its place is", limits, kv.Put{Key: "e"}, 0, kv.ErrKeys},
		{"an expired entry gives no right to its place", lower, kv.Put{Key: "d", Value: []byte("1")}, time.Minute, kv.ErrKeys},
	}
	for _, st := range steps {
		c.add(st.wait)
		_, err := s.Put(ctx, "a", st.limits, st.put)
		wantErr(t, st.name, err, st.want)
		put(t, s, "b", st.name, "of another")
	}
	want(t, s, "a", "a", "4321")
	want(t, s, "a", "d", "")
	if err := s.Delete(ctx, "a", "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(ctx, "a", limits, kv.Put{Key: "new", Value: []byte("123456789012")}); err != nil {
		t.Errorf("what was deleted is counted: %v", err)
	}
}

func TestExpiry(t *testing.T) {
	c := newClock()
	s := openAt(t, home(t), c.Now)
	short, err := s.Put(ctx, "a", wide, kv.Put{Key: "short", Value: []byte("v"), TTL: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "a", "long", "v")
	c.add(time.Second - time.Millisecond)
	want(t, s, "a", "short", "v")
	c.add(time.Millisecond)
	want(t, s, "a", "short", "")
	c.add(-time.Hour) // the clock was set back: what has expired stays so
	want(t, s, "a", "short", "")
	if done, err := s.Swap(ctx, "a", wide, kv.Put{Key: "short", Value: []byte("w")}, short); err != nil || done.Done || done.Version != 0 {
		t.Errorf("swap of an expired version: %+v, %v", done, err)
	}
	if done, err := s.Swap(ctx, "a", wide, kv.Put{Key: "short", Value: []byte("w")}, 0); err != nil || !done.Done {
		t.Errorf("swap where an entry has expired: %+v, %v", done, err)
	}
	c.add(26 * time.Hour)
	want(t, s, "a", "long", "")
}

func TestSwap(t *testing.T) {
	s := openAt(t, home(t), nil)
	seen := broker.NewLabels("pii.contact")
	first := kv.Put{Key: "k", Value: []byte("1"), Labels: seen}
	next := kv.Put{Key: "k", Value: []byte("2")}
	if done, err := s.Swap(ctx, "a", wide, first, 7); err != nil || done.Done || done.Version != 0 || !done.Labels.Empty() {
		t.Errorf("of what is not there: %+v, %v", done, err)
	}
	one, err := s.Swap(ctx, "a", wide, first, 0)
	if err != nil || !one.Done || one.Version == 0 {
		t.Fatalf("of nothing: %+v, %v", one, err)
	}
	for _, version := range []uint64{0, one.Version + 1, 1<<64 - 1} {
		done, err := s.Swap(ctx, "a", wide, next, version)
		if err != nil || done.Done || done.Version != one.Version || done.Labels.String() != seen.String() {
			t.Errorf("of version %d: %+v, %v; want version %d and its labels", version, done, err, one.Version)
		}
	}
	want(t, s, "a", "k", "1")
	two, err := s.Swap(ctx, "a", wide, next, one.Version)
	if err != nil || !two.Done || two.Version == one.Version {
		t.Errorf("of the version that is there: %+v, %v", two, err)
	}
	if err := s.Delete(ctx, "a", "k"); err != nil {
		t.Fatal(err)
	}
	if again := put(t, s, "a", "k", "1"); again == one.Version || again == two.Version {
		t.Error("a version came back after a delete")
	}
}

func TestEntry(t *testing.T) {
	c := newClock()
	s := openAt(t, home(t), c.Now)
	binary := []byte("\x00\xff\n{\"a\":1}")
	seen := broker.NewLabels("pii.contact", "loyalty.balance")
	version, err := s.Put(ctx, "a", wide, kv.Put{Key: "k", Value: binary, TTL: time.Minute, Labels: seen})
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(ctx, "a", "k")
	want := kv.Entry{Value: binary, Version: version, Expires: c.Now().Add(time.Minute), Labels: seen}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b broker.Labels) bool { return a.String() == b.String() })); err != nil || diff != "" {
		t.Errorf("%v, -want +got\n%s", err, diff)
	}
}

func TestCanceled(t *testing.T) {
	s := openAt(t, home(t), nil)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, err := s.Put(gone, "a", wide, kv.Put{Key: "k", Value: []byte("v")})
	wantErr(t, "put", err, context.Canceled)
	_, err = s.Get(gone, "a", "k")
	wantErr(t, "get", err, context.Canceled)
	wantErr(t, "delete", s.Delete(gone, "a", "k"), context.Canceled)
	want(t, s, "a", "k", "")
}

// Counting by compare-and-set loses nothing, whoever writes at the same time.
func TestSwapConcurrent(t *testing.T) {
	dir := home(t)
	stores := []*kv.Store{openAt(t, dir, nil), openAt(t, dir, nil)} // as two processes have it
	const workers, each = 4, 10
	var lost atomic.Int64
	var all sync.WaitGroup
	for w := range workers {
		s := stores[w%len(stores)]
		ns := kv.Namespace(fmt.Sprint("ns", w/2))
		all.Go(func() {
			for n := 0; n < each; {
				e, err := s.Get(ctx, ns, "counter")
				if err != nil {
					t.Error(err)
					return
				}
				done, err := s.Swap(ctx, ns, wide, kv.Put{Key: "counter", Value: append(e.Value, '.')}, e.Version)
				if err != nil {
					t.Error(err)
					return
				}
				if done.Done {
					n++
				} else {
					lost.Add(1)
				}
			}
		})
	}
	all.Wait()
	for _, ns := range []kv.Namespace{"ns0", "ns1"} {
		want(t, stores[0], ns, "counter", strings.Repeat(".", 2*each))
	}
	t.Logf("%d swaps were too late", lost.Load())
}

func TestSweep(t *testing.T) {
	c := newClock()
	s := openAt(t, home(t), c.Now)
	for i := range 300 {
		if _, err := s.Put(ctx, "a", wide, kv.Put{Key: fmt.Sprint(i), TTL: time.Second}); err != nil {
			t.Fatal(err)
		}
	}
	put(t, s, "a", "stays", "v")
	for _, tt := range []struct {
		wait time.Duration
		want int
	}{{0, 0}, {time.Second, 256}, {0, 44}, {0, 0}} {
		c.add(tt.wait)
		if n, err := s.Sweep(ctx); n != tt.want || err != nil {
			t.Errorf("swept %d, %v, want %d", n, err, tt.want)
		}
	}
	want(t, s, "a", "stays", "v")
}

// Run sweeps at once, every batch, and ends with its context.
func TestRun(t *testing.T) {
	c := newClock()
	dir := home(t)
	s := openAt(t, dir, c.Now)
	for i := range 300 {
		if _, err := s.Put(ctx, "a", wide, kv.Put{Key: fmt.Sprint(i), TTL: time.Second}); err != nil {
			t.Fatal(err)
		}
	}
	c.add(time.Second)
	running, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() { s.Run(running, func(err error) { t.Error(err) }) })
	for deadline := time.Now().Add(time.Minute); entries(t, dir) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing was swept within a minute")
		}
	}
	stop()
	all.Wait()
}
