package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"pointsman/host/broker"
	"pointsman/host/clientcert"
	"pointsman/host/gateway"
	"pointsman/host/manifest"
	"pointsman/host/token"
)

// door is the two locks of a release: the gateway's, if one is declared, and the
// consumers'. API keys are not in it; see consumer.Directory. A nil door lets nobody in.
type door struct {
	gateway      *gatekeeper // nil: no Gateway is declared, and consumers come directly
	tokens       *token.Verifier
	certificates *clientcert.Directory
}

var errNoDoor = &broker.Error{Kind: broker.Unavailable, Err: errors.New("the release has no door")}

// Prove returns the proof that a request came through the gateway. direct says that the
// release has none, so that no proof is needed, and that there is none either: what a
// gateway would say of the consumer does not count. Refusals are those of gateway.Verify.
func (r *Release) Prove(q gateway.Request) (p gateway.Proof, direct bool, err error) {
	switch {
	case r.door == nil:
		return gateway.Proof{}, false, errNoDoor
	case r.door.gateway == nil:
		return gateway.Proof{}, true, nil
	}
	p, err = r.door.gateway.verify(q)
	return p, false, err
}

var (
	errTwoConsumers = errors.New("deploy: the credential and the certificate are two consumers'")
	errNobody       = &broker.Error{Kind: broker.Unauthenticated, Detail: "no valid credential"}
)

// Authenticate returns whose the credential is, an API key or a token, or the client
// certificate; presented is "" and shown empty where there is none. Each is looked at in
// every way, whatever the others said.
//
// A credential that does not hold is refused whatever certificate comes with it, and so are
// the credential of one consumer with the certificate of another. A certificate that is
// nobody's says nothing. Refusals are of kind Unauthenticated; Unavailable is for what cannot
// be checked now.
func (r *Release) Authenticate(ctx context.Context, presented string, shown clientcert.Chain) (broker.Principal, error) {
	if r.door == nil {
		return broker.Principal{}, errNoDoor
	}
	byKey, keyErr := r.keys.Authenticate(r.directory, presented)
	verdict, tokenErr := r.door.tokens.Verify(ctx, presented)
	byCertificate, certificateErr := r.door.certificates.Authenticate(shown)
	var p broker.Principal
	switch {
	case keyErr == nil && tokenErr != nil:
		p = byKey
	case tokenErr == nil && keyErr != nil:
		p = verdict.Principal
	case presented == "" && certificateErr == nil:
		return byCertificate, nil
	default: // neither or, which cannot be, both
		return broker.Principal{}, worst(keyErr, tokenErr, certificateErr)
	}
	if certificateErr == nil && byCertificate.ID != p.ID {
		return broker.Principal{}, &broker.Error{Kind: broker.Unauthenticated, Detail: errNobody.Detail, Err: errTwoConsumers}
	}
	return p, nil
}

// worst is why nobody was found: the error that says that something could not be checked,
// else one refusal with the reasons of all.
func worst(errs ...error) error {
	for _, err := range errs {
		if err != nil && broker.KindOf(err) != broker.Unauthenticated {
			return err
		}
	}
	return &broker.Error{Kind: broker.Unauthenticated, Detail: errNobody.Detail, Err: errors.Join(errs...)}
}

// start begins to fetch the issuers' keys, until close.
func (d *door) start(log *slog.Logger) {
	if d.gateway == nil {
		log.Warn("no Gateway is declared: consumers reach the broker directly")
	}
	d.tokens.Start()
}

// close ends what start began. It works on a nil door too.
func (d *door) close() {
	if d != nil {
		d.tokens.Close()
	}
}

// openDoor makes the locks that set declares. With faults, r has no door.
func (d *Deployer) openDoor(r *Release, src Source, set *manifest.Set) manifest.Faults {
	o := Opener{Manifests: src.Manifests, Secret: d.parts.Credential, Log: d.parts.Log}
	var previous door
	if live := d.live.Load(); live != nil && live.door != nil {
		previous = *live.door
	}
	var next door
	var faults, fs manifest.Faults
	if set.Gateway != nil {
		next.gateway, faults = o.gatekeeper(set.Gateway, previous.gateway)
	}
	next.certificates, fs = o.certificates(set.Consumers)
	faults = append(faults, fs...)
	next.tokens, fs = o.tokens(set, previous.tokens)
	faults = append(faults, fs...)
	if faults.HasErrors() {
		next.close()
		return faults
	}
	r.door = &next
	return faults
}

// certificates is whose client certificates are whose.
func (o Opener) certificates(consumers []*manifest.Consumer) (*clientcert.Directory, manifest.Faults) {
	var list []clientcert.Consumer
	var faults manifest.Faults
	var at manifest.Pos
	for _, m := range consumers {
		if m.MTLS == nil {
			continue
		}
		roots, err := o.roots(m.MTLS.CA)
		if err != nil {
			faults = append(faults, fault(m.Pos, CodeDoor, "spec.auth.mtls.ca", "consumer %s: %v", m.Name, err))
			continue
		}
		at = m.Pos
		list = append(list, clientcert.Consumer{Principal: principalOf(m), Roots: roots, Name: m.MTLS.Name})
	}
	if faults.HasErrors() {
		return nil, faults
	}
	directory, err := clientcert.NewDirectory(list, nil)
	if err != nil {
		return nil, manifest.Faults{fault(at, CodeDoor, "spec.auth.mtls", "%v", err)}
	}
	return directory, nil
}

// roots reads the roots that callers' certificates are checked by, and finds them usable.
func (o Opener) roots(name string) ([]byte, error) {
	text, err := fs.ReadFile(o.Manifests, name)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	if _, err := clientcert.NewTrust(text, nil); err != nil {
		return nil, fmt.Errorf("ca: %s: %w", name, err)
	}
	return text, nil
}

func principalOf(m *manifest.Consumer) broker.Principal {
	return broker.Principal{ID: broker.PrincipalID(m.Name), Sector: broker.Sector(m.Sector), Scopes: broker.NewScopes(m.Scopes...)}
}

// doorFaults are the faults of the files that the locks name. One that is not there is a
// warning only: it may be put there where the manifests are deployed, where it is an error.
func doorFaults(src Source, set *manifest.Set) manifest.Faults {
	var faults manifest.Faults
	o := Opener{Manifests: src.Manifests}
	add := func(pos manifest.Pos, path string, err error) {
		if err == nil {
			return
		}
		f := fault(pos, CodeDoor, path, "%v", err)
		if errors.Is(err, fs.ErrNotExist) {
			f.Severity = manifest.SeverityWarning
		}
		faults = append(faults, f)
	}
	if g := set.Gateway; g != nil && g.MTLS != nil {
		_, err := o.roots(g.MTLS.CA)
		add(g.Pos, "spec.mtls.ca", err)
	}
	for _, c := range set.Consumers {
		if c.MTLS != nil {
			_, err := o.roots(c.MTLS.CA)
			add(c.Pos, "spec.auth.mtls.ca", err)
		}
	}
	for _, i := range set.Issuers {
		_, err := caPool(src.Manifests, i.TLS)
		add(i.Pos, "spec.tls.ca", err)
	}
	return faults
}
