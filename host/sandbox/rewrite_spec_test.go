package sandbox_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"pointsman/host/wasm"
)

// These tests run the test suite of the WebAssembly specification, which wazero's module
// brings as compiled modules and scripts, on modules before and after rewriting.

// specDir is the folder of the suites inside the source of wazero.
func specDir(t testing.TB) string {
	t.Helper()
	file, _ := runtime.FuncForPC(reflect.ValueOf(wazero.NewRuntime).Pointer()).FileLine(0)
	dir := filepath.Join(filepath.Dir(file), "internal", "integration_test", "spectest")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the source of wazero with its test suite is not readable: %v", err)
	}
	return dir
}

// The suite of version 1 says some things that version 2 takes back, so each runs with
// its own features.
var specSuites = []struct {
	dir      string
	features api.CoreFeatures
}{{"v1", api.CoreFeaturesV1}, {"v2", api.CoreFeaturesV2}}

// specRefusals are the reasons for which Rewrite may refuse a module of the suites that
// wazero accepts, with how many modules of both suites there are at least. A reason that
// is not here is a fault.
var specRefusals = []struct {
	reason  string
	atLeast int
}{
	{"only functions can be imported", 200},
	{"tables, at most 1 are allowed", 50},
	{"a data segment ends at", 10}, // in modules that are meant not to start
	{"branch targets, at most 10000", 2},
}

// specWorld is a runtime with the modules of one script.
type specWorld struct {
	runtime wazero.Runtime
	depths  []api.MutableGlobal // depth counters
	last    api.Module
	named   map[string]api.Module
}

func newSpecWorld(t testing.TB, dir string, features api.CoreFeatures) *specWorld {
	t.Helper()
	ctx := context.Background()
	w := &specWorld{
		runtime: wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(features)),
		named:   map[string]api.Module{},
	}
	t.Cleanup(func() { w.runtime.Close(ctx) })
	host, err := os.ReadFile(filepath.Join(dir, "testdata", "spectest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.runtime.InstantiateWithConfig(ctx, host, wazero.NewModuleConfig()); err != nil {
		t.Fatal(err)
	}
	refuel := func(_ context.Context, stack []uint64) { stack[0] = math.MaxInt64 }
	if _, err := w.runtime.NewHostModuleBuilder(wasm.RuntimeModule).
		NewFunctionBuilder().WithGoFunction(api.GoFunc(refuel), []api.ValueType{api.ValueTypeI64}, []api.ValueType{api.ValueTypeI64}).Export(wasm.RefuelImport).
		NewFunctionBuilder().WithFunc(func() { panic(errDepth) }).Export(wasm.DepthImport).
		Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	return w
}

// instantiate makes module the last one, and the one of name unless that is empty.
func (w *specWorld) instantiate(module []byte, registered, name string) error {
	m, err := w.runtime.InstantiateWithConfig(context.Background(), module, wazero.NewModuleConfig().WithName(registered).WithStartFunctions())
	w.last = m
	if err != nil {
		return err
	}
	if start := m.ExportedFunction(wasm.StartExport); start != nil {
		if _, err := start.Call(context.Background()); err != nil {
			return err
		}
	}
	if name != "" {
		w.named[name] = m
	}
	if g, ok := m.ExportedGlobal(wasm.DepthExport).(api.MutableGlobal); ok {
		w.depths = append(w.depths, g)
	}
	return nil
}

// shown is what a command shows, references as 0 and 1: they are addresses.
type shown struct {
	results []uint64
	trap    string
}

func (w *specWorld) run(c *specCommand) (s shown, ok bool) {
	m := w.last
	if c.Action.Module != "" {
		m = w.named[c.Action.Module]
	}
	if m == nil {
		return s, false
	}
	if c.Action.Type == "get" {
		return shown{results: []uint64{m.ExportedGlobal(c.Action.Field).Get()}}, true
	}
	f := m.ExportedFunction(c.Action.Field)
	var args []uint64
	for _, a := range c.Action.Args {
		args = append(args, a.slots()...)
	}
	results, err := f.Call(context.Background(), args...)
	if err != nil {
		for _, g := range w.depths { // the counter is not whole after a trap
			g.Set(wasm.DefaultDepth)
		}
		return shown{trap: firstLine(err)}, true
	}
	at := 0
	for _, t := range f.Definition().ResultTypes() {
		switch t {
		case api.ValueTypeExternref, 0x70:
			results[at] = min(results[at], 1)
		case 0x7b: // a vector
			at++
		}
		at++
	}
	return shown{results: results}, true
}

