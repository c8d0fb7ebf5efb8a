package sandbox_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"pointsman/host/sandbox"
	"pointsman/pdk/wire"
)

// tooLate is how long after its caller has gone a guest may go on here: some hundred times
// what is usual, for slow machines. BenchmarkBarStop measures it.
const tooLate = 5 * time.Second

// A guest whose caller goes away stops, whatever it does.
func TestCallerGoesAway(t *testing.T) { onEngines(t, testCallerGoesAway) }

func testCallerGoesAway(t *testing.T) {
	waits := sandbox.Import{Capability: "http", Op: "request", Do: func(ctx context.Context, _ []byte) []byte {
		<-ctx.Done()
		return wire.Done(nil)
	}}
	tests := []struct {
		what, module, export string
		op                   sandbox.Import
	}{
		{"a loop", "runaway", "spin", okHTTP},
		{"a tree of calls", "runaway", "calltree", okHTTP},
		{"recursion", "runaway", "mutualtree", okHTTP},
		{"fills in a loop", "runaway", "fill", okHTTP},
		{"fills in a straight line", "runaway", "filllines", okHTTP},
		{"copies", "runaway", "copies", okHTTP},
		{"cheap host calls", "storms", "levels", okHTTP},
		{"costly host calls", "storms", "random", okHTTP},
		{"operations", "storms", "requests", okHTTP},
		{"an operation that waits", "http_own", "request", waits},
		{"an operation that waits, Extism's way", "http_user", "request", waits},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			limits := sandbox.Limits{Time: long, HostCalls: 1 << 40, HostBytes: 1 << 60}
			m := compile(t, sandbox.Options{}, testModule(t, tt.module), []sandbox.Import{tt.op}, limits)
			ctx, cancel := context.WithCancel(context.Background())
			gone := make(chan time.Time, 1)
			time.AfterFunc(20*time.Millisecond, func() {
				gone <- time.Now()
				cancel()
			})
			out, err := m.Call(ctx, tt.export, nil)
			if out != nil || kind(err) != sandbox.Stopped {
				t.Errorf("got %q, %v", out, err)
			}
			if took := time.Since(<-gone); took > tooLate {
				t.Errorf("stopped %v after its caller had gone", took)
			}
		})
	}
}

// A call ends no earlier than its operation does, which nobody else can end; it is not a
// success then. A module that is closed meanwhile does not wait for it, and keeps what the
// call needs until it ends.
func TestDeafOperation(t *testing.T) { onEngines(t, testDeafOperation) }

func testDeafOperation(t *testing.T) {
	begun, release := make(chan struct{}, 1), make(chan struct{})
	deaf := sandbox.Import{Capability: "http", Op: "request", Do: func(context.Context, []byte) []byte {
		begun <- struct{}{}
		<-release
		return wire.Done([]byte("at last"))
	}}
	e := newEngine(t, sandbox.Options{})
	m, err := e.Compile(context.Background(), testModule(t, "http_own"), sandbox.Terms{
		Imports: []sandbox.Import{deaf}, Limits: sandbox.Limits{Time: 50 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	answers := start(m)
	<-begun
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	closing := time.Now()
	if err := m.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: got %v", err)
	}
	if took := time.Since(closing); took > time.Minute {
		t.Errorf("Close took %v", took)
	}
	select {
	case a := <-answers:
		t.Errorf("got %q, %v before the operation was done", a.out, a.err)
	default:
	}
	close(release)
	if a := <-answers; a.out != nil || kind(a.err) != sandbox.Timeout && kind(a.err) != sandbox.Stopped {
		t.Errorf("got %q, %v", a.out, a.err)
	}
	if s, ok := e.(*sandbox.Snapshot); ok && s.MostMemory() != 0 {
		t.Errorf("%d bytes of instances are left", s.MostMemory())
	}
}

// Whatever an operation panics with ends the guest, shows nowhere, and is gone with the
// instance.
func TestPanicsOfOperations(t *testing.T) { onEngines(t, testPanicsOfOperations) }

func testPanicsOfOperations(t *testing.T) {
	const secret = "swordfish"
	at := []string{secret}
	tests := []struct {
		name   string
		panics func()
	}{
		{"text", func() { panic(secret) }},
		{"error", func() { panic(errors.New(secret)) }},
		{"fault", func() { panic(&sandbox.Fault{Kind: sandbox.Output, Export: secret, Detail: secret}) }},
		{"guest's error", func() { panic(&sandbox.GuestError{Text: secret}) }},
		{"of its own type", func() { panic(struct{ text string }{secret}) }},
		{"index", func() { _ = at[len(at)] }},
		{"map", func() { panic(map[string]string{secret: secret}) }},
		{"nil", func() { panic(nil) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var l logLines
			op := okHTTP
			op.Do = func(context.Context, []byte) []byte { tt.panics(); return nil }
			m := compile(t, sandbox.Options{Logger: &l}, testModule(t, "residue"), []sandbox.Import{op}, sandbox.Limits{Memory: 4 << 20})
			made := func() int64 { return 0 }
			if strings.Contains(t.Name(), "/snapshot/") {
				made = func() int64 { return sandbox.Made(m) }
			}
			for range 3 {
				out, err := m.Call(context.Background(), "dirty", nil) // marks everything, then asks
				f := new(sandbox.Fault)
				if out != nil || !errors.As(err, &f) || f.Kind != sandbox.ABI || f.Export != "dirty" || f.HostCall != "pointsman:http.request" {
					t.Fatalf("got %q, %v", out, err)
				}
				if text := err.Error(); strings.Contains(text, secret) || strings.Contains(text, "goroutine") || !strings.Contains(text, "panicked") {
					t.Errorf("got %q", text)
				}
				before := made()
				if got := number(t, m, "scan"); got != 0 {
					t.Errorf("%d places hold what the broken call left", got)
				}
				if n := made(); n != 0 && n != before+1 {
					t.Error("an instance that a panic went through was used again")
				}
			}
			if strings.Contains(strings.Join(l.lines, ""), secret) {
				t.Errorf("logged %q", l.lines)
			}
		})
	}
}

// A trap, an exit or an error in the middle of the host's work leaves nothing, and the same
// again is answered the same.
func TestTheSameAgain(t *testing.T) { onEngines(t, testTheSameAgain) }

func testTheSameAgain(t *testing.T) {
	tests := []struct {
		module, export string
		want           sandbox.FaultKind
	}{
		{"traps", "exit0", sandbox.Exit},
		{"traps", "exit1", sandbox.Exit},
		{"last_call", "exit", sandbox.Exit},
		{"last_call", "abi", sandbox.ABI},
		{"last_call", "output", sandbox.Output},
		{"http_own", "short", sandbox.ABI},
		{"residue", "peek", sandbox.ABI},
	}
	for _, tt := range tests {
		t.Run(tt.module+"/"+tt.export, func(t *testing.T) {
			m := load(t, tt.module, sandbox.Limits{})
			_, first := m.Call(context.Background(), tt.export, nil)
			for range 3 {
				out, err := m.Call(context.Background(), tt.export, nil)
				if out != nil || kind(err) != tt.want || err.Error() != first.Error() {
					t.Errorf("got %q, %v, the first time %v", out, err, first)
				}
			}
			if tt.module == "residue" && number(t, m, "scan") != 0 {
				t.Error("something is left")
			}
		})
	}
}
