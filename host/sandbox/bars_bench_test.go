package sandbox_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"

	"pointsman/host/sandbox"
	"pointsman/host/wasm"
)

// Each benchmark here whose name begins with BenchmarkBar measures one promise and reports
// it as its only metric, so that another program can compare it. What compares does so
// within one run and in turns, so that a machine that becomes slower does so for both.

// report sets a benchmark's only metric.
func report(b *testing.B, value float64, unit string) {
	b.ReportMetric(0, "ns/op") // leaves it out
	b.ReportMetric(value, unit)
}

// median is that of many durations, which it sorts.
func median(ds []time.Duration) float64 {
	slices.Sort(ds)
	return float64(ds[len(ds)/2])
}

// timed is how long f takes.
func timed(f func()) time.Duration {
	begun := time.Now()
	f()
	return time.Since(begun)
}

// faster is how many times longer go-sdk's new instance for a call takes than a pristine
// call of the same export.
func faster(b *testing.B, module []byte, export string) {
	const rounds = 128 // of ours for one of theirs: about as much time each
	m, p := snapshotOf(b, module, 0), sdkPlugin(b, module)
	var theirs, ours []time.Duration
	for b.Loop() {
		theirs = append(theirs, timed(func() { sdkCall(b, p, nil, export, record2K) }))
		ours = append(ours, timed(func() {
			for range rounds {
				if out, err := m.Call(context.Background(), export, record2K); err != nil || len(out) < len(record2K) {
					b.Fatalf("got %d bytes, %v", len(out), err)
				}
			}
		}))
	}
	report(b, median(theirs)/(median(ours)/rounds), "x-faster")
}

// A guest in C that adds a field to 2 KB of JSON.
func BenchmarkBarPristineC(b *testing.B) { faster(b, jsonGuest(b), "addfield") }

// A guest in standard Go that answers 2 KB as they are.
func BenchmarkBarPristineGo(b *testing.B) { faster(b, goModule(b), "echo") }

