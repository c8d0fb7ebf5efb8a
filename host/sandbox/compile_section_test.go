package sandbox_test

import (
	"bytes"
	"testing"

	"pointsman/host/sandbox"
	"pointsman/host/wasm"
	"pointsman/pdk/wire"
)

// TestInspectKeepsTheManifest: a plugin.yaml of any size is the same to a compiler that
// remembers as to host/wasm; another section of that size is left out.
func TestInspectKeepsTheManifest(t *testing.T) {
	large := bytes.Repeat([]byte("# manifest\n"), 30_000)
	module := testModule(t, "echo")
	for _, name := range []string{wire.PluginSection, "other"} {
		var err error
		if module, err = wasm.AppendCustom(module, name, large); err != nil {
			t.Fatal(err)
		}
	}
	c, _ := newCompiler(t, sandbox.CompilerOptions{})
	for _, when := range []string{"first", "again"} {
		info, err := c.Inspect(module)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(info.Custom[wire.PluginSection], large) || info.Custom["other"] != nil {
			t.Errorf("%s: %d bytes of manifest and %d of the other section, want %d and none", when,
				len(info.Custom[wire.PluginSection]), len(info.Custom["other"]), len(large))
		}
	}
}
