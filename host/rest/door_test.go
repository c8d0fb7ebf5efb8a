package rest_test

import (
	"encoding/base64"
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/broker"
	"pointsman/host/gateway"
)

const gatewaySecret = "gateway-secret-0123456789"

func guarded(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(routes()...)
	g, err := gateway.New(gateway.Config{Static: &gateway.Static{Secrets: [][]byte{[]byte(gatewaySecret)}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.live.release.gateway = g
	return f
}

// TestTwoLocks: the consumer is looked at whatever the gateway's proof, and the answer is one.
func TestTwoLocks(t *testing.T) {
	proof := gateway.Header + ": " + gatewaySecret
	till := "Client-Cert: :" + base64.StdEncoding.EncodeToString([]byte(tillCertificate)) + ":"
	want := golden(t, "testdata/401.txt")
	unavailable := &broker.Error{Kind: broker.Unavailable, Err: errors.New("SECRET")}
	tests := []struct {
		name    string
		headers []string
		err     error // of Authenticate
		status  int
	}{
		{"nothing", nil, nil, 401},
		{"the consumer alone", []string{auth}, nil, 401},
		{"the gateway alone", []string{proof}, nil, 401},
		{"another secret", []string{auth, proof + "x"}, nil, 401},
		{"the proof twice", []string{auth, proof, proof}, nil, 401},
		{"the proof of a hop", []string{auth, proof, "Connection: x, " + gateway.Header}, nil, 401},
		{"another consumer", []string{proof, auth + "0"}, nil, 401},
		{"a certificate without proof", []string{till}, nil, 401},
		{"a certificate in other words", []string{proof, "Client_Cert: " + till[len("Client-Cert: "):]}, nil, 401},
		{"two certificates", []string{proof, till, till}, nil, 401},
		{"a certificate that cannot be read, and a key", []string{proof, auth, "Client-Cert: till"}, nil, 401},
		{"a certificate of a hop", []string{proof, till, "Connection: client-cert"}, nil, 401},
		{"a certificate, and two keys", []string{proof, till, auth, "X-Api-Key: x"}, nil, 401},
		{"no proof, and consumers cannot be checked", []string{auth}, unavailable, 401},
		{"consumers cannot be checked", []string{auth, proof}, unavailable, 503},
		{"both", []string{auth, proof}, nil, 200},
		{"both, by certificate", []string{proof, till}, nil, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := guarded(t)
			f.live.release.authErr = tt.err
			w := f.do(t, "GET", "/v1/items/1", tt.headers...)
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d", w.Code, tt.status)
			}
			if tt.status == 401 {
				if diff := cmp.Diff(want, dump(w.Result())); diff != "" {
					t.Error(diff)
				}
				if n := len(f.recorder.all()); n != 0 {
					t.Errorf("%d requests recorded, want 0", n)
				}
			}
			if n := f.live.release.asked.Load(); n != 1 {
				t.Errorf("the consumer was looked at %d times, want once", n)
			}
		})
	}
}

// TestGatewayCannotBeChecked: who is not a consumer does not learn it.
func TestGatewayCannotBeChecked(t *testing.T) {
	for credential, status := range map[string]int{auth: 503, auth + "0": 401} {
		f := guarded(t)
		f.live.release.gateErr = &broker.Error{Kind: broker.Unavailable, Err: errors.New("SECRET")}
		if w := f.do(t, "GET", "/v1/items/1", credential); w.Code != status {
			t.Errorf("status %d, want %d", w.Code, status)
		}
	}
}

// TestDirectIdentityHeaders: where there is no gateway, nobody says who the client is.
func TestDirectIdentityHeaders(t *testing.T) {
	till := base64.StdEncoding.EncodeToString([]byte(tillCertificate))
	for _, name := range []string{"Client-Cert", "client_cert", "X-Client-Cert"} {
		f := newFixture(routes()...)
		var w *httptest.ResponseRecorder = f.do(t, "GET", "/v1/items/1", name+": :"+till+":")
		if w.Code != 401 {
			t.Errorf("%s: status %d", name, w.Code)
		}
	}
}
