// Command customer-store is a connector: it reads customers from a database and answers them
// in the shape of package record.
package main

import (
	_ "embed"

	"pointsman/pdk"
)

//go:wasmexport get
func get() int32 { return pdk.Serve(Store{}.Get) }

//go:wasmexport pointsman_warm
func warm() { _ = rehearse() }

// rehearse prepares what every call needs.
func rehearse() error { return pdk.Rehearse(pdk.Handler(Store{}.Get), getExample) }

//go:embed testdata/get.txtar
var getExample string

// main is never called: a plugin is a library of exports. It names them because linters know
// nothing of wasmexport.
func main() { _, _ = get, warm }
