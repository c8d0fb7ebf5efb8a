package deploy

import (
	"slices"

	"pointsman/host/manifest"
)

// Codes of the faults that only a deployment can find; host/manifest has the others.
const (
	CodeModule   = "PM4001"
	CodeGrant    = "PM4002"
	CodeFunction = "PM4003"
	CodeSecret   = "PM4004"
	CodeBackend  = "PM4005"
	CodeCompile  = "PM4006"
)

// Explain returns what one of these codes means, and whether it is one.
func Explain(id string) (manifest.Code, bool) {
	all := []manifest.Code{
		{ID: CodeModule, Title: "module not usable", Explanation: "The plugin's module cannot be read from the modules folder, is not the one whose SHA-256 is pinned, or breaks a limit that every module is held to. `pointsman plugin inspect FILE` says more."},
		{ID: CodeGrant, Title: "grants do not fit", Explanation: "The module imports a power that spec.grants does not give, or spec.grants gives something that the plugin's author does not ask for. `pointsman plugin inspect FILE` shows what it imports and wants. Grant what it needs, or use a plugin that needs less."},
		{ID: CodeFunction, Title: "no such function", Explanation: "A step calls a function that the plugin does not have. The message lists those that it has."},
		{ID: CodeSecret, Title: "no such secret", Explanation: "A back end's credential is not sealed yet. `pointsman secret set NAME < FILE` seals it."},
		{ID: CodeBackend, Title: "back end not usable", Explanation: "A back end cannot be set up as its manifest says: its CA bundle cannot be read, or its address is not one that is ever dialled."},
		{ID: CodeCompile, Title: "module refused by the engine", Explanation: "The module is valid, but the sandbox engine will not run it: it imports something that is not offered, or with another signature, or needs more memory than spec.limits.memory gives."},
	}
	i := slices.IndexFunc(all, func(c manifest.Code) bool { return c.ID == id })
	if i < 0 {
		return manifest.Code{}, false
	}
	return all[i], true
}
