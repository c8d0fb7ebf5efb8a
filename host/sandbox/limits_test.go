package sandbox_test

import (
	"bytes"
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pointsman/host/sandbox"
	"pointsman/pdk/wire"
)

// long is a time limit that nothing here reaches, however slow the machine.
const long = 5 * time.Minute

// A guest that uses more fuel than it may ends for that, whatever it does, and one that uses
// less does not notice.
func TestFuelLimit(t *testing.T) { onEngines(t, testFuelLimit) }

func testFuelLimit(t *testing.T) {
	tests := []struct {
		module, export string
		fuel           uint64
		want           sandbox.FaultKind
	}{
		{"runaway", "spin", 1, sandbox.Fuel},
		{"runaway", "spin", 100_000, sandbox.Fuel},
		{"runaway", "spin", 10_000_000, sandbox.Fuel},
		{"runaway", "calltree", 10_000_000, sandbox.Fuel},
		{"runaway", "fill", 10_000_000, sandbox.Fuel},
		{"runaway", "filltree", 10_000_000, sandbox.Fuel},
		{"runaway", "copies", 10_000_000, sandbox.Fuel},
		{"runaway", "grow", 10_000_000, sandbox.Fuel},
		{"runaway", "churn", 1_000_000, sandbox.Fuel},
		{"runaway", "recurse", 10_000_000, sandbox.Depth}, // that comes first
		{"echo", "echo", 1, sandbox.Fuel},
		{"echo", "echo", 100_000, ""},
		{"init", "answer", 100_000, ""},
		{"echo", "echo", 1 << 60, ""},
	}
	for _, tt := range tests {
		t.Run(tt.module+"/"+tt.export, func(t *testing.T) {
			m := load(t, tt.module, sandbox.Limits{Fuel: tt.fuel, Time: long})
			for range 2 { // a call's fuel is its own
				if _, err := m.Call(context.Background(), tt.export, []byte("hello")); kind(err) != tt.want {
					t.Fatalf("got %v, want %q", err, tt.want)
				}
			}
		})
	}
}

