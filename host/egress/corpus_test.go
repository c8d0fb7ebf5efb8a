package egress_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"pointsman/host/broker"
	"pointsman/host/egress"
	"pointsman/host/manifest"
	"pointsman/pdk/wire"
)

// corpus reads a file of hostile inputs that projects share.
func corpus(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("../../../shared/corpus/" + name)
	if err != nil {
		t.Skipf("corpus/%s not present", name)
	}
	return text
}

// nasty are texts that broke other programs.
func nasty(t testing.TB) []string {
	t.Helper()
	var texts []string
	for _, name := range []string{"crlfinjection.txt", "directory_traversal.txt", "openredirects.txt"} {
		for line := range strings.Lines(string(corpus(t, "payloads/"+name))) {
			texts = append(texts, strings.TrimRight(line, "\r\n"))
		}
	}
	var naughty []string
	if err := json.Unmarshal(corpus(t, "blns/blns.json"), &naughty); err != nil {
		t.Fatal(err)
	}
	texts = append(texts, naughty...)
	for _, u := range whatwg(t) {
		texts = append(texts, u.Input)
	}
	for _, c := range desync(t) {
		texts = append(texts, c.URI, c.Method)
		for _, h := range c.Headers {
			texts = append(texts, h.Name, fmt.Sprint(h.Value), h.Name+": "+fmt.Sprint(h.Value))
		}
	}
	return texts
}

type whatwgCase struct {
	Input, Href, Protocol, Hostname, Host, Username, Password, Search, Hash string
	Base                                                                    *string
	Failure                                                                 bool
}

func whatwg(t testing.TB) []whatwgCase {
	t.Helper()
	var raw []json.RawMessage
	if err := json.Unmarshal(corpus(t, "whatwg-url/urltestdata.json"), &raw); err != nil {
		t.Fatal(err)
	}
	var cases []whatwgCase
	for _, r := range raw {
		var c whatwgCase
		if json.Unmarshal(r, &c) == nil && c.Input != "" { // texts are comments
			cases = append(cases, c)
		}
	}
	if len(cases) < 500 {
		t.Fatalf("read %d cases, which cannot be all", len(cases))
	}
	return cases
}

type desyncCase struct {
	URI, Method string
	Headers     []struct {
		Name  string
		Value any
	}
}

func desync(t testing.TB) []desyncCase {
	t.Helper()
	files, _ := filepath.Glob("../../../shared/corpus/http-desync/*.yaml") // the pattern is good
	if len(files) == 0 {
		t.Skip("corpus/http-desync not present")
	}
	var all []desyncCase
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var cases []desyncCase
		if err := yaml.Unmarshal(text, &cases); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		all = append(all, cases...)
	}
	return all
}

