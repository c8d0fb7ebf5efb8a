package manifest_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pointsman/host/manifest"
)

// attacks are texts that blow up careless readers, each just under the limit of a file.
func attacks() map[string]string {
	const n = manifest.MaxFileBytes - 4<<10
	keys := func(format string) string {
		var b strings.Builder
		for i := 0; b.Len() < n; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	indented := func() string {
		var b strings.Builder
		for i := 0; b.Len() < n; i++ {
			b.WriteString(strings.Repeat(" ", i) + "a:\n")
		}
		return b.String()
	}
	laughs := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'z'; c++ {
		laughs += fmt.Sprintf("%c: &%c [%s*%c]\n", c, c, strings.Repeat(fmt.Sprintf("*%c,", c-1), 8), c-1)
	}
	route := head + "kind: Route\nspec:\n  path: GET /\n  scopes: [a]\n  answer: \"${s0}\"\n  view: all\n  steps:\n"
	return map[string]string{
		"open brackets":      strings.Repeat("[", n),
		"open braces":        strings.Repeat("{a: ", n/4),
		"closed brackets":    "[" + strings.Repeat("[],", n/3) + "]",
		"dashes":             strings.Repeat("- ", n/2),
		"question marks":     strings.Repeat("? ", n/2),
		"indented":           indented(),
		"billion laughs":     laughs,
		"anchors":            strings.Repeat("- &a x\n", n/7),
		"aliases":            "- &a x\n" + strings.Repeat("- *a\n", n/5),
		"tags":               strings.Repeat("- !!x y\n", n/8),
		"long integer":       "kind: " + strings.Repeat("9", n),
		"long key":           strings.Repeat("k", n) + ": 1",
		"long quoted key":    "\"" + strings.Repeat("k", n) + "\": 1",
		"long text":          head + "kind: Backend\nspec: {http: {url: \"" + strings.Repeat("k", n) + "\"}}",
		"many keys":          keys("k%d: 1\n"),
		"same keys":          strings.Repeat("k: 1\n", n/5),
		"unknown keys":       head + "kind: Backend\nspec:\n" + keys("  ur%d: 1\n"),
		"many documents":     strings.Repeat("---\na\n", n/6),
		"broken documents":   strings.Repeat("---\n[\n", n/6),
		"broken lines":       strings.Repeat("--- [\n", n/6),
		"empty documents":    strings.Repeat("---\n", n/4),
		"comments":           strings.Repeat("#\n", n/2),
		"comments in lists":  strings.Repeat("- #\n", n/4),
		"directives":         strings.Repeat("%TAG !a! b\n", n/11),
		"steps":              route + keys("    s%d: {call: p.f}\n"),
		"references":         route + "    s0: {call: p.f, with: [" + strings.Repeat("\"${s1}\",", n/8) + "]}\n",
		"chain":              route + keys("    s%d: {call: p.f, with: \"${s1}\"}\n"),
		"deep long paths":    strings.Repeat("{"+strings.Repeat("k", 250)+": ", 60) + "[" + strings.Repeat("~,", n/4) + "]" + strings.Repeat("}", 60),
		"repeated pattern":   head + "kind: Route\nspec: {path: GET /, scopes: [a], params: {a: {in: query, pattern: \"((a{1,1000}){1,1000}){1,1000}\"}}, steps: {s: {call: p.f}}, answer: \"${s}\", view: all}",
		"nested patterns":    head + "kind: Route\nspec: {path: GET /, scopes: [a], params: {a: {in: query, pattern: \"" + strings.Repeat("(", 249) + strings.Repeat(")", 249) + "\"}}, steps: {s: {call: p.f}}, answer: \"${s}\", view: all}",
		"tabs":               strings.Repeat("\t", n),
		"not UTF-8":          strings.Repeat("\xff", n),
		"spaces":             strings.Repeat(" ", n),
		"folded text":        "a: >\n" + strings.Repeat(" \n", n/2),
		"quoted escapes":     "a: \"" + strings.Repeat("\\x41", n/4) + "\"",
		"colons":             strings.Repeat("a: b: ", n/6),
		"pairs in deep list": strings.Repeat("[a,", 60) + strings.Repeat("a: b,", n/5),
	}
}

// TestAttacks bounds what one file of 256 KiB can cost. Of the parser itself, short
// brackets in a list cost most: about 200 MB are allocated, most of it garbage at once.
func TestAttacks(t *testing.T) {
	const (
		most = 400 << 20        // bytes allocated in all
		long = 20 * time.Second // twenty times the slowest on an idle machine, for busy ones
	)
	for name, text := range attacks() {
		t.Run(name, func(t *testing.T) {
			if len(text) > manifest.MaxFileBytes {
				t.Fatalf("%d bytes", len(text))
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			set, faults := manifest.Load(fstest.MapFS{"a.yaml": &fstest.MapFile{Data: []byte(text)}})
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if set != nil || !faults.HasErrors() {
				t.Errorf("taken, with faults\n%s", render(faults))
			}
			if len(faults) > 401 {
				t.Errorf("%d faults", len(faults))
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > most || took > long {
				t.Errorf("took %s and %d MiB", took, got>>20)
			}
		})
	}
}

// TestAboutAttacks is the same for the text that a stranger embeds in a module.
func TestAboutAttacks(t *testing.T) {
	const n = manifest.MaxFileBytes - 4<<10
	about := func(input string) string {
		return "apiVersion: pointsman/v1\nkind: PluginAbout\nname: a\nversion: 1.0.0\nfunctions: {f: {input: " + input + "}}\n"
	}
	deep := func(open, end string) string { return strings.Repeat(open, 60/2) + "{}" + strings.Repeat(end, 60/2) }
	var properties strings.Builder
	for i := 0; properties.Len() < n; i++ {
		fmt.Fprintf(&properties, "p%d: {$ref: \"#\"}, ", i)
	}
	texts := attacks()
	texts["deep schema"] = about(deep("{not: {allOf: [", "]}}"))
	texts["properties"] = about("{properties: {" + properties.String() + "}}")
	texts["choices"] = about("{enum: [" + strings.Repeat("{},", n/3) + "]}")
	texts["distinct choices"] = about("{$schema: \"http://json-schema.org/draft-07/schema#\", enum: [" + strings.Repeat("{a: []},", n/8-20) + "], required: [" + "]}")
	texts["references to itself"] = about("{allOf: [" + strings.Repeat("{$ref: \"#\"},", n/14) + "]}")
	texts["pattern"] = about("{pattern: \"((a{1,1000}){1,1000}){1,1000}\"}")
	texts["numbers"] = about("{minLength: 1e308, multipleOf: 1e-308, maximum: 1e308}")
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			if len(text) > manifest.MaxFileBytes {
				t.Fatalf("%d bytes", len(text))
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			manifest.ParseAbout("plugin.yaml", []byte(text))
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > 500<<20 || took > 20*time.Second {
				t.Errorf("took %s and %d MiB", took, got>>20)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	many := fstest.MapFS{}
	for i := range manifest.MaxFiles + 1 {
		many[fmt.Sprintf("%04d.yaml", i)] = &fstest.MapFile{}
	}
	documents := fstest.MapFS{}
	for i := range manifest.MaxDocuments/100 + 1 {
		text := ""
		for j := range 100 {
			text += fmt.Sprintf("---\napiVersion: pointsman/v1\nkind: Consumer\nmetadata: {name: a%d}\nspec: {auth: {apiKey: {}}}\n", i*100+j)
		}
		documents[fmt.Sprintf("%04d.yaml", i)] = &fstest.MapFile{Data: []byte(text)}
	}
	heavy := fstest.MapFS{}
	for i := range manifest.MaxSetBytes/manifest.MaxFileBytes + 1 {
		heavy[fmt.Sprintf("%04d.yaml", i)] = &fstest.MapFile{Data: []byte(strings.Repeat(" ", manifest.MaxFileBytes))}
	}
	grows := head + "kind: Plugin\nspec:\n  module: {path: a.wasm}\n  config:\n" // an end of line is one byte here, two in JSON
	for i := range 60 {
		grows += fmt.Sprintf("    a%d: |+\n      x\n%s", i, strings.Repeat("\n", 4000))
	}
	tests := []struct {
		name  string
		files fs.FS
		code  string
	}{
		{"file too large", fstest.MapFS{"a.yaml": &fstest.MapFile{Data: make([]byte, manifest.MaxFileBytes+1)}}, "PM1002"},
		{"document too large when written out", fstest.MapFS{"a.yaml": &fstest.MapFile{Data: []byte(grows)}}, "PM1002"},
		{"too many documents", documents, "PM1003"},
		{"too many files", many, "PM1003"},
		{"too many bytes", heavy, "PM1003"},
		{"too many faults", fstest.MapFS{"a.yaml": &fstest.MapFile{Data: []byte(strings.Repeat("- *a\n---\n", 1000))}}, "PM1017"},
		{"a pipe", fstest.MapFS{"a.yaml": &fstest.MapFile{Mode: fs.ModeNamedPipe}}, "PM1001"},
		{"unreadable", broken{fstest.MapFS{"a.yaml": &fstest.MapFile{}}}, "PM1001"},
		{"no such folder", os.DirFS("testdata/none"), "PM1001"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, faults := manifest.Load(tt.files)
			if set != nil || len(faults) == 0 || faults[len(faults)-1].Code != tt.code {
				t.Errorf("set %v, faults\n%swant last code %s", set, render(faults), tt.code)
			}
		})
	}
	if _, faults := manifest.ParseAbout("plugin.yaml", make([]byte, manifest.MaxFileBytes+1)); !faults.HasErrors() || faults[0].Code != "PM1002" {
		t.Errorf("large plugin.yaml: %s", render(faults))
	}
}

// broken opens no file, but says that there are some.
type broken struct{ fstest.MapFS }

func (b broken) Open(name string) (fs.File, error) {
	if strings.HasSuffix(name, ".yaml") {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("disk on fire")}
	}
	return b.MapFS.Open(name)
}

func TestDepth(t *testing.T) {
	nested := func(levels int) string {
		return head + "kind: Route\nspec: {path: GET /, scopes: [a], steps: {s: {call: p.f, with: " + strings.Repeat("[", levels) + strings.Repeat("]", levels) +
			"}}, answer: \"${s}\", view: all}\n---\napiVersion: pointsman/v1\nkind: Plugin\nmetadata: {name: p}\nspec: {module: {path: p.wasm}}\n"
	}
	// The document, spec, steps and s are four levels above with.
	check(t, nested(manifest.MaxDepth-4), "")
	check(t, nested(manifest.MaxDepth-3), "PM1008")
}

// TestYAMLTestSuite reads the cases of the YAML test suite: none may panic, and none is a
// manifest.
func TestYAMLTestSuite(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/corpus/yaml-test-suite/src/*.yaml")
	if len(files) == 0 {
		t.Skip("../../../shared/corpus/yaml-test-suite is not present")
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		// The suite writes tabs, spaces and ends of lines with signs of its own.
		plain := strings.NewReplacer("␣", " ", "————»", "\t", "———»", "\t", "——»", "\t", "—»", "\t", "»", "\t", "↵", "", "∎", "", "←", "\r", "⇔", "\ufeff").Replace(string(text))
		for _, s := range append(strings.Split(plain, "yaml: |"), string(text), plain) {
			set, faults := manifest.Load(fstest.MapFS{"a.yaml": &fstest.MapFile{Data: []byte(s)}})
			if set != nil || !faults.HasErrors() {
				t.Errorf("%s: taken as a manifest", name)
			}
			for _, f := range faults {
				if f.Line < 1 && f.Code != "PM1018" || f.Line > strings.Count(s, "\n")+2 {
					t.Errorf("%s: fault without a place: %+v", name, f)
				}
			}
			if about, _ := manifest.ParseAbout("plugin.yaml", []byte(s)); about != nil {
				t.Errorf("%s: taken as a plugin.yaml", name)
			}
		}
	}
}
