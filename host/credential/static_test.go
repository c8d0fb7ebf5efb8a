package credential_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/broker"
	"pointsman/host/credential"
)

func TestStaticRefuses(t *testing.T) {
	spot := func(as, name, prefix string) credential.Spot {
		return credential.Spot{As: as, Name: name, Prefix: prefix}
	}
	const secret = "canary-0123456789"
	tests := []struct {
		name, value string
		spot        credential.Spot
		user        string
	}{
		{"nowhere", secret, credential.Spot{}, ""},
		{"bearer with a name", secret, spot("bearer", "X", ""), ""},
		{"header without a name", secret, spot("header", "", ""), ""},
		{"a header that frames", secret, spot("header", "Transfer-Encoding", ""), ""},
		{"the host", secret, spot("header", "host", ""), ""},
		{"a header with an underscore", secret, spot("header", "x_key", ""), ""},
		{"prefix on bearer", secret, spot("bearer", "", "x"), ""},
		{"prefix with a line end", secret, spot("header", "X", "x\r\ny: "), ""},
		{"prefix out of the segment", secret, spot("path", "", "a/"), ""},
		{"cookie that is two", secret, spot("cookie", "a;b", ""), ""},
		{"user on bearer", secret, spot("bearer", "", ""), "u"},
		{"user with a colon", secret, spot("basic", "", ""), "u:v"},
		{"no secret", "", spot("bearer", "", ""), ""},
		{"line end", secret + "\n", spot("bearer", "", ""), ""},
		{"header injection", secret + "\r\nX: y", spot("header", "X-Key", ""), ""},
		{"space in a bearer token", "canary 0123456789", spot("bearer", "", ""), ""},
		{"basic without a colon", secret, spot("basic", "", ""), ""},
		{"not ASCII", secret + "ü", spot("query", "key", ""), ""},
		{"too long", strings.Repeat("canary-", 2000), spot("header", "X", ""), ""},
		{"a segment of dots", "..", spot("path", "", ""), ""},
		{"more than a segment", "ab/c", spot("path", "", ""), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := credential.NewStatic(credential.Static{Secret: "key", Spot: tt.spot, User: tt.user}, credential.Parts{Secret: newVault("key", tt.value).open})
			if err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("error %v, want one without the secret", err)
			}
		})
	}
	if _, err := credential.NewStatic(credential.Static{Secret: "absent", Spot: spot("bearer", "", "")}, credential.Parts{Secret: newVault().open}); err == nil {
		t.Error("a secret that is not there is taken")
	}
}

func TestStaticPlaces(t *testing.T) {
	tests := []struct {
		name, value string
		conf        credential.Static
		target      string
		want        string // the request line and the header, without User-Agent
		forms       []string
		where, own  string
	}{
		{"bearer", "tok", credential.Static{Spot: credential.Spot{As: "bearer"}}, "/a?b=c", "/a?b=c Authorization: Bearer tok", []string{"tok"}, "header", "authorization"},
		{"header", "tok", credential.Static{Spot: credential.Spot{As: "header", Name: "X-Api-Key"}}, "/a", "/a X-Api-Key: tok", []string{"tok"}, "header", "x_api_key"},
		{"prefix", "tok", credential.Static{Spot: credential.Spot{As: "header", Name: "Authorization", Prefix: "Token "}}, "/a", "/a Authorization: Token tok", []string{"tok"}, "header", "Authorization"},
		{"basic pair", "u:p:q", credential.Static{Spot: credential.Spot{As: "basic"}}, "/a", "/a Authorization: Basic dTpwOnE=", []string{"u:p:q", "p:q"}, "header", "Authorization"},
		{"basic password", "p:q", credential.Static{Spot: credential.Spot{As: "basic"}, User: "u"}, "/a", "/a Authorization: Basic dTpwOnE=", []string{"u:p:q", "p:q"}, "header", "Authorization"},
		{"basic of an OAuth client", "p:q /ü"[:5], credential.Static{Spot: credential.Spot{As: "basic"}, User: "u:1", Form: true}, "/a", "/a Authorization: Basic dSUzQTE6cCUzQXErJTJG", []string{"u%3A1:p%3Aq+%2F", "p:q /"}, "header", "Authorization"},
		{"query", "a b&c", credential.Static{Spot: credential.Spot{As: "query", Name: "api_key"}}, "/a", "/a?api_key=a%20b%26c", []string{"a b&c"}, "query", "API_KEY"},
		{"query after others", "tok", credential.Static{Spot: credential.Spot{As: "query", Name: "key"}}, "/a?b=c", "/a?b=c&key=tok", []string{"tok"}, "query", "key"},
		{"path", "12:ab", credential.Static{Spot: credential.Spot{As: "path", Prefix: "bot"}}, "/getMe?b=c", "/bot12%3Aab/getMe?b=c", []string{"12:ab"}, "", ""},
		{"path below a base", "tok", credential.Static{Spot: credential.Spot{As: "path", Base: "/api"}}, "/api/getMe", "/api/tok/getMe", []string{"tok"}, "", ""},
		{"path at the base", "tok", credential.Static{Spot: credential.Spot{As: "path", Base: "/api"}}, "/api", "/api/tok", []string{"tok"}, "", ""},
		{"cookie", "tok", credential.Static{Spot: credential.Spot{As: "cookie", Name: "SID"}}, "/a", "/a Cookie: SID=tok", []string{"tok"}, "header", "cookie"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.conf.Secret = "key"
			p, err := credential.NewStatic(tt.conf, credential.Parts{Secret: newVault("key", tt.value).open})
			if err != nil {
				t.Fatal(err)
			}
			req, forms := place(t, p, request(t, "GET", tt.target, ""), "")
			got := req.URL.Opaque
			if req.URL.RawQuery != "" {
				got += "?" + req.URL.RawQuery
			}
			req.Header.Del("User-Agent")
			for name, values := range req.Header {
				got += " " + name + ": " + strings.Join(values, ",")
			}
			if got != tt.want {
				t.Errorf("sent %s, want %s", got, tt.want)
			}
			if diff := cmp.Diff(tt.forms, forms); diff != "" {
				t.Errorf("forms (-want +got):\n%s", diff)
			}
			if tt.own != "" && !p.Owns(tt.where, tt.own) {
				t.Errorf("a plugin may set the %s %s", tt.where, tt.own)
			}
			if p.Owns("header", "Accept") || p.Owns("query", "q") || p.Refused(nil) {
				t.Error("owns or repeats too much")
			}
		})
	}
}

func TestStaticFollowsTheSecret(t *testing.T) {
	v := newVault("key", "old-0123456789abcdef")
	p, err := credential.NewStatic(credential.Static{Secret: "key", Spot: credential.Spot{As: "bearer"}}, credential.Parts{Secret: v.open})
	if err != nil {
		t.Fatal(err)
	}
	v.rotate("key", "new-0123456789abcdef")
	if req, forms := place(t, p, request(t, "GET", "/", ""), ""); req.Header.Get("Authorization") != "Bearer new-0123456789abcdef" || !has(forms, "old-0123456789abcdef", "new-0123456789abcdef") {
		t.Errorf("after a rotation: %v, forms %v", req.Header, forms)
	}
	for _, bad := range []string{"", "two\nlines"} {
		v.rotate("key", bad)
		_, err := p.Place(t.Context(), request(t, "GET", "/", ""), nil)
		refusedWith(t, err, "", "two")
	}
	delete(v.values, "key")
	if _, err := p.Place(t.Context(), request(t, "GET", "/", ""), nil); broker.KindOf(err) != broker.Unavailable {
		t.Errorf("without the secret: %v", err)
	}
}
