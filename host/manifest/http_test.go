package manifest_test

import (
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/manifest"
)

// TestHTTPBackend reads everything that a back end can say besides its credential.
func TestHTTPBackend(t *testing.T) {
	set := loadValid(t)
	got := *set.Backends[4].HTTP
	got.Auth = nil
	want := manifest.HTTPBackend{
		URL: "https://shop.example:8443",
		TLS: &manifest.TLS{
			Pins: []string{"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}, MinVersion: "1.3",
			ServerName: "shop.internal", ClientCertificate: &manifest.ClientCertificate{Secret: "shop-client"},
		},
		Methods: []string{"GET", "HEAD"},
		Headers: manifest.HTTPHeaders{Request: []string{"Accept-Language", "Square-Version"}, Answer: []string{"X-Request-Cost"}},
		Limits:  manifest.HTTPLimits{Bytes: 65536, Ratio: 20, Rate: manifest.Rate{Count: 200, Per: time.Second}},
		Retries: &manifest.Retries{Attempts: 3},
		Breaker: &manifest.Breaker{Percent: 50},
		Hedge:   &manifest.Hedge{After: 300 * time.Millisecond},
		Check:   "GET /health",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestWhatDefaultsAreIsNoDifference: a default that is written out and one that is not are
// the same document, and any other value is another.
func TestWhatDefaultsAreIsNoDifference(t *testing.T) {
	digest := func(extra string) string {
		set, faults := manifest.Load(fstest.MapFS{"a.yaml": {Data: []byte(head + "kind: Backend\nspec: {http: {url: https://a.example, " + extra + "}}\n")}})
		if faults.HasErrors() {
			t.Fatalf("%s: %s", extra, render(faults))
		}
		return set.Digest()
	}
	for short, long := range map[string]string{
		"retries: {}": "retries: {attempts: 3}", "breaker: {}": "breaker: {percent: 50}", "headers: {}, methods: [GET, PUT]": "methods: [PUT, GET]",
	} {
		if digest(short) != digest(long) {
			t.Errorf("%s and %s differ", short, long)
		}
	}
	if digest("retries: {}") == digest("retries: {attempts: 4}") || digest("methods: [GET]") == digest("methods: [PUT]") || digest("check: GET /a") == digest("check: HEAD /a") {
		t.Error("other values are the same document")
	}
	if digest("breaker: {}") == digest("private: []") || digest("retries: {}") == digest("private: []") {
		t.Error("a breaker with defaults is none")
	}
}
