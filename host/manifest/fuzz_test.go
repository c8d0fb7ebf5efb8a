package manifest_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"

	"pointsman/host/manifest"
)

// FuzzLoad: what has no errors has a canonical form that has none either and the same
// digest; what has errors has them at places, with codes that are explained.
func FuzzLoad(f *testing.F) {
	valid, err := filepath.Glob("testdata/valid/*.yaml")
	if err != nil || len(valid) == 0 {
		f.Fatal("no valid set")
	}
	whole := ""
	for _, name := range append(valid, "testdata/auth/valid.yaml", "testdata/valid/plugins/plugins.yml", "testdata/about/salesforce.yaml") {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
		whole += string(text) + "\n---\n"
	}
	f.Add(whole)
	bad, _ := filepath.Glob("testdata/*faults/*.txtar")
	for _, name := range bad {
		a, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range a.Files {
			f.Add(string(file.Data))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, faults := manifest.Load(fstest.MapFS{"a.yaml": &fstest.MapFile{Data: []byte(text)}})
		if (set == nil) != faults.HasErrors() {
			t.Fatalf("set %v beside faults\n%s", set, render(faults))
		}
		for _, fault := range faults {
			if _, ok := manifest.Explain(fault.Code); !ok || fault.Message == "" {
				t.Errorf("fault %+v is not explained", fault)
			}
		}
		if set != nil {
			again, faults := manifest.Load(canonicalFiles(set))
			if faults.HasErrors() {
				t.Fatalf("canonical form has faults:\n%s", render(faults))
			}
			if set.Digest() != again.Digest() {
				t.Error("canonical form has another digest")
			}
		}
		about, faults := manifest.ParseAbout("plugin.yaml", []byte(text))
		if (about == nil) != faults.HasErrors() {
			t.Fatalf("about %v beside faults\n%s", about, render(faults))
		}
	})
}
