package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// deployment is a module that must not be deployed.
type deployment struct {
	name   string
	module []byte
	code   string // of the fault
	engine bool   // it takes an engine to find out
	reason string // a part of its message
}

func refusedDeployments() []deployment {
	const unusable, grant, engine = "PM4001", "PM4002", "PM4006"
	table := []byte{0x70, 0, 1}
	fetch := func(module, name string, typ byte) []byte {
		return moduleOf(sectionOf(1, vectorOf(2, []byte{0x60, 0, 0}, []byte{0x60, 1, 0x7f, 1, 0x7f})),
			sectionOf(2, vectorOf(1, nameOf(module), nameOf(name), []byte{0, typ})),
			declared(1), sectionOf(7, vectorOf(1, nameOf("call"), []byte{0, 1})), sectionOf(10, vectorOf(1, bodyOf(noLocals))))
	}
	exporting := func(name string, kind byte) []byte {
		return moduleOf(voidType, declared(1), oneMemory,
			sectionOf(6, vectorOf(1, []byte{0x7e, 1, 0x42, 0, 0x0b})),
			sectionOf(7, vectorOf(2, nameOf("call"), []byte{0, 0}, nameOf(name), []byte{kind, 0})), sectionOf(10, vectorOf(1, bodyOf(noLocals))))
	}
	return []deployment{
		{"40 tables", moduleOf(voidType, declared(1), sectionOf(4, vectorOf(40, bytes.Repeat([]byte{0x70, 0, 0x80, 0x80, 0x80, 0x40}, 40))), exportCall, sectionOf(10, vectorOf(1, bodyOf(noLocals)))), unusable, false, "tables"},
		{"a table of 2^27", single(noLocals, nil, sectionOf(4, vectorOf(1, []byte{0x70, 0}, leb(1<<27)))), unusable, false, "table of 134217728"},
		{"60 million locals", moduleOf(voidType, declared(1), sectionOf(10, vectorOf(1, bodyOf(vectorOf(1, leb(60_000_000), []byte{0x7f}))))), unusable, false, "60000000 locals"},
		{"300,000 nested blocks", single(noLocals, blocks(60_000)), unusable, false, "nested more than 2000"},
		{"a body of 300,000 nested blocks", single(noLocals, blocks(300_000)), unusable, false, "a function of 900002 bytes"},
		{"20,000 loops in one function", single(noLocals, loops(20_000)), unusable, false, "more than 2000 loops"},
		{"a million functions", moduleOf(voidType, declared(1_000_000), sectionOf(10, vectorOf(1_000_000, bytes.Repeat([]byte{2, 0, 0x0b}, 1_000_000)))), unusable, false, "1000000 functions"},
		{"a million exports", moduleOf(voidType, declared(1), sectionOf(7, leb(1_000_000), manyExports(1_000_000)), sectionOf(10, vectorOf(1, bodyOf(noLocals)))), unusable, false, "1000000 exports"},
		{"a declared million without bytes", moduleOf(voidType, sectionOf(3, leb(1<<28))), unusable, false, "268435456 functions"},
		{"a custom section of 50 MB", moduleOf(voidType, sectionOf(0, nameOf("x"), make([]byte, 50<<20))), unusable, false, "larger than 16 MiB"},
		{"2,000 custom sections", moduleOf(bytes.Repeat(sectionOf(0, nameOf("x")), 2_000)), unusable, false, "custom sections"},

		{"data behind the memory's end", append(single(noLocals, nil, oneMemory), sectionOf(11, vectorOf(1, []byte{0, 0x41, 0x7f, 0x0b, 1, 'x'}))...), unusable, false, "a data segment ends at"},
		{"a start function that is not there", moduleOf(voidType, declared(1), exportCall, sectionOf(8, []byte{1}), sectionOf(10, vectorOf(1, bodyOf(noLocals, []byte{0x03, 0x40, 0x0c, 0, 0x0b})))), unusable, false, "start function"},
		{"shared memory", single(noLocals, nil, sectionOf(5, vectorOf(1, []byte{3, 1, 1}))), unusable, false, "threads are not offered"},
		{"memory of 64 bits", single(noLocals, nil, sectionOf(5, vectorOf(1, []byte{4, 1}))), unusable, false, "memory64 is not offered"},
		{"two memories", single(noLocals, nil, sectionOf(5, vectorOf(2, []byte{0, 1, 0, 1}))), unusable, false, "memories"},
		{"atomic.fence", single(noLocals, []byte{0xfe, 3, 0}, oneMemory), unusable, false, "instruction 0xfe"},
		{"a tail call", single(noLocals, []byte{0x12, 0}), unusable, false, "instruction 0x12"},
		{"exceptions", moduleOf(voidType, declared(1), sectionOf(13, vectorOf(1, []byte{0, 0})), exportCall, sectionOf(10, vectorOf(1, bodyOf(noLocals)))), unusable, false, "exceptions are not offered"},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00"), unusable, false, "a Wasm component"},
		{"no module", []byte("#!/bin/sh\nreboot\n"), unusable, false, "not a Wasm module"},
		{"nothing", nil, unusable, false, "not a Wasm module"},
		{"more memory than it may have", single(noLocals, nil, sectionOf(5, vectorOf(1, []byte{0}, leb(2000)))), engine, true, "memory (in pages) of 2000"},
		{"code of the wrong type", single(noLocals, []byte{0x42, 0, 0x45, 0x1a}), engine, true, "compile:"},
		{"a start function that loops", moduleOf(voidType, declared(1), exportCall, sectionOf(8, []byte{0}), sectionOf(10, vectorOf(1, bodyOf(noLocals, []byte{0x03, 0x40, 0x0c, 0, 0x0b})))), engine, true, "its initialization broke off: timeout"},
		{"an initializer that traps", single(noLocals, []byte{0x00}, sectionOf(7, vectorOf(2, nameOf("call"), []byte{0, 0}, nameOf("_initialize"), []byte{0, 0}))), engine, true, "its initialization broke off: trap: unreachable"},
		{"an initializer that leaves 150,000 blocks", leavesBlocks(150_000), engine, true, "150000 blocks"},
		{"an export of the fuel's name", exporting("pointsman:fuel", 3), unusable, false, "the host's own"},
		{"an export of a global's name", exporting("pointsman:global.0", 3), unusable, false, "the host's own"},
		{"a function of the depth's name", exporting("pointsman:depth", 0), unusable, false, "the host's own"},
		{"two exports of one name", exporting("call", 3), unusable, false, "two exports"},
		{"the host's own refuel", fetch("pointsman:rt", "refuel", 1), unusable, false, "the host's own"},
		{"the host's own depth", fetch("pointsman:rt", "depth", 0), unusable, false, "the host's own"},
		{"reply_read of another type", fetch("pointsman:rt", "reply_read", 1), engine, false, "another signature"},
		{"output_write of another type", fetch("pointsman:rt", "output_write", 0), engine, false, "another signature"},
		{"alloc of another type", fetch("extism:host/env", "alloc", 1), engine, false, "another signature"},
		{"the kernel behind the kernel", fetch("pointsman:kernel", "load_u8", 1), grant, false, "pointsman:kernel"},
		{"the environment behind it", fetch("pointsman:extism", "alloc", 1), grant, false, "pointsman:extism"},
		{"extism's own http", fetch("extism:host/env", "http_request", 1), grant, false, "http_request"},
		{"an imported memory", moduleOf(voidType, sectionOf(2, vectorOf(1, nameOf("env"), nameOf("memory"), []byte{2, 0, 1})), declared(1), exportCall, sectionOf(10, vectorOf(1, bodyOf(noLocals)))), unusable, false, "only functions can be imported"},
		{"an imported table", moduleOf(voidType, sectionOf(2, vectorOf(1, nameOf("env"), nameOf("t"), []byte{1}, table)), declared(1), exportCall, sectionOf(10, vectorOf(1, bodyOf(noLocals)))), unusable, false, "only functions can be imported"},
		{"an imported global", moduleOf(voidType, sectionOf(2, vectorOf(1, nameOf("env"), nameOf("g"), []byte{3, 0x7e, 1})), declared(1), exportCall, sectionOf(10, vectorOf(1, bodyOf(noLocals)))), unusable, false, "only functions can be imported"},
	}
}

