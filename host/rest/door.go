package rest

import (
	"errors"
	"net/http"

	"pointsman/host/broker"
	"pointsman/host/clientcert"
	"pointsman/host/gateway"
)

var errTwoCredentials = errors.New("rest: the credential cannot be read, or there are two")

// enter takes a request through the two locks: what the gateway proves, where the release
// has one, and what the consumer does. Both are always evaluated, and when both are opened
// it returns the consumer. From then on r has no header that says who the client is, and
// reading its body fails at the end if it is not the one that the gateway signed.
func enter(release Release, r *http.Request) (broker.Principal, error) {
	proof, direct, byGateway := release.Prove(gateway.FromHTTP(r))
	shown, unreadable := certificate(r, proof, direct)
	presented, ok := credential(r.Header)
	if !ok {
		unreadable = errTwoCredentials
	}
	clientcert.Drop(r.Header)
	r.Body = proof.Body(r.Body)
	principal, byConsumer := release.Authenticate(r.Context(), presented, shown)
	if !direct && byGateway == nil && !proof.Verified() {
		byGateway = errNoProof
	}
	if err := refusal(byGateway, byConsumer, unreadable); err != nil {
		return broker.Principal{}, err
	}
	return principal, nil
}

// errNoProof is for a Release that breaks its word.
var errNoProof = errors.New("rest: there is no proof and no refusal of it")

// certificate is what the client showed: to us where it comes directly, else to the gateway,
// which has proved that it says so.
func certificate(r *http.Request, proof gateway.Proof, direct bool) (clientcert.Chain, error) {
	switch {
	case direct && r.TLS != nil && r.TLS.HandshakeComplete:
		return clientcert.FromTLS(r.TLS.PeerCertificates), nil
	case !direct && proof.Verified():
		return clientcert.FromHeader(r.Header)
	}
	return nil, nil
}

// refusal is how a request is refused of which any of these is wrong: in one way, unless all
// that is wrong is that something cannot be checked now. A stranger does not learn that.
func refusal(byGateway, byConsumer, unreadable error) error {
	if unreadable == nil && !refused(byGateway) && !refused(byConsumer) {
		if byGateway != nil {
			return byGateway
		}
		return byConsumer
	}
	return &broker.Error{Kind: broker.Unauthenticated, Err: errors.Join(byGateway, byConsumer, unreadable)}
}

func refused(err error) bool { return err != nil && broker.KindOf(err) == broker.Unauthenticated }
