package sim_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"pointsman/cmd/backends/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	token        = "test-token"
	clientID     = "test-client"
	clientSecret = "test-secret"
)

// testData is the set that all tests read: generated once, never changed.
var testData = sync.OnceValue(func() *sim.Data { return sim.NewData(1, 3000) })

func salesforce() *sim.Server {
	return sim.Salesforce(testData(), sim.SalesforceConfig{Token: token, ClientID: clientID, ClientSecret: clientSecret})
}

func hubspot() *sim.Server { return sim.HubSpot(testData(), sim.HubSpotConfig{Token: token}) }

func square() *sim.Server { return sim.Square(testData(), sim.SquareConfig{Token: token}) }

// call sends a request with the right credential, unless the headers ("Name: value") say otherwise.
func call(t *testing.T, h http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// decode reads an answer that must have the status and be JSON without duplicate names.
func decode[T any](t *testing.T, w *httptest.ResponseRecorder, status int) T {
	t.Helper()
	var v T
	if w.Code != status {
		t.Fatalf("status %d, want %d: %s", w.Code, status, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("answer is not what was expected: %v: %s", err, w.Body)
	}
	return v
}

func customer(t *testing.T, number string) sim.Customer {
	t.Helper()
	c, ok := testData().Customer(number)
	if !ok {
		t.Fatalf("no customer %s", number)
	}
	return c
}

func contains(t *testing.T, w *httptest.ResponseRecorder, want string) {
	t.Helper()
	if !bytes.Contains(w.Body.Bytes(), []byte(want)) {
		t.Errorf("answer lacks %s: %s", want, w.Body)
	}
}
