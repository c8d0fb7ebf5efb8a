// Command profile is a transform: it merges what several systems know of one customer. It reaches
// nothing outside itself.
package main

import (
	_ "embed"

	"pointsman/pdk"
)

//go:wasmexport compose
func compose() int32 { return pdk.Serve(Profile{}.Compose) }

//go:wasmexport pointsman_warm
func warm() { _ = rehearse() }

// rehearse prepares what every call needs.
func rehearse() error {
	return pdk.Rehearse(pdk.Handler(Profile{}.Compose), composeExample)
}

//go:embed testdata/compose.txtar
var composeExample string

// main is never called: a plugin is a library of exports. It names them because linters know
// nothing of wasmexport.
func main() { _, _ = compose, warm }
