package clientcert

import (
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// The headers in which a gateway says whose connection it ended (RFC 9440).
const (
	Header      = "Client-Cert"
	HeaderChain = "Client-Cert-Chain"
)

// otherHeaders are what servers and proxies call the like, and some of their users believe.
var otherHeaders = []string{
	"x-forwarded-client-cert", "x-client-cert", "x-ssl-client-cert", "ssl-client-cert", "x-ssl-cert", "x-tls-client-cert",
	"x-amzn-mtls-clientcert", "x-amzn-mtls-clientcert-leaf", "x-forwarded-tls-client-cert", "x-arr-clientcert",
	"x-client-verify", "x-ssl-client-verify", "x-ssl-client-s-dn", "x-ssl-client-dn", "x-client-dn",
}

// Identity reports whether a header says who the client is, in any spelling: in any case, and
// with underscores, which some programs take for hyphens. No such header is passed on, and
// none but Header and HeaderChain, as they are, is ever read.
func Identity(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	return name == "client-cert" || name == "client-cert-chain" || slices.Contains(otherHeaders, name)
}

// Drop removes all identity headers.
func Drop(h http.Header) {
	for name := range h {
		if Identity(name) {
			delete(h, name)
		}
	}
}

var errHeader = errors.New("clientcert: the header is not what RFC 9440 says")

// FromHeader is the chain that a gateway passes on, empty if it passes on none. The caller
// knows that the gateway proved itself on this request.
func FromHeader(h http.Header) (Chain, error) {
	lines, above := h.Values(Header), h.Values(HeaderChain)
	switch {
	case len(lines) == 0 && len(above) == 0:
		return nil, nil
	case len(lines) != 1:
		return nil, errHeader
	}
	leaf, ok := binary64(lines[0])
	if !ok {
		return nil, errHeader
	}
	c, size := Chain{leaf}, len(leaf)
	for _, line := range above {
		for item := range strings.SplitSeq(line, ",") {
			der, ok := binary64(strings.Trim(item, " \t"))
			if size += len(der); !ok || len(c) == maxChain || size > maxBytes {
				return nil, errHeader
			}
			c = append(c, der)
		}
	}
	return c, nil
}

// binary64 reads a byte sequence of RFC 8941 §3.3.5, without parameters.
func binary64(s string) ([]byte, bool) {
	if len(s) < 3 || len(s) > 2*maxBytes || s[0] != ':' || s[len(s)-1] != ':' || strings.ContainsAny(s, "\r\n") {
		return nil, false
	}
	der, err := base64.StdEncoding.Strict().DecodeString(s[1 : len(s)-1])
	return der, err == nil && len(der) > 0
}
