package pdk_test

import (
	"net/url"
	"strings"
	"testing"

	"pointsman/pdk"
)

func TestPath(t *testing.T) {
	tests := []struct {
		name, template string
		values         []string
		want           string // "" where it is refused
	}{
		{"empty", "/a/{id}", []string{""}, ""},
		{"dot", "/a/{id}", []string{"."}, ""},
		{"dot dot", "/a/{id}", []string{".."}, ""},
		{"slash", "/a/{id}", []string{"b/c"}, ""},
		{"backslash", "/a/{id}", []string{`b\c`}, ""},
		{"percent", "/a/{id}", []string{"%2e%2e"}, ""},
		{"matrix parameter", "/a/{id}", []string{"..;x"}, ""},
		{"question mark", "/a/{id}", []string{"b?c"}, ""},
		{"number sign", "/a/{id}", []string{"b#c"}, ""},
		{"NUL", "/a/{id}", []string{"b\x00"}, ""},
		{"line break", "/a/{id}", []string{"b\r\nX: 1"}, ""},
		{"C1 control", "/a/{id}", []string{"b\u0085"}, ""},
		{"not UTF-8", "/a/{id}", []string{"b\xff"}, ""},
		{"too few values", "/a/{id}/{b}", []string{"b"}, ""},
		{"too many values", "/a/{id}", []string{"b", "c"}, ""},
		{"relative template", "a/{id}", []string{"b"}, ""},
		{"empty segment in template", "/a//{id}", []string{"b"}, ""},
		{"dot segment in template", "/a/../{id}", []string{"b"}, ""},
		{"query in template", "/a?b={id}", []string{"b"}, ""},
		{"half a segment", "/a/x{id}", []string{"b"}, ""},
		{"two in a segment", "/a/{id}{b}", []string{"b", "c"}, ""},
		{"nameless", "/a/{}", []string{"b"}, ""},
		{"unclosed", "/a/{id", []string{"b"}, ""},
		{"trailing slash", "/a/{id}/", []string{"b"}, ""},
		{"plain", "/v2/a-b/{id}/c.d", []string{"AZaz09-._~"}, "/v2/a-b/AZaz09-._~/c.d"},
		{"reserved", "/a/{id}", []string{"b c@f:g+h&i='j'"}, "/a/b%20c%40f%3Ag%2Bh%26i%3D%27j%27"},
		{"unicode", "/a/{id}", []string{"änne 美"}, "/a/%C3%A4nne%20%E7%BE%8E"},
		{"dots with more", "/a/{id}", []string{"..."}, "/a/..."},
		{"two values", "/{a}/{b}", []string{"x", "y"}, "/x/y"},
		{"braces in a value", "/{a}/{b}", []string{"{b}", "y"}, "/%7Bb%7D/y"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := pdk.Path(tt.template, tt.values...)
			if got != tt.want || (err != nil) != (tt.want == "") {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
			if err != nil && pdk.CodeOf(err) != pdk.Permanent {
				t.Errorf("the error %v is not permanent", err)
			}
		})
	}
}

// What Path returns is one whole segment that decodes to the value, in bytes that need no repair.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"", ".", "..", "a/b", "%2f", "ä", "a b", "\x00", "\xff", "..;", "…", "+1 (312)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		path, err := pdk.Path("/a/{id}/b", value)
		if err != nil {
			if path != "" {
				t.Errorf("a refused value gave %q", path)
			}
			return
		}
		segment, ok := strings.CutPrefix(path, "/a/")
		segment, ok2 := strings.CutSuffix(segment, "/b")
		if !ok || !ok2 || strings.Contains(segment, "/") {
			t.Fatalf("%q is not one segment in its place", path)
		}
		if back, err := url.PathUnescape(segment); err != nil || back != value {
			t.Errorf("%q decodes to %q, %v, want %q", segment, back, err, value)
		}
		if strings.Trim(segment, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%") != "" {
			t.Errorf("%q holds other than unreserved characters", segment)
		}
		for _, bad := range []string{"%2F", "%5C", "%00", "%25", "%0D", "%0A", "%3B", "%3F", "%23"} {
			if strings.Contains(segment, bad) {
				t.Errorf("%q holds %s, which the host refuses", segment, bad)
			}
		}
		if segment == "." || segment == ".." || segment == "" {
			t.Errorf("%q is no plain segment", segment)
		}
	})
}
