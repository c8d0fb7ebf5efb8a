package sandbox_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "compile the fixtures in testdata anew")

// Every fixture is what its source next to it says.
func TestFixturesAreCurrent(t *testing.T) {
	wat2wasm, err := exec.LookPath("wat2wasm")
	if err != nil {
		t.Skip("wat2wasm not present")
	}
	var sources []string
	for _, folder := range []string{"../../testdata/wasm", "../../testdata/attacks", ".", "testdata"} { // "." is what the engine embeds
		found, err := filepath.Glob(filepath.Join(folder, "*.wat"))
		if err != nil || len(found) == 0 {
			t.Fatalf("no sources in %s: %v", folder, err)
		}
		sources = append(sources, found...)
	}
	for _, source := range sources {
		kept := strings.TrimSuffix(source, ".wat") + ".wasm"
		made := filepath.Join(t.TempDir(), "made.wasm")
		if text, err := exec.Command(wat2wasm, "--debug-names", source, "-o", made).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", source, err, text)
			continue
		}
		want, err := os.ReadFile(made)
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(kept, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(kept); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what its source says (%v): run with -update", kept, err)
		}
	}
}
