package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/sandbox"
)

// told is all that a caller and the log learn of a call.
type told struct {
	Out   []byte
	Kind  sandbox.FaultKind
	Said  string // of a GuestError
	Last  string // host function; how far a guest came before its time was up is chance
	Lines []string
}

func ask(m sandbox.Module, l *logLines, export string, in []byte) told {
	l.lines = nil
	out, err := m.Call(context.Background(), export, in)
	r := told{Out: out, Lines: l.lines}
	if said := (*sandbox.GuestError)(nil); errors.As(err, &said) {
		r.Said, r.Last = said.Error(), said.HostCall
	} else {
		r.Kind = kind(err)
	}
	if fault := (*sandbox.Fault)(nil); errors.As(err, &fault) && r.Kind != sandbox.Timeout {
		r.Last = fault.HostCall
	}
	return r
}

// Every export of every fixture gives the same on both engines, again and again.
func TestEnginesAgree(t *testing.T) {
	if testing.Short() {
		t.Skip("runaways have to run to their deadline, on both engines")
	}
	fixtures, err := filepath.Glob("../../testdata/wasm/*.wasm")
	if err != nil || len(fixtures) < 15 {
		t.Fatalf("%d fixtures, %v", len(fixtures), err)
	}
	modules := map[string][]byte{"cguest/json": jsonGuest(t), "goguest": goModule(t)}
	for _, path := range fixtures {
		name := strings.TrimSuffix(filepath.Base(path), ".wasm")
		modules[name] = testModule(t, name)
	}
	inputs := [][]byte{nil, []byte("x"), []byte(`{"a":[1,"two"]}`), bytes.Repeat([]byte("0123456789"), 3000)}
	// What may differ: random numbers; how far a runaway came when its time was up, where
	// something else would have ended it soon; and whether an initialization is kept, which
	// pointsman:rt.kept is there to tell.
	differ := []string{"clock_random/now", "goguest/report", "reseed/draw", "storms/lines", "storms/variable", "kept/answer"}
	for name, module := range modules {
		t.Run(name, func(t *testing.T) {
			at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
			var engines [2]sandbox.Engine
			var logs [2]logLines
			for n, engine := range []string{"extism", "snapshot"} {
				e, err := sandbox.New(sandbox.Options{Engine: engine, Logger: &logs[n], Clock: func() time.Time { return at }})
				if err != nil {
					t.Fatal(err)
				}
				if s, ok := e.(*sandbox.Snapshot); ok {
					t.Cleanup(func() {
						if err := s.Close(); err != nil {
							t.Error(err)
						}
					})
				}
				engines[n] = e
			}
			limits := sandbox.Limits{Time: 500 * time.Millisecond, Memory: 16 << 20} // a new instance on a busy machine needs some
			limits.HostCalls, limits.HostBytes = 100, 4<<20                          // that storms of operations use up long before
			if name == "goguest" {
				limits.Time = 0
			}
			operation := okHTTP
			if name == "probe" {
				operation = sandbox.Import{Capability: "test", Op: "op", Do: okHTTP.Do}
			}
			var both [2]sandbox.Module
			var refused [2]error
			for n, e := range engines {
				both[n], refused[n] = e.Compile(context.Background(), module, sandbox.Terms{
					Imports: []sandbox.Import{operation}, Limits: limits, Config: map[string]string{"x": "configured"}})
			}
			if refused[0] != nil || refused[1] != nil {
				if refused[0] == nil || refused[1] == nil || refused[0].Error() != refused[1].Error() {
					t.Errorf("refused for %v and for %v", refused[0], refused[1])
				}
				return
			}
			defer func() {
				for _, m := range both {
					if err := m.Close(context.Background()); err != nil {
						t.Error(err)
					}
				}
			}()
			if d := cmp.Diff(both[0].Exports(), both[1].Exports()); d != "" {
				t.Error(d)
			}
			for _, export := range both[0].Exports() {
				if slices.Contains(differ, name+"/"+export) || name == "goguest" && export == "spins" {
					continue
				}
				for _, in := range inputs {
					want := ask(both[0], &logs[0], export, in)
					for range 2 {
						if d := cmp.Diff(want, ask(both[1], &logs[1], export, in)); d != "" {
							t.Errorf("%s(%.20q): extism -, snapshot +\n%s", export, in, d)
						}
					}
					if want.Kind == sandbox.Timeout {
						break // it does not depend on the input
					}
				}
			}
		})
	}
}
