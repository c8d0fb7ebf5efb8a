// Command profile-blind is a transform that reads nothing: it merges what several systems know
// of one customer, and never sees any of it.
package main

import (
	_ "embed"

	"pointsman/pdk"
)

//go:wasmexport compose
func compose() int32 { return pdk.Serve(Compose) }

//go:wasmexport pointsman_warm
func warm() { _ = rehearse() }

// rehearse prepares what every call needs.
func rehearse() error { return pdk.Rehearse(pdk.Handler(Compose), example) }

const example = "-- call --\ncompose\n{\"parts\":[{\"$parcel\":1},null]}\n"

// main is never called: a plugin is a library of exports. It names them because linters know
// nothing of wasmexport.
func main() { _, _ = compose, warm }

// ComposeInput is what Compose takes.
type ComposeInput struct {
	Parts []pdk.Parcel `json:"parts"` // records as in package record; null for a source that had none
}

// rules say which system's word counts.
//
//go:embed rules.json
var rules string

// Compose merges the parts into one profile.
func Compose(h *pdk.Host, in ComposeInput) (pdk.Parcel, error) {
	return h.Merge(pdk.Rules(rules), in.Parts...)
}
