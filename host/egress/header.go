package egress

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"pointsman/pdk/wire"
)

// headerName reports whether s, in lower case, is a name that everything on the way reads
// alike. RFC 9110 allows more; underscores become hyphens in CGI and are dropped by nginx.
func headerName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

// headerValue reports whether s is printable ASCII without a space at its ends, which
// recipients strip: RFC 9110 §5.5.
func headerValue(s string) bool {
	if strings.TrimSpace(s) != s {
		return false
	}
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// HostHeader reports whether a request header can never be set by a plugin, whatever a
// grant lists: it frames the message, carries a credential, claims an identity or
// another target, or is the host's own. Letter case does not matter.
func HostHeader(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	for _, prefix := range hostPrefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains(hostHeaders, name)
}

var hostPrefixes = []string{":", "proxy-", "forwarded-", "x-forwarded-", "x-gateway-", "x-pointsman-", "sec-"}

var hostHeaders = []string{
	// framing and connection
	"host", "content-length", "transfer-encoding", "te", "trailer", "connection", "keep-alive", "upgrade", "http2-settings", "expect",
	// credentials
	"authorization", "cookie", "cookie2", "www-authenticate", "set-cookie",
	// another method, target or caller
	"x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url", "x-original-host", "x-host",
	"forwarded", "x-forwarded", "x-real-ip", "true-client-ip", "cf-connecting-ip", "x-client-ip", "x-cluster-client-ip", "client-ip",
	// the host's own
	"accept-encoding", "range", "if-range", "referer", "via", "user-agent", "origin", "date",
	"traceparent", "tracestate", "baggage",
}

// replyNames and replyPrefixes are what a plugin gets to see of an answer's header: what
// it needs to read the body, to page, to cache and to wait. Everything else, such as
// cookies, locations and the names of servers, stays here.
var replyNames = []string{
	"content-type", "content-language", "content-disposition",
	"etag", "last-modified", "cache-control", "expires", "age", "date", "retry-after",
	"link", "x-total-count", "x-total-pages", "x-total", "x-page", "x-per-page", "x-next-page", "x-prev-page",
	"x-shopify-shop-api-call-limit", "sforce-limit-info",
}

var replyPrefixes = []string{"ratelimit", "x-ratelimit-", "x-rate-limit-"}

// HiddenHeader reports whether a header of an answer can never be shown to a plugin, whatever
// a back end's manifest lists: it carries a credential or a session, says where something is
// or which server answered, or describes the bytes on the wire, which the host has decoded.
// Letter case does not matter.
func HiddenHeader(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	return slices.Contains(hiddenNames, name) || hasPrefix(name, hiddenPrefixes)
}

var hiddenPrefixes = []string{":", "proxy-", "x-forwarded-", "x-gateway-", "x-pointsman-", "x-accel-", "sec-", "access-control-"}

var hiddenNames = []string{
	// credentials and sessions
	"set-cookie", "set-cookie2", "cookie", "authorization", "authentication-info", "www-authenticate", "x-csrf-token", "x-xsrf-token",
	// where something is, and who answered
	"location", "content-location", "refresh", "alt-svc", "forwarded", "via", "server", "host", "x-real-ip", "x-served-by",
	"x-backend-server", "x-powered-by", "x-sendfile", "sourcemap", "x-sourcemap", "report-to", "nel",
	// framing
	"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "content-length", "content-encoding", "content-range", "accept-ranges",
}

// answerHeaders checks the names that an admin wants shown.
func answerHeaders(names []string) ([]string, error) {
	var lower []string
	for _, n := range names {
		n = strings.ToLower(n)
		if !headerName(n) || HiddenHeader(n) {
			return nil, errors.New("headers: one can never be shown to a plugin")
		}
		lower = append(lower, n)
	}
	return lower, nil
}

// replyHeader returns the fields of h that are passed on, sorted by name.
func (b *Backend) replyHeader(h http.Header) []wire.Field {
	var fields []wire.Field
	for name, values := range h {
		name = strings.ToLower(name)
		if !slices.Contains(replyNames, name) && !slices.Contains(b.answer, name) && !hasPrefix(name, replyPrefixes) {
			continue
		}
		for _, v := range values {
			if name == "link" {
				v = relative(v, b.origin)
			}
			if v == "" || len(v) > maxHeaderValue || !headerValue(v) {
				continue
			}
			fields = append(fields, wire.Field{Name: name, Value: v})
		}
	}
	slices.SortStableFunc(fields, func(a, b wire.Field) int { return strings.Compare(a.Name, b.Name) })
	return fields[:min(len(fields), maxFields)]
}

func hasPrefix(name string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// relative makes the targets of a Link header (RFC 8288) relative to the back end, so that
// a plugin can page without learning where it is. It is "" when another host is named.
func relative(link string, o origin) string {
	link = strings.ReplaceAll(link, "<"+o.scheme+"://"+o.authority+o.base+"/", "</")
	if strings.Contains(link, "//") {
		return ""
	}
	return link
}
