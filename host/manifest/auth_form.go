package manifest

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// MaxLifetime is the longest that a token or session can be set to be used.
const MaxLifetime = 24 * time.Hour

func auth() form[Auth] {
	fields := []field[Auth]{key("secret", secretName(), "name of a secret that is sent as it is", func(a *Auth) *string { return &a.Secret })}
	fields = append(fields, spotFields([]string{AsBearer, AsHeader, AsBasic, AsQuery, AsPath}, func(a *Auth) *Spot { return &a.Spot })...)
	fields = append(fields,
		key("user", shown(200), "as: basic: the user whose password the secret is", func(a *Auth) *string { return &a.User }),
		key("hmac", pointer(hmacAuth()), "a signature over each request, with a key that both sides know", func(a *Auth) **HMACAuth { return &a.HMAC }),
		key("sigv4", pointer(sigV4Auth()), "a signature over each request, as AWS asks for", func(a *Auth) **SigV4Auth { return &a.SigV4 }),
		key("oauth2", pointer(oauth2Auth()), "a token of an authorization server", func(a *Auth) **OAuth2Auth { return &a.OAuth2 }),
		key("login", pointer(loginAuth()), "a session value that one call answers", func(a *Auth) **LoginAuth { return &a.Login }))
	f := object(Auth{}, checkAuth, fields...)
	f.schema = maps.Clone(f.schema)
	f.schema["oneOf"] = []any{
		schema{"required": []string{"secret", "as"}}, schema{"required": []string{"hmac"}}, schema{"required": []string{"sigv4"}},
		schema{"required": []string{"oauth2"}}, schema{"required": []string{"login"}},
	}
	return f
}

// authWays are the keys of auth of which exactly one is written.
var authWays = []string{"secret", "hmac", "sigv4", "oauth2", "login"}

func checkAuth(r *reader, n *yaml.Node, at string, a *Auth) {
	var ways []string
	for _, way := range authWays {
		if n.Kind == yaml.MappingNode && child(n, way) != n {
			ways = append(ways, way)
		}
	}
	switch {
	case n.Kind != yaml.MappingNode: // reported
		return
	case len(ways) == 0:
		r.add(n, join(at, "secret"), codeMissing, "", "auth needs one of %s", oneOf(authWays))
		return
	case len(ways) > 1:
		r.add(child(n, ways[1]), join(at, ways[1]), codeContradiction, "", "%s and %s exclude each other: a back end has one credential", ways[0], ways[1])
		return
	}
	if ways[0] != "secret" {
		for _, word := range []string{"as", "name", "prefix", "user"} {
			if c := child(n, word); c != n {
				r.add(c, join(at, word), codeContradiction, "", "%s belongs to secret; for %s it is written within, if at all", word, ways[0])
			}
		}
		return
	}
	if child(n, "as") == n {
		r.add(n, join(at, "as"), codeMissing, "", `key "as" is missing: where it goes`)
	}
	checkSpot(r, n, at, &a.Spot)
	if a.User != "" && (a.As != AsBasic || strings.Contains(a.User, ":")) {
		r.add(child(n, "user"), join(at, "user"), codeContradiction, "", "user belongs to as: basic, and has no colon")
	}
}

// spotFields are the keys that say where a credential goes.
func spotFields[T any](places []string, spot func(*T) *Spot) []field[T] {
	return []field[T]{
		key("as", choice(codeWord, places...), "where it goes", func(t *T) *string { return &spot(t).As }),
		key("name", free(64), "the header's, query parameter's or cookie's name, for as: header, query and cookie", func(t *T) *string { return &spot(t).Name }),
		key("prefix", free(64), "what stands before it, for as: header and path", func(t *T) *string { return &spot(t).Prefix }),
	}
}

var cookieName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$") // RFC 6265 §4.1.1

// pathPrefix is what stands in a path without being encoded: RFC 3986 §2.3.
var pathPrefix = regexp.MustCompile(`^[A-Za-z0-9._~-]{0,64}$`)

