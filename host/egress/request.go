package egress

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"pointsman/host/broker"
	"pointsman/pdk/wire"
)

// Limits of a request.
const (
	maxFields      = 64      // query parameters, and headers
	maxQuery       = 8 << 10 // bytes of names and values, the request line that common servers take
	maxHeaderValue = 4 << 10 // bytes of one value, half of what common servers take for a line
	maxRequestBody = 1 << 20 // bytes; the sandbox's default output limit
)

// Check returns a *broker.Error of kind Denied for a request that would not be sent to
// this back end whatever was granted. It has no effects. Its Detail names the rule and
// repeats nothing of r.
func (b *Backend) Check(r Request) error {
	for _, err := range []error{b.checkMethod(r), checkTarget(b.origin.base, r.Path), b.checkAnyQuery(r), b.checkHeader(r.Header)} {
		if err != nil {
			return &broker.Error{Kind: broker.Denied, Detail: err.Error()}
		}
	}
	return nil
}

func (b *Backend) checkMethod(r Request) error {
	switch {
	case !knownMethod(r.Method):
		return errMethod
	case !b.ceiling.method(r.Method):
		return fmt.Errorf("the back end is not for %s requests", r.Method)
	case len(r.Body) > 0 && !carriesBody(r.Method):
		return fmt.Errorf("a %s request carries no body", r.Method)
	case len(r.Body) > maxRequestBody:
		return fmt.Errorf("the body is larger than %d bytes", maxRequestBody)
	}
	return nil
}

func checkTarget(base, path string) error {
	if err := CheckPath(path); err != nil {
		return err
	}
	if len(base)+len(path) > maxPath {
		return fmt.Errorf("the path is longer than %d bytes", maxPath)
	}
	return nil
}

func (b *Backend) checkQuery(query []wire.Field) error {
	if len(query) > maxFields {
		return fmt.Errorf("more than %d query parameters", maxFields)
	}
	size := 0
	for i, f := range query {
		size += len(f.Name) + len(f.Value)
		switch {
		case f.Name == "":
			return fmt.Errorf("query parameter %d has no name", i+1)
		case !plainText(f.Name) || !plainText(f.Value):
			return fmt.Errorf("query parameter %d holds a control character or invalid UTF-8", i+1)
		case b.owns("query", f.Name):
			return fmt.Errorf("query parameter %d is where the host puts the credential", i+1)
		}
	}
	if size > maxQuery {
		return fmt.Errorf("the query is larger than %d bytes", maxQuery)
	}
	return nil
}

func (b *Backend) checkHeader(header []wire.Field) error {
	if len(header) > maxFields {
		return fmt.Errorf("more than %d headers", maxFields)
	}
	var seen [maxFields]string // in lower case
	for i, f := range header {
		name := strings.ToLower(f.Name)
		switch {
		case !headerName(name):
			return fmt.Errorf("header %d has a name that is not made of letters, digits and hyphens", i+1)
		case HostHeader(name):
			return fmt.Errorf("header %d is the host's to set", i+1)
		case b.owns("header", name):
			return fmt.Errorf("header %d is where the host puts the credential", i+1)
		case !b.ceiling.header(name):
			return fmt.Errorf("header %d is not among those that the back end takes", i+1)
		case slices.Contains(seen[:i], name):
			return fmt.Errorf("header %d stands twice", i+1)
		case len(f.Value) > maxHeaderValue:
			return fmt.Errorf("the value of header %d is longer than %d bytes", i+1, maxHeaderValue)
		case !headerValue(f.Value):
			return fmt.Errorf("the value of header %d holds something other than printable ASCII, or begins or ends in a space", i+1)
		}
		seen[i] = name
	}
	return nil
}

// owns reports whether the credential goes there.
func (b *Backend) owns(where, name string) bool {
	return b.placement != nil && b.placement.Owns(where, name)
}

// plainText reports whether s can be percent-encoded without surprising who decodes it.
func plainText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// request builds the HTTP request of r, which Check has accepted, without a credential.
func (b *Backend) request(ctx context.Context, r Request) *http.Request {
	path := b.origin.base + r.Path
	if r.Path == "/" && b.origin.base != "" {
		path = b.origin.base // a base path stands without the slash that it was checked without
	}
	req := &http.Request{
		Method: r.Method,
		// Opaque is the one part of a URL that net/http sends as it is.
		URL:        &url.URL{Scheme: b.origin.scheme, Host: b.origin.authority, Opaque: path, RawQuery: queryOf(r)},
		Host:       b.origin.authority,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"User-Agent": {userAgent}, "Accept-Encoding": {"gzip"}},
		Body:   http.NoBody,
	}
	for _, f := range r.Header {
		req.Header.Set(f.Name, f.Value)
	}
	if carriesBody(r.Method) {
		req.ContentLength = int64(len(r.Body))
		if len(r.Body) > 0 {
			// GetBody lets net/http take another connection when the first one turns out dead.
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.Body)), nil }
			req.Body = io.NopCloser(bytes.NewReader(r.Body))
		}
	}
	return req.WithContext(withSettled(ctx))
}

// encodeQuery writes parameters in their order. Everything but RFC 3986's unreserved
// characters is percent-encoded, the space too: not every server takes + for one.
func encodeQuery(query []wire.Field) string {
	var b strings.Builder
	size := 0
	for _, f := range query {
		size += len(f.Name) + len(f.Value) + 2
	}
	b.Grow(size) // more when something is escaped
	for i, f := range query {
		if i > 0 {
			b.WriteByte('&')
		}
		escape(&b, f.Name)
		b.WriteByte('=')
		escape(&b, f.Value)
	}
	return b.String()
}

func escape(b *strings.Builder, s string) {
	const hex = "0123456789ABCDEF"
	for _, c := range []byte(s) {
		if isUnreserved(c) {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', hex[c>>4], hex[c&15]})
	}
}
