package deploy_test

import (
	"errors"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"pointsman/host/credential"
	"pointsman/host/deploy"
	"pointsman/host/manifest"
)

// TestOpen: what is wrong with a back end is found when it is opened, at its place in
// the manifests, and without a word of a secret.
func TestOpen(t *testing.T) {
	tests := []struct {
		name, backend, spec string
		want                string // code and words of the fault; empty: it opens
	}{
		{"no such back end", "other", "{url: https://crm.example}", `there is no backend "other"`},
		{"manifests that are not valid", "crm", "{url: crm.example}", "a.yaml:5:15: expected a URL"},
		{"no CA", "crm", "{url: https://crm.example, tls: {ca: gone.pem}}", "tls.ca"},
		{"a CA that is none", "crm", "{url: https://crm.example, tls: {ca: text.pem}}", "holds no PEM certificate"},
		{"no client certificate", "crm", "{url: https://crm.example, tls: {clientCertificate: {secret: gone}}}", "pointsman secret set gone"},
		{"a client certificate that is none", "crm", "{url: https://crm.example, tls: {clientCertificate: {secret: token}}}", "not a PEM certificate with its private key"},
		{"no secret", "crm", "{url: https://crm.example, auth: {secret: gone, as: bearer}}", "pointsman secret set gone"},
		{"an address that is never dialled", "crm", `{url: "https://[64:ff9b::7f00:1]"}`, "crm"},
		{"everything", "crm", `{url: https://crm.example/api, auth: {secret: token, as: bearer}, tls: {minVersion: "1.3", serverName: x.example, pins: ["sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},
    methods: [GET], headers: {request: [Accept], answer: [X-Cost]}, limits: {ratio: 10, rate: 5/s}, retries: {}, breaker: {}, hedge: {after: 1s}, check: GET /health}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := deploy.Opener{
				Manifests: fstest.MapFS{
					"a.yaml":   {Data: []byte("apiVersion: pointsman/v1\nkind: Backend\nmetadata: {name: crm}\nspec:\n  http: " + tt.spec + "\n")},
					"text.pem": {Data: []byte("canary")},
				},
				Secret: func(name string) (credential.Secret, error) {
					if name != "token" {
						return nil, errors.New("there is no such secret")
					}
					return opened("canary-0123456789"), nil
				},
				Log: slog.New(slog.DiscardHandler),
			}
			b, _, faults := o.Open(tt.backend)
			if b != nil {
				b.Close()
			}
			if (b != nil) != (tt.want == "") {
				t.Fatalf("opened %v, faults %v", b != nil, faults)
			}
			if b == nil && (!strings.Contains(faults.Err().Error(), tt.want) || strings.Contains(faults.Err().Error(), "canary")) {
				t.Errorf("got %v, want %q", faults.Err(), tt.want)
			}
		})
	}
}

// TestBackendsPage loads every example of docs/BACKENDS.md, and opens what needs no secret.
func TestBackendsPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/BACKENDS.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(examples) < 4 {
		t.Fatalf("%d examples, which cannot be all", len(examples))
	}
	for _, e := range examples {
		set, faults := manifest.Load(fstest.MapFS{"a.yaml": {Data: []byte(e[1])}})
		if faults.HasErrors() {
			t.Errorf("%v in\n%s", faults.Err(), e[1])
			continue
		}
		b := set.Backends[0]
		if b.HTTP.TLS != nil || b.HTTP.Auth != nil {
			continue // TestOpen opens such
		}
		o := deploy.Opener{Manifests: fstest.MapFS{"a.yaml": {Data: []byte(e[1])}}, Log: slog.New(slog.DiscardHandler)}
		opened, _, faults := o.Open(b.Name)
		if opened == nil {
			t.Errorf("%v in\n%s", faults.Err(), e[1])
			continue
		}
		opened.Close()
	}
}
