package httpcap_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/capability/capabilitytest"
	"pointsman/host/capability/httpcap"
	"pointsman/host/egress"
	"pointsman/pdk/wire"
)

// urlOp binds the operation "url" of a plugin that was granted grants, of back ends with
// these URLs. Every host may be a loopback address, and plain HTTP is meant.
func urlOp(t testing.TB, backends map[string]string, grants string) capability.Op {
	t.Helper()
	h := &httpcap.HTTP{Backends: map[string]*egress.Backend{}}
	for name, url := range backends {
		b, err := egress.New(egress.Config{Name: name, URL: url, Insecure: true, Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		h.Backends[name] = b
	}
	ops, err := h.Bind(capability.Scope{Plugin: "p", Grant: json.RawMessage(grants)})
	if err != nil {
		t.Fatal(err)
	}
	return ops["url"]
}

func TestURLRefuses(t *testing.T) {
	op := urlOp(t, map[string]string{"crm": "https://granted.example:8443/api", "bare": "https://bare.example", "twin1": "https://twin.example/x", "twin2": "https://twin.example/x"},
		`[{"backend":"crm","view":"all","allow":["GET /v2/contacts/{id}","POST /v2/contacts","GET /"],"query":["q"],"headers":["X-Page"]},
		  {"backend":"bare","view":"all","allow":["GET /{a}","GET /"]},
		  {"backend":"twin1","allow":["GET /a"]}, {"backend":"twin2","allow":["GET /b"]}]`)
	const (
		base    = "https://granted.example:8443/api"
		good    = base + "/v2/contacts/42"
		outside = "lies within no back end that it was granted"
	)
	tests := []struct{ name, url, want string }{
		// other places
		{"nothing", "", "does not begin with https://"},
		{"another host", "https://evil.example:8443/api/v2/contacts/42", outside},
		{"another port", "https://granted.example:8444/api/v2/contacts/42", outside},
		{"no port", "https://granted.example/api/v2/contacts/42", outside},
		{"the scheme's own port", "https://bare.example:443/a", outside},
		{"port with a zero", "https://granted.example:08443/api/v2/contacts/42", outside},
		{"plain HTTP", "http://granted.example:8443/api/v2/contacts/42", outside},
		{"another scheme", "ftp://granted.example:8443/api/v2/contacts/42", "does not begin with https://"},
		{"scheme in capitals", "HTTPS://granted.example:8443/api/v2/contacts/42", "does not begin with https://"},
		{"no scheme", "//granted.example:8443/api/v2/contacts/42", "does not begin with https://"},
		{"one slash", "https:/granted.example:8443/api/v2/contacts/42", "does not begin with https://"},
		{"three slashes", "https:///granted.example:8443/api/v2/contacts/42", outside},
		{"a space before", " " + good, "does not begin with https://"},
		{"a path alone", "/api/v2/contacts/42", "does not begin with https://"},
		{"a name of the grant", "https://crm/v2/contacts/42", outside},
		{"host in capitals", "https://Granted.example:8443/api/v2/contacts/42", outside},
		{"trailing dot", "https://granted.example.:8443/api/v2/contacts/42", outside},
		{"longer name", "https://granted.example.evil:8443/api/v2/contacts/42", outside},
		{"longer name without a port", "https://bare.example.evil/a", outside},
		{"longer port", "https://granted.example:84433/api/v2/contacts/42", outside},
		{"lookalike", "https://grаnted.example:8443/api/v2/contacts/42", outside},
		{"escaped host", "https://granted%2eexample:8443/api/v2/contacts/42", outside},
		{"full-width dot", "https://granted。example:8443/api/v2/contacts/42", outside},
		{"user", "https://u@granted.example:8443/api/v2/contacts/42", "holds a user"},
		{"user that is the host", "https://granted.example:8443@evil.example/api/v2/contacts/42", "holds a user"},
		{"user that is host and path", "https://bare.example@evil.example/a", "holds a user"},
		{"user and password", "https://u:p@bare.example/a", "holds a user"},
		{"backslash for the user", `https://bare.example\@evil.example/a`, "holds a user"},
		{"backslash after the host", `https://bare.example\a`, "has no path"},
		{"fragment", good + "#x", "holds a fragment"},
		{"empty fragment", good + "#", "holds a fragment"},
		{"fragment for the path", "https://bare.example#/a", "holds a fragment"},
		{"no path", "https://bare.example", "has no path"},
		{"no path but a query", "https://bare.example?q=1", "has no path"},
		{"outside of the base", "https://granted.example:8443/other", outside},
		{"beside the base", base + "x/v2/contacts/42", outside},
		{"base in capitals", "https://granted.example:8443/API/v2/contacts/42", outside},
		{"base escaped", "https://granted.example:8443/%61pi/v2/contacts/42", outside},
		{"out of the base", "https://granted.example:8443/../api/v2/contacts/42", outside},
		{"base and slash", base + "/", outside},
		{"two back ends alike", "https://twin.example/x/a", "a URL cannot tell them apart"},
		{"an empty query", good + "?", "ends in a question mark"},
		// a granted back end
		{"dots", base + "/v2/../contacts/42", "dot segment"},
		{"escaped dots", base + "/v2/contacts/%2e%2E", "dot segment"},
		{"escaped slash", base + "/v2/contacts/a%2Fb", `escaped /`},
		{"escaped escape", base + "/v2/contacts/a%252Fb", `escaped /`},
		{"empty segment", base + "//v2/contacts/42", "empty segment"},
		{"slash at the end", good + "/", "empty segment"},
		{"backslash", base + `/v2\contacts/42`, "percent-encoded"},
		{"semicolon", good + ";x=1", "percent-encoded"},
		{"space", base + "/v2/contacts/4 2", "percent-encoded"},
		{"line end", base + "/v2/contacts/42\r\nHost: evil.example", "percent-encoded"},
		{"NUL", base + "/v2/contacts/42\x00", "percent-encoded"},
		{"not ASCII", base + "/v2/contacts/ü", "percent-encoded"},
		{"another path", base + "/admin", "plugin asked for GET with a path of 1 segments"},
		{"longer path", good + "/notes", "plugin asked for GET with a path of 4 segments"},
		{"query name", good + "?x=1", "query parameter 1 of GET /v2/contacts/{id} on backend"},
		{"second query name", good + "?q=1&x=1", "query parameter 2 of GET"},
		{"query name in capitals", good + "?Q=1", "query parameter 1 of GET"},
		{"query name that is escaped twice", good + "?%2571=1", "query parameter 1 of GET"},
		{"query name with a plus", good + "?q+=1", "holds a plus sign"},
		{"no query name", good + "?=1", "has no name"},
		{"two ampersands", good + "?q=1&&q=2", "query parameter 2 has no name"},
		{"ampersand at the end", good + "?q=1&", "query parameter 2 has no name"},
		{"semicolon in the query", good + "?q=1;x=2", "or a semicolon"},
		{"line end in the query", good + "?q=1\r\nx", "must be percent-encoded"},
		{"escaped line end in the query", good + "?q=1%0d%0Ax", "control character"},
		{"escaped NUL in the query", good + "?q=%00", "control character"},
		{"half an escape in the query", good + "?q=%4", "percent sign"},
		{"query that is not UTF-8", good + "?q=%ff", "invalid UTF-8"},
		{"long query", good + "?q=" + strings.Repeat("x", 9<<10), "larger than 8192 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { refusedURL(t, op, wire.URLRequest{URL: tt.url}, "", tt.want) })
	}
	asks := []struct {
		name string
		ask  wire.URLRequest
		body string
		want string
	}{
		{"another method", wire.URLRequest{URL: good, Method: "DELETE"}, "", "plugin asked for DELETE"},
		{"a method of another rule", wire.URLRequest{URL: good, Method: "POST"}, "", "plugin asked for POST"},
		{"tunnel", wire.URLRequest{URL: good, Method: "CONNECT"}, "", "a method that can never be granted"},
		{"trace", wire.URLRequest{URL: good, Method: "trace"}, "", "a method that can never be granted"},
		{"method with a line end", wire.URLRequest{URL: good, Method: "GET /x\r\n"}, "", "a method that can never be granted"},
		{"Host", wire.URLRequest{URL: good, Headers: map[string]string{"Host": "evil.example"}}, "", "header 1 of GET"},
		{"Authorization", wire.URLRequest{URL: good, Headers: map[string]string{"Authorization": "x"}}, "", "header 1 of GET"},
		{"Cookie", wire.URLRequest{URL: good, Headers: map[string]string{"cookie": "x"}}, "", "header 1 of GET"},
		{"User-Agent", wire.URLRequest{URL: good, Headers: map[string]string{"User-Agent": "x"}}, "", "header 1 of GET"},
		{"a header among granted ones", wire.URLRequest{URL: good, Headers: map[string]string{"X-Page": "1", "X-Forwarded-For": "x"}}, "", "header 1 of GET"},
		{"a header twice", wire.URLRequest{URL: good, Headers: map[string]string{"X-Page": "1", "x-page": "2"}}, "", "header 2 stands twice"},
		{"line end in a header", wire.URLRequest{URL: good, Headers: map[string]string{"X-Page": "1\r\nx: y"}}, "", "printable ASCII"},
		{"body of a GET", wire.URLRequest{URL: good}, "body", "a GET request carries no body"},
		{"large body", wire.URLRequest{URL: base + "/v2/contacts", Method: "POST"}, strings.Repeat("x", 1<<20+1), "larger than 1048576 bytes"},
	}
	for _, tt := range asks {
		t.Run(tt.name, func(t *testing.T) { refusedURL(t, op, tt.ask, tt.body, tt.want) })
	}
	for name, head := range map[string]string{
		"not JSON": "x", "a list": "[]", "url twice": `{"url":"` + good + `","url":"x"}`, "URL": `{"URL":"` + good + `"}`,
		"an unknown name": `{"url":"` + good + `","body":"x"}`, "header twice": `{"url":"` + good + `","headers":{"X-Page":"1","X-Page":"2"}}`,
		"a list of headers": `{"url":"` + good + `","headers":{"X-Page":["1"]}}`, "large": `{"url":"` + strings.Repeat("x", 65<<10) + `"}`,
	} {
		if _, err := op(raw(head, "")); err == nil {
			t.Errorf("%s: planned, want a refusal", name)
		}
	}
}

func refusedURL(t *testing.T, op capability.Op, ask wire.URLRequest, body, want string) {
	t.Helper()
	planned, err := op(frame(t, ask, body))
	e, ok := errors.AsType[*broker.Error](err)
	if !ok || e.Kind != broker.Denied || planned.Do != nil || !strings.Contains(e.Detail, want) {
		t.Fatalf("got %v, want a denial with %q", err, want)
	}
	if strings.Contains(e.Error(), "evil") || ask.URL != "" && strings.Contains(e.Error(), ask.URL) {
		t.Errorf("the refusal %q repeats what was asked", e)
	}
}

// seen is a back end that remembers the request lines that it got.
func seen(t testing.TB) (url string, last *atomic.Pointer[string]) {
	last = new(atomic.Pointer[string])
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		line := r.Method + " http://" + r.Host + r.RequestURI
		last.Store(&line)
		w.Header().Set("Content-Type", "text/plain")
	}))
	t.Cleanup(srv.Close)
	return srv.URL, last
}

