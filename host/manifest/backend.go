package manifest

import (
	"io/fs"
	"net/netip"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"
)

func backendSpec() form[Backend] {
	return object(Backend{}, checkBackend,
		key("http", pointer(httpBackend()), "an HTTP origin", func(b *Backend) **HTTPBackend { return &b.HTTP }),
		key("sql", pointer(sqlBackend()), "a database, and the statements that can be granted", func(b *Backend) **SQLBackend { return &b.SQL }))
}

func checkBackend(r *reader, n *yaml.Node, at string, b *Backend) {
	switch {
	case b.HTTP != nil && b.SQL != nil:
		r.add(child(n, "sql"), join(at, "sql"), codeContradiction, "", "a back end is an HTTP origin or a database; write two")
	case b.HTTP == nil && b.SQL == nil && n.Kind == yaml.MappingNode:
		r.add(n, join(at, "http"), codeMissing, "", "key \"http\" or \"sql\" is missing: what the back end is")
	}
}

func checkHTTPBackend(r *reader, n *yaml.Node, at string, b *HTTPBackend) {
	checkTimes(r, n, at, b)
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
