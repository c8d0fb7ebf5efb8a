package egress_test

import (
	"net/url"
	"os"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"pointsman/host/egress"
)

func TestCheckPath(t *testing.T) {
	tests := []struct {
		name, path string
		want       bool
	}{
		{"empty", "", false},
		{"relative", "v1/x", false},
		{"dot", "/v1/./x", false},
		{"dots", "/v1/../x", false},
		{"dots at the end", "/v1/..", false},
		{"encoded dots", "/v1/%2e%2E/x", false},
		{"half encoded dots", "/v1/.%2e/x", false},
		{"empty segment", "/v1//x", false},
		{"two slashes in front", "//v1/x", false},
		{"trailing slash", "/v1/", false},
		{"encoded slash", "/v1/a%2Fb", false},
		{"encoded backslash", "/v1/a%5cb", false},
		{"backslash", `/v1/a\b`, false},
		{"NUL", "/v1/%00", false},
		{"DEL", "/v1/%7f", false},
		{"C1 control", "/v1/%c2%85", false},
		{"line end", "/v1/%0d%0a", false},
		{"encoded percent", "/v1/%252e", false},
		{"half an escape", "/v1/%2", false},
		{"no escape", "/v1/%zz", false},
		{"semicolon", "/v1/a;b", false},
		{"encoded semicolon", "/v1/a%3bb", false},
		{"query", "/v1/a?b", false},
		{"encoded question mark", "/v1/a%3fb", false},
		{"fragment", "/v1/a#b", false},
		{"space", "/v1/a b", false},
		{"raw UTF-8", "/v1/ü", false},
		{"not UTF-8", "/v1/%ff", false},
		{"overlong", "/v1/..%c0%af", false},
		{"surrogate", "/v1/%ed%a0%80", false},
		{"too long", "/" + strings.Repeat("a", 4<<10), false},
		{"too deep", strings.Repeat("/a", 65), false},
		{"root", "/", true},
		{"plain", "/v2/contacts/42", true},
		{"three dots", "/v1/...", true},
		{"dot within", "/v1/a.b/%2ea", true},
		{"UTF-8", "/v1/M%C3%BCller", true},
		{"mail address", "/v1/a+b@example.com", true},
		{"date", "/v1/2024-01-01T00:00:00", true},
		{"sub-delims", "/v1/!$&'()*+,=", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := egress.CheckPath(tt.path)
			if got := err == nil; got != tt.want {
				t.Errorf("CheckPath(%q) = %v, want accepted: %v", tt.path, err, tt.want)
			}
		})
	}
}

func TestPathScopeVectors(t *testing.T) {
	rules := parseRules(t, "GET /v1/public/{a}", "GET /v1/public/{a}/{b}", "POST /v1/orders")
	for _, row := range vectors(t, "path-scope.tsv") {
		method, target, expect := row[0], row[1], row[2]
		path, _, _ := strings.Cut(target, "?") // a query is another argument here
		want := expect != "deny"               // deny-or-documented: query names are what a grant lists
		if got := allows(rules, method, path); got != want {
			t.Errorf("%s %s: allowed %v, want %v (%s)", method, target, got, want, row[3])
		}
	}
}

func TestParseRuleRefuses(t *testing.T) {
	for name, rule := range map[string]string{
		"empty": "", "no path": "GET", "no method": "/a", "lower case": "get /a", "two spaces": "GET  /a", "tunnel": "CONNECT /a", "echo": "TRACE /a",
		"any method": "* /a", "wildcard": "GET /a/*", "part of a segment": "GET /a/x{id}", "no name": "GET /a/{}", "open": "GET /a/{id", "name twice": "GET /{a}/{a}",
		"dots": "GET /a/../b", "encoded dots": "GET /a/%2e%2e", "trailing slash": "GET /a/", "query": "GET /a?b", "regular expression": "GET /a/{id:.*}", "relative": "GET a",
	} {
		if r, err := egress.ParseRule(rule); err == nil {
			t.Errorf("%s: %q parsed as %v, want a refusal", name, rule, r)
		}
	}
}

func TestRuleMatch(t *testing.T) {
	tests := []struct {
		name, rule, method, path string
		want                     bool
	}{
		{"another method", "GET /a", "POST", "/a", false},
		{"HEAD is not GET", "GET /a", "HEAD", "/a", false},
		{"lower case", "GET /a", "get", "/a", false},
		{"longer", "GET /a", "GET", "/a/b", false},
		{"shorter", "GET /a/b", "GET", "/a", false},
		{"prefix", "GET /a", "GET", "/ab", false},
		{"case", "GET /a", "GET", "/A", false},
		{"escaped letter", "GET /a", "GET", "/%61", false},
		{"template takes one segment", "GET /a/{id}", "GET", "/a/1/2", false},
		{"template takes no less", "GET /a/{id}", "GET", "/a", false},
		{"template and dots", "GET /a/{id}/c", "GET", "/a/../c", false},
		{"root is not all", "GET /", "GET", "/a", false},
		{"template is not the root", "GET /{a}", "GET", "/", false},
		{"literal", "GET /a/b", "GET", "/a/b", true},
		{"template", "GET /a/{id}", "GET", "/a/42", true},
		{"two templates", "PUT /a/{x}/b/{y}", "PUT", "/a/1/b/2", true},
		{"escape in a template", "GET /a/{id}", "GET", "/a/M%C3%BCller", true},
		{"root", "GET /", "GET", "/", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseRules(t, tt.rule)[0].Match(tt.method, tt.path); got != tt.want {
				t.Errorf("%s matches %s %s: %v, want %v", tt.rule, tt.method, tt.path, got, tt.want)
			}
		})
	}
	if (egress.Rule{}).Match("", "") || (egress.Rule{}).Match("GET", "/") {
		t.Error("the zero rule matches")
	}
}

