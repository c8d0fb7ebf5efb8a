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
	CodeMemory   = "PM4007"
	CodeDoor     = "PM4008"
)

// Explain returns what one of these codes means, and whether it is one.
func Explain(id string) (manifest.Code, bool) {
	all := []manifest.Code{
		{ID: CodeModule, Title: "module not usable", Explanation: "The plugin's module cannot be read from the modules folder, is not the one whose SHA-256 is pinned, or breaks a limit that every module is held to. `pointsman plugin inspect FILE` says more."},
		{ID: CodeGrant, Title: "grants do not fit", Explanation: "The module imports a power that spec.grants does not give, or spec.grants gives something that the plugin's author does not ask for. `pointsman plugin inspect FILE` shows what it imports and wants. Grant what it needs, or use a plugin that needs less."},
		{ID: CodeFunction, Title: "no such function", Explanation: "A step calls a function that the plugin does not have. The message lists those that it has."},
		{ID: CodeSecret, Title: "no such secret", Explanation: "A credential that a manifest names is not sealed yet. `pointsman secret set NAME < FILE` seals it."},
		{ID: CodeBackend, Title: "back end not usable", Explanation: "A back end cannot be set up as its manifest says: its CA bundle cannot be read, or its address is not one that is ever dialled."},
		{ID: CodeCompile, Title: "module refused by the engine", Explanation: "The module is valid, but the sandbox engine will not run it: it imports something that is not offered, or with another signature, needs more memory than spec.limits.memory gives, or its initialization broke off: it has spec.limits.time for that, as for a call, and no operations."},
		{ID: CodeMemory, Title: "memory reserved beyond the budget", Explanation: "Every plugin reserves memory for spec.limits.reserved sandboxes (1 unless written), each of spec.limits.memory (64MiB unless written) and 4MiB for the kernel. The sum over all plugins must fit what the server gives its sandboxes: `pointsman serve --sandbox-memory SIZE`, half of the machine's or the cgroup's memory unless written. Reserve or give less to the plugins that the message names, deploy fewer, or give the server more. `pointsman validate` does not know the server's budget."},
		{ID: CodeDoor, Title: "callers could not be checked", Explanation: "What a Gateway, a Consumer or an Issuer names to check callers by cannot be used: a file with roots is not there or holds something else, a gateway's secret is shorter than 16 bytes, an issuer's address is never dialled, or two consumers have the same certificate or tokens. Nothing is deployed: the broker would let in who should not come in, or nobody."},
	}
	i := slices.IndexFunc(all, func(c manifest.Code) bool { return c.ID == id })
	if i < 0 {
		return manifest.Code{}, false
	}
	return all[i], true
}