type specCommand struct {
	Type, Filename, Name, As string
	Line                     int
	ModuleType               string `json:"module_type"`
	Action                   struct {
		Type, Field, Module string
		Args                []specValue
	}
}

type specValue struct {
	Type     string
	LaneType string `json:"lane_type"`
	Value    any
}

// slots are the values as wazero takes them: one, or two for a vector.
func (v specValue) slots() []uint64 {
	number := func(text any, bits int) uint64 {
		s, _ := text.(string)
		if s == "null" || s == "" {
			return 0
		}
		if n, err := strconv.ParseInt(s, 10, 64); err == nil && n < 0 {
			return uint64(n) & (1<<bits - 1)
		}
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			panic("argument " + s)
		}
		return n
	}
	width := func(t string) int {
		n, err := strconv.Atoi(t[1:])
		if err != nil {
			return 64 // references
		}
		return n
	}
	switch {
	case v.Type == "v128":
		var slots [2]uint64
		bits := width(v.LaneType)
		for i, lane := range v.Value.([]any) {
			slots[i*bits/64] |= number(lane, bits) << (i * bits % 64)
		}
		return slots[:]
	case v.Type == "externref" && v.Value != "null":
		return []uint64{number(v.Value, 64) + 1} // 0 is null
	}
	return []uint64{number(v.Value, width(v.Type))}
}

