package manifest

import (
	"net/textproto"
	"regexp"
	"slices"
	"strings"
)

var (
	headerToken = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$") // RFC 9110 §5.6.2 token
	queryToken  = regexp.MustCompile(`^[A-Za-z0-9_.$~\[\]:-]{1,64}$`)
)

// framing are the headers that decide how a request is framed and where it goes. Neither a
// plugin nor a backend's auth may set them.
var framing = []string{
	"Host", "Content-Length", "Transfer-Encoding", "Te", "Trailer", "Connection", "Keep-Alive",
	"Upgrade", "Http2-Settings", "Expect", "Accept-Encoding", "Range", "If-Range", "Referer", "Via",
	"Traceparent", "Tracestate", "X-Http-Method", "X-Http-Method-Override", "X-Method-Override",
	"X-Original-Url", "X-Original-Host", "X-Rewrite-Url", "Forwarded", "X-Real-Ip", "X-Client-Ip",
	"True-Client-Ip", "Cf-Connecting-Ip", "X-Cluster-Client-Ip", "Client-Ip", "X-Host", "X-Forwarded",
}

// framingFamilies are beginnings of header names of the same sort. Connection headers of
// proxies, and what a broker or browser says about who is calling.
var framingFamilies = []string{"Proxy-", "Forwarded-", "X-Forwarded-", "X-Gateway-", "X-Pointsman-", "Sec-", ":"}

// HeaderDenied reports whether no plugin can ever be granted to set the header, in any
// spelling of its name: the host sets it, or it would change who a request is from, where
// it goes or how it is framed. Credentials go through a backend's auth.
func HeaderDenied(name string) bool {
	name = strings.ReplaceAll(name, "_", "-") // some servers fold the two into one
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	return headerFrames(name) || slices.Contains(hostOnly, canonical)
}

// hostOnly are headers that a backend's auth may set, or the host itself, and no plugin.
var hostOnly = []string{
	"Authorization", "Cookie", "Cookie2", "Set-Cookie", "Www-Authenticate", "User-Agent", "Origin", "Date", "Baggage",
}

func headerFrames(name string) bool {
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	return slices.Contains(framing, canonical) ||
		slices.ContainsFunc(framingFamilies, func(f string) bool { return strings.HasPrefix(canonical, f) })
}

// header is the name of a header that a plugin may be granted.
func header() form[string] {
	return word("a header's name", schema{"pattern": headerToken.String()}, func(s string) (string, *problem) {
		switch {
		case HeaderDenied(s):
			return "", problemf(codeFieldDenied, "", "no plugin may set the header %s", quote(s))
		case !headerToken.MatchString(s):
			return "", problemf(codeFieldName, "", "%s is not a header's name", quote(s))
		}
		return canonicalHeader(s), nil
	}, itself)
}

// AnswerHeaderHidden reports whether no plugin can ever see the header of an answer, in any
// spelling of its name: it carries a credential or a session, says where something is or who
// answered, or describes bytes that the host has decoded.
func AnswerHeaderHidden(name string) bool {
	canonical := textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
	return slices.Contains(hidden, canonical) ||
		slices.ContainsFunc(hiddenFamilies, func(f string) bool { return strings.HasPrefix(canonical, f) })
}

var hidden = []string{
	"Set-Cookie", "Set-Cookie2", "Cookie", "Authorization", "Authentication-Info", "Www-Authenticate", "X-Csrf-Token", "X-Xsrf-Token",
	"Location", "Content-Location", "Refresh", "Alt-Svc", "Forwarded", "Via", "Server", "Host", "X-Real-Ip", "X-Served-By",
	"X-Backend-Server", "X-Powered-By", "X-Sendfile", "Sourcemap", "X-Sourcemap", "Report-To", "Nel",
	"Connection", "Keep-Alive", "Transfer-Encoding", "Te", "Trailer", "Upgrade", "Content-Length", "Content-Encoding", "Content-Range", "Accept-Ranges",
}

var hiddenFamilies = []string{"Proxy-", "X-Forwarded-", "X-Gateway-", "X-Pointsman-", "X-Accel-", "Sec-", "Access-Control-", ":"}

// answerHeader is the name of an answer's header that a back end may show.
func answerHeader() form[string] {
	return word("a header's name", schema{"pattern": headerToken.String()}, func(s string) (string, *problem) {
		switch {
		case AnswerHeaderHidden(s):
			return "", problemf(codeFieldDenied, "", "no plugin may see the header %s", quote(s))
		case !answerToken.MatchString(s):
			return "", problemf(codeFieldName, "", "%s is not a header's name", quote(s))
		}
		return canonicalHeader(s), nil
	}, itself)
}

// answerToken is what host/egress reads alike everywhere.
var answerToken = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)

// query is the name of a query parameter that a plugin may be granted.
func query() form[string] {
	return word("a query parameter's name", schema{"pattern": queryToken.String()}, func(s string) (string, *problem) {
		switch {
		case !queryToken.MatchString(s):
			return "", problemf(codeFieldName, "", "%s is not a query parameter's name", quote(s))
		case strings.EqualFold(s, "_method"): // Rails and Laravel take it for the method
			return "", problemf(codeFieldDenied, "", "%s changes the method in some frameworks; no plugin may set it", quote(s))
		}
		return s, nil
	}, itself)
}

// canonicalHeader is the one spelling of a header's name in the canonical form.
func canonicalHeader(s string) string { return textproto.CanonicalMIMEHeaderKey(s) }
