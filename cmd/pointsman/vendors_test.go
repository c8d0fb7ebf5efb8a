package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pointsman/cmd/backends/sim"
	"pointsman/cmd/backends/store"
)

// vendors is a broker on the demo's own manifests, with the simulated vendors behind it.
type vendors struct {
	*running
	salesforce, hubspot, square *sim.Server
}

// curious may be told of one customer a day.
const curious = `---
apiVersion: pointsman/v1
kind: Consumer
metadata: {name: curious}
spec: {auth: {apiKey: {}}, scopes: [profile.read], subjects: 1/day}
`

func startVendors(t *testing.T) vendors {
	t.Helper()
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	people := sim.NewData(1, 100)
	v := vendors{
		salesforce: sim.Salesforce(people, sim.SalesforceConfig{ClientID: "pointsman-demo", ClientSecret: "salesforce-client-0123456789"}),
		hubspot:    sim.HubSpot(people, sim.HubSpotConfig{Token: "hubspot-token-0123456789"}),
		square:     sim.Square(people, sim.SquareConfig{Token: "square-token-0123456789"}),
	}
	files := map[string][]byte{}
	for _, name := range []string{"backends.yaml", "plugins.yaml", "routes.yaml"} {
		text, err := os.ReadFile("../../manifests/demo/" + name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = []byte(strings.NewReplacer(
			"https://localhost:9441", listen(t, v.salesforce, ca),
			"https://localhost:9442", listen(t, v.hubspot, ca),
			"https://localhost:9443", listen(t, v.square, ca)).Replace(string(text)))
	}
	consumers, err := os.ReadFile("../../manifests/demo/consumers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	databases := t.TempDir()
	if err := store.WriteSQLite(t.Context(), filepath.Join(databases, "customers.db"), people.Store()); err != nil {
		t.Fatal(err)
	}
	v.running = startBroker(t, ca, setup{
		manifests: string(consumers) + curious, files: files, modules: buildPlugins(t), databases: databases, consumers: []string{"web-shop", "newsletter", "till", "curious"},
		secrets: map[string]string{"salesforce-client": "salesforce-client-0123456789", "hubspot-token": "hubspot-token-0123456789", "square-token": "square-token-0123456789"},
	})
	return v
}

// tokens counts the requests for a token that the simulated Salesforce got.
func tokens(salesforce *sim.Server) (n int) {
	for _, r := range salesforce.Requests() {
		if r.Path == "/services/oauth2/token" {
			n++
		}
	}
	return n
}

// TestVendors breaks one vendor at a time: what is optional is left out with the reason, what
// is required makes it 502 or 504.
func TestVendors(t *testing.T) {
	v := startVendors(t)
	const path = "/v1/customers/C-100042"
	began := time.Now()
	if got := v.get("web-shop", path); got.status != http.StatusOK || got.header.Get("Pointsman-Complete") != "?1" {
		t.Fatalf("all is well: %v", got)
	}
	tests := []struct {
		name         string
		fault        sim.Fault
		optional     string // HubSpot's outcome
		wantRequired int    // when it is Salesforce
	}{
		{"garbage", sim.Fault{Kind: sim.Garbage}, "error", http.StatusBadGateway},
		{"a page instead of JSON", sim.Fault{Kind: sim.WrongType}, "error", http.StatusBadGateway},
		{"half an answer", sim.Fault{Kind: sim.HalfBody}, "error", http.StatusBadGateway},
		{"a reset", sim.Fault{Kind: sim.Reset}, "error", http.StatusBadGateway},
		{"a reset in the middle", sim.Fault{Kind: sim.ResetBody}, "error", http.StatusBadGateway},
		{"an answer without end", sim.Fault{Kind: sim.Oversized}, "error", http.StatusBadGateway},
		{"a redirect", sim.Fault{Kind: sim.Redirected, Location: "https://evil.example/"}, "error", http.StatusBadGateway},
		{"a failure", sim.Fault{Kind: sim.BadStatus, Status: 500}, "error", http.StatusBadGateway},
		{"too many requests", sim.Fault{Kind: sim.RateLimit, RetryAfter: 7}, "error", http.StatusServiceUnavailable},
		{"slowness", sim.Fault{Latency: sim.Duration(10 * time.Second)}, "timeout", http.StatusGatewayTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v.hubspot.Faults().Set(tt.fault)
			got := v.get("web-shop", path)
			v.hubspot.Faults().Clear()
			if got.status != http.StatusOK || !strings.Contains(got.body, `"customer":"ptr_customer_`) || strings.Contains(got.body, `"hubspot"`) {
				t.Errorf("HubSpot: %v, want the profile without it", got)
			}
			if s := got.header.Get("Pointsman-Sources"); !strings.Contains(s, "hubspot;s="+tt.optional) || got.header.Get("Pointsman-Complete") != "?0" {
				t.Errorf("HubSpot: sources %q, want hubspot;s=%s", s, tt.optional)
			}
			v.salesforce.Faults().Set(tt.fault)
			got = v.get("web-shop", path)
			v.salesforce.Faults().Clear()
			if got.status != tt.wantRequired || got.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("Salesforce: %v, want status %d", got, tt.wantRequired)
			}
			if tt.wantRequired == http.StatusServiceUnavailable && got.header.Get("Retry-After") != "7" {
				t.Errorf("Salesforce: Retry-After %q, want 7", got.header.Get("Retry-After"))
			}
		})
	}
	t.Run("all is well again", func(t *testing.T) {
		if got := v.get("web-shop", path); got.header.Get("Pointsman-Complete") != "?1" {
			t.Errorf("%v", got)
		}
	})
	t.Run("a token that Salesforce withdraws", func(t *testing.T) {
		if asked := tokens(v.salesforce); asked != 1 {
			t.Errorf("%d requests for a token so far, want one for all that was asked", asked)
		}
		time.Sleep(time.Until(began.Add(11 * time.Second))) // a younger one is not replaced
		v.salesforce.Faults().Set(sim.Fault{Kind: sim.BadStatus, Status: http.StatusUnauthorized, Count: 1})
		if got := v.get("web-shop", path); got.status != http.StatusOK || got.header.Get("Pointsman-Complete") != "?1" {
			t.Errorf("%v, want the profile by means of another token", got)
		}
		if asked := tokens(v.salesforce); asked != 2 {
			t.Errorf("%d requests for a token, want a second one", asked)
		}
	})
	t.Run("client secret and tokens stay in memory", func(t *testing.T) {
		var sent []string
		for _, r := range v.salesforce.Requests() {
			sent = append(sent, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		}
		if !slices.ContainsFunc(sent, func(s string) bool { return strings.Contains(s, "!AQ") }) {
			t.Fatal("no token was sent")
		}
		for name, text := range v.everything() {
			for _, secret := range append(sent, "salesforce-client-0123456789") {
				if secret != "" && bytes.Contains(text, []byte(secret)) {
					t.Errorf("%s holds a credential", name)
				}
			}
		}
	})
	t.Run("the till", func(t *testing.T) {
		if got := v.get("till", "/v1/loyalty/d9d54db7-dcc5-40c7-a081-f7a0797dbbbb"); got.status != http.StatusOK || !strings.Contains(got.body, `"balance":1250`) {
			t.Errorf("its own route: %v", got)
		}
		if got := v.get("till", path); got.status != http.StatusNotFound {
			t.Errorf("the shop's route: %v, want 404", got)
		}
	})
	t.Run("the customer store", func(t *testing.T) { testStore(t, v) })
}

// testStore: a customer is a pointer for each consumer, which only that consumer can come back
// with; whom the store does not know is 404, as is what was never a pointer.
func testStore(t *testing.T, v vendors) {
	pointer := func(consumer, number string) string {
		t.Helper()
		got := v.get(consumer, "/v1/customers/"+number)
		p := pointerIn([]byte(got.body))
		if p == "" || strings.Contains(got.body, number) {
			t.Fatalf("%s asks for %s: %v, want a pointer and no number", consumer, number, got)
		}
		return p
	}
	shops, unknown := pointer("web-shop", "C-100042"), pointer("web-shop", "C-100044")
	tests := []struct {
		name, consumer, customer string
		status                   int
		has, lacks               string
	}{
		{"the shop", "web-shop", shops, http.StatusOK, `"emails":["amelia.hart@example.com"]`, "C-100042"},
		{"the newsletter", "newsletter", pointer("newsletter", "C-100042"), http.StatusOK, `"language":"en-US"`, "melia"},
		{"the shop's pointer in the newsletter's hands", "newsletter", shops, http.StatusNotFound, "", "melia"},
		{"the till", "till", shops, http.StatusNotFound, "", "melia"},
		{"a customer whom the store does not know", "web-shop", unknown, http.StatusNotFound, "", "armen"},
		{"a number", "web-shop", "C-100042", http.StatusNotFound, "", "melia"},
	}
	own := pointer("curious", "C-100042") // and from here on it may be told of nobody else
	if got := v.get("curious", "/v1/customers/"+own+"/store"); got.status != http.StatusOK {
		t.Errorf("the same customer by pointer: %v", got)
	}
	if got := v.get("curious", "/v1/customers/C-100043"); got.status != http.StatusTooManyRequests || !strings.Contains(got.body, "subjects-spent") {
		t.Errorf("one customer more than the budget: %v", got)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := v.get(tt.consumer, "/v1/customers/"+tt.customer+"/store")
			if got.status != tt.status || !strings.Contains(got.body, tt.has) || strings.Contains(got.body, tt.lacks) {
				t.Errorf("%v, want status %d with %q and without %q", got, tt.status, tt.has, tt.lacks)
			}
		})
	}
}