// Whatever a script of the specification does, a rewritten module answers as it did
// before: the same results bit for bit, and the same traps.
func TestSpecificationIsAnsweredTheSame(t *testing.T) {
	if testing.Short() {
		t.Skip("runs some 60,000 calls")
	}
	dir := specDir(t)
	var rewrittenModules, calls, traps int
	refused := map[string]int{}
	for _, suite := range specSuites {
		scripts, err := filepath.Glob(filepath.Join(dir, suite.dir, "testdata", "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, script := range scripts {
			text, err := os.ReadFile(script)
			if err != nil {
				t.Fatal(err)
			}
			var base struct{ Commands []specCommand }
			if err := json.Unmarshal(text, &base); err != nil {
				t.Fatal(err)
			}
			t.Run(suite.dir+"/"+strings.TrimSuffix(filepath.Base(script), ".json"), func(t *testing.T) {
				before, after := newSpecWorld(t, dir, suite.features), newSpecWorld(t, dir, suite.features)
				foreign := map[string]bool{} // modules that were refused; "" is the last
				for i := range base.Commands {
					c := &base.Commands[i]
					switch c.Type {
					case "module", "assert_unlinkable", "assert_uninstantiable":
						if c.ModuleType == "text" {
							continue
						}
						module, err := os.ReadFile(filepath.Join(filepath.Dir(script), c.Filename))
						if err != nil {
							t.Fatal(err)
						}
						registered := ""
						if i+1 < len(base.Commands) && base.Commands[i+1].Type == "register" {
							registered = base.Commands[i+1].As
						}
						out, err := wasm.Rewrite(module, wasm.Options{MaxMemoryPages: wasm.MaxMemory})
						if err != nil {
							// It still is there for others to link to.
							reason := specRefusal(err)
							if refused[reason]++; reason == "" && c.Type == "module" {
								t.Errorf("line %d: refused: %v", c.Line, err)
							}
							out = module
						} else {
							rewrittenModules++
						}
						lastBefore, lastAfter := before.last, after.last
						errBefore, errAfter := before.instantiate(module, registered, c.Name), after.instantiate(out, registered, c.Name)
						if (errBefore == nil) != (errAfter == nil) {
							t.Errorf("line %d: instantiate: got %v, want %v", c.Line, errAfter, errBefore)
						}
						if c.Type != "module" {
							before.last, after.last = lastBefore, lastAfter
							continue
						}
						foreign[""] = err != nil
						if c.Name != "" {
							foreign[c.Name] = err != nil
						}
					case "assert_return", "assert_trap", "assert_exhaustion", "action":
						want, ok := before.run(c)
						got, ok2 := after.run(c)
						if !ok || !ok2 {
							t.Errorf("line %d: there is no module", c.Line)
							continue
						}
						if (want.trap == "") != (c.Type == "assert_return" || c.Type == "action") {
							t.Errorf("line %d: the module as it is does not do what the script says: %v", c.Line, want)
						}
						// What is too deep for one is so for the other, by another counter.
						if (got.trap == "") != (want.trap == "") || got.trap != want.trap && c.Type != "assert_exhaustion" ||
							!slices.Equal(got.results, want.results) {
							t.Errorf("line %d: %s: got %v, want %v", c.Line, c.Action.Field, got, want)
						}
						if foreign[c.Action.Module] {
							continue
						}
						if calls++; want.trap != "" {
							traps++
						}
					}
				}
			})
		}
	}
	t.Logf("%d modules rewritten, %d calls, %d of them trap; refused: %v", rewrittenModules, calls, traps, refused)
	for _, r := range specRefusals {
		if refused[r.reason] < r.atLeast {
			t.Errorf("%d modules were refused because %q, want %d at least", refused[r.reason], r.reason, r.atLeast)
		}
	}
	if rewrittenModules < 1500 || calls < 50_000 || traps < 1500 {
		t.Errorf("%d modules rewritten, %d calls, %d of them trap: most of the suites is missing", rewrittenModules, calls, traps)
	}
}

// specRefusal is the reason of specRefusals that err gives, or "".
func specRefusal(err error) string {
	for _, r := range specRefusals {
		if strings.Contains(err.Error(), r.reason) {
			return r.reason
		}
	}
	return ""
}

// Every module of the suites, the malformed and the invalid too: what Rewrite accepts,
// wazero takes after rewriting if and only if it took it before.
func TestSpecificationModulesStayValid(t *testing.T) {
	dir := specDir(t)
	ctx := context.Background()
	// The interpreter validates as the compiler does.
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(api.CoreFeaturesV2))
	t.Cleanup(func() { rt.Close(ctx) })
	accepts := func(module []byte) error {
		c, err := rt.CompileModule(ctx, module)
		if err == nil {
			c.Close(ctx)
		}
		return err
	}
	modules, rewrittenModules, invalid := 0, 0, 0
	for _, suite := range specSuites {
		files, err := filepath.Glob(filepath.Join(dir, suite.dir, "testdata", "*.wasm"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			module, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			modules++
			info, errInspect := wasm.Inspect(module)
			out, err := wasm.Rewrite(module, wasm.Options{MaxMemoryPages: wasm.MaxMemory})
			if (errInspect == nil) != (err == nil) {
				t.Errorf("%s: Inspect says %v, Rewrite %v", filepath.Base(file), errInspect, err)
			}
			if err != nil {
				continue
			}
			rewrittenModules++
			errBefore, errAfter := accepts(withoutCustom(module)), accepts(out)
			if errBefore != nil {
				invalid++
			}
			if (errBefore == nil) != (errAfter == nil) && !mended(info, errBefore) {
				t.Errorf("%s/%s: wazero says %v, and after rewriting %v", suite.dir, filepath.Base(file), errBefore, errAfter)
			}
		}
	}
	t.Logf("%d modules, %d rewritten, %d of them invalid", modules, rewrittenModules, invalid)
	if modules < 5000 || rewrittenModules < 4000 || invalid < 1000 {
		t.Errorf("%d modules, %d rewritten, %d of them invalid: most of the suites is missing", modules, rewrittenModules, invalid)
	}
}

// mended tells errors that a module has no longer when Rewrite is done with it: the start
// function is exported, after which the module may have references to it.
func mended(info *wasm.Info, err error) bool {
	return err != nil && info.Start && strings.Contains(err.Error(), "undeclared function index")
}