// least is the smallest fuel limit with which a call succeeds.
func least(t *testing.T, name, export string) uint64 {
	enough := func(fuel uint64) bool {
		m, err := newEngine(t, sandbox.Options{}).Compile(context.Background(), testModule(t, name), sandbox.Terms{
			Imports: []sandbox.Import{okHTTP}, Limits: sandbox.Limits{Fuel: fuel, Time: long}})
		if kind(err) == sandbox.Fuel { // not even for its initialization
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := m.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		_, err = m.Call(context.Background(), export, []byte("hello"))
		if k := kind(err); k != "" && k != sandbox.Fuel {
			t.Fatalf("with %d units: %v", fuel, err)
		}
		_, again := m.Call(context.Background(), export, []byte("hello"))
		if kind(again) != kind(err) {
			t.Fatalf("with %d units: first %v, then %v", fuel, err, again)
		}
		return err == nil
	}
	low, high := uint64(0), uint64(1<<20) // not enough (0 is no limit), enough
	for high-low > 1 {
		if mid := (low + high) / 2; enough(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}

// The same fuel is enough on both engines, to the unit, with initializers that ran for the
// call or long before, and reseeding.
func TestFuelIsTheSameOnBothEngines(t *testing.T) {
	for _, guest := range [][2]string{{"echo", "echo"}, {"init", "answer"}, {"warm", "answer"}, {"reseed", "counts"}} {
		var found []uint64
		onEngines(t, func(t *testing.T) { found = append(found, least(t, guest[0], guest[1])) })
		if len(found) != 2 || found[0] != found[1] || found[0] < 2 {
			t.Errorf("%s: %d units are enough", guest[0], found)
		}
	}
}

// counted is an http.request that counts its calls, and answers a KiB.
func counted() (i sandbox.Import, calls *atomic.Int64) {
	calls = new(atomic.Int64)
	return sandbox.Import{Capability: "http", Op: "request", Do: func(context.Context, []byte) []byte {
		calls.Add(1)
		return wire.Done(make([]byte, 1023))
	}}, calls
}

// A storm of operations ends, and what is beyond the limit is not done.
func TestOperationsAreLimited(t *testing.T) { onEngines(t, testOperationsAreLimited) }

func testOperationsAreLimited(t *testing.T) {
	tests := []struct {
		export string
		limits sandbox.Limits
		calls  int64
		detail string
	}{
		{"requests", sandbox.Limits{}, 10_000, "more than 10000 operations"},
		{"requests", sandbox.Limits{HostCalls: 7}, 7, "more than 7 operations"},
		{"user", sandbox.Limits{HostCalls: 7}, 7, "more than 7 operations"},
		{"refused", sandbox.Limits{HostCalls: 7}, 0, "more than 7 operations"},
		{"requests", sandbox.Limits{HostBytes: 10 * 1032}, 10, "bytes of requests and replies"}, // 8 bytes, and 1 KiB
		{"requests", sandbox.Limits{HostBytes: 10*1032 + 7}, 10, "bytes of requests and replies"},
		{"requests", sandbox.Limits{HostBytes: 10*1032 + 8}, 11, "bytes of requests and replies"}, // the 11th answer is too much
		{"mebibytes", sandbox.Limits{}, 63, "more than 67108864 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.export+"/"+tt.detail, func(t *testing.T) {
			op, calls := counted()
			tt.limits.Time = long
			m := compile(t, sandbox.Options{}, testModule(t, "storms"), []sandbox.Import{op}, tt.limits)
			for range 2 { // a call's budget is its own
				calls.Store(0)
				out, err := m.Call(context.Background(), tt.export, nil)
				if out != nil || kind(err) != sandbox.Calls || !strings.Contains(err.Error(), tt.detail) || calls.Load() != tt.calls {
					t.Fatalf("got %q, %v, after %d calls, want %d", out, err, calls.Load(), tt.calls)
				}
			}
		})
	}
}

// What the host does by itself for a guest costs it a bounded amount of memory and of log,
// and is over when its time is.
func TestStormsOfHostCallsEnd(t *testing.T) { onEngines(t, testStormsOfHostCallsEnd) }

func testStormsOfHostCallsEnd(t *testing.T) {
	const (
		kib  = 1 << 10
		room = 256 << 20 // for the heap: what a guest may hold, four times, and garbage
	)
	tests := []struct {
		export string
		want   sandbox.FaultKind
	}{
		{"levels", sandbox.Timeout},
		{"yields", sandbox.Timeout},
		{"random", sandbox.Timeout},
		{"lines", sandbox.ABI}, // there was enough of blocks
		{"empty", sandbox.Timeout},
		{"breaks", sandbox.Timeout},
		{"variable", sandbox.ABI},  // there was enough of blocks
		{"variables", sandbox.ABI}, // there is no room for more
		{"config", sandbox.Timeout},
		{"allocs", sandbox.Timeout}, // of which most fail
		{"resets", sandbox.Timeout},
		{"errors", sandbox.ABI},
	}
	for _, tt := range tests {
		t.Run(tt.export, func(t *testing.T) {
			var l logLines
			m := compile(t, sandbox.Options{Logger: &l}, testModule(t, "storms"), []sandbox.Import{okHTTP},
				sandbox.Limits{Time: 300 * time.Millisecond, LogBytes: 64 * kib})
			var before, stats runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			most, over, sampled := uint64(0), make(chan struct{}), make(chan struct{})
			go func() {
				defer close(sampled)
				for {
					runtime.ReadMemStats(&stats)
					most = max(most, stats.HeapAlloc)
					select {
					case <-over:
						return
					case <-time.After(5 * time.Millisecond):
					}
				}
			}()
			begun := time.Now()
			_, err := m.Call(context.Background(), tt.export, nil)
			took := time.Since(begun)
			close(over)
			<-sampled
			if tt.want == sandbox.ABI && kind(err) == sandbox.Timeout {
				t.Log("its time was up before there was no room") // on a slow machine
			} else if kind(err) != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if took > 10*time.Second { // not a promise of speed: slow machines run this
				t.Errorf("took %v", took)
			}
			if most > before.HeapAlloc+room {
				t.Errorf("%d MiB of heap", (most-before.HeapAlloc)>>20)
			}
			if stats := stats.TotalAlloc - before.TotalAlloc; stats > room {
				t.Errorf("%d MiB of garbage", stats>>20)
			}
			if text := len(strings.Join(l.lines, "")); text > 64*kib+len("warn:")*len(l.lines)+kib {
				t.Errorf("%d bytes of log", text)
			}
			if out, err := m.Call(context.Background(), "requests", nil); out != nil || kind(err) != sandbox.Calls && kind(err) != sandbox.Timeout {
				t.Errorf("the next call: got %q, %v", out, err)
			}
		})
	}
}

// Blank lines use up the log's budget: finding them is work.
func TestBlankLinesCost(t *testing.T) { onEngines(t, testBlankLinesCost) }

func testBlankLinesCost(t *testing.T) {
	module := testModule(t, "log") // "lines" writes two of first, two of second
	module = bytes.Replace(module, []byte("first\nsecond"), []byte("\n\n\n\n\n\nsecond"), 1)
	for limit, want := range map[int]string{
		40 + 2*127: `info:secon\x1b[2Jx warn:secon`,
		20 + 127:   `info:secon\x1b[2Jx warn:the rest of this call's output is dropped: it exceeds its limit`,
		6:          `warn:the rest of this call's output is dropped: it exceeds its limit`,
	} {
		var l logLines
		m := compile(t, sandbox.Options{Logger: &l}, module, nil, sandbox.Limits{LogBytes: limit})
		if _, err := m.Call(context.Background(), "lines", nil); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(l.lines, " "); got != want {
			t.Errorf("with %d bytes: got %q, want %q", limit, got, want)
		}
	}
}
