package manifest

import (
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// prefix is an address prefix in its usual spelling.
func prefix() form[netip.Prefix] {
	return word("an address prefix such as 10.1.0.0/16", schema{"pattern": `^[0-9a-f.:]+/[0-9]{1,3}$`}, parsePrefix, netip.Prefix.String)
}

func parsePrefix(s string) (netip.Prefix, *problem) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		near := ""
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			near = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()).String()
		}
		return p, problemf(codePrefix, near, "expected an address prefix such as 10.1.0.0/16, found %s", quote(s))
	}
	if p.Addr().Is4In6() {
		return p, problemf(codePrefix, "", "%s is an IPv4 address in IPv6 form; write it as IPv4", quote(s))
	}
	if m := p.Masked(); m.String() != s {
		if m != p {
			return p, problemf(codePrefix, m.String(), "%s has bits beyond its length", quote(s))
		}
		return p, problemf(codePrefix, m.String(), "%s is not in its usual spelling", quote(s))
	}
	if p.Addr().Is4() && p.Bits() < widest4 || p.Addr().Is6() && p.Bits() < widest6 {
		return p, problemf(codeRange, "", "%s is wider than any private network (10.0.0.0/%d, fc00::/%d)", quote(s), widest4, widest6)
	}
	return p, nil
}

// The lengths of the widest private networks: 10.0.0.0/8 (RFC 1918) and fc00::/7 (RFC 4193).
const (
	widest4 = 8
	widest6 = 7
)

var hostLabel = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)

// numberLabel matches what WHATWG URL calls a number at the end of a host: browsers and C
// libraries read such a host as an IPv4 address (2130706433, 0x7f.1).
var numberLabel = regexp.MustCompile(`^(?:[0-9]+|0x[0-9a-f]*)$`)

// origin is the URL of a back end.
func origin() form[string] {
	return word("a URL such as https://crm.example", schema{"pattern": `^https?://[^\s/?#@]+(?:/[^\s?#]*)?$`}, parseOrigin, itself)
}

func parseOrigin(s string) (string, *problem) {
	bad := func(near, format string, args ...any) (string, *problem) {
		return "", problemf(codeURL, near, format, args...)
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Opaque != "" || strings.ContainsAny(s, `\% `+"\t\n"):
		return bad("", "expected a URL such as https://crm.example") // not shown: it might hold a password
	case u.User != nil:
		return bad("", "user and password do not belong in a URL; set a secret and name it in auth")
	case u.Scheme != "https" && u.Scheme != "http" || !strings.HasPrefix(s, u.Scheme+"://"):
		return bad("", "expected a URL that begins with https://")
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#"):
		return bad("", "a query or fragment does not belong in a back end's URL")
	}
	if p := checkHost(u); p != nil {
		return "", p
	}
	host := u.Scheme + "://" + u.Host
	if port := u.Port(); strings.HasSuffix(u.Host, ":") || port != "" {
		n, err := strconv.Atoi(port)
		usual := u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80"
		switch {
		case err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != port:
			return bad("", "%s is not a port from 1 to 65535", quote(port))
		case usual:
			return bad(strings.TrimSuffix(host, ":"+port)+strings.TrimSuffix(u.Path, "/"), "leave out the usual port")
		}
	}
	if strings.HasSuffix(u.Path, "/") {
		return bad(host+strings.TrimRight(u.Path, "/"), "leave out the slash at the end")
	}
	if u.Path != "" {
		for segment := range strings.SplitSeq(u.Path[1:], "/") {
			if p := checkLiteral(segment, codeURL); p != nil {
				return "", p
			}
		}
	}
	if host+u.Path != s {
		return bad(host+u.Path, "not in the usual spelling")
	}
	return s, nil
}

// checkHost accepts DNS names in lower-case ASCII and IP addresses in their usual spelling.
func checkHost(u *url.URL) *problem {
	host := u.Hostname()
	if host == "" || len(host) > 253 {
		return problemf(codeURL, "", "the URL needs a host of at most 253 characters")
	}
	if strings.HasPrefix(u.Host, "[") {
		a, err := netip.ParseAddr(host)
		if err != nil || !a.Is6() || a.Is4In6() || a.Zone() != "" || a.String() != host {
			return problemf(codeURL, "", "%s is not an IPv6 address in its usual spelling", quote(host))
		}
		return nil
	}
	labels := strings.Split(host, ".")
	if numberLabel.MatchString(strings.ToLower(labels[len(labels)-1])) {
		a, err := netip.ParseAddr(host)
		if err != nil || !a.Is4() || a.String() != host {
			return problemf(codeURL, "", "%s is not an IPv4 address in its usual spelling", quote(host))
		}
		return nil
	}
	for _, label := range labels {
		if !hostLabel.MatchString(label) {
			near := strings.TrimSuffix(strings.ToLower(host), ".")
			if near == host {
				near = ""
			}
			return problemf(codeURL, near, "%s is not a host name in lower-case ASCII (names in other scripts are written xn--…)", quote(host))
		}
	}
	return nil
}

// hostAddr returns the address in a URL that parseOrigin let pass, if its host is one.
func hostAddr(s string) (netip.Addr, bool) {
	u, err := url.Parse(s)
	if err != nil {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(u.Hostname())
	return a, err == nil
}
