package sandbox_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
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

	"pointsman/host/sandbox"
)

// record2K is a JSON object of 2 KiB.
var record2K = append(append([]byte(`{"name":"`), bytes.Repeat([]byte("pointsman "), 203)...), `"}`...)

// jsonGuest is testdata/cguest/json.c.
func jsonGuest(t testing.TB) []byte {
	t.Helper()
	clang, err := exec.LookPath("clang")
	if err != nil {
		t.Skip("clang not present")
	}
	made := filepath.Join(t.TempDir(), "json.wasm")
	text, err := exec.Command(clang, "--target=wasm32", "-O2", "-nostdlib", "-fno-builtin", "-Wl,--no-entry",
		"-o", made, "testdata/cguest/json.c").CombinedOutput()
	if err != nil {
		t.Skipf("clang cannot make Wasm: %v: %s", err, text)
	}
	module, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// snapshotOf compiles a module on the snapshot engine.
func snapshotOf(t testing.TB, module []byte, idle int, imports ...sandbox.Import) sandbox.Module {
	if imports == nil {
		imports = []sandbox.Import{okHTTP}
	}
	t.Helper()
	e, err := sandbox.New(sandbox.Options{Engine: "snapshot", Idle: idle})
	if err != nil {
		t.Fatal(err)
	}
	m, err := e.Compile(context.Background(), module, sandbox.Terms{Imports: imports, Limits: sandbox.Limits{Time: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := e.(*sandbox.Snapshot).Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// sdkPlugin is a module on go-sdk as its manual shows it, with its functions.
func sdkPlugin(t testing.TB, module []byte) *extism.CompiledPlugin {
	t.Helper()
	none := func(name string) extism.HostFunction {
		f := extism.NewHostFunctionWithStack(name, func(_ context.Context, _ *extism.CurrentPlugin, s []uint64) { s[0] = 0 },
			[]extism.ValueType{extism.ValueTypeI64, extism.ValueTypeI64}, []extism.ValueType{extism.ValueTypeI64})
		if name == "request" {
			f.SetNamespace("pointsman:http")
		} else {
			f.SetNamespace("pointsman:rt")
		}
		return f
	}
	p, err := extism.NewCompiledPlugin(context.Background(), extism.Manifest{Wasm: []extism.Wasm{extism.WasmData{Data: module}}},
		extism.PluginConfig{EnableWasi: true}, []extism.HostFunction{none("request"), none("reply_read")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(context.Background()) })
	return p
}

// sdkCall is a call on an instance of its own, or on the one given.
func sdkCall(t testing.TB, p *extism.CompiledPlugin, kept *extism.Plugin, export string, in []byte) {
	ctx := context.Background()
	i := kept
	if i == nil {
		var err error
		if i, err = p.Instance(ctx, extism.PluginInstanceConfig{}); err != nil {
			t.Fatal(err)
		}
		defer i.Close(ctx)
	}
	if _, out, err := i.Call(export, in); err != nil || len(out) < len(in) {
		t.Fatalf("got %d bytes, %v", len(out), err)
	}
}

// alternately times a and b in turns, so that a machine that becomes slower does so for
// both, and reports how many times longer a takes.
func alternately(b *testing.B, a, ours func()) {
	const rounds = 128 // of ours for one of a: about as much time each
	var first, second time.Duration
	n := 0
	for b.Loop() {
		begun := time.Now()
		a()
		between := time.Now()
		for range rounds {
			ours()
		}
		first += between.Sub(begun)
		second += time.Since(between)
		n++
	}
	theirs, mine := float64(first.Nanoseconds())/float64(n), float64(second.Nanoseconds())/float64(n*rounds)
	b.ReportMetric(theirs/1e3, "sdk-µs/call")
	b.ReportMetric(mine/1e3, "µs/call")
	b.ReportMetric(theirs/mine, "x")
}

// A pristine call against go-sdk's new instance for each call.
func BenchmarkPristine(b *testing.B) {
	for _, bb := range []struct {
		name, export string
		module       func(testing.TB) []byte
	}{
		{"c-json", "addfield", jsonGuest},
		{"c-echo", "echo", jsonGuest},
		{"go-echo", "echo", func(t testing.TB) []byte { return goModule(t) }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			module := bb.module(b)
			m, p := snapshotOf(b, module, 0), sdkPlugin(b, module)
			alternately(b,
				func() { sdkCall(b, p, nil, bb.export, record2K) },
				func() {
					if out, err := m.Call(context.Background(), bb.export, record2K); err != nil || len(out) < len(record2K) {
						b.Fatalf("got %d bytes, %v", len(out), err)
					}
				})
		})
	}
}

// The sandbox alone, with its allocations.
func BenchmarkSnapshotCall(b *testing.B) {
	for _, bb := range []struct {
		name, export string
		module       func(testing.TB) []byte
	}{
		{"c-json", "addfield", jsonGuest},
		{"go-echo", "echo", func(t testing.TB) []byte { return goModule(t) }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			m := snapshotOf(b, bb.module(b), 0)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Call(context.Background(), bb.export, record2K); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Pristine calls against the same engine without its restoring, and against one go-sdk
// instance for each goroutine, used again and again, both of which keep what every call
// leaves; two goroutines.
func BenchmarkThroughput(b *testing.B) {
	module := jsonGuest(b)
	ctx := context.Background()
	m, p := snapshotOf(b, module, 0), sdkPlugin(b, module)
	two := func(calls int, call func(g int)) time.Duration {
		begun := time.Now()
		var wg sync.WaitGroup
		for g := range 2 {
			wg.Go(func() {
				for range calls {
					call(g)
				}
			})
		}
		wg.Wait()
		return time.Since(begun)
	}
	var kept [2]*extism.Plugin
	for g := range kept {
		i, err := p.Instance(ctx, extism.PluginInstanceConfig{})
		if err != nil {
			b.Fatal(err)
		}
		defer i.Close(ctx)
		kept[g] = i
	}
	ours := func(call func() ([]byte, error)) func(int) {
		return func(int) {
			if _, err := call(); err != nil {
				b.Error(err)
			}
		}
	}
	const calls = 1000
	var sdk, leaky, pristine time.Duration
	for b.Loop() {
		leaky += two(calls, ours(func() ([]byte, error) { return sandbox.CallLeaky(ctx, m, "addfield", record2K) }))
		pristine += two(calls, ours(func() ([]byte, error) { return m.Call(ctx, "addfield", record2K) }))
		sdk += 5 * two(calls/5, func(g int) { sdkCall(b, p, kept[g], "addfield", record2K) })
	}
	b.ReportMetric(leaky.Seconds()/pristine.Seconds(), "of-leaky")
	b.ReportMetric(sdk.Seconds()/pristine.Seconds(), "of-sdk-leaky")
}

// What a Go sandbox takes that has served and waits for a call: its part of the process's
// memory, whether its own or shared.
func BenchmarkIdle(b *testing.B) {
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
	b.ReportMetric(slices.Max(instances), "MB/instance")
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
