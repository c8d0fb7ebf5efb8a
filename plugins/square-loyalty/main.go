// Command square-loyalty is a connector: it reads loyalty accounts from Square and answers them in
// the shape of package record.
package main

import (
	_ "embed"
	"errors"

	"pointsman/pdk"
)

//go:wasmexport get
func get() int32 { return pdk.Serve(Square{}.Get) }

//go:wasmexport find
func find() int32 { return pdk.Serve(Square{}.Find) }

//go:wasmexport pointsman_warm
func warm() { _ = rehearse() }

// rehearse prepares what every call needs.
func rehearse() error {
	return errors.Join(
		pdk.Rehearse(pdk.Handler(Square{}.Get), getExample),
		pdk.Rehearse(pdk.Handler(Square{}.Find), findExample),
	)
}

//go:embed testdata/get.txtar
var getExample string

//go:embed testdata/find.txtar
var findExample string

// main is never called: a plugin is a library of exports. It names them because linters know
// nothing of wasmexport.
func main() { _, _, _ = get, find, warm }
