package manifest

import (
	"cmp"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

func sqlBackend() form[SQLBackend] {
	limits := object(SQLLimits{}, checkSQLLimits,
		key("time", duration(10*time.Millisecond, MaxDeadline), "the longest that one statement may take", func(l *SQLLimits) *time.Duration { return &l.Time }),
		key("rows", number(1, maxRows), "the most rows of a result; 1000 unless written", func(l *SQLLimits) *int { return &l.Rows }),
		key("bytes", size[int64](1, 8<<20), "the largest result", func(l *SQLLimits) *int64 { return &l.Bytes }),
		key("cell", size[int64](1, 8<<20), "the largest value of a result", func(l *SQLLimits) *int64 { return &l.Cell }),
		key("connections", number(1, 1000), "how many connections may be open at once", func(l *SQLLimits) *int { return &l.Connections }))
	type password struct{ Secret string }
	secret := object(password{}, nil,
		required(key("secret", secretName(), "name of the secret", func(p *password) *string { return &p.Secret })))
	pass := key("password", form[string]{
		schema: secret.schema,
		read: func(r *reader, n *yaml.Node, at string) string {
			if n.Kind == yaml.ScalarNode && !tagged(n) { // not shown: it might be the password itself
				r.add(n, at, codeType, "", "expected {secret: NAME}, the name of a secret")
				return ""
			}
			return secret.read(r, n, at).Secret
		},
		write: func(s string) any { return secret.write(password{s}) },
	}, "which secret is the user's password", func(b *SQLBackend) *string { return &b.Password })
	return object(SQLBackend{}, checkSQLBackend,
		required(key("driver", choice(codeWord, DriverSQLite, DriverPostgres, DriverMySQL), "sort of database", func(b *SQLBackend) *string { return &b.Driver })),
		key("file", databaseFile(), "of sqlite: the database, below the broker's folder of databases", func(b *SQLBackend) *string { return &b.File }),
		key("address", address(), "host and port, such as db.example:5432", func(b *SQLBackend) *string { return &b.Address }),
		key("database", free(63), "name of the database at the address", func(b *SQLBackend) *string { return &b.Database }),
		key("user", free(63), "as whom to connect", func(b *SQLBackend) *string { return &b.User }),
		pass,
		key("tls", pointer(tlsForm()), "whom to trust, and as whom to appear", func(b *SQLBackend) **TLS { return &b.TLS }),
		key("insecure", boolean(), "true if a connection without TLS is meant", func(b *SQLBackend) *bool { return &b.Insecure }),
		key("private", list(0, 100, prefix(), netip.Prefix.String), "private addresses that may be dialled", func(b *SQLBackend) *[]netip.Prefix { return &b.Private }),
		key("readRole", name(roleName), "of postgres: the role of statements that do not write", func(b *SQLBackend) *string { return &b.ReadRole }),
		key("limits", limits, "bounds on statements and results", func(b *SQLBackend) *SQLLimits { return &b.Limits }),
		required(key("statements", named(plainName, 200, pointer(statement())), "what plugins can be granted, by name", func(b *SQLBackend) *map[string]*Statement { return &b.Statements })))
}

// roleName is an identifier that needs no quotes (PostgreSQL 4.1.1).
var roleName = nameRule{pattern: regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`), want: "a role's name (lower-case letters, digits or underscores, at most 63)"}

func checkSQLLimits(r *reader, n *yaml.Node, at string, l *SQLLimits) {
	if most := cmp.Or(l.Bytes, DefaultSQLBytes); l.Cell > most {
		r.add(child(n, "cell"), join(at, "cell"), codeContradiction, "", "one value cannot be larger than the whole result, %s", written(most, sizeUnits))
	}
}

// checkSQLBackend reports keys that the driver has no use for, and those that it needs.
func checkSQLBackend(r *reader, n *yaml.Node, at string, b *SQLBackend) {
	remote := []string{"address", "database", "user"}
	switch b.Driver {
	case DriverSQLite:
		if child(n, "file") == n {
			r.add(n, join(at, "file"), codeMissing, "", "key \"file\" is missing: where the database is")
		}
		for _, name := range append(remote, "password", "tls", "insecure", "private", "readRole") {
			if c := child(n, name); c != n {
				r.add(c, join(at, name), codeContradiction, "", "a database in a file has no %s", name)
			}
		}
	case DriverPostgres, DriverMySQL:
		for _, name := range remote {
			if child(n, name) == n {
				r.add(n, join(at, name), codeMissing, "", "key %q is missing: the driver %s needs it", name, b.Driver)
			}
		}
		if c := child(n, "file"); c != n {
			r.add(c, join(at, "file"), codeContradiction, "", "the driver %s reaches an address, not a file", b.Driver)
		}
		if c := child(n, "readRole"); c != n && b.Driver != DriverPostgres {
			r.add(c, join(at, "readRole"), codeContradiction, "", "only the driver %s has a readRole", DriverPostgres)
		}
		for _, name := range []string{"pins", "clientCertificate"} {
			if c := child(n, "tls", name); c != child(n, "tls") && c != n {
				r.add(c, join(at, "tls."+name), codeContradiction, "", "only an HTTP origin has %s", name)
			}
		}
		if b.Insecure && b.TLS != nil {
			r.add(child(n, "tls"), join(at, "tls"), codeContradiction, "", "insecure: true is a connection without TLS")
		}
		checkAddress(r, n, at, b)
	}
	if statements := child(n, "statements"); statements.Kind == yaml.MappingNode && statements != n && len(b.Statements) == 0 {
		r.add(statements, join(at, "statements"), codeLength, "", "a database needs a statement, or nothing can be asked of it")
	}
	most := cmp.Or(b.Limits.Rows, DefaultRows)
	for _, name := range keys(b.Statements) {
		if b.Statements[name].Rows > most {
			r.add(child(n, "statements", name, "rows"), join(at, "statements."+name+".rows"), codeContradiction, "", "statement %s may have more rows than the limit, %d", name, most)
		}
	}
}

// checkAddress is what checkHTTPBackend does for a URL.
func checkAddress(r *reader, n *yaml.Node, at string, b *SQLBackend) {
	host, _, _ := net.SplitHostPort(b.Address)
	a, err := netip.ParseAddr(host)
	switch {
	case err != nil:
	case a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified():
		r.add(child(n, "address"), join(at, "address"), codeURL, "", "%s is never dialled: it is a link-local, multicast or unspecified address", a)
	case (a.IsPrivate() || a.IsLoopback()) && !slices.ContainsFunc(b.Private, func(p netip.Prefix) bool { return p.Contains(a) }):
		r.add(child(n, "address"), join(at, "address"), codePrivate, "", "%s is a private address; list it, for example private: [%s]", a, netip.PrefixFrom(a, a.BitLen()))
	}
}

// address is a host and a port.
func address() form[string] {
	const want = "a host and a port such as db.example:5432"
	return word(want, schema{"pattern": `^[^\s/?#@]+:[0-9]{1,5}$`}, func(s string) (string, *problem) {
		host, port, err := net.SplitHostPort(s)
		number, portErr := strconv.Atoi(port)
		u := &url.URL{Host: s}
		switch {
		case strings.ContainsAny(s, "@/?#% \\") || err != nil:
			return "", problemf(codeURL, "", "expected %s", want) // not shown: it might hold a password
		case portErr != nil || number < 1 || number > 65535 || strconv.Itoa(number) != port:
			return "", problemf(codeURL, "", "%s is not a port from 1 to 65535", quote(port))
		case net.JoinHostPort(host, port) != s:
			return "", problemf(codeURL, net.JoinHostPort(host, port), "not in the usual spelling")
		}
		if p := checkHost(u); p != nil {
			return "", p
		}
		return s, nil
	}, itself)
}

