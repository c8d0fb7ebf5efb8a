package credential_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"pointsman/host/credential"
)

// canned answers every request with a body, without a network.
type canned []byte

func (c canned) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(c)))}, nil
}

// FuzzTokenAnswer states: what is taken for a token answer is one to encoding/json and to
// golang.org/x/oauth2 as well, with the same token; a lifetime is never negative nor
// longer than a day; and an error repeats nothing of the answer.
func FuzzTokenAnswer(f *testing.F) {
	for _, body := range []string{
		`{"access_token":"a","token_type":"Bearer","expires_in":3600,"refresh_token":"r"}`, `{"access_token":"a","expires_in":"60"}`,
		`{"access_token":"a","access_token":"b"}`, `{"Access_Token":"a"}`, `{"error":"invalid_grant"}`, `[]`, `"a"`, `{} {}`, `{"access_token":"\u00e9\ud83d\ude00"}`,
		`{"access_token":"a","expires_in":-1}`, `{"access_token":"a","expires_in":1e3}`, "{\"access_token\":\"\xff\"}", `{"x":[[[[{"y":null}]]]],"access_token":"a"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := credential.ReadToken(body)
		if err != nil {
			if err.Error() != "it is not the JSON that was expected" {
				t.Errorf("error %q", err)
			}
			return
		}
		if life := credential.Lifetime(a); life < 0 || life > credential.MaxStated {
			t.Errorf("lifetime %v of %s", life, body)
		}
		var plain struct {
			Access string `json:"access_token"`
		}
		var raw map[string]json.RawMessage
		if string(body) != "" && json.Unmarshal(body, &raw) != nil {
			t.Fatalf("encoding/json refuses %s", body)
		}
		if v, ok := raw["access_token"]; ok && string(v) != "null" {
			if err := json.Unmarshal(v, &plain.Access); err != nil || plain.Access != a.Access {
				t.Errorf("read %q, encoding/json %q (%v)", a.Access, plain.Access, err)
			}
		} else if a.Access != "" {
			t.Errorf("read %q out of %s", a.Access, body)
		}
		for name := range raw { // x/oauth2 does not look at the case of names
			if strings.EqualFold(name, "access_token") != (name == "access_token") {
				return
			}
		}
		ctx := t.Context()
		conf := clientcredentials.Config{ClientID: "a", ClientSecret: "b", TokenURL: "https://a.example", AuthStyle: oauth2.AuthStyleInParams}
		theirs, err := conf.Token(contextWith(ctx, &http.Client{Transport: canned(body)}))
		if err == nil && a.Error == "" && theirs.AccessToken != a.Access {
			t.Errorf("read %q, x/oauth2 %q", a.Access, theirs.AccessToken)
		}
	})
}

// FuzzPointer states: what is found is a text or number that stands in the document, and an
// error repeats nothing of it.
func FuzzPointer(f *testing.F) {
	f.Add([]byte(`{"session":{"id":"s-1"}}`), "/session/id")
	f.Add([]byte(`[{"a/b":[1,2,3.5e7]}]`), "/0/a~1b/2")
	f.Add([]byte(`{"":"x","~":"y"}`), "/~0")
	f.Add([]byte(`{"a":"\u0061\n"}`), "/a")
	f.Fuzz(func(t *testing.T, body []byte, pointer string) {
		if !strings.HasPrefix(pointer, "/") {
			return
		}
		got, err := credential.ReadPointer(body, pointer)
		if err != nil {
			if e := err.Error(); e != "it is not the JSON that was expected" && e != "there is no text or number where the session value should be" {
				t.Errorf("error %q", e)
			}
			return
		}
		d := json.NewDecoder(strings.NewReader(string(body)))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatalf("encoding/json refuses %s", body)
		}
		if !holds(v, string(got)) {
			t.Errorf("%q is not in %s", got, body)
		}
	})
}

func holds(v any, want string) bool {
	switch v := v.(type) {
	case string:
		return v == want
	case json.Number:
		return v.String() == want
	case map[string]any:
		for _, c := range v {
			if holds(c, want) {
				return true
			}
		}
	case []any:
		for _, c := range v {
			if holds(c, want) {
				return true
			}
		}
	}
	return false
}

// FuzzStatic states: whatever the secret, it is refused, or what arrives is the request as
// it was with one header, parameter or segment more.
func FuzzStatic(f *testing.F) {
	for _, secret := range []string{"abc", "u:p", "a\r\nX: y", "..", "a/../b", "%2e%2e", "a&b=c#d", "", " ", "\x00", "ü", "a b", "a;b", `"`} {
		for spot := range spots {
			f.Add(secret, uint8(spot))
		}
	}
	f.Fuzz(func(t *testing.T, secret string, which uint8) {
		spot := spots[int(which)%len(spots)]
		p, err := credential.NewStatic(credential.Static{Secret: "key", Spot: spot}, credential.Parts{Secret: newVault("key", secret).open})
		if err != nil {
			return
		}
		req := plainRequest()
		req.URL.Opaque, req.URL.RawQuery = "/base/x", "q=1"
		if _, err := p.Place(t.Context(), req, nil); err != nil {
			t.Fatalf("taken, and then not placed: %v", err)
		}
		var wire bytes.Buffer
		if err := req.Write(&wire); err != nil {
			t.Fatalf("cannot be written: %v", err)
		}
		got, err := http.ReadRequest(bufio.NewReader(&wire))
		if err != nil || wire.Len() > 0 {
			t.Fatalf("does not arrive as one request: %v", err)
		}
		headers, query, segments := len(got.Header), len(got.URL.Query()), strings.Count(got.URL.EscapedPath(), "/")
		extra := headers - 1 + query - 1 + segments - 2 // User-Agent, q, /base/x
		if extra != 1 || got.Host != "api.example" || got.URL.Query().Get("q") != "1" || !strings.HasPrefix(got.URL.EscapedPath(), "/base/") || !strings.HasSuffix(got.URL.EscapedPath(), "/x") {
			t.Errorf("arrived as %s %s %v", got.Method, got.RequestURI, got.Header)
		}
	})
}

var spots = []credential.Spot{
	{As: "bearer"}, {As: "basic"}, {As: "header", Name: "X-Key", Prefix: "Key "}, {As: "query", Name: "key"},
	{As: "path", Prefix: "bot", Base: "/base"}, {As: "cookie", Name: "SID"},
}