// TestRuleMatchesWhatItWasMadeFrom makes a rule from a path by putting templates in place
// of segments: it matches that path, and no path of another length.
func TestRuleMatchesWhatItWasMadeFrom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		segments := rapid.SliceOfN(rapid.StringMatching(`[a-z0-9-]{1,8}`), 1, 6).Draw(t, "segments")
		templated := make([]string, len(segments))
		for i, s := range segments {
			templated[i] = s
			if rapid.Bool().Draw(t, "template") {
				templated[i] = "{p" + string(rune('a'+i)) + "}"
			}
		}
		rule, err := egress.ParseRule("GET /" + strings.Join(templated, "/"))
		if err != nil {
			t.Fatal(err)
		}
		path := "/" + strings.Join(segments, "/")
		if !rule.Match("GET", path) {
			t.Errorf("%v does not match %s", rule, path)
		}
		for _, other := range []string{path + "/x", path + "/", "/" + path, strings.Join(segments, "/")} {
			if rule.Match("GET", other) {
				t.Errorf("%v matches %s", rule, other)
			}
		}
	})
}

// FuzzCheckPath: an accepted path has, after one decoding, no dot, empty or foreign
// segment, and net/url reads it as the very bytes that it is.
func FuzzCheckPath(f *testing.F) {
	for _, seed := range []string{"/", "/v1/x", "/a/%2e%2e", "/a/%C3%BC", "/a;b", "//a", "/a%2fb", "/a:b@c"} {
		f.Add(seed)
	}
	if text, err := os.ReadFile("../../../shared/corpus/payloads/directory_traversal.txt"); err == nil {
		for line := range strings.Lines(string(text)) {
			f.Add("/v1/" + strings.TrimSpace(line))
		}
	}
	f.Fuzz(func(t *testing.T, path string) {
		if egress.CheckPath(path) != nil {
			return
		}
		u, err := url.ParseRequestURI(path)
		if err != nil || u.RawQuery != "" || u.Fragment != "" || u.Host != "" {
			t.Fatalf("%q is read as %#v, %v", path, u, err)
		}
		if got := u.EscapedPath(); got != path {
			t.Errorf("%q is sent on as %q", path, got)
		}
		if path == "/" {
			return
		}
		for segment := range strings.SplitSeq(u.Path[1:], "/") {
			if segment == "" || segment == "." || segment == ".." || strings.ContainsAny(segment, `\%?#;`) {
				t.Errorf("%q decodes to segment %q", path, segment)
			}
		}
		if strings.Count(u.Path, "/") != strings.Count(path, "/") || !utf8.ValidString(u.Path) || strings.ContainsFunc(u.Path, unicode.IsControl) {
			t.Errorf("%q decodes to %q", path, u.Path)
		}
	})
}

// FuzzRule: a rule that parses prints as it was written, and what it matches has its
// method, its number of segments and its literals.
func FuzzRule(f *testing.F) {
	f.Add("GET /v1/{id}", "GET", "/v1/42")
	f.Add("POST /a", "POST", "/a")
	f.Add("GET /", "GET", "/")
	f.Add("GET /{a}/b", "GET", "/../b")
	f.Fuzz(func(t *testing.T, text, method, path string) {
		rule, err := egress.ParseRule(text)
		if err != nil {
			return
		}
		if rule.String() != text {
			t.Errorf("%q prints as %q", text, rule)
		}
		if !rule.Match(method, path) {
			return
		}
		wantMethod, template, _ := strings.Cut(text, " ")
		want, got := strings.Split(template, "/"), strings.Split(path, "/")
		if egress.CheckPath(path) != nil || method != wantMethod || len(want) != len(got) {
			t.Fatalf("%q matches %s %q", text, method, path)
		}
		for i := range want {
			if !strings.HasPrefix(want[i], "{") && want[i] != got[i] {
				t.Errorf("%q matches %q", text, path)
			}
		}
	})
}

func parseRules(t testing.TB, texts ...string) []egress.Rule {
	t.Helper()
	rules := make([]egress.Rule, len(texts))
	for i, text := range texts {
		r, err := egress.ParseRule(text)
		if err != nil {
			t.Fatal(err)
		}
		rules[i] = r
	}
	return rules
}

func allows(rules []egress.Rule, method, path string) bool {
	for _, r := range rules {
		if r.Match(method, path) {
			return true
		}
	}
	return false
}
