//go:build wasip1

// Command naive is the guest of the benchmark's naive contender: the connectors' and the
// transform's work as one writes it for plain Extism. It asks Extism's own http_request,
// gets addresses and credentials by config, and tells a missing record by its error text.
package main

import (
	"encoding/json"
	"net/url"

	"pointsman/pdk"
	hubspot "pointsman/plugins/hubspot/contact"
	"pointsman/plugins/profile/rules"
	salesforce "pointsman/plugins/salesforce/contact"
	"pointsman/plugins/square-loyalty/account"
)

// input is what each export takes a part of.
type input struct {
	Customer string            `json:"customer"`
	Phone    string            `json:"phone"`
	Parts    []json.RawMessage `json:"parts"`
}

// serve answers one call: the result as JSON and 0, or an error's code as text and 1.
func serve[T any](answer func(in input) (T, error)) int32 {
	var in input
	err := json.Unmarshal(readInput(), &in)
	var out []byte
	if err == nil {
		var result T
		if result, err = answer(in); err == nil {
			out, err = json.Marshal(result)
		}
	}
	if err != nil {
		writeError([]byte(pdk.CodeOf(err)))
		return 1
	}
	writeOutput(out)
	return 0
}

//go:wasmexport salesforce
func findSalesforce() int32 {
	return serve(func(in input) (any, error) {
		var found salesforce.Found
		query := url.Values{"q": {salesforce.Query(in.Customer)}}
		err := ask("salesforce", "GET", "/services/data/v62.0/query?"+query.Encode(), nil, &found)
		if err != nil {
			return nil, err
		}
		return found.Record()
	})
}

//go:wasmexport hubspot
func findHubSpot() int32 {
	return serve(func(in input) (any, error) {
		body, err := hubspot.Search(in.Customer)
		if err != nil {
			return nil, err
		}
		var found hubspot.Found
		if err := ask("hubspot", "POST", "/crm/v3/objects/contacts/search", body, &found); err != nil {
			return nil, err
		}
		return found.Record()
	})
}

//go:wasmexport square
func findSquare() int32 {
	return serve(func(in input) (any, error) {
		body, err := account.Search(in.Phone)
		if err != nil {
			return nil, err
		}
		var found account.Found
		if err := ask("square", "POST", "/v2/loyalty/accounts/search", body, &found); err != nil {
			return nil, err
		}
		return found.Record()
	})
}

//go:wasmexport profile
func compose() int32 {
	return serve(func(in input) (*rules.Profile, error) {
		parts, err := rules.Read(in.Parts)
		if err != nil {
			return nil, err
		}
		return rules.Merge(parts)
	})
}

// request is what Extism's http_request takes.
type request struct {
	URL     string            `json:"url"`
	Method  string            `json:"method"`
	Headers map[string]string `json:"headers"`
}

// ask sends a request to a back end and decodes the answer into v.
func ask(backend, method, path string, body []byte, v any) error {
	head, err := json.Marshal(request{
		URL: config(backend+".url") + path, Method: method,
		Headers: map[string]string{
			"Authorization": "Bearer " + config(backend+".token"), "Accept": "application/json",
			"Content-Type": "application/json", "Square-Version": "2025-01-23",
		},
	})
	if err != nil {
		return err
	}
	status, answer := httpRequest(head, body)
	return (&pdk.Reply{Status: status, Body: answer}).JSON(v)
}

// main is never called: the module is a library of exports.
func main() { _, _, _, _ = findSalesforce, findHubSpot, findSquare, compose }
