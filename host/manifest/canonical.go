package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Document is one document in canonical form.
type Document struct {
	Kind string
	Name string
	JSON []byte // one line; a manifest that Load reads to the same document
}

// Documents returns the canonical form of the set: kinds in the order Backend, Domain,
// Plugin, Route, Issuer, Consumer, Gateway, names sorted within each. Defaults are written out, keys and lists
// without order are sorted, numbers keep their digits. Two sets that mean the same have
// the same canonical form, however they are spread over files.
func (s *Set) Documents() []Document {
	var out []Document
	add := func(kind, name string, written any) {
		out = append(out, Document{kind, name, marshal(written)})
	}
	backend, domain, plugin, route := backendForm(), domainForm(), pluginForm(), routeForm()
	issuer, consumer := issuerForm(), consumerForm()
	for _, b := range s.Backends {
		add(KindBackend, b.Name, backend.write(document[Backend]{Name: b.Name, Spec: *b}))
	}
	for _, d := range s.Domains {
		add(KindDomain, d.Name, domain.write(document[Domain]{Name: d.Name, Spec: *d}))
	}
	for _, p := range s.Plugins {
		add(KindPlugin, p.Name, plugin.write(document[Plugin]{Name: p.Name, Spec: *p}))
	}
	for _, r := range s.Routes {
		add(KindRoute, r.Name, route.write(document[Route]{Name: r.Name, Spec: *r}))
	}
	for _, i := range s.Issuers {
		add(KindIssuer, i.Name, issuer.write(document[Issuer]{Name: i.Name, Spec: *i}))
	}
	for _, c := range s.Consumers {
		add(KindConsumer, c.Name, consumer.write(document[Consumer]{Name: c.Name, Spec: *c}))
	}
	if g := s.Gateway; g != nil {
		add(KindGateway, g.Name, gatewayForm().write(document[Gateway]{Name: g.Name, Spec: *g}))
	}
	return out
}

// Digest returns the SHA-256, in hex, of the canonical form:
//
//	pointsman/v1 set\n
//	Kind name length-of-JSON\n   for each document
//	JSON\n
func (s *Set) Digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s set\n", APIVersion)
	for _, d := range s.Documents() {
		fmt.Fprintf(h, "%s %s %d\n%s\n", d.Kind, d.Name, len(d.JSON), d.JSON)
	}
	return hex.EncodeToString(h.Sum(nil))
}
