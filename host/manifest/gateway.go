package manifest

import (
	"net/url"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Gateway is what stands in front of the broker. With it every request must also carry its
// proof. In a Set it has exactly one of MTLS, Signed and Static.
type Gateway struct {
	Name   string
	Pos    Pos
	MTLS   *GatewayCertificate
	Signed *GatewaySignature
	Static *GatewayToken
}

// GatewayCertificate is a client certificate that the gateway shows.
type GatewayCertificate struct {
	CA    string   // slash-separated path of a PEM file, relative to the manifests' root
	Names []string // SANs (DNS names or URIs), one of which it has, sorted; never empty in a Set
}

// GatewaySignature is a header that signs each request.
type GatewaySignature struct {
	Secret string        // name of the secret that both sides know
	Skew   time.Duration // tolerance of clocks, at most MaxSkew; DefaultSkew unless written
}

// GatewayToken is a header that is always the same.
type GatewayToken struct {
	Secret string // name of the secret that is sent
}

func gatewaySpec() form[Gateway] {
	certificate := object(GatewayCertificate{}, nil,
		required(key("ca", file(""), "PEM file with the roots of the gateway's certificate", func(g *GatewayCertificate) *string { return &g.CA })),
		required(key("names", list(1, 20, certificateName(), itself), "names in the certificate, one of which it has", func(g *GatewayCertificate) *[]string { return &g.Names })))
	signature := object(GatewaySignature{Skew: DefaultSkew}, nil,
		required(key("secret", secretName(), "name of the secret that both sides know", func(g *GatewaySignature) *string { return &g.Secret })),
		key("skew", duration(time.Second, MaxSkew), "how far its clock may be from ours; 30s unless written", func(g *GatewaySignature) *time.Duration { return &g.Skew }))
	token := object(GatewayToken{}, nil,
		required(key("secret", secretName(), "name of the secret that is sent", func(g *GatewayToken) *string { return &g.Secret })))
	return object(Gateway{}, checkGateway,
		key("mtls", pointer(certificate), "it shows a client certificate", func(g *Gateway) **GatewayCertificate { return &g.MTLS }),
		key("signed", pointer(signature), "it signs each request with a key that both sides know", func(g *Gateway) **GatewaySignature { return &g.Signed }),
		key("static", pointer(token), "it sends a secret", func(g *Gateway) **GatewayToken { return &g.Static }))
}

// gatewayWays are the keys of a Gateway of which exactly one is written.
var gatewayWays = []string{"mtls", "signed", "static"}

func checkGateway(r *reader, n *yaml.Node, at string, _ *Gateway) {
	if n.Kind != yaml.MappingNode {
		return // reported
	}
	var ways []string
	for _, way := range gatewayWays {
		if child(n, way) != n {
			ways = append(ways, way)
		}
	}
	switch len(ways) {
	case 0:
		r.add(n, join(at, "mtls"), codeMissing, "", "a gateway needs one of %s: how it proves itself", oneOf(gatewayWays))
	case 1:
	default:
		r.add(child(n, ways[1]), join(at, ways[1]), codeContradiction, "", "%s and %s exclude each other: a gateway has one proof", ways[0], ways[1])
	}
}

// certificateURI is an absolute URI without characters that programs disagree about.
var certificateURI = regexp.MustCompile(`^[a-z][a-z0-9+.-]*:[A-Za-z0-9._~:/?&=+@!$,;-]{1,400}$`)

// certificateName is a SAN: a DNS name without wildcard, or a URI.
func certificateName() form[string] {
	dns := hostName()
	return word("a DNS name or a URI", schema{"anyOf": []any{
		schema{"pattern": dns.schema["pattern"]}, schema{"pattern": certificateURI.String()},
	}}, func(s string) (string, *problem) {
		if strings.Contains(s, ":") {
			if _, err := url.Parse(s); err != nil || !certificateURI.MatchString(s) {
				return "", problemf(codeURL, "", "%s is not a URI such as spiffe://acme.example/till", quote(s))
			}
			return s, nil
		}
		if p := checkHostName(s); p != nil {
			return "", p
		}
		return s, nil
	}, itself)
}
