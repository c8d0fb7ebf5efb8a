// Command salesforce is a connector: it reads contacts from Salesforce and answers them in the
// shape of package record.
package main

import "pointsman/pdk"

//go:wasmexport get
func get() int32 { return pdk.Serve(Salesforce{}.Get) }

//go:wasmexport find
func find() int32 { return pdk.Serve(Salesforce{}.Find) }

// main is never called: a plugin is a library of exports. It names them because linters know
// nothing of wasmexport.
func main() { _, _ = get, find }
