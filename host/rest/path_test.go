package rest_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pointsman/host/broker"
	"pointsman/host/rest"
)

// hostilePaths are refused before anything is looked up by them.
var hostilePaths = []struct{ name, path string }{
	{"empty", ""},
	{"relative", "v1/items/1"},
	{"asterisk", "*"},
	{"dot", "/v1/./items"},
	{"dot dot", "/v1/../items"},
	{"dot dot at the end", "/v1/items/.."},
	{"dot at the end", "/v1/items/."},
	{"encoded dot dot", "/v1/%2e%2e/items"},
	{"half encoded dot dot", "/v1/.%2E/items"},
	{"encoded dot", "/v1/%2e/items"},
	{"dot dot with a path parameter", "/v1/..;x=1/items"},
	{"dot dot with an encoded path parameter", "/v1/..%3Bx/items"},
	{"path parameter", "/v1/items;jsessionid=1/2"},
	{"encoded slash", "/v1/items%2F1"},
	{"encoded slash, lower case", "/v1/items/%2f"},
	{"encoded backslash", "/v1/items/%5c..%5c"},
	{"backslash", `/v1/items/\..\`},
	{"doubly encoded dot dot", "/v1/%252e%252e/items"},
	{"doubly encoded slash", "/v1/items/%252f"},
	{"encoded percent sign", "/v1/items/100%25"},
	{"empty segment", "/v1//items"},
	{"two slashes first", "//v1/items"},
	{"slash at the end", "/v1/items/"},
	{"only slashes", "//"},
	{"NUL", "/v1/items/%00"},
	{"NUL after a name", "/v1/items/1%00.json"},
	{"encoded line break", "/v1/items/1%0d%0aX-A:%201"},
	{"encoded tab", "/v1/items/%09"},
	{"encoded DEL", "/v1/items/%7f"},
	{"C1 control", "/v1/items/%c2%85"},
	{"raw control", "/v1/items/\x01"},
	{"raw DEL", "/v1/items/\x7f"},
	{"space", "/v1/items/a b"},
	{"truncated escape", "/v1/items/%"},
	{"truncated escape with one digit", "/v1/items/%2"},
	{"escape that is not hex", "/v1/items/%zz"},
	{"IIS escape", "/v1/items/%u002e"},
	{"overlong slash", "/v1/items/%c0%af"},
	{"overlong dot", "/v1/items/%c0%ae%c0%ae"},
	{"three byte overlong slash", "/v1/items/%e0%80%af"},
	{"surrogate", "/v1/items/%ed%a0%80"},
	{"lonely continuation", "/v1/items/%80"},
	{"raw UTF-8", "/v1/items/é"},
	{"raw Latin-1", "/v1/items/\xe9"},
	{"fragment", "/v1/items/1#x"},
	{"angle bracket", "/v1/items/<script>"},
	{"quote", `/v1/items/"`},
	{"brace", "/v1/items/{id}"},
	{"pipe", "/v1/items/a|b"},
	{"caret", "/v1/items/^"},
	{"backtick", "/v1/items/`"},
	{"bracket", "/v1/items/[1]"},
	{"encoded letter", "/v1/item%73/1"},
	{"encoded digit", "/v1/items/%31"},
	{"encoded hyphen", "/v1/items/a%2Db"},
}

func TestHostilePaths(t *testing.T) {
	for _, tt := range hostilePaths {
		t.Run(tt.name, func(t *testing.T) {
			if err := rest.CheckPath(tt.path); broker.KindOf(err) != broker.Invalid {
				t.Errorf("CheckPath(%q) = %v, want an Invalid error", tt.path, err)
			}
			// Whoever asks: the path is judged before the credential.
			f := newFixture(routes()...)
			checkProblem(t, f.do(t, "GET", tt.path, auth), 400)
			checkProblem(t, f.do(t, "GET", tt.path), 400)
			if strings.HasPrefix(tt.path, "/") {
				checkProblem(t, f.do(t, "GET", "https://host"+tt.path, auth), 400)
			}
			if n := len(f.recorder.all()); n != 0 {
				t.Errorf("%d requests recorded, want 0", n)
			}
		})
	}
}

func TestGoodPaths(t *testing.T) {
	for _, path := range []string{
		"/", "/v1", "/v1/items/1", "/v1/items/a-b.c_d~e", "/v1/items/...", "/v1/items/.well-known", "/v1/items/1..2",
		"/v1/items/a:b@c", "/v1/items/!$&'()*+,=", "/v1/items/a%20b", "/v1/items/%C3%A9", "/v1/items/%c3%a9",
		"/v1/items/%7Ea", "/v1/items/%3Fx", "/v1/items/%23", "/v1/items/%E2%82%AC",
	} {
		if err := rest.CheckPath(path); err != nil {
			t.Errorf("CheckPath(%q) = %v, want nil", path, err)
		}
	}
}

// What is accepted reads the same to every program: one decode gives no separators that
// were not there, no dot or empty segments, nothing left to decode, and what net/url reads.
func FuzzCheckPath(f *testing.F) {
	for _, tt := range hostilePaths {
		f.Add(tt.path)
	}
	f.Add("/v1/items/%C3%A9")
	f.Fuzz(func(t *testing.T, path string) {
		if rest.CheckPath(path) != nil || path == "/" {
			return
		}
		once, err := url.PathUnescape(path)
		if err != nil {
			t.Fatalf("accepted %q does not decode: %v", path, err)
		}
		if !utf8.ValidString(once) || strings.ContainsAny(once, "\\%\x00\r\n\x7f") {
			t.Errorf("accepted %q decodes to %q", path, once)
		}
		if strings.Count(once, "/") != strings.Count(path, "/") {
			t.Errorf("accepted %q decodes to %q, with other separators", path, once)
		}
		segments := strings.Split(once, "/")
		for _, bad := range []string{"", ".", ".."} {
			if slices.Contains(segments[1:], bad) {
				t.Errorf("accepted %q decodes to %q, with a segment %q", path, once, bad)
			}
		}
		u, err := url.ParseRequestURI(path)
		if err != nil || u.Path != once || u.RawQuery != "" || u.Host != "" {
			t.Errorf("accepted %q is %+v to net/url, error %v", path, u, err)
		}
	})
}
