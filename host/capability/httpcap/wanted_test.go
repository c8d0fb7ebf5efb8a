package httpcap_test

import (
	"encoding/json"
	"strings"
	"testing"

	"pointsman/host/capability"
	granted "pointsman/host/grant"
	"pointsman/pdk/wire"
)

// TestRefusalsNameWhatIsWanted: what is recorded of a refused request are words of the admin
// and of the plugin's author, never one that only the request has.
func TestRefusalsNameWhatIsWanted(t *testing.T) {
	s := newServer(t)
	ops, err := s.http(t).Bind(capability.Scope{
		Plugin: "p", Grant: json.RawMessage(grant),
		Wants: granted.Wants{Declared: true, HTTP: []granted.HTTP{
			{Backend: "crm", Allow: []string{"GET /v2/loyalty/accounts/{id}", "DELETE /v2/loyalty/accounts/{id}", "GET /v2/notes"}, Query: []string{"q", "fields"}, Headers: []string{"X-Page"}},
			{Backend: "mail", Allow: []string{"POST /send/{to}"}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	const canary = "canary-4711"
	tests := []struct {
		name string
		r    wire.HTTPRequest
		want string
	}{
		{"a back end that nobody named", wire.HTTPRequest{Backend: canary, Method: "GET", Path: "/x"}, ""},
		{"a back end that is wanted", wire.HTTPRequest{Backend: "mail", Method: "POST", Path: "/send/" + canary}, "mail? POST /send/{to}"},
		{"a path of it that is not", wire.HTTPRequest{Backend: "mail", Method: "POST", Path: "/a/" + canary}, "mail? POST {2 segments}"},
		{"a rule that is wanted", wire.HTTPRequest{Backend: "crm", Method: "DELETE", Path: "/v2/loyalty/accounts/" + canary}, "acme DELETE /v2/loyalty/accounts/{id}"},
		{"a method that never is", wire.HTTPRequest{Backend: "crm", Method: canary, Path: "/v2/notes"}, "acme ? {2 segments}"},
		{"a path that nobody named", wire.HTTPRequest{Backend: "crm", Method: "GET", Path: "/v2/" + canary + "/x"}, "acme GET {3 segments}"},
		{"names that are wanted", wire.HTTPRequest{Backend: "crm", Method: "GET", Path: "/v2/notes",
			Query: []wire.Field{{Name: "fields", Value: canary}, {Name: canary, Value: "x"}}, Header: []wire.Field{{Name: "x-page", Value: canary}, {Name: canary}}},
			"acme GET /v2/notes query fields header X-Page"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			planned, err := ops["request"](frame(t, tt.r, canary))
			if err == nil {
				t.Fatal("it was allowed")
			}
			if planned.Resource != tt.want {
				t.Errorf("recorded as %q, want %q", planned.Resource, tt.want)
			}
			if strings.Contains(planned.Resource, canary) {
				t.Error("what is recorded holds a value")
			}
		})
	}
}