func TestURL(t *testing.T) {
	origin, last := seen(t)
	op := urlOp(t, map[string]string{"all": origin, "api": origin + "/api", "v2": origin + "/api/v2/"},
		`[{"backend":"all","view":"all","allow":["GET /{a}","GET /","GET /{a}/{b}/{c}"]},
		  {"backend":"api","view":"all","allow":["GET /","GET /{a}","POST /{a}"],"query":["q","a[b]","r","flag"]},
		  {"backend":"v2","as":"second","allow":["GET /{a}","PUT /{a}"]}]`)
	tests := []struct{ method, url, resource string }{
		{"", "/", "all GET /"},
		{"get", "/x", "all GET /{a}"},
		{"GET", "/apix", "all GET /{a}"},
		{"GET", "/api", "api GET /"},
		{"GET", "/api?q=1", "api GET /"},
		{"GET", "/api/x?q=a+b&q=c,d:e/f?g@h&a%5Bb%5D=%e4%BD%a0&a[b]=1&flag&r=", "api GET /{a}"},
		{"post", "/api/x%20y", "api POST /{a}"},
		{"GET", "/api/v2/x", "v2 GET /{a}"},
		{"Put", "/api/v2/!$&'()*+,=:@-._~", "v2 PUT /{a}"},
	}
	for _, tt := range tests {
		t.Run(tt.url, func(t *testing.T) {
			planned, err := op(frame(t, wire.URLRequest{URL: origin + tt.url, Method: tt.method}, ""))
			if err != nil {
				t.Fatal(err)
			}
			if planned.Resource != tt.resource {
				t.Errorf("resource %q, want %q", planned.Resource, tt.resource)
			}
			if _, err := planned.Do(context.Background()); err != nil {
				t.Fatal(err)
			}
			method := strings.ToUpper(tt.method)
			if method == "" {
				method = "GET"
			}
			if d := cmp.Diff(method+" "+origin+tt.url, *last.Load()); d != "" {
				t.Error(d)
			}
		})
	}
	// The nearest back end decides, though a farther one would allow it.
	refusedURL(t, op, wire.URLRequest{URL: origin + "/api/v2/x", Method: "POST"}, "", `on backend "second"`)
	refusedURL(t, op, wire.URLRequest{URL: origin + "/api/v2"}, "", `on backend "second"`)
}