// leavesBlocks is a module whose initializer allocates n blocks of 16 bytes in the kernel.
func leavesBlocks(n int) []byte {
	code := slices.Concat([]byte{0x03, 0x40, 0x42, 16, 0x10, 0, 0x1a, // loop drop(alloc(16))
		0x20, 0, 0x41, 1, 0x6a, 0x22, 0, 0x41}, leb(n), []byte{0x48, 0x0d, 0, 0x0b}) // br_if ++i < n
	return moduleOf(sectionOf(1, vectorOf(2, []byte{0x60, 0, 0}, []byte{0x60, 1, 0x7e, 1, 0x7e})),
		sectionOf(2, vectorOf(1, nameOf("extism:host/env"), nameOf("alloc"), []byte{0, 1})), declared(2),
		sectionOf(7, vectorOf(2, nameOf("call"), []byte{0, 1}, nameOf("_initialize"), []byte{0, 2})),
		sectionOf(10, vectorOf(2, bodyOf(noLocals), bodyOf(vectorOf(1, []byte{1, 0x7f}), code))))
}

func manyExports(n int) []byte {
	var b []byte
	for i := range n {
		b = append(append(b, nameOf(fmt.Sprint(i))...), 0, 0)
	}
	return b
}

// badManifest adds a plugin with the module bad.wasm to those under siege.
const badManifest = `---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: bad}
spec: {module: {path: bad.wasm}, limits: {time: 3s}}
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: bad}
spec:
  path: GET /v1/bad
  scopes: [attack]
  steps: {x: {call: bad.FUNCTION, required: true}}
  answer: "${x}"
  view: all
`

