package manifest

import (
	"encoding/base64"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"
)

func tlsForm() form[TLS] {
	certificate := object(ClientCertificate{}, nil,
		required(key("secret", secretName(), "name of the secret: certificate chain and private key, PEM", func(c *ClientCertificate) *string { return &c.Secret })))
	return object(TLS{}, checkTLS,
		key("ca", file(""), "PEM file with the roots to trust instead of the system's", func(t *TLS) *string { return &t.CA }),
		key("pins", list(1, 20, pin(), itself), "public keys, one of which must be in the chain: sha256/ and base64", func(t *TLS) *[]string { return &t.Pins }),
		key("minVersion", choice(codeWord, "1.2", "1.3"), "the oldest version of TLS, in quotes", func(t *TLS) *string { return &t.MinVersion }),
		key("serverName", hostName(), "the name in the certificate when it is not the URL's host", func(t *TLS) *string { return &t.ServerName }),
		key("clientCertificate", pointer(certificate), "what to show a back end that asks for a certificate", func(t *TLS) **ClientCertificate { return &t.ClientCertificate }))
}

func checkTLS(r *reader, n *yaml.Node, at string, t *TLS) {
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		r.add(n, at, codeMissing, "", "tls says nothing; name what differs, such as ca, or leave it out")
	}
}

var pinText = regexp.MustCompile(`^sha256/[A-Za-z0-9+/]{43}=$`)

// pin is the SHA-256 of a public key as RFC 7469 and curl write it.
func pin() form[string] {
	return word("a pin such as sha256/ and 44 characters of base64", schema{"pattern": pinText.String()}, func(s string) (string, *problem) {
		raw, ok := strings.CutPrefix(s, "sha256/")
		if _, err := base64.StdEncoding.Strict().DecodeString(raw); !ok || err != nil || !pinText.MatchString(s) {
			return "", problemf(codeDigest, "", "expected sha256/ and the base64 of a public key's SHA-256, found %s", quote(s))
		}
		return s, nil
	}, itself)
}

// hostName is a DNS name.
func hostName() form[string] {
	return word("a host name such as crm.example", schema{"pattern": `^[a-z0-9.-]{1,253}$`}, func(s string) (string, *problem) {
		if p := checkHostName(s); p != nil {
			return "", p
		}
		return s, nil
	}, itself)
}

func checkHostName(s string) *problem {
	labels := strings.Split(s, ".")
	for _, label := range labels {
		if len(s) > 253 || !hostLabel.MatchString(label) || numberLabel.MatchString(labels[len(labels)-1]) {
			near := strings.TrimSuffix(strings.ToLower(s), ".")
			if near == s {
				near = ""
			}
			return problemf(codeURL, near, "%s is not a host name in lower-case ASCII", quote(s))
		}
	}
	return nil
}
