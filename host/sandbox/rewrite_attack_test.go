package sandbox_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"pointsman/host/wasm"
)

// A table that grows for ever ends at its limit, and the loop by its fuel.
func TestTableThatGrowsForEver(t *testing.T) {
	m := wasmModule{}
	m.section(1, "\x02\x60\x00\x01\x7f\x60\x00\x00")
	m.section(3, "\x02\x00\x01")
	m.section(4, "\x01\x70\x01\x01"+leb(1<<27)) // 1 to 2^27 elements
	m.section(7, "\x02\x04size\x00\x00\x04grow\x00\x01")
	size := "\x00\xfc\x10\x00\x0b"
	grow := "\x00\x03\x40\xd0\x70\x41" + signed(999) + "\xfc\x0f\x00\x1a\x0c\x00\x0b\x0b"
	m.section(10, "\x02"+leb(uint32(len(size)))+size+leb(uint32(len(grow)))+grow)

	g := newBulkGuest(t, rewritten(t, m.bytes(), wasm.Options{}))
	g.stopAt = 100
	if _, err := g.mod.ExportedFunction("grow").Call(context.Background()); !errors.Is(err, errFuel) {
		t.Errorf("got error %v, want %v", err, errFuel)
	}
	results, err := g.mod.ExportedFunction("size").Call(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	// 1 element, and then as often 999 as fits.
	if want := uint64(1 + (wasm.MaxTable-1)/999*999); results[0] != want {
		t.Errorf("%d elements, want %d", results[0], want)
	}
}

// What the check lets through of a plugin with a flipped bit, wazero takes or refuses as it
// would have before rewriting, and does not crash. The compiler sees a sample of them; the
// interpreter, which validates alike, sees all.
func TestFlippedBitsCompile(t *testing.T) {
	ctx := context.Background()
	features := wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(api.CoreFeaturesV2)
	validate := wazero.NewRuntimeWithConfig(ctx, features)
	compile := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(api.CoreFeaturesV2))
	t.Cleanup(func() { validate.Close(ctx); compile.Close(ctx) })
	try := func(r wazero.Runtime, module []byte) error {
		c, err := r.CompileModule(ctx, module)
		if err == nil {
			c.Close(ctx)
		}
		return err
	}
	valid, invalid, compiled := 0, 0, 0
	for _, name := range []string{"control", "memory", "segments", "overlap", "hostile", "work"} {
		module := fixture(t, name)
		for bit := range 8 * len(module) {
			module[bit/8] ^= 1 << (bit % 8)
			out, err := wasm.Rewrite(module, wasm.Options{MaxMemoryPages: wasm.MaxMemory})
			if err == nil {
				errBefore, errAfter := try(validate, withoutCustom(module)), try(validate, out)
				if (errBefore == nil) != (errAfter == nil) {
					t.Errorf("%s, bit %d of byte %d: wazero says %v, and after rewriting %v", name, bit%8, bit/8, errBefore, errAfter)
				}
				if errAfter != nil {
					invalid++
				} else if valid++; valid%10 == 0 {
					compiled++
					if err := try(compile, out); err != nil {
						t.Errorf("%s, bit %d of byte %d: the interpreter takes it, the compiler says %v", name, bit%8, bit/8, err)
					}
				}
			}
			module[bit/8] ^= 1 << (bit % 8)
		}
	}
	t.Logf("%d are valid, %d of them were compiled; %d are invalid", valid, compiled, invalid)
	if compiled < 100 || invalid < 100 {
		t.Errorf("%d were compiled, %d are invalid: too few to say anything", compiled, invalid)
	}
}