const (
	saysRefused = "manifests were not deployed; the live release serves on"
	saysLive    = `msg="release is live"`
)

// deploy tries to deploy a module beside all others and returns what the broker said.
func (s *siege) deploy(t *testing.T, module []byte, function string) string {
	t.Helper()
	s.install(t, "bad", module)
	s.write("manifests/all.yaml", []byte(siegeManifests(strings.Replace(badManifest, "FUNCTION", function, 1))))
	from := s.output.len()
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	line, err := s.awaitAfter(from, saysRefused, saysLive)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func testRefusedDeployments(t *testing.T, s *siege) {
	try := func(t *testing.T, d deployment) {
		said := s.deploy(t, d.module, "call")
		if !strings.Contains(said, saysRefused) || !strings.Contains(said, d.reason) || !strings.Contains(said, "codes="+d.code+" ") {
			t.Errorf("the broker says %.600q, want a refusal with %s and %q", said, d.code, d.reason)
		}
		if _, err := s.call(strike{"state", "count", http.StatusOK, "1111"}); err != nil {
			t.Errorf("the live release: %v", err)
		}
	}
	if *attackTime < time.Second { // most take some milliseconds: too few for a figure each
		s.during(t, "refused deployments", func() {
			for _, d := range refusedDeployments() {
				t.Run(d.name, func(t *testing.T) { try(t, d) })
			}
		})
		return
	}
	for _, d := range refusedDeployments() {
		t.Run(d.name, func(t *testing.T) {
			s.during(t, "deploy "+d.name, func() {
				for began := time.Now(); time.Since(began) < *attackTime; {
					try(t, d)
				}
			})
		})
	}
}

// testCodes: validate finds most of the faults without an engine, all in one run, each with
// its code.
func testCodes(t *testing.T, s *siege) {
	dir, modules := t.TempDir(), t.TempDir()
	var manifest strings.Builder
	want := map[string]string{}
	for n, d := range refusedDeployments() {
		name := fmt.Sprintf("bad-%02d", n)
		if d.engine {
			continue
		}
		want["plugin "+name+":"] = d.code
		if err := os.WriteFile(filepath.Join(modules, name+".wasm"), d.module, 0o600); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&manifest, "---\napiVersion: pointsman/v1\nkind: Plugin\nmetadata: {name: %s}\nspec: {module: {path: %[1]s.wasm}}\n", name)
	}
	if err := os.WriteFile(filepath.Join(dir, "bad.yaml"), []byte(manifest.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self(t), "validate", dir, "--modules", modules, "--json")
	out, _ := cmd.Output() // its exit code is looked at
	if code := cmd.ProcessState.ExitCode(); code != exitRefused {
		t.Errorf("exit code %d, want %d", code, exitRefused)
	}
	var said struct {
		Error struct {
			Findings []struct{ Code, Message string }
		}
	}
	if err := json.Unmarshal(out, &said); err != nil {
		t.Fatalf("%v: %.300s", err, out)
	}
	for _, f := range said.Error.Findings {
		for plugin, code := range want {
			if strings.HasPrefix(f.Message, plugin) {
				if f.Code != code {
					t.Errorf("%s: %s, want %s", f.Message, f.Code, code)
				}
				delete(want, plugin)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("nothing is said of %v\n%.2000s", want, out)
	}
}

// testMutants deploys modules with some bits flipped, and cut-off ones. Each is refused, or
// runs as well as it can: nothing else notices.
func testMutants(t *testing.T, s *siege) {
	seeds := rand.New(rand.NewPCG(1, 2))
	original := attackGuest(t, "state")
	var mutants [][]byte
	for n := range 6 {
		mutants = append(mutants, original[:len(original)*(n+1)/7])
	}
	for range 14 {
		m := bytes.Clone(original)
		for range 1 + seeds.IntN(3) {
			m[8+seeds.IntN(len(m)-8)] ^= 1 << seeds.IntN(8)
		}
		mutants = append(mutants, m)
	}
	refused := 0
	s.during(t, "mutants", func() {
		for n, m := range mutants {
			said := s.deploy(t, m, "count")
			switch {
			case strings.Contains(said, saysRefused):
				refused++
			case n < 6:
				t.Errorf("a module cut to %d of %d bytes is live", len(m), len(original))
			default:
				got, err := s.try("/v1/bad")
				if err != nil || got.status != http.StatusOK && isProblem(got) != nil {
					t.Errorf("mutant %d: %v, %v", n, got, err)
				}
			}
		}
	})
	t.Logf("%d of %d mutants were refused", refused, len(mutants))
}
