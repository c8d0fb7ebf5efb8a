package egress

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// origin is where a back end is: what its URL says, taken apart once.
type origin struct {
	scheme    string // http or https
	host      string // a name in lower case, or an address without brackets
	authority string // host and, unless it is the scheme's own, port: the Host header
	base      string // path that goes before every request's: empty, or a checked path
}

// parseOrigin refuses every URL that two programs could read differently.
func parseOrigin(text string, insecure bool) (origin, error) {
	for _, c := range []byte(text) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`\"<>^{}|`+"`", c) >= 0 {
			return origin{}, errors.New("url: it holds a character that no URL does")
		}
	}
	u, err := url.Parse(text)
	if err != nil {
		return origin{}, errors.New("url: it cannot be parsed") // the cause repeats it
	}
	switch {
	case u.Scheme == "http" && !insecure:
		return origin{}, errors.New("url: plain HTTP sends data and credential in the clear; use https, or say insecure: true if it is meant")
	case u.Scheme != "https" && u.Scheme != "http":
		return origin{}, errors.New("url: the scheme must be https")
	case u.User != nil:
		return origin{}, errors.New("url: it must not hold a user; use auth")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(text, "#"):
		return origin{}, errors.New("url: it must end after the path")
	case u.Opaque != "" || u.Host == "":
		return origin{}, errors.New("url: it names no host")
	}
	o := origin{scheme: u.Scheme, host: strings.ToLower(u.Hostname())}
	if err := checkHost(o.host); err != nil {
		return origin{}, err
	}
	if o.authority, err = authority(u, o.host); err != nil {
		return origin{}, err
	}
	o.base = strings.TrimSuffix(u.EscapedPath(), "/")
	if o.base != "" {
		if err := CheckPath(o.base); err != nil {
			return origin{}, fmt.Errorf("url: path: %w", err)
		}
	}
	return o, nil
}

func authority(u *url.URL, host string) (string, error) {
	name := host
	if strings.Contains(host, ":") {
		name = "[" + host + "]"
	}
	port := u.Port()
	if port == "" {
		if strings.HasSuffix(u.Host, ":") {
			return "", errors.New("url: the port is missing after the colon")
		}
		return name, nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return "", errors.New("url: the port must be a number from 1 to 65535, written plainly")
	}
	if u.Scheme == "https" && n == 443 || u.Scheme == "http" && n == 80 {
		return name, nil
	}
	return net.JoinHostPort(host, port), nil
}

// checkHost takes an address in its one canonical form, or a name that nothing could take
// for an address: inet_aton reads 127.1, 0x7f.1, 017700000001 and 2130706433 as 127.0.0.1.
func checkHost(host string) error {
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" || addr.String() != host {
			return errors.New("url: the address must be in canonical form, without a zone")
		}
		return nil
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if !isLabel(label) {
			return errors.New("url: the host must be a name of letters, digits and hyphens, or an address; write an international name as xn--")
		}
	}
	last := labels[len(labels)-1]
	_, err := strconv.ParseUint(last, 0, 64) // 0x and leading 0 too
	if err == nil || last[0] >= '0' && last[0] <= '9' {
		return errors.New("url: a host that ends in a number is no name, and not an address in canonical form")
	}
	if len(host) > 253 { // RFC 1035 §2.3.4
		return errors.New("url: the host is longer than 253 bytes")
	}
	return nil
}

// isLabel is RFC 1123 §2.1. The underscore is no part of host names.
func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}