// sent returns the head that a raw server gets for r, or the refusal. Nothing may be sent
// when there is one.
func sent(t *testing.T, r egress.Request) (head string, err error) {
	t.Helper()
	heads := make(chan string, 8)
	addr := rawServer(t, func(c net.Conn, head string) {
		heads <- head
		fmt.Fprint(c, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
	})
	_, err = backend(t, addr, nil).Do(context.Background(), r)
	if err != nil {
		wantKind(t, err, broker.Denied)
		if len(heads) > 0 {
			t.Errorf("%q was refused and sent: %q", r, <-heads)
		}
		return "", err
	}
	if len(heads) != 1 {
		t.Fatalf("%q was sent %d times", r, len(heads))
	}
	return <-heads, nil
}

// TestWhatIsCheckedIsWhatIsSent compares, for every nasty text in every place that a plugin
// chooses, the raw bytes that a server gets with those that were checked.
func TestWhatIsCheckedIsWhatIsSent(t *testing.T) {
	var accepted [4]int
	b := backend(t, "127.0.0.1:1", nil)
	pass := func(r egress.Request) bool { return b.Check(r) == nil } // most do not: no server for those
	for _, text := range nasty(t) {
		for _, path := range []string{text, "/" + text, "/v1/" + text} {
			if r := (egress.Request{Method: "GET", Path: path}); pass(r) {
				accepted[0]++
				if head, err := sent(t, r); err != nil || !strings.HasPrefix(head, "GET "+path+" HTTP/1.1\r\n") {
					t.Errorf("path %q was sent as %q (%v)", path, head, err)
				}
			}
		}
		if r := (egress.Request{Method: "GET", Path: "/x", Header: []wire.Field{{Name: "X-Plugin", Value: text}}}); pass(r) {
			accepted[1]++
			head, err := sent(t, r)
			if err != nil || !strings.Contains(head, "\r\nX-Plugin: "+text+"\r\n") || strings.Count(head, "\r\n") != 6 {
				t.Errorf("header value %q was sent as %q (%v)", text, head, err)
			}
		}
		if r := (egress.Request{Method: "GET", Path: "/x", Header: []wire.Field{{Name: text, Value: "v"}}}); pass(r) {
			accepted[2]++
			head, err := sent(t, r)
			if err != nil || !strings.Contains(head, "\r\n"+textproto.CanonicalMIMEHeaderKey(text)+": v\r\n") || strings.Count(head, "\r\n") != 6 {
				t.Errorf("header name %q was sent as %q (%v)", text, head, err)
			}
		}
		if r := (egress.Request{Method: "GET", Path: "/x", Query: []wire.Field{{Name: "q", Value: text}, {Name: "z", Value: "1"}}}); pass(r) {
			accepted[3]++
			head, err := sent(t, r)
			line, _, _ := strings.Cut(head, "\r\n")
			raw, ok := strings.CutSuffix(strings.TrimPrefix(line, "GET /x?"), " HTTP/1.1")
			got, perr := url.ParseQuery(raw)
			if err != nil || !ok || perr != nil || got.Get("q") != text || len(got) != 2 || strings.Count(head, "\r\n") != 5 {
				t.Errorf("query value %q was sent as %q (%v)", text, head, err)
			}
		}
		if pass(egress.Request{Method: text, Path: "/x"}) && !slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}, text) {
			t.Errorf("method %q is accepted", text)
		}
	}
	for i, place := range []string{"path", "header value", "header name", "query value"} {
		if accepted[i] == 0 {
			t.Errorf("not one %s was accepted, which shows nothing", place)
		}
	}
	t.Logf("accepted and compared: paths %d, header values %d, header names %d, query values %d", accepted[0], accepted[1], accepted[2], accepted[3])
}

// TestDesyncHeaders: no header that frames a message can be set, in any of the spellings
// by which servers were confused.
func TestDesyncHeaders(t *testing.T) {
	b := backend(t, "127.0.0.1:1", nil)
	for _, c := range desync(t) {
		for _, h := range c.Headers {
			plain := strings.ToLower(strings.Map(func(r rune) rune {
				if r > ' ' && r < 0x7f && r != ':' {
					return r
				}
				return -1
			}, h.Name))
			frames := strings.Contains(plain, "transfer-encoding") || strings.Contains(plain, "content-length")
			err := b.Check(egress.Request{Method: "POST", Path: "/x", Header: []wire.Field{{Name: h.Name, Value: strings.TrimSpace(fmt.Sprint(h.Value))}}})
			if frames && err == nil {
				t.Errorf("header %q can be set", h.Name)
			}
		}
	}
}

// TestUnkeyedHeaders: of the headers by which caches and frameworks were misled, those that
// claim another host, address, method or target can never be granted.
func TestUnkeyedHeaders(t *testing.T) {
	b := backend(t, "127.0.0.1:1", nil)
	var misleading int
	for line := range strings.Lines(string(corpus(t, "payloads/unkeyed-headers.txt"))) {
		name := strings.TrimSpace(line)
		lower := strings.ToLower(name)
		for _, family := range []string{"x-forwarded-", "forwarded", "x-original-url", "x-original-host", "x-rewrite-url", "x-http-method", "x-method-override", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "proxy-"} {
			if strings.HasPrefix(lower, family) {
				misleading++
				if err := b.Check(egress.Request{Method: "GET", Path: "/x", Header: []wire.Field{{Name: name, Value: "v"}}}); err == nil {
					t.Errorf("%s can be set", name)
				} else {
					wantKind(t, err, broker.Denied)
				}
			}
		}
	}
	if misleading < 20 {
		t.Errorf("%d misleading headers in the corpus, which cannot be all", misleading)
	}
}

