package sandbox

import "pointsman/host/wasm"

// commandStart is what programs export that have a main function and nothing else: WASI's
// commands, as most languages make without further ado. Extism's hosts call it as any
// function of a plugin.
const commandStart = "_start"

// isCommand reports whether a module is such a program. One that has functions for callers
// too is called by those.
func isCommand(exports []wasm.Export) bool {
	return hasPlain(exports, commandStart) && !hasPlain(exports, "_initialize")
}

// endedWell reports whether the guest is a program that has come to its end: languages
// leave main by proc_exit. Of any other function it is a fault, whatever the code, because
// it did not return.
func (c *call) endedWell() bool {
	return c.export == commandStart && c.stage == serving && c.exitedWith0 && c.fault != nil && c.fault.Kind == Exit
}