// databaseFile is the path of a file below the broker's folder of databases.
func databaseFile() form[string] {
	return word("a path below the folder of databases", schema{"pattern": fileText.String()}, func(s string) (string, *problem) {
		if !fileText.MatchString(s) || !fs.ValidPath(s) || s == "." {
			near := strings.TrimPrefix(strings.ReplaceAll(s, `\`, "/"), "./")
			if near == s || !fileText.MatchString(near) || !fs.ValidPath(near) {
				near = ""
			}
			return "", problemf(codePath, near, "%s is not a path below the folder of databases", quote(s))
		}
		return s, nil
	}, itself)
}

func statement() form[Statement] {
	return object(Statement{}, checkStatement,
		required(key("sql", free(maxText), "the statement, with the driver's placeholders", func(s *Statement) *string { return &s.SQL })),
		key("params", sequence(0, 64, statementParam(), func(p StatementParam) string { return p.Name }), "arguments, in the order of the placeholders", func(s *Statement) *[]StatementParam { return &s.Params }),
		key("choices", named(paramName, 10, named(plainName, 50, free(500))), "what can stand for {name} in the statement: name, and a text for each word", func(s *Statement) *map[string]map[string]string { return &s.Choices }),
		key("write", boolean(), "true if it changes the database", func(s *Statement) *bool { return &s.Write }),
		key("rows", number(1, maxRows), "the most rows of its result, within the limit", func(s *Statement) *int { return &s.Rows }),
		key("labels", labels(), "labels of fields in a row: label, and the paths that have it", func(s *Statement) *map[string][]string { return &s.Labels }))
}

func statementParam() form[StatementParam] {
	return object(StatementParam{}, func(r *reader, n *yaml.Node, at string, p *StatementParam) {
		if p.MaxLength > 0 && p.Type != "" && p.Type != TypeText && p.Type != TypeBytes {
			r.add(child(n, "maxLength"), join(at, "maxLength"), codeContradiction, "", "only %s and %s have a length", TypeText, TypeBytes)
		}
	},
		required(key("name", name(paramName), "the argument's name", func(p *StatementParam) *string { return &p.Name })),
		required(key("type", choice(codeWord, TypeText, TypeInteger, TypeNumber, TypeBoolean, TypeTimestamp, TypeBytes), "the argument's type", func(p *StatementParam) *string { return &p.Type })),
		key("maxLength", number(1, 65536), "the longest text, in characters, or the most bytes", func(p *StatementParam) *int { return &p.MaxLength }),
		key("optional", boolean(), "true if it may be null", func(p *StatementParam) *bool { return &p.Optional }))
}

// choiceText is the place of a choice in a statement, as host/sqldb finds it.
var choiceText = regexp.MustCompile(`\{([A-Za-z_][A-Za-z0-9_-]{0,62})\}`)

// maxTexts is host/sqldb's bound on what one statement can become: each is prepared.
const maxTexts = 64

// checkStatement holds the choices against the places in the text that they fill.
func checkStatement(r *reader, n *yaml.Node, at string, s *Statement) {
	if s.SQL == "" {
		return // reported
	}
	var places []string
	for _, m := range choiceText.FindAllStringSubmatch(s.SQL, -1) {
		places = append(places, m[1])
	}
	for _, name := range keys(s.Choices) {
		switch {
		case !slices.Contains(places, name):
			r.add(child(n, "choices", name), join(at, "choices."+name), codeChoice, r.nearest(name, places), "the statement has no place {%s}", name)
		case len(s.Choices[name]) == 0:
			r.add(child(n, "choices", name), join(at, "choices."+name), codeLength, "", "a choice needs a word")
		}
	}
	texts := 1
	for _, name := range keys(s.Choices) {
		if texts *= max(1, len(s.Choices[name])); texts > maxTexts {
			r.add(child(n, "choices"), join(at, "choices"), codeLength, "", "the choices make more than %d statements", maxTexts)
			break
		}
	}
	slices.Sort(places)
	for _, name := range slices.Compact(places) {
		if _, ok := s.Choices[name]; !ok {
			r.add(child(n, "sql"), join(at, "sql"), codeChoice, r.nearest(name, keys(s.Choices)), "there is no choice for {%s}", name)
		}
	}
}