// Pristine calls per second against those of the same engine without its restoring, which
// keeps what every call leaves; two goroutines.
func BenchmarkBarThroughput(b *testing.B) {
	const calls = 1000
	m := snapshotOf(b, jsonGuest(b), 0)
	two := func(call func() ([]byte, error)) time.Duration {
		return timed(func() {
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					for range calls {
						if _, err := call(); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
		})
	}
	ctx := context.Background()
	var leaky, pristine []time.Duration
	for b.Loop() {
		leaky = append(leaky, two(func() ([]byte, error) { return sandbox.CallLeaky(ctx, m, "addfield", record2K) }))
		pristine = append(pristine, two(func() ([]byte, error) { return m.Call(ctx, "addfield", record2K) }))
	}
	report(b, median(leaky)/median(pristine), "of-leaky")
}

// fuelOverhead is how much longer a call takes on a module that was rewritten, in percent.
func fuelOverhead(b *testing.B, module []byte, load func(module []byte) (call func())) {
	original, charged := load(module), load(rewritten(b, module, wasm.Options{}))
	var before, after []time.Duration
	for b.Loop() {
		before = append(before, timed(original))
		after = append(after, timed(charged))
	}
	report(b, 100*(median(after)/median(before)-1), "fuel-%")
}

// A guest in C that adds a field to 2 KB of JSON, on a kernel that is Wasm, too.
func BenchmarkBarFuelC(b *testing.B) {
	ctx := context.Background()
	text, err := os.ReadFile("testdata/kernel.wasm")
	if err != nil {
		b.Fatal(err)
	}
	fuelOverhead(b, jsonGuest(b), func(module []byte) func() {
		g := hostOf(b)
		kernel, err := g.runtime.InstantiateWithConfig(ctx, text, wazero.NewModuleConfig().WithName("extism:host/env"))
		if err != nil {
			b.Fatal(err)
		}
		g.load(module)
		kernel.Memory().Write(0, record2K)
		begin, f := kernel.ExportedFunction("begin"), g.mod.ExportedFunction("addfield")
		return func() {
			for range 32 { // one takes some microseconds
				if _, err := begin.Call(ctx, uint64(len(record2K))); err != nil {
					b.Fatal(err)
				}
				if r, err := f.Call(ctx); err != nil || r[0] != 0 {
					b.Fatal(r, err)
				}
			}
		}
	})
}

// encoding/json in standard Go, with its garbage collector.
func BenchmarkBarFuelGo(b *testing.B) {
	fuelOverhead(b, goGuest(b), func(module []byte) func() {
		f := newGuest(b, module).mod.ExportedFunction("document")
		return func() {
			if _, err := f.Call(context.Background(), 20); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// runaways are guests that do not end by themselves.
var runaways = []struct{ name, module, export string }{
	{"loop", "runaway", "spin"},
	{"tree", "runaway", "calltree"},
	{"recursion", "runaway", "mutualtree"}, // of two functions
	{"fills", "runaway", "filllines"},      // of 64 MiB each, in a straight line
	{"hostcalls", "storms", "levels"},
}

// stopping runs a hundred guests of a kind to their deadlines, one on each processor, while
// the garbage collector is made to run all the time, which has to stop the guests, too.
// It returns how long after its deadline each returned.
func stopping(b *testing.B, m sandbox.Module, export string) (late []time.Duration) {
	const deadline = 20 * time.Millisecond
	stop := make(chan struct{})
	var collector, guests sync.WaitGroup
	collector.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
				time.Sleep(time.Millisecond)
			}
		}
	})
	var mu sync.Mutex
	processors := runtime.GOMAXPROCS(0)
	for range processors {
		guests.Go(func() {
			for range (100 + processors - 1) / processors {
				ctx, cancel := context.WithTimeout(context.Background(), deadline)
				end, _ := ctx.Deadline()
				_, err := m.Call(ctx, export, nil)
				past := time.Since(end)
				cancel()
				if kind(err) != sandbox.Timeout {
					b.Errorf("got %v", err)
				}
				mu.Lock()
				late = append(late, past)
				mu.Unlock()
			}
		})
	}
	guests.Wait()
	close(stop)
	collector.Wait()
	return late
}

// How long past its deadline a runaway returns to its caller, at the 99th percentile.
func BenchmarkBarStop(b *testing.B) {
	for _, r := range runaways {
		b.Run(r.name, func(b *testing.B) {
			m := snapshotOf(b, testModule(b, r.module), 0)
			var late []time.Duration
			for b.Loop() {
				late = append(late, stopping(b, m, r.export)...)
			}
			slices.Sort(late)
			report(b, late[len(late)*99/100].Seconds()*1e3, "stop-p99-ms")
		})
	}
}

// The longest that runaways keep the whole process waiting for a stop of the world.
func BenchmarkBarPause(b *testing.B) {
	for _, r := range runaways {
		b.Run(r.name, func(b *testing.B) {
			m := snapshotOf(b, testModule(b, r.module), 0)
			before := pauses()
			for b.Loop() {
				stopping(b, m, r.export)
			}
			report(b, longestPause(before, pauses())*1e3, "pause-max-ms")
		})
	}
}

// What a Go sandbox takes that has served and waits for a call: its part of the process's
// memory, whether its own or shared.
func BenchmarkBarIdle(b *testing.B) {
	const many = 1000
	begun, release := make(chan struct{}, many), make(chan struct{})
	wait := okHTTP
	wait.Do = func(context.Context, []byte) []byte { // so that each call needs an instance
		begun <- struct{}{}
		<-release
		return okHTTP.Do(context.Background(), nil)
	}
	var instances []float64
	for b.Loop() {
		m := snapshotOf(b, goModule(b), many, wait)
		before := pss(b)
		var wg sync.WaitGroup
		for range many {
			wg.Go(func() {
				if _, err := m.Call(context.Background(), "http", record2K); err != nil {
					b.Error(err)
				}
			})
			<-begun
		}
		for range many {
			release <- struct{}{}
		}
		wg.Wait()
		instances = append(instances, float64(pss(b)-before)/many/1e6)
	}
	report(b, slices.Max(instances), "MB/instance")
}

// From the bytes of a plugin in standard Go, which a process before has compiled, to its
// first answer: with the start of the engine, and its self-test.
func BenchmarkBarDeployment(b *testing.B) {
	module, dir := goModule(b), filepath.Join(b.TempDir(), "compiled")
	ctx := context.Background()
	deploy := func() (took time.Duration) {
		begun := time.Now()
		c, err := sandbox.NewCompiler(sandbox.CompilerOptions{Dir: dir, MAC: macWith("key"), Worker: true})
		if err != nil {
			b.Fatal(err)
		}
		e, err := sandbox.New(sandbox.Options{Engine: "snapshot", Compiler: c})
		if err != nil {
			b.Fatal(err)
		}
		m, err := e.Compile(ctx, module, sandbox.Terms{Imports: []sandbox.Import{okHTTP}})
		if err != nil {
			b.Fatal(err)
		}
		if out, err := m.Call(ctx, "echo", []byte("hello")); err != nil || string(out) != "hello" {
			b.Fatal(string(out), err)
		}
		took = time.Since(begun)
		if err := m.Close(ctx); err != nil {
			b.Fatal(err)
		}
		if err := e.(*sandbox.Snapshot).Close(); err != nil {
			b.Fatal(err)
		}
		return took
	}
	b.Logf("cold: %v for %d bytes", deploy().Round(time.Millisecond), len(module))
	var warm []time.Duration
	for b.Loop() {
		warm = append(warm, deploy())
	}
	report(b, median(warm)/1e6, "first-answer-ms")
}

// Pristine calls against one go-sdk instance for each of two goroutines, used again and
// again, which keeps what every call leaves. No bar: go-sdk's kernel is what it measures.
func BenchmarkAgainstLeakySDK(b *testing.B) {
	module := jsonGuest(b)
	ctx := context.Background()
	m, p := snapshotOf(b, module, 0), sdkPlugin(b, module)
	const calls = 200
	var kept [2]*extism.Plugin
	for g := range kept {
		i, err := p.Instance(ctx, extism.PluginInstanceConfig{})
		if err != nil {
			b.Fatal(err)
		}
		defer i.Close(ctx)
		kept[g] = i
	}
	two := func(call func(g int)) time.Duration {
		return timed(func() {
			var wg sync.WaitGroup
			for g := range 2 {
				wg.Go(func() {
					for range calls {
						call(g)
					}
				})
			}
			wg.Wait()
		})
	}
	var sdk, pristine []time.Duration
	for b.Loop() {
		sdk = append(sdk, two(func(g int) { sdkCall(b, p, kept[g], "addfield", record2K) }))
		pristine = append(pristine, two(func(int) {
			if _, err := m.Call(ctx, "addfield", record2K); err != nil {
				b.Error(err)
			}
		}))
	}
	b.ReportMetric(median(sdk)/median(pristine), "of-sdk-leaky")
}

// pss is the process's proportional share of memory, in bytes.
func pss(t testing.TB) int {
	runtime.GC()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		t.Skip(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kb, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Skip("no Pss in smaps_rollup")
	return 0
}
