package wasm_test

import (
	"os"
	"slices"
	"testing"

	"pointsman/host/wasm"
)

// What Rewrite returns has no start section, and exports the function that it named.
func TestStartIsExported(t *testing.T) {
	for name, want := range map[string]bool{"start": true, "start_http": true, "init": false} {
		module, err := os.ReadFile("../../testdata/wasm/" + name + ".wasm")
		if err != nil {
			t.Fatal(err)
		}
		out, err := wasm.Rewrite(module, wasm.Options{ExportGlobals: true})
		if err != nil {
			t.Fatal(err)
		}
		before, err := wasm.Inspect(module)
		if err != nil {
			t.Fatal(err)
		}
		if before.Start != want {
			t.Errorf("%s: start %v, want %v", name, before.Start, want)
		}
		sections, exports := sectionsOf(t, out)
		if slices.Contains(sections, 8) {
			t.Errorf("%s: the rewritten module has a start section", name)
		}
		if got := slices.Contains(exports, wasm.StartExport); got != want {
			t.Errorf("%s: exports %q, want %s: %v", name, exports, wasm.StartExport, want)
		}
	}
}

// sectionsOf reads the ids of a module's sections and the names of its exports.
func sectionsOf(t *testing.T, module []byte) (ids []byte, exports []string) {
	t.Helper()
	at := 8
	number := func() (n int) {
		for shift := 0; ; shift += 7 {
			b := module[at]
			at++
			n |= int(b&0x7f) << shift
			if b < 0x80 {
				return n
			}
		}
	}
	for at < len(module) {
		id := module[at]
		at++
		size := number()
		end := at + size
		ids = append(ids, id)
		if id == 7 {
			for range number() {
				n := number()
				exports = append(exports, string(module[at:at+n]))
				at += n + 1
				number()
			}
		}
		at = end
	}
	return ids, exports
}
