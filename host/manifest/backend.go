package manifest

import (
	"io/fs"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

func backendSpec() form[Backend] {
	return object(Backend{}, nil,
		required(key("http", pointer(httpBackend()), "an HTTP origin", func(b *Backend) **HTTPBackend { return &b.HTTP })))
}

func httpBackend() form[HTTPBackend] {
	limits := object(HTTPLimits{}, nil,
		key("time", duration(10*time.Millisecond, MaxDeadline), "the longest that one request may take", func(l *HTTPLimits) *time.Duration { return &l.Time }),
		key("bytes", size[int64](1, 64<<20), "the largest answer, decoded", func(l *HTTPLimits) *int64 { return &l.Bytes }),
		key("concurrent", number(1, 10000), "how many requests may run at once", func(l *HTTPLimits) *int { return &l.Concurrent }))
	tls := object(TLS{}, nil,
		required(key("ca", file(""), "PEM file with the roots to trust instead of the system's", func(t *TLS) *string { return &t.CA })))
	return object(HTTPBackend{}, checkHTTPBackend,
		required(key("url", origin(), "origin and base path, such as https://crm.example", func(b *HTTPBackend) *string { return &b.URL })),
		key("auth", pointer(auth()), "which secret goes where in each request", func(b *HTTPBackend) **Auth { return &b.Auth }),
		key("private", list(0, 100, prefix(), netip.Prefix.String), "private addresses that may be dialled", func(b *HTTPBackend) *[]netip.Prefix { return &b.Private }),
		key("insecure", boolean(), "true if plain HTTP is meant", func(b *HTTPBackend) *bool { return &b.Insecure }),
		key("tls", pointer(tls), "what to trust instead of the system's roots", func(b *HTTPBackend) **TLS { return &b.TLS }),
		key("limits", limits, "bounds on the traffic", func(b *HTTPBackend) *HTTPLimits { return &b.Limits }))
}

func checkHTTPBackend(r *reader, n *yaml.Node, at string, b *HTTPBackend) {
	plainHTTP := strings.HasPrefix(b.URL, "http://")
	switch {
	case plainHTTP && !b.Insecure:
		r.add(child(n, "url"), join(at, "url"), codeContradiction, "https"+strings.TrimPrefix(b.URL, "http"),
			"plain HTTP is refused unless insecure: true says that it is meant")
	case !plainHTTP && b.Insecure && b.URL != "":
		r.add(child(n, "insecure"), join(at, "insecure"), codeContradiction, "", "insecure: true belongs to a URL with http://")
	case plainHTTP && b.TLS != nil:
		r.add(child(n, "tls"), join(at, "tls"), codeContradiction, "", "tls belongs to a URL with https://")
	}
	a, ok := hostAddr(b.URL)
	switch {
	case ok && (a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified()):
		r.add(child(n, "url"), join(at, "url"), codeURL, "", "%s is never dialled: it is a link-local, multicast or unspecified address", a)
	case ok && (a.IsPrivate() || a.IsLoopback()):
		for _, p := range b.Private {
			if p.Contains(a) {
				return
			}
		}
		r.add(child(n, "url"), join(at, "url"), codePrivate, "", "%s is a private address; list it, for example private: [%s]", a, netip.PrefixFrom(a, a.BitLen()))
	}
}

func auth() form[Auth] {
	return object(Auth{}, checkAuth,
		required(key("secret", secretName(), "name of the secret", func(a *Auth) *string { return &a.Secret })),
		required(key("as", choice(codeWord, AsBearer, AsHeader, AsBasic, AsQuery), "where it goes", func(a *Auth) *string { return &a.As })),
		key("name", free(64), "the header's or query parameter's name, for as: header and as: query", func(a *Auth) *string { return &a.Name }))
}

func checkAuth(r *reader, n *yaml.Node, at string, a *Auth) {
	place, at := child(n, "name"), join(at, "name")
	switch a.As {
	case AsBearer, AsBasic:
		if a.Name != "" {
			r.add(place, at, codeContradiction, "", "as: %s takes no name: the header is Authorization", a.As)
		}
	case AsHeader:
		switch {
		case a.Name == "":
			r.add(place, at, codeContradiction, "", "as: header needs the header's name")
		case headerFrames(a.Name):
			r.add(place, at, codeFieldDenied, "", "the header %s cannot carry a credential", quote(a.Name))
		case !headerToken.MatchString(a.Name):
			r.add(place, at, codeFieldName, "", "%s is not a header's name", quote(a.Name))
		}
		a.Name = canonicalHeader(a.Name)
	case AsQuery:
		switch {
		case a.Name == "":
			r.add(place, at, codeContradiction, "", "as: query needs the parameter's name")
		case !queryToken.MatchString(a.Name):
			r.add(place, at, codeFieldName, "", "%s is not a query parameter's name", quote(a.Name))
		}
	}
}

var fileText = regexp.MustCompile(`^[A-Za-z0-9._/-]{1,255}$`)

// file is the path of a file below the manifests' root that ends in suffix.
func file(suffix string) form[string] {
	pattern := fileText.String()
	if suffix != "" {
		pattern = `^[A-Za-z0-9._/-]{1,250}` + regexp.QuoteMeta(suffix) + `$`
	}
	return word("a path below the manifests' root", schema{"pattern": pattern}, func(s string) (string, *problem) {
		switch {
		case !fileText.MatchString(s) || !fs.ValidPath(s) || s == ".":
			near := strings.TrimPrefix(strings.ReplaceAll(s, `\`, "/"), "./")
			if near == s || !fs.ValidPath(near) {
				near = ""
			}
			return "", problemf(codePath, near, "%s is not a path below the manifests' root", quote(s))
		case !strings.HasSuffix(s, suffix) || len(s) == len(suffix):
			return "", problemf(codePath, "", "expected a file that ends in %s, found %s", suffix, quote(s))
		}
		return s, nil
	}, itself)
}