// What JSON of other languages' libraries says of no method and no headers.
func TestURLTakesNull(t *testing.T) {
	origin, _ := seen(t)
	op := urlOp(t, map[string]string{"b": origin}, `[{"backend":"b","view":"all","allow":["GET /x"]}]`)
	for _, head := range []string{`{"url":"` + origin + `/x","method":null,"headers":null}`, `{"url":"` + origin + `/x","method":"","headers":{}}`} {
		if planned, err := op(raw(head, "")); err != nil || planned.Resource != "b GET /x" {
			t.Errorf("%s: %q, %v", head, planned.Resource, err)
		}
	}
}

func TestURLCapability(t *testing.T) {
	s := newServer(t)
	capabilitytest.Run(t, s.http(t), capabilitytest.Case{
		Name: "get", Grant: grant, Op: "url", Effects: s.count, Canaries: []string{"canary-1", "canary-2", "canary-3"},
		Request: frame(t, wire.URLRequest{URL: s.URL + "/v2/contacts/canary-1?q=canary-2", Headers: map[string]string{"square-version": "canary-3"}}, ""),
	}, capabilitytest.Case{
		Name: "post", Grant: grant, Op: "url", Effects: s.count, Canaries: []string{"canary-1"},
		Request: frame(t, wire.URLRequest{Method: "POST", URL: s.URL + "/v2/contacts"}, "canary-1"),
	})
}

