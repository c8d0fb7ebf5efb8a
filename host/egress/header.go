package egress

import (
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

var hostPrefixes = []string{":", "proxy-", "x-forwarded-", "x-gateway-", "x-pointsman-", "sec-"}

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

// replyHeader returns the fields of h that are passed on, sorted by name.
func replyHeader(h http.Header, o origin) []wire.Field {
	var fields []wire.Field
	for name, values := range h {
		name = strings.ToLower(name)
		if !slices.Contains(replyNames, name) && !hasPrefix(name, replyPrefixes) {
			continue
		}
		for _, v := range values {
			if name == "link" {
				v = relative(v, o)
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
