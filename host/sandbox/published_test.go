package sandbox_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/sandbox"
)

// published reads a module that comes with Extism's Go SDK: each was compiled with one of
// Extism's published PDKs, TinyGo, Go, Rust, C or Haskell, for Extism's own hosts.
func published(t testing.TB, name string) []byte {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/extism/go-sdk").Output()
	if err != nil {
		t.Skip("go list cannot tell where Extism's modules are")
	}
	module, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "wasm", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return module
}

const noOutput = "guest function run_test: output: none was set"

func TestPublishedPlugins(t *testing.T) {
	if testing.Short() {
		t.Skip("some take seconds to compile")
	}
	onEngines(t, testPublishedPlugins)
}

func testPublishedPlugins(t *testing.T) {
	const vowels = "Hello, World!"
	todo := httpAnswer(t, 200, `{"id":1}`, "content-type", "application/json")
	tests := []struct {
		module, export, in string
		want, err          string
		lines              []string
		asked              []string
	}{
		{"config", "run_test", "", `{"config": "configured"}`, "", nil, nil},
		{"count_vowels", "count_vowels", vowels, `{"count":3,"total":3,"vowels":"aeiouAEIOU"}`, "", nil, nil},
		{"fail", "run_test", "", "", `guest function run_test failed with code 1: "Some error message"`, nil, nil},
		{"hello", "run_test", "", "Hello, world!", "", nil, nil},
		{"input_offset", "input_offset_length", vowels, "\x0d\x00\x00\x00\x00\x00\x00\x00", "", nil, nil},
		{"replace", "run_test", vowels, vowels, "", nil, nil},
		{"var", "run_test", "", "a: 0", "", nil, nil},
		// programs without functions: what they have is main
		{"count_vowels_std", "_start", vowels, `{"count": 3, "config": "configured", "a": "this is var a"}`, "", nil, nil},
		{"std_command", "_start", "you", "hello you", "", nil, nil},
		// a language with an initializer of its own
		{"hello_haskell", "testing", "you", "Hello, you", "", nil, nil},
		// the network
		{"http", "run_test", "", `{"id":1}`, "", nil,
			[]string{`{"url":"https://jsonplaceholder.typicode.com/todos/1","method":"GET","headers":{"another":"again","some-name":"some-value"}}|`}},
		{"http_headers", "http_get", `{"url":"https://x.example/","method":"GET","headers":{}}`, `{"content-type":"application/json"}`, "", []string{"info:Request to: https://x.example/"},
			[]string{`{"url":"https://x.example/","headers":{},"method":"GET"}|`}},
		// files: there are none
		{"fs", "run_test", "", "", `guest function run_test failed with code 1: ""`, []string{"error:open /mnt/test.txt: errno 76"}, nil},
		{"fs_std", "run_test", "", "", `guest function run_test failed with code 1: ""`, []string{"error:open /mnt/test.txt: Bad file number"}, nil},
		// what an Extism host would call an empty output is none here
		{"alloc", "run_test", "", "", noOutput, nil, nil},
		{"noop", "run_test", "", "", noOutput, nil, nil},
		{"println", "run_test", "text", "", noOutput, []string{"info:this was printed from the plugin text"}, nil},
		{"log", "run_test", "", "", noOutput, []string{"debug:this is a debug log", "info:this is an info log", "warn:this is a warning log", "error:this is an error log"}, nil},
		// it waits for its clock, which stands still
		{"sleep", "run_test", "", "", "guest function run_test: timeout: [time.Now < run_test]", nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.module, func(t *testing.T) {
			var l logLines
			u := &urlOp{do: todo}
			m, err := newEngine(t, sandbox.Options{Logger: &l}).Compile(context.Background(), published(t, tt.module), sandbox.Terms{
				Imports: u.imports(), Config: map[string]string{"thing": "configured", "duration": "60"},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := m.Close(context.Background()); err != nil {
					t.Error(err)
				}
			}()
			for range 2 { // nothing is carried from call to call
				l.lines, u.got = nil, nil
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				if tt.module == "sleep" {
					ctx, cancel = context.WithTimeout(context.Background(), 300*time.Millisecond)
				}
				out, err := m.Call(ctx, tt.export, []byte(tt.in))
				cancel()
				said := ""
				if err != nil {
					said = err.Error()
				}
				if string(out) != tt.want || said != tt.err {
					t.Errorf("got %q, %q, want %q, %q", out, said, tt.want, tt.err)
				}
				if d := cmp.Diff(tt.lines, l.lines); d != "" {
					t.Errorf("log: %s", d)
				}
				if d := cmp.Diff(tt.asked, u.got); d != "" {
					t.Errorf("requests: %s", d)
				}
			}
		})
	}
	for module, imports := range map[string][]sandbox.ImportError{ // functions that a host of their own has
		"host":           {{Module: "extism:host/user", Name: "mult"}},
		"host_memory":    {{Module: "host", Name: "to_upper"}},
		"host_multiple":  {{Module: "extism:host/user", Name: "hostGreenMessage"}, {Module: "extism:host/user", Name: "hostPurpleMessage"}},
		"main":           {{Module: "lib", Name: "capitalize"}},
		"nested.c.instr": {{Module: "dylibso_observe", Name: "instrument_enter"}, {Module: "dylibso_observe", Name: "instrument_exit"}, {Module: "dylibso_observe", Name: "instrument_memory_grow"}},
	} {
		_, err := newEngine(t, sandbox.Options{}).Compile(context.Background(), published(t, module), sandbox.Terms{})
		if d := cmp.Diff(imports, importErrors(err)); d != "" {
			t.Errorf("%s: %s", module, d)
		}
	}
}