func checkSpot(r *reader, n *yaml.Node, at string, s *Spot) {
	place, nameAt := child(n, "name"), join(at, "name")
	switch s.As {
	case AsBearer, AsBasic, AsPath:
		if s.Name != "" {
			where := "the header is Authorization"
			if s.As == AsPath {
				where = "it is the first segment after the base path"
			}
			r.add(place, nameAt, codeContradiction, "", "as: %s takes no name: %s", s.As, where)
		}
	case AsHeader:
		if s.Name == "" {
			r.add(place, nameAt, codeContradiction, "", "as: header needs the header's name")
		} else {
			s.Name = r.credentialHeader(place, nameAt, s.Name)
		}
	case AsQuery, AsCookie:
		rule, what := queryToken, "query parameter"
		if s.As == AsCookie {
			rule, what = cookieName, "cookie"
		}
		switch {
		case s.Name == "":
			r.add(place, nameAt, codeContradiction, "", "as: %s needs the %s's name", s.As, strings.TrimPrefix(what, "query "))
		case !rule.MatchString(s.Name):
			r.add(place, nameAt, codeFieldName, "", "%s is not a %s's name", quote(s.Name), what)
		}
	}
	switch c := child(n, "prefix"); {
	case s.Prefix == "":
	case s.As != AsHeader && s.As != AsPath:
		r.add(c, join(at, "prefix"), codeContradiction, "", "only as: header and as: path take a prefix")
	case s.As == AsPath && !pathPrefix.MatchString(s.Prefix), !headerText.MatchString(s.Prefix):
		r.add(c, join(at, "prefix"), codeFieldName, "", "%s cannot stand before a credential there", quote(s.Prefix))
	}
	if s.As == AsPath {
		r.warn(child(n, "as"), join(at, "as"), codePathSecret, "a credential in the path is written to the logs of whatever is on the way; use another place if the back end has one")
	}
}

// headerText is printable ASCII that does not begin with a space.
var headerText = regexp.MustCompile(`^[!-~][ -~]*$`)

// credentialHeader checks the name of a header that the host itself sets, and returns its
// canonical form.
func (r *reader) credentialHeader(n *yaml.Node, at, name string) string {
	switch {
	case headerFrames(name):
		r.add(n, at, codeFieldDenied, "", "the header %s cannot carry a credential", quote(name))
	case !headerToken.MatchString(name):
		r.add(n, at, codeFieldName, "", "%s is not a header's name", quote(name))
	}
	return canonicalHeader(name)
}

// warn reports what can be deployed but is probably not what was meant.
func (r *reader) warn(n *yaml.Node, at, code, message string) {
	if !r.cut {
		p := r.pos(n)
		r.put(Fault{Severity: SeverityWarning, Code: code, Message: message, File: r.file, Line: p.Line, Column: p.Column, Path: at})
	}
}

func sigV4Auth() form[SigV4Auth] {
	scope := func() form[string] {
		return word("a word such as eu-central-1", schema{"pattern": awsWord.String()}, func(s string) (string, *problem) {
			if !awsWord.MatchString(s) {
				return "", problemf(codeName, "", "expected a word such as eu-central-1, found %s", quote(s))
			}
			return s, nil
		}, itself)
	}
	return object(SigV4Auth{}, nil,
		required(key("secret", secretName(), `name of the secret with "accessKeyId:secretAccessKey", or with ":sessionToken" behind`, func(a *SigV4Auth) *string { return &a.Secret })),
		required(key("region", scope(), "the region, such as eu-central-1", func(a *SigV4Auth) *string { return &a.Region })),
		required(key("service", scope(), "the service's signing name, such as execute-api", func(a *SigV4Auth) *string { return &a.Service })))
}

