package sandbox_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	extism "github.com/extism/go-sdk"

	"pointsman/host/sandbox"
)

// record2K is a JSON object of 2 KiB.
var record2K = append(append([]byte(`{"name":"`), bytes.Repeat([]byte("pointsman "), 203)...), `"}`...)

// jsonGuest is testdata/cguest/json.c.
func jsonGuest(t testing.TB) []byte { return cGuest(t, "json") }

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
