// Command profile is a transform: it merges what several systems know of one customer. It reaches
// nothing outside itself.
package main

import "pointsman/pdk"

//go:wasmexport compose
func compose() int32 { return pdk.Serve(Profile{}.Compose) }

// main is never called: a plugin is a library of exports. It names them because linters know
// nothing of wasmexport.
func main() { _ = compose }
