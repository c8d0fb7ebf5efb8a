package manifest

import (
	"slices"

	"go.yaml.in/yaml/v4"
)

func consumerSpec() form[Consumer] {
	return object(Consumer{}, nil,
		required(authField()),
		key("scopes", list(0, 100, name(scopeName), itself), "what the consumer may do", func(c *Consumer) *[]string { return &c.Scopes }),
		key("sector", name(plainName), "the group within which pointers are stable; the consumer's own name unless written", func(c *Consumer) *string { return &c.Sector }),
		key("rate", pointer(rate()), "the most requests, such as 200/s", func(c *Consumer) **Rate { return &c.Rate }),
		key("subjects", pointer(subjects()), "the most distinct subjects that are revealed, such as 50000/day", func(c *Consumer) **Rate { return &c.Subjects }))
}

// consumerAuth is the form of a consumer's spec.auth.
type consumerAuth struct {
	APIKey *struct{}
	JWT    *ConsumerJWT
	MTLS   *ConsumerMTLS
}

func authField() field[Consumer] {
	token := object(ConsumerJWT{}, checkConsumerJWT,
		required(key("issuer", using(KindIssuer, name(plainName)), "name of the issuer that signs its tokens", func(j *ConsumerJWT) *string { return &j.Issuer })),
		required(key("claims", named(claimText, 10, free(500)), "claims that its tokens have, and only its, such as azp: web-shop", func(j *ConsumerJWT) *map[string]string { return &j.Claims })))
	certificate := object(ConsumerMTLS{}, nil,
		required(key("ca", file(""), "PEM file with the roots of its certificate", func(m *ConsumerMTLS) *string { return &m.CA })),
		required(key("name", certificateName(), "a name in its certificate (SAN), and only in its: a DNS name or URI", func(m *ConsumerMTLS) *string { return &m.Name })))
	f := object(consumerAuth{}, checkConsumerAuth,
		key("apiKey", pointer(object(struct{}{}, nil)), "{} for a key that pointsman makes", func(a *consumerAuth) **struct{} { return &a.APIKey }),
		key("jwt", pointer(token), "a token that an issuer signed", func(a *consumerAuth) **ConsumerJWT { return &a.JWT }),
		key("mtls", pointer(certificate), "a client certificate", func(a *consumerAuth) **ConsumerMTLS { return &a.MTLS }))
	f.schema["minProperties"] = 1
	return field[Consumer]{
		name: "auth", doc: "how the consumer proves who it is", schema: f.schema,
		read: func(r *reader, n *yaml.Node, at string, c *Consumer) {
			a := f.read(r, n, at)
			c.APIKey, c.JWT, c.MTLS = a.APIKey != nil, a.JWT, a.MTLS
		},
		write: func(c *Consumer) any {
			a := consumerAuth{JWT: c.JWT, MTLS: c.MTLS}
			if c.APIKey {
				a.APIKey = &struct{}{}
			}
			return f.write(a)
		},
	}
}

// checkConsumerAuth refuses a consumer that could not prove who it is.
func checkConsumerAuth(r *reader, n *yaml.Node, at string, a *consumerAuth) {
	if n.Kind == yaml.MappingNode && *a == (consumerAuth{}) && len(n.Content) == 0 {
		r.add(n, join(at, "apiKey"), codeMissing, "", "auth needs one of apiKey, jwt and mtls: nobody gets in without")
	}
}

// commonClaims are those that every token of an issuer has, or no two tokens have alike.
var commonClaims = []string{"iss", "aud", "exp", "nbf", "iat", "jti", "cnf"}

func checkConsumerJWT(r *reader, n *yaml.Node, at string, j *ConsumerJWT) {
	claims := child(n, "claims")
	if claims != n && claims.Kind == yaml.MappingNode && len(j.Claims) == 0 {
		r.add(claims, join(at, "claims"), codeLength, "", "0 entries; without a claim every token of the issuer would be this consumer's")
	}
	for _, c := range keys(j.Claims) {
		if slices.Contains(commonClaims, c) {
			r.add(child(claims, c), join(join(at, "claims"), c), codeContradiction, "", "the claim %s says nothing of who the consumer is; azp, client_id or sub do", c)
		}
	}
}
