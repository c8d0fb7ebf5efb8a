package egress_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/egress"
	"pointsman/pdk/wire"
)

func TestWithin(t *testing.T) {
	tests := []struct {
		backend, url, path, query string
		ok                        bool
	}{
		{"https://a.example", "https://a.example", "", "", false},
		{"https://a.example", "https://a.example?x=1", "", "", false},
		{"https://a.example", "https://a.example/?", "", "", false},
		{"https://a.example", "https://a.example/#", "", "", false},
		{"https://a.example", "https://a.example/?x=1#", "", "", false},
		{"https://a.example", "https://a.example.evil/", "", "", false},
		{"https://a.example", "https://a.example:443/", "", "", false},
		{"https://a.example", "https://a.example@evil/", "", "", false},
		{"https://a.example", "https://A.example/", "", "", false},
		{"https://a.example", "http://a.example/", "", "", false},
		{"https://a.example/b", "https://a.example/b/", "", "", false},
		{"https://a.example/b", "https://a.example/b/?x=1", "", "", false},
		{"https://a.example/b", "https://a.example/bc", "", "", false},
		{"https://a.example/b", "https://a.example/", "", "", false},

		{"https://a.example", "https://a.example/", "/", "", true},
		{"https://a.example", "https://a.example/?x=1?y", "/", "x=1?y", true},
		{"https://A.example:443/", "https://a.example/x", "/x", "", true},
		{"https://a.example:8443", "https://a.example:8443/x", "/x", "", true},
		{"https://a.example/b/", "https://a.example/b", "/", "", true},
		{"https://a.example/b", "https://a.example/b?x=1", "/", "x=1", true},
		{"https://a.example/b", "https://a.example/b/c", "/c", "", true},
		{"https://a.example/b", "https://a.example/b//c", "//c", "", true}, // for CheckPath to refuse
		{"https://[2606:4700::1]:8443/b", "https://[2606:4700::1]:8443/b/c", "/c", "", true},
	}
	for _, tt := range tests {
		b, err := egress.New(egress.Config{Name: "b", URL: tt.backend})
		if err != nil {
			t.Fatal(err)
		}
		path, query, ok := b.Within(tt.url)
		if path != tt.path || query != tt.query || ok != tt.ok {
			t.Errorf("%s within %s: %q, %q, %v, want %q, %q, %v", tt.url, tt.backend, path, query, ok, tt.path, tt.query, tt.ok)
		}
		b.Close()
	}
}

func TestParseQuery(t *testing.T) {
	for _, query := range []string{"&", "=1", "a&", "&a", "a&&b", "a;b=1", "a+b=1", "a=%", "a=%4", "a=%zz", "a b=1", "a=b c", "a=\x00", "a=ü", `a="1"`, "a=1#b", `a=\`, "a=<", "a={1}", "a=|", "a=^", "a=`"} {
		if fields, err := egress.ParseQuery(query); err == nil {
			t.Errorf("%q is read as %v, want a refusal", query, fields)
		}
	}
	tests := []struct {
		query string
		want  []wire.Field
	}{
		{"", nil},
		{"a", []wire.Field{{Name: "a"}}},
		{"a=", []wire.Field{{Name: "a"}}},
		{"a=b=c", []wire.Field{{Name: "a", Value: "b=c"}}},
		{"a=1&a=2", []wire.Field{{Name: "a", Value: "1"}, {Name: "a", Value: "2"}}},
		{"%61%5b%5D=%C3%bc+%26", []wire.Field{{Name: "a[]", Value: "ü+&"}}},
		{"a[b]=/?:@!$'()*,-._~", []wire.Field{{Name: "a[b]", Value: "/?:@!$'()*,-._~"}}},
	}
	for _, tt := range tests {
		got, err := egress.ParseQuery(tt.query)
		if d := cmp.Diff(tt.want, got); err != nil || d != "" {
			t.Errorf("%q: %v %s", tt.query, err, d)
		}
	}
}
