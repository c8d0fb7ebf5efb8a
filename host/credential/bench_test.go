package credential_test

import (
	"context"
	"net/http"
	"testing"

	"golang.org/x/oauth2"

	"pointsman/host/credential"
)

func contextWith(ctx context.Context, c *http.Client) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, c)
}

// BenchmarkPlace measures what a request pays for its credential.
func BenchmarkPlace(b *testing.B) {
	v := newVault("client", clientSecret, "key", hmacKey, "aws", awsID+":"+awsSecret)
	parts := credential.Parts{Secret: v.open, Fetch: func(context.Context, credential.Request) (credential.Answer, error) {
		return credential.Answer{Status: 200, Body: []byte(`{"access_token":"` + token1 + `","expires_in":86400}`)}, nil
	}}
	session, err := credential.NewOAuth2(shop(), parts)
	if err != nil {
		b.Fatal(err)
	}
	defer session.Close()
	static, err := credential.NewStatic(credential.Static{Secret: "client", Spot: credential.Spot{As: "bearer"}}, parts)
	if err != nil {
		b.Fatal(err)
	}
	hmac, err := credential.NewHMAC(credential.HMAC{Secret: "key", Over: []string{"method", "path", "digest"}, Join: "\n", Signature: credential.HMACField{Name: "X-Signature"}}, parts)
	if err != nil {
		b.Fatal(err)
	}
	aws, err := credential.NewSigV4(credential.SigV4{Secret: "aws", Region: "eu-central-1", Service: "execute-api"}, parts)
	if err != nil {
		b.Fatal(err)
	}
	for _, bb := range []struct {
		name  string
		place func(context.Context, *http.Request, []byte) (credential.Used, error)
	}{{"cached token", session.Place}, {"secret", static.Place}, {"hmac", hmac.Place}, {"sigv4", aws.Place}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			req := plainRequest()
			for b.Loop() {
				used, err := bb.place(b.Context(), req, nil)
				if err != nil {
					b.Fatal(err)
				}
				used.Wipe()
			}
		})
	}
	b.Run("cached token, in parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			req := plainRequest()
			for pb.Next() {
				if _, err := session.Place(b.Context(), req, nil); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}
