package credential_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pointsman/host/credential"
)

// The credentials and the time of AWS's published test suite for Signature Version 4.
const (
	awsID     = "AKIDEXAMPLE"
	awsSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

func awsTime() time.Time { return time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC) }

func newSigV4(t *testing.T, secret, service string) *credential.SigV4Placement {
	t.Helper()
	p, err := credential.NewSigV4(credential.SigV4{Secret: "aws", Region: "us-east-1", Service: service},
		credential.Parts{Secret: newVault("aws", secret).open, Now: awsTime})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSigV4Refuses(t *testing.T) {
	for _, secret := range []string{"", awsID, awsID + ":", ":" + awsSecret, awsID + ":canary\nx", awsID + ":a b", awsID + ":" + awsSecret + ":"} {
		_, err := credential.NewSigV4(credential.SigV4{Secret: "aws", Region: "us-east-1", Service: "service"}, credential.Parts{Secret: newVault("aws", secret).open})
		if err == nil || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), awsID) {
			t.Errorf("secret %q: error %v, want one without it", secret, err)
		}
	}
	for _, c := range []credential.SigV4{{Secret: "aws", Service: "s3"}, {Secret: "aws", Region: "eu"}, {Secret: "aws", Region: "e/u", Service: "s3"}} {
		if _, err := credential.NewSigV4(c, credential.Parts{Secret: newVault("aws", awsID+":"+awsSecret).open}); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

// Cases of AWS's published suite: credentials, time, region and service are those of the
// suite, and so are the signatures.
func TestSigV4Vectors(t *testing.T) {
	tests := []struct{ name, method, target, header, body, signed, signature string }{
		{"get-vanilla", "GET", "/", "", "", "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"get-vanilla-empty-query-key", "GET", "/?Param1=value1", "", "", "host;x-amz-date", "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
		{"get-vanilla-query-order-key-case", "GET", "/?Param2=value2&Param1=value1", "", "", "host;x-amz-date", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		{"post-vanilla", "POST", "/", "", "", "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		{"post-header-key-sort", "POST", "/", "My-Header1: value1", "", "host;my-header1;x-amz-date", "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
		{"post-vanilla-query", "POST", "/?Param1=value1", "", "", "host;x-amz-date", "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
	}
	p := newSigV4(t, awsID+":"+awsSecret, "service")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req := request(t, tt.method, tt.target, tt.body)
			req.Host, req.URL.Host = "example.amazonaws.com", "example.amazonaws.com"
			if name, value, ok := strings.Cut(tt.header, ": "); ok {
				req.Header.Set(name, value)
			}
			query := req.URL.RawQuery
			req, forms := place(t, p, req, tt.body)
			want := "AWS4-HMAC-SHA256 Credential=" + awsID + "/20150830/us-east-1/service/aws4_request, SignedHeaders=" + tt.signed + ", Signature=" + tt.signature
			if got := req.Header.Get("Authorization"); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if req.URL.RawQuery != query || req.Header.Get("X-Amz-Date") != "20150830T123600Z" {
				t.Errorf("query %q became %q; date %q", query, req.URL.RawQuery, req.Header.Get("X-Amz-Date"))
			}
			if !has(forms, awsSecret) {
				t.Errorf("forms %q lack the secret key", forms)
			}
		})
	}
}

// "Signature Calculations for the Authorization Header", Amazon S3 API Reference: the
// example "GET Bucket (List Objects)".
func TestSigV4S3Vector(t *testing.T) {
	p, err := credential.NewSigV4(credential.SigV4{Secret: "aws", Region: "us-east-1", Service: "s3"}, credential.Parts{
		Secret: newVault("aws", "AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").open,
		Now:    func() time.Time { return time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC) },
	})
	if err != nil {
		t.Fatal(err)
	}
	req := request(t, http.MethodGet, "/?max-keys=2&prefix=J", "")
	req.Host, req.URL.Host = "examplebucket.s3.amazonaws.com", "examplebucket.s3.amazonaws.com"
	req, _ = place(t, p, req, "")
	const want = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
	if got := req.Header.Get("Authorization"); !strings.HasSuffix(got, "Signature="+want) {
		t.Errorf("got %s, want the signature %s", got, want)
	}
	if req.Header.Get("X-Amz-Content-Sha256") != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("content digest %q", req.Header.Get("X-Amz-Content-Sha256"))
	}
}

// TestSigV4Paths: a path is escaped once more than it is sent, but not for S3 ("Create a
// signed AWS API request", IAM User Guide). The signature is computed a second time here.
func TestSigV4Paths(t *testing.T) {
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	sum := func(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }
	for service, canonical := range map[string]string{"execute-api": "/a%2520b/%25C3%25BC", "s3": "/a%20b/%C3%BC"} {
		header, signed := "host:api.example\nx-amz-date:20150830T123600Z\n", "host;x-amz-date"
		if service == "s3" {
			header, signed = "host:api.example\nx-amz-content-sha256:"+sum("")+"\nx-amz-date:20150830T123600Z\n", "host;x-amz-content-sha256;x-amz-date"
		}
		scope := "20150830/us-east-1/" + service + "/aws4_request"
		text := "AWS4-HMAC-SHA256\n20150830T123600Z\n" + scope + "\n" + sum("GET\n"+canonical+"\na=%C3%BC&b=1\n"+header+"\n"+signed+"\n"+sum(""))
		key := mac(mac(mac(mac([]byte("AWS4"+awsSecret), "20150830"), "us-east-1"), service), "aws4_request")
		want := fmt.Sprintf("Signature=%x", mac(key, text))
		req, _ := place(t, newSigV4(t, awsID+":"+awsSecret, service), request(t, "GET", "/a%20b/%C3%BC?b=1&a=%C3%BC", ""), "")
		if got := req.Header.Get("Authorization"); !strings.HasSuffix(got, want) {
			t.Errorf("%s: %s, want %s", service, got, want)
		}
	}
}

func TestSigV4Owns(t *testing.T) {
	p := newSigV4(t, awsID+":"+awsSecret+":session-token", "execute-api")
	req := request(t, "POST", "/live/x", "{}")
	req.Header.Set("Accept-Encoding", "gzip")
	req, forms := place(t, p, req, "{}")
	if req.Header.Get("X-Amz-Security-Token") != "session-token" || req.Header.Get("Accept-Encoding") != "gzip" || !strings.Contains(req.Header.Get("Authorization"), "SignedHeaders=content-length;host;x-amz-date;x-amz-security-token,") {
		t.Errorf("header %v", req.Header)
	}
	if !has(forms, awsSecret, "session-token") {
		t.Errorf("forms %q", forms)
	}
	for where, names := range map[string][]string{"header": {"Authorization", "x-amz-date", "X_Amz_Security_Token", "X-Amz-Content-Sha256"}, "query": {"X-Amz-Signature", "x-amz-credential"}} {
		for _, name := range names {
			if !p.Owns(where, name) {
				t.Errorf("a plugin may set the %s %s", where, name)
			}
		}
	}
	if p.Owns("header", "X-Amz-Target") || p.Owns("query", "q") || p.Refused(nil) {
		t.Error("owns or repeats too much")
	}
}
