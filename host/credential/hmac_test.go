package credential_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/credential"
)

const hmacKey = "canary-signing-key-0123456789"

func TestHMACRefuses(t *testing.T) {
	good := credential.HMAC{Secret: "key", Over: []string{"method"}, Signature: credential.HMACField{Name: "X-Signature"}}
	tests := []struct {
		name, key string
		edit      func(*credential.HMAC)
	}{
		{"hash", hmacKey, func(c *credential.HMAC) { c.Hash = "md5" }},
		{"no header", hmacKey, func(c *credential.HMAC) { c.Signature.Name = "" }},
		{"a header that frames", hmacKey, func(c *credential.HMAC) { c.Digest.Name = "Content-Length" }},
		{"one header for two", hmacKey, func(c *credential.HMAC) { c.Nonce = "x-signature" }},
		{"covers nothing", hmacKey, func(c *credential.HMAC) { c.Over = nil }},
		{"covers what is unknown", hmacKey, func(c *credential.HMAC) { c.Over = []string{"weather"} }},
		{"covers a part twice", hmacKey, func(c *credential.HMAC) { c.Over = []string{"path", "path"} }},
		{"covers what is not sent", hmacKey, func(c *credential.HMAC) { c.Over = []string{"timestamp"} }},
		{"prefix", hmacKey, func(c *credential.HMAC) { c.Signature.Prefix = "a\nb" }},
		{"encoding", hmacKey, func(c *credential.HMAC) { c.Signature.Encoding = "rot13" }},
		{"time", hmacKey, func(c *credential.HMAC) { c.Timestamp = credential.HMACTime{Name: "X-T", Format: "sundial"} }},
		{"key id without a header", hmacKey, func(c *credential.HMAC) { c.KeyID = "a" }},
		{"key's writing", hmacKey, func(c *credential.HMAC) { c.Key = "morse" }},
		{"key is not base64", hmacKey, func(c *credential.HMAC) { c.Key = "base64" }},
		{"key is not hex", hmacKey, func(c *credential.HMAC) { c.Key = "hex" }},
		{"key too short", "canary", func(c *credential.HMAC) {}},
		{"no key", "", func(c *credential.HMAC) {}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.edit(&c)
			_, err := credential.NewHMAC(c, credential.Parts{Secret: newVault("key", tt.key).open})
			if err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("error %v, want one without the key", err)
			}
		})
	}
}

// The signature is computed a second time here, over the text that the manifest promises.
func TestHMACSigns(t *testing.T) {
	clock := newClock()
	v := newVault("key", base64.StdEncoding.EncodeToString([]byte(hmacKey)))
	p, err := credential.NewHMAC(credential.HMAC{
		Secret: "key", Key: "base64", Join: "\n",
		Over:      []string{"method", "host", "path", "query", "target", "timestamp", "nonce", "keyId", "digest", "body"},
		Signature: credential.HMACField{Name: "X-Signature", Prefix: "v1=", Encoding: "base64"},
		Digest:    credential.HMACField{Name: "X-Digest", Prefix: "sha-256="},
		Timestamp: credential.HMACTime{Name: "X-Time"}, Nonce: "X-Nonce", KeyIDName: "X-Key-Id", KeyID: "shop-1",
	}, credential.Parts{Secret: v.open, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	const body = `{"a":1}`
	req, forms := place(t, p, request(t, "POST", "/v1/orders%20x?b=2&a=1", body), body)
	sum := sha256.Sum256([]byte(body))
	digest := hex.EncodeToString(sum[:])
	mac := hmac.New(sha256.New, []byte(hmacKey))
	mac.Write([]byte(strings.Join([]string{"POST", "api.example", "/v1/orders%20x", "b=2&a=1", "/v1/orders%20x?b=2&a=1",
		"1772366400", req.Header.Get("X-Nonce"), "shop-1", digest, body}, "\n")))
	want := map[string]string{
		"X-Signature": "v1=" + base64.StdEncoding.EncodeToString(mac.Sum(nil)), "X-Digest": "sha-256=" + digest,
		"X-Time": "1772366400", "X-Key-Id": "shop-1",
	}
	for name, value := range want {
		if got := req.Header.Get(name); got != value {
			t.Errorf("%s: %s, want %s", name, got, value)
		}
	}
	if n := req.Header.Get("X-Nonce"); len(n) != 32 {
		t.Errorf("nonce %q", n)
	}
	if again, _ := place(t, p, request(t, "GET", "/", ""), ""); again.Header.Get("X-Nonce") == req.Header.Get("X-Nonce") {
		t.Error("the same nonce twice")
	}
	if !has(forms, hmacKey, base64.StdEncoding.EncodeToString([]byte(hmacKey))) {
		t.Errorf("forms %q lack the key", forms)
	}
	for _, name := range []string{"x-signature", "X_Digest", "X-Time", "X-Nonce", "X-Key-Id"} {
		if !p.Owns("header", name) {
			t.Errorf("a plugin may set %s", name)
		}
	}
	if p.Owns("header", "accept") || p.Owns("query", "X-Time") || p.Refused(nil) {
		t.Error("owns or repeats too much")
	}
}

// RFC 4231 §4.7: a key longer than the block, over text.
func TestHMACVector(t *testing.T) {
	key := strings.Repeat("aa", 131)
	const data = "Test Using Larger Than Block-Size Key - Hash Key First"
	for hash, want := range map[string]string{
		"sha256": "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
		"sha384": "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
		"sha512": "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
	} {
		p, err := credential.NewHMAC(credential.HMAC{Secret: "key", Key: "hex", Hash: hash, Over: []string{"body"}, Signature: credential.HMACField{Name: "X-S"}},
			credential.Parts{Secret: newVault("key", key).open})
		if err != nil {
			t.Fatal(err)
		}
		if req, _ := place(t, p, request(t, "POST", "/", data), data); req.Header.Get("X-S") != want {
			t.Errorf("%s: %s, want %s", hash, req.Header.Get("X-S"), want)
		}
	}
}

func TestHMACTimes(t *testing.T) {
	got := map[string]string{}
	for _, format := range []string{"", "unix", "unixMillis", "rfc3339", "http"} {
		p, err := credential.NewHMAC(credential.HMAC{Secret: "key", Over: []string{"timestamp"}, Signature: credential.HMACField{Name: "X-S"}, Timestamp: credential.HMACTime{Name: "Date", Format: format}},
			credential.Parts{Secret: newVault("key", hmacKey).open, Now: newClock().Now})
		if err != nil {
			t.Fatal(err)
		}
		req, _ := place(t, p, request(t, "GET", "/", ""), "")
		got[format] = req.Header.Get("Date")
	}
	want := map[string]string{"": "1772366400", "unix": "1772366400", "unixMillis": "1772366400000", "rfc3339": "2026-03-01T12:00:00Z", "http": "Sun, 01 Mar 2026 12:00:00 GMT"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
