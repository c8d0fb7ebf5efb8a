package egress_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"pointsman/host/credential"
	"pointsman/host/egress"
)

// TestSecretReplacedWithinAnAnswer: a back end that has the new value of a secret before its
// answer has ended, and repeats both values, gives neither away; however the new one came.
func TestSecretReplacedWithinAnAnswer(t *testing.T) {
	const before, after = "sk_live_4eC39HqLyjWDarjtT1zdp7dc", "sk_live_9bXw77KmTrQzVhusR2yfe8kd"
	tests := []struct {
		name string
		then credential.Secret // nil: revoked
		want string
	}{
		{"rotated", secret{after, []string{before}}, "[redacted] [redacted] [redacted]"},
		{"set", secret{after, nil}, "[redacted] [redacted] [redacted]"},
		{"revoked", nil, "[redacted] [redacted] " + after},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var now atomic.Pointer[credential.Secret]
			first := credential.Secret(secret{before, nil})
			now.Store(&first)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				sent := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
				w.Header().Set("ETag", after) // the back end knows it first
				fmt.Fprint(w, sent+" "+before+" ")
				_ = http.NewResponseController(w).Flush() // half of the answer is under way
				now.Store(&tt.then)
				fmt.Fprint(w, after)
			}))
			defer srv.Close()
			p, err := credential.NewStatic(
				credential.Static{Secret: "s", Spot: credential.Spot{As: "bearer"}},
				credential.Parts{Secret: func(string) (credential.Secret, error) {
					if s := *now.Load(); s != nil {
						return s, nil
					}
					return nil, fmt.Errorf("there is none")
				}})
			if err != nil {
				t.Fatal(err)
			}
			a, err := get(t, backend(t, srv.Listener.Addr().String(), func(c *egress.Config) { c.Placement = p }))
			if err != nil || string(a.Body) != tt.want {
				t.Errorf("got %q, %v, want %q", a.Body, err, tt.want)
			}
			if etag := fmt.Sprint(a.Header); strings.Contains(tt.want, after) != strings.Contains(etag, after) {
				t.Errorf("header %s", etag)
			}
		})
	}
}
