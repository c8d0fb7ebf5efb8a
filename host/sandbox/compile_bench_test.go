package sandbox_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"pointsman/host/sandbox"
)

// BenchmarkWarmDeployment is what a start takes from a module of standard Go to its first
// answer, when a process before has compiled it.
func BenchmarkWarmDeployment(b *testing.B) {
	module := goModule(b)
	for _, engine := range []string{"snapshot", "extism"} {
		b.Run(engine, func(b *testing.B) {
			dir := filepath.Join(b.TempDir(), "compiled")
			deploy := func() {
				ctx := context.Background()
				c, err := sandbox.NewCompiler(sandbox.CompilerOptions{Dir: dir, MAC: macWith("key"), Worker: true})
				if err != nil {
					b.Fatal(err)
				}
				e, err := newOf(engine, c)
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
				b.StopTimer()
				defer b.StartTimer()
				if err := m.Close(ctx); err != nil {
					b.Fatal(err)
				}
				if s, ok := e.(*sandbox.Snapshot); ok {
					if err := s.Close(); err != nil {
						b.Fatal(err)
					}
				}
			}
			began := time.Now()
			deploy()
			b.Logf("cold: %v for %d bytes", time.Since(began).Round(time.Millisecond), len(module))
			for b.Loop() {
				deploy()
			}
		})
	}
}

func newOf(engine string, c *sandbox.Compiler) (sandbox.Engine, error) {
	if engine == "snapshot" {
		return sandbox.NewSnapshot(sandbox.SnapshotOptions{Compiler: c})
	}
	return sandbox.NewExtism(sandbox.ExtismOptions{Compiler: c})
}
