package sandbox

import (
	"slices"
	"strings"

	"pointsman/host/wasm"
)

// languageInits are what a guest's language may want to run before anything else, the
// first that exists. They are WASI's names for reactors and, after them, commands.
var languageInits = []string{"_initialize", "__wasm_call_ctors"}

// runtimeExports are functions that compilers export for themselves and that could be
// taken for an author's by their signature.
var runtimeExports = []string{"malloc", "free", "calloc", "realloc", "resume", "go_scheduler", "cabi_realloc", warmUp, reseed}

// runtimePrefixes begin the names of more of them: C, AssemblyScript, TinyGo and Haskell.
var runtimePrefixes = []string{"_", "~", "asyncify_", "hs_", wasm.ReservedPrefix}

// Callable are the exports of a module that a caller may use, sorted: functions without
// parameters that return a code or nothing, as Extism's do, and that no compiler keeps for
// itself. Of a program that has none of these it is its main function.
func Callable(exports []wasm.Export) []string {
	var names []string
	for _, e := range exports {
		if e.Kind == wasm.FuncExport && isPlain(e.Type) && !isRuntimeExport(e.Name) {
			names = append(names, e.Name)
		}
	}
	if len(names) == 0 && isCommand(exports) {
		return []string{commandStart}
	}
	slices.Sort(names)
	return names
}

func isPlain(t wasm.FuncType) bool {
	return t.Equal(sig("")) || t.Equal(sig(":i"))
}

func isRuntimeExport(name string) bool {
	return name == "" || slices.Contains(runtimeExports, name) ||
		slices.ContainsFunc(runtimePrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// warmUp is an export that a plugin may have, of type () -> () or () -> i32. It is a part
// of the initialization, and its last: on the snapshot engine it runs once for all calls,
// so that what it has prepared (tables, compiled patterns) is there for each of them. It
// has no input, no operations, and an error or return code of it is not looked at.
const warmUp = "pointsman_warm"

// reseed is an export that a plugin may have, of type () -> () or () -> i32. It runs
// before every call, after the initialization, within the call's limits: a guest draws
// anew there what its generators were seeded with, which the initialization may have done
// once for all calls. It has no input, no operations, and an error or return code of it is
// not looked at.
const reseed = "pointsman_reseed"

// hasPlain reports whether there is such a function that takes nothing and returns a code
// or nothing.
func hasPlain(exports []wasm.Export, name string) bool {
	return slices.ContainsFunc(exports, func(e wasm.Export) bool {
		return e.Name == name && e.Kind == wasm.FuncExport && isPlain(e.Type)
	})
}

// initializers are the exports to call first, in their order. A start function comes before
// all others, as the format says.
func initializers(info *wasm.Info) []string {
	has := func(name string, like func(wasm.FuncType) bool) bool {
		return slices.ContainsFunc(info.Exports, func(e wasm.Export) bool {
			return e.Name == name && e.Kind == wasm.FuncExport && like(e.Type)
		})
	}
	var names []string
	if info.Start {
		names = append(names, wasm.StartExport)
	}
	for _, name := range languageInits {
		if has(name, func(t wasm.FuncType) bool { return t.Equal(sig("")) }) {
			names = append(names, name)
			break
		}
	}
	if has(haskellInit, isHaskellInit) {
		names = append(names, haskellInit)
	}
	if hasPlain(info.Exports, warmUp) {
		names = append(names, warmUp)
	}
	return names
}