var awsWord = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// remote is the text of a Remote: a path at the back end's own origin, or a URL.
func remote(what string) form[string] {
	return word("a URL such as https://login.example/"+what+", or a path at the back end's own origin such as /"+what,
		schema{"pattern": `^(?:https?://[^\s/?#@]+)?(?:/[^\s/?#]+)+$`},
		func(s string) (string, *problem) {
			if !strings.HasPrefix(s, "/") {
				if _, p := parseOrigin(s); p != nil {
					return "", p
				}
				if _, path, _ := strings.Cut(s[len("https://"):], "/"); path == "" {
					return "", problemf(codeURL, "", "the URL needs a path: where the call is made")
				}
				return s, nil
			}
			for segment := range strings.SplitSeq(s[1:], "/") {
				if p := checkLiteral(segment, codeURL); p != nil {
					return "", p
				}
			}
			return s, nil
		}, itself)
}

// remoteFields are the keys that say what the host itself calls, the first under its name.
func remoteFields[T any](name, doc, example string, at func(*T) *Remote) []field[T] {
	where := remote(example)
	return []field[T]{
		{
			name: name, doc: doc, must: true, schema: where.schema,
			read: func(r *reader, n *yaml.Node, p string, t *T) {
				switch s := where.read(r, n, p); {
				case strings.HasPrefix(s, "/"):
					at(t).Path = s
				default:
					at(t).URL = s
				}
			},
			write: func(t *T) any { return at(t).Path + at(t).URL },
		},
		key("private", list(0, 100, prefix(), netip.Prefix.String), "private addresses that may be dialled for a URL", func(t *T) *[]netip.Prefix { return &at(t).Private }),
		key("insecure", boolean(), "true if plain HTTP is meant for a URL", func(t *T) *bool { return &at(t).Insecure }),
		key("tls", pointer(tlsForm()), "whom to trust at a URL, and as whom to appear", func(t *T) **TLS { return &at(t).TLS }),
	}
}

// checkRemote checks a Remote whose text stands under name.
func checkRemote(r *reader, n *yaml.Node, at, name string, to *Remote) {
	if to.Path != "" {
		for _, word := range []string{"private", "insecure", "tls"} {
			if c := child(n, word); c != n {
				r.add(c, join(at, word), codeContradiction, "", "%s belongs to a URL; a path is reached as the back end is", word)
			}
		}
		return
	}
	plainHTTP := strings.HasPrefix(to.URL, "http://")
	switch {
	case to.URL == "": // reported
		return
	case plainHTTP && !to.Insecure:
		r.add(child(n, name), join(at, name), codeContradiction, "https"+strings.TrimPrefix(to.URL, "http"),
			"plain HTTP is refused unless insecure: true says that it is meant")
	case !plainHTTP && to.Insecure:
		r.add(child(n, "insecure"), join(at, "insecure"), codeContradiction, "", "insecure: true belongs to a URL with http://")
	case plainHTTP && to.TLS != nil:
		r.add(child(n, "tls"), join(at, "tls"), codeContradiction, "", "tls belongs to a URL with https://")
	}
	if a, ok := hostAddr(to.URL); ok {
		switch {
		case a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified():
			r.add(child(n, name), join(at, name), codeURL, "", "%s is never dialled: it is a link-local, multicast or unspecified address", a)
		case (a.IsPrivate() || a.IsLoopback()) && !containsAddr(to.Private, a):
			r.add(child(n, name), join(at, name), codePrivate, "", "%s is a private address; list it, for example private: [%s]", a, netip.PrefixFrom(a, a.BitLen()))
		}
	}
}

func containsAddr(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func lifetime() form[time.Duration] { return duration(time.Second, MaxLifetime) }

// shown is a text that an admin writes and that is sent as it is.
func shown(most int) form[string] {
	return word(fmt.Sprintf("printable ASCII, at most %d characters", most), schema{"minLength": 1, "maxLength": most, "pattern": headerText.String()},
		func(s string) (string, *problem) {
			if len(s) > most || !headerText.MatchString(s) || strings.HasSuffix(s, " ") {
				return "", problemf(codeName, "", "expected printable ASCII without a space at its ends, at most %d characters", most)
			}
			return s, nil
		}, itself)
}
