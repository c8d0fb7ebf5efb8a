package sandbox_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"pointsman/host/sandbox"
	"pointsman/pdk/wire"
)

// blocking returns a module whose operation waits for release, and says when it has begun.
func blocking(t *testing.T, heedsContext bool) (m sandbox.Module, begun, release chan struct{}) {
	t.Helper()
	begun, release = make(chan struct{}, 1), make(chan struct{})
	wait := sandbox.Import{Capability: "http", Op: "request", Do: func(ctx context.Context, _ []byte) []byte {
		begun <- struct{}{}
		done := ctx.Done()
		if !heedsContext {
			done = nil
		}
		select {
		case <-release:
		case <-done:
		}
		return wire.Done([]byte("released"))
	}}
	m, err := newEngine(t, sandbox.Options{}).Compile(context.Background(), testModule(t, "http_own"), sandbox.Terms{Imports: []sandbox.Import{wait}})
	if err != nil {
		t.Fatal(err)
	}
	return m, begun, release
}

type answer struct {
	out []byte
	err error
}

func start(m sandbox.Module) <-chan answer {
	answers := make(chan answer, 1)
	go func() {
		out, err := m.Call(context.Background(), "request", nil)
		answers <- answer{out, err}
	}()
	return answers
}

func TestCloseWaitsForCalls(t *testing.T) { onEngines(t, testCloseWaitsForCalls) }

func testCloseWaitsForCalls(t *testing.T) {
	m, begun, release := blocking(t, true)
	answers := start(m)
	<-begun
	closed := make(chan error, 1)
	go func() { closed <- m.Close(context.Background()) }()
	for { // until Close has begun, calls are accepted
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		_, err := m.Call(ctx, "none", nil)
		cancel()
		if errors.Is(err, sandbox.ErrClosed) {
			break
		}
	}
	select {
	case err := <-closed:
		t.Fatalf("closed while a call runs: %v", err)
	default:
	}
	close(release)
	if a := <-answers; a.err != nil || string(a.out) != "\x00released" {
		t.Errorf("got %q, %v", a.out, a.err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := m.Close(context.Background()); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestCloseStopsCallsWhenItsTimeIsUp(t *testing.T) {
	onEngines(t, testCloseStopsCallsWhenItsTimeIsUp)
}

func testCloseStopsCallsWhenItsTimeIsUp(t *testing.T) {
	m, begun, _ := blocking(t, true)
	answers := start(m)
	<-begun
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := m.Close(ctx); err != nil {
		t.Error(err)
	}
	if a := <-answers; kind(a.err) != sandbox.Stopped {
		t.Errorf("got %q, %v, want it stopped", a.out, a.err)
	}
}

func TestCloseGivesUpOnADeafOperation(t *testing.T) { onEngines(t, testCloseGivesUpOnADeafOperation) }

func testCloseGivesUpOnADeafOperation(t *testing.T) {
	m, begun, release := blocking(t, false)
	answers := start(m)
	<-begun
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := m.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(release) // the call ends properly nevertheless: its code is still there
	if a := <-answers; kind(a.err) != sandbox.Stopped {
		t.Errorf("got %q, %v", a.out, a.err)
	}
}

// An instance that is not closed stays in wazero's store, with more than 1 MiB of memory.
func TestInstancesAreClosed(t *testing.T) { onEngines(t, testInstancesAreClosed) }

func testInstancesAreClosed(t *testing.T) {
	ok, traps := load(t, "runaway", sandbox.Limits{Memory: 2 << 20}), load(t, "traps", sandbox.Limits{})
	heap := func() uint64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := heap()
	const calls = 100
	for range calls {
		if _, err := ok.Call(context.Background(), "growtolimit", nil); err != nil {
			t.Fatal(err)
		}
		if _, err := traps.Call(context.Background(), "unreachable", nil); kind(err) != sandbox.Trap {
			t.Fatal(err)
		}
	}
	if after := heap(); after > before+calls<<20/4 {
		t.Errorf("%d bytes are kept after %d calls", after-before, calls)
	}
}
