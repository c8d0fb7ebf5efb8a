// Command asker is a plugin for tests of the running broker: it calls the functions of other
// plugins that its input names.
package main

import (
	"encoding/json"

	"pointsman/pdk"
)

func main() {}

type askInput struct {
	Calls []call `json:"calls"`
}

type call struct {
	Function string          `json:"function"`
	Input    json.RawMessage `json:"input"`
}

type answer struct {
	Output json.RawMessage `json:"output,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// ask makes the calls one after another and reports what came of each.
//
//go:wasmexport ask
func ask() int32 {
	return pdk.Serve(func(h *pdk.Host, in askInput) ([]answer, error) {
		var answers []answer
		for _, c := range in.Calls {
			output, err := pdk.Call[json.RawMessage, json.RawMessage](h, c.Function, c.Input)
			if err != nil {
				answers = append(answers, answer{Error: err.Error()})
				continue
			}
			answers = append(answers, answer{Output: output})
		}
		return answers, nil
	})
}

type status struct {
	Code int `json:"status"`
}

// check reports whether the record of an id is there, without seeing it.
//
//go:wasmexport check
func check() int32 {
	return pdk.Serve(func(h *pdk.Host, in map[string]string) (bool, error) {
		found, err := pdk.Call[map[string]any, status](h, "prober.fetch", map[string]any{
			"backend": "target", "method": "GET", "path": "/allowed/" + in["id"],
		})
		return found.Code == 200, err
	})
}