// FuzzURL: what is planned goes, byte for byte, to the URL that was asked for; its path is
// one that a rule of the grant allows, and its parameters are granted.
func FuzzURL(f *testing.F) {
	origin, last := seen(f)
	op := urlOp(f, map[string]string{"all": origin, "api": origin + "/api"},
		`[{"backend":"all","view":"all","allow":["GET /v1/{id}"],"query":["q"]},{"backend":"api","view":"all","allow":["POST /{id}"],"query":["r"]}]`)
	rules := map[string]string{"all GET /v1/{id}": origin + "/v1/", "api POST /{id}": origin + "/api/"}
	names := map[string]string{"all GET /v1/{id}": "q", "api POST /{id}": "r"}
	for _, rest := range []string{"/v1/x", "/v1/x?q=1&q=%41", "/api/x?r=a+b", "/api/../v1/x", "/v1/%2e%2e", "@evil/v1/x", ".evil/v1/x", "/v1/x#", "/v1/x?q=1;r=2"} {
		f.Add(rest, "GET")
		f.Add(rest, "POST")
	}
	f.Fuzz(func(t *testing.T, rest, method string) {
		url := origin + rest
		head, err := json.Marshal(wire.URLRequest{URL: url, Method: method})
		if err != nil {
			t.Skip()
		}
		planned, err := op(raw(string(head), ""))
		if err != nil {
			if e, ok := errors.AsType[*broker.Error](err); !ok || e.Detail == "" {
				t.Errorf("refused with %T, %v", err, err)
			}
			return
		}
		below, ok := rules[planned.Resource]
		if !ok {
			t.Fatalf("planned %q, which no rule says", planned.Resource)
		}
		target, query, _ := strings.Cut(url, "?")
		id, ok := strings.CutPrefix(target, below)
		if !ok || id == "" || strings.ContainsAny(id, `/\#;`) || egress.CheckPath("/"+id) != nil {
			t.Fatalf("planned %q for %q", url, planned.Resource)
		}
		fields, err := egress.ParseQuery(query)
		if err != nil {
			t.Fatalf("planned %q: %v", url, err)
		}
		if slices.ContainsFunc(fields, func(f wire.Field) bool { return f.Name != names[planned.Resource] }) {
			t.Fatalf("planned %q with parameters that were not granted", url)
		}
		if _, err := planned.Do(context.Background()); err != nil {
			t.Fatal(err)
		}
		if want := strings.Fields(planned.Resource)[1] + " " + url; *last.Load() != want {
			t.Fatalf("sent %q, asked %q", *last.Load(), want)
		}
	})
}