// TestURLsReadAlike: a URL that is accepted for a back end leads where browsers would go, and
// one that they refuse is refused.
func TestURLsReadAlike(t *testing.T) {
	accepted := 0
	for _, c := range whatwg(t) {
		b, err := egress.New(egress.Config{Name: "x", URL: c.Input, Insecure: true, Private: everywhere})
		if err != nil {
			continue
		}
		accepted++
		scheme, host, authority, _ := b.Origin()
		switch {
		case c.Failure && strings.Contains(host, "xn--"): // not good Punycode; DNS takes any letters
		case c.Failure && c.Base == nil:
			t.Errorf("%q is refused by browsers and accepted here, for %s", c.Input, host)
		case c.Failure:
		case c.Protocol != scheme+":" || strings.Trim(c.Hostname, "[]") != host || c.Host != authority:
			t.Errorf("%q leads to %s//%s for browsers and to %s://%s here", c.Input, c.Protocol, c.Host, scheme, authority)
		case c.Username != "" || c.Password != "" || c.Search != "" || c.Hash != "":
			t.Errorf("%q holds a user, a query or a fragment", c.Input)
		}
	}
	if accepted < 5 {
		t.Errorf("%d accepted, which shows nothing", accepted)
	}
	t.Logf("%d URLs accepted and compared", accepted)
}

var everywhere = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

// FuzzHeader: a header that is accepted is one line of the request, and the only one of its
// name.
func FuzzHeader(f *testing.F) {
	for _, seed := range [][2]string{{"Accept", "text/plain"}, {"X-A", "a\r\nB: c"}, {"Content-Length", "5"}, {"Transfer_Encoding", "chunked"}, {"X A", "b"}, {"X-\x00", "v"}, {"x", "ü"}} {
		f.Add(seed[0], seed[1])
	}
	b := backend(f, "127.0.0.1:1", nil)
	f.Fuzz(func(t *testing.T, name, value string) {
		if b.Check(egress.Request{Method: "GET", Path: "/x", Header: []wire.Field{{Name: name, Value: value}}}) != nil {
			return
		}
		if egress.HostHeader(name) || strings.ContainsAny(name+value, "\r\n\x00") || strings.ContainsAny(name, " :_\t") || strings.TrimSpace(value) != value {
			t.Errorf("%q: %q is accepted", name, value)
		}
		head := egress.Written(b, egress.Request{Method: "GET", Path: "/x", Header: []wire.Field{{Name: name, Value: value}}})
		if strings.Count(head, "\r\n"+textproto.CanonicalMIMEHeaderKey(name)+": "+value+"\r\n") != 1 || strings.Count(head, "\n") != 6 {
			t.Errorf("%q: %q is sent as %q", name, value, head)
		}
	})
}

// FuzzURL: a URL that is accepted for a back end is read alike by net/url, and its host is a
// name in plain letters or an address that could not be written otherwise.
func FuzzURL(f *testing.F) {
	for _, seed := range []string{"https://crm.example", "https://crm.example:8443/api", "https://[2606:4700::1111]", "https://127.1", `https://a\@b`, "https://a#@b", "https://a%2eb", "https://0x7f000001"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b, err := egress.New(egress.Config{Name: "x", URL: text, Insecure: true, Private: everywhere})
		if err != nil {
			return
		}
		scheme, host, authority, base := b.Origin()
		u, err := url.Parse(scheme + "://" + authority + base)
		if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Hostname() != host || u.EscapedPath() != base {
			t.Fatalf("%q is taken for %s://%s%s, which is read as %#v, %v", text, scheme, authority, base, u, err)
		}
		if a, err := netip.ParseAddr(host); err == nil && (a.String() != host || a.Is4In6()) || strings.ContainsAny(host, "/@\\#?% _") {
			t.Errorf("%q leads to %q", text, host)
		}
		if base != "" && egress.CheckPath(base) != nil {
			t.Errorf("%q has the base path %q", text, base)
		}
	})
}

// TestManifestAndEgressAgree: what a manifest may say, a Backend takes, and the other way
// around: a deployment never finds out what validation could have told.
func TestManifestAndEgressAgree(t *testing.T) {
	names := []string{"Accept", "X-Cost", "Etag", "Location", "Server", "Proxy-Status", "X-Forwarded-Host", "Forwarded-For", "Content-Length", "Www-Authenticate", "Set-Cookie2", "X-Accel-Redirect", "Access-Control-Allow-Origin", "X-Pointsman-A", "Alt-Svc", "X-Csrf-Token"}
	for line := range strings.Lines(string(corpus(t, "payloads/unkeyed-headers.txt"))) {
		names = append(names, strings.TrimSpace(line))
	}
	for _, name := range names {
		if a, b := manifest.AnswerHeaderHidden(name), egress.HiddenHeader(name); a != b {
			t.Errorf("answer's header %q: hidden %v for a manifest, %v for a back end", name, a, b)
		}
		if a, b := manifest.HeaderDenied(name), egress.HostHeader(name); a != b {
			t.Errorf("request's header %q: denied %v by a manifest, %v by a back end", name, a, b)
		}
	}
}
