package sandbox

import (
	"slices"
	"strings"

	"pointsman/host/wasm"
)

// initializers are what a guest's language may want to run before anything else, the
// first that exists. They are WASI's names for reactors and, after them, commands.
var initializers = []string{"_initialize", "__wasm_call_ctors"}

// haskellInit is Haskell's own; go-sdk runs it, and _initialize before it.
const haskellInit = "hs_init"

// runtimeExports are functions that compilers export for themselves and that could be
// taken for an author's by their signature.
var runtimeExports = []string{"malloc", "free", "calloc", "realloc", "resume", "go_scheduler", "cabi_realloc"}

// runtimePrefixes begin the names of more of them: C, AssemblyScript, TinyGo and Haskell.
var runtimePrefixes = []string{"_", "~", "asyncify_", "hs_", wasm.ReservedPrefix}

// Callable are the exports of a module that a caller may use, sorted: functions without
// parameters that return a code or nothing, as Extism's do, and that no compiler keeps for
// itself.
func Callable(exports []wasm.Export) []string {
	var names []string
	for _, e := range exports {
		if e.Kind == wasm.FuncExport && isPlain(e.Type) && !isRuntimeExport(e.Name) {
			names = append(names, e.Name)
		}
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

// initializer is the export to call first, "" if there is none to call.
func initializer(exports []wasm.Export) string {
	has := func(name string, plain bool) bool {
		return slices.ContainsFunc(exports, func(e wasm.Export) bool {
			return e.Name == name && e.Kind == wasm.FuncExport && (!plain || e.Type.Equal(sig("")))
		})
	}
	if has(haskellInit, false) {
		return ""
	}
	for _, name := range initializers {
		if has(name, true) {
			return name
		}
	}
	return ""
}
