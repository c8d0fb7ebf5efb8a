package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"pointsman/host/broker"
)

// Report is what Probe found, for the admin: it names hosts and addresses, and repeats
// nothing that a credential or an answer's body holds.
type Report struct {
	Backend string  `json:"backend"`
	Phases  []Phase `json:"phases"` // in the order in which they were gone through, up to the first that failed
}

// Phase is one thing that an exchange needs.
type Phase struct {
	Name   string        `json:"name"` // resolve, dial, tls, credential or request
	OK     bool          `json:"ok"`
	Detail string        `json:"detail"`         // what was found, or what is wrong and what to do
	Kind   broker.Kind   `json:"-"`              // of a failure
	Took   time.Duration `json:"-"`              // since the phase before
	Micros int64         `json:"took_us"`        // Took in microseconds
	TLS    *PeerTLS      `json:"tls,omitempty"`  // of the phase tls
	Seen   []Address     `json:"seen,omitempty"` // of the phase resolve
}

// Address is one that a name came to.
type Address struct {
	Addr    string `json:"address"`
	Refused string `json:"refused,omitempty"` // why it is never dialled; empty: it may be
}

// PeerTLS is what the back end showed.
type PeerTLS struct {
	Version string    `json:"version"`
	Subject string    `json:"subject"`
	Issuer  string    `json:"issuer"`
	Expires time.Time `json:"expires"`
	Pinned  bool      `json:"pinned"` // a pinned key is in the chain
	Client  bool      `json:"client"` // a client certificate was asked for and shown
}

// OK reports whether every phase went well.
func (r Report) OK() bool { return len(r.Phases) > 0 && r.Phases[len(r.Phases)-1].OK }

// soon is how long before its end a certificate is worth a word: most renew at a month.
const soon = 14 * 24 * time.Hour

// probe is one run of Probe.
type probe struct {
	*Backend
	report Report
	since  time.Time
}

// Probe goes through what an exchange needs, one phase after the other, over connections of
// its own: it resolves the host, dials the first address that may be, makes TLS, gets the
// credential and places it into a request that is not sent, and asks what Config.Check says,
// if anything. It uses the credential: record it. ctx bounds the whole, and each phase may
// take as long as an exchange. Breaker, rate and retries play no part in it.
func (b *Backend) Probe(ctx context.Context) Report {
	p := &probe{Backend: b, report: Report{Backend: b.name}, since: time.Now()}
	for _, phase := range []func(context.Context) bool{p.resolve, p.connect, p.credential, p.ask} {
		ctx, cancel := context.WithTimeout(ctx, b.time)
		ok := phase(ctx)
		cancel()
		if !ok {
			break
		}
	}
	return p.report
}

// done adds a phase. kind and detail of a failure come from err.
func (p *probe) done(ph Phase, err error) bool {
	now := time.Now()
	ph.Took = now.Sub(p.since)
	ph.Micros, ph.OK, p.since = ph.Took.Microseconds(), err == nil, now
	if err != nil {
		ph.Kind = broker.KindOf(err)
		ph.Detail = words(err)
	}
	p.report.Phases = append(p.report.Phases, ph)
	return ph.OK
}

// words tells what a classified error knows: the operator may know hosts and addresses.
func words(err error) string {
	e, ok := errors.AsType[*broker.Error](err)
	if !ok {
		return err.Error()
	}
	if e.Err == nil {
		return e.Detail
	}
	return e.Detail + ": " + strings.ReplaceAll(e.Err.Error(), "\n", ": ")
}

func (p *probe) resolve(ctx context.Context) bool {
	if addr, err := netip.ParseAddr(p.origin.host); err == nil {
		return p.done(Phase{Name: "resolve", Detail: "the url holds the address", Seen: []Address{{Addr: addr.String()}}}, nil)
	}
	addrs, err := p.dialer.Resolver.LookupNetIP(ctx, "ip", p.origin.host)
	if err != nil {
		return p.done(Phase{Name: "resolve"}, classify(ctx, err))
	}
	ph := Phase{Name: "resolve"}
	allowed := 0
	for _, a := range addrs {
		seen := Address{Addr: a.Unmap().String()}
		if err := p.guard.judge(a); err != nil {
			seen.Refused = err.Error()
		} else {
			allowed++
		}
		ph.Seen = append(ph.Seen, seen)
	}
	if allowed == 0 {
		return p.done(ph, &broker.Error{Kind: broker.Denied, Detail: "none of its addresses may be dialled", Err: errors.New(ph.Seen[0].Refused)})
	}
	ph.Detail = fmt.Sprintf("%d of %d addresses may be dialled", allowed, len(addrs))
	return p.done(ph, nil)
}

// connect is the phases dial and tls.
func (p *probe) connect(ctx context.Context) bool {
	port := map[string]string{"http": "80", "https": "443"}[p.origin.scheme]
	if _, named, err := net.SplitHostPort(p.origin.authority); err == nil {
		port = named
	}
	c, err := p.dialer.DialContext(ctx, "tcp", net.JoinHostPort(p.origin.host, port))
	if err != nil {
		return p.done(Phase{Name: "dial"}, classify(ctx, err))
	}
	defer c.Close()
	p.done(Phase{Name: "dial", Detail: "connected to " + c.RemoteAddr().String()}, nil)
	if p.origin.scheme != "https" {
		return true
	}
	config := p.tls.config(p.origin)
	shown := false
	if ask := config.GetClientCertificate; ask != nil {
		config.GetClientCertificate = func(i *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			shown = true
			return ask(i)
		}
	}
	secure := tls.Client(c, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return p.done(Phase{Name: "tls"}, classify(ctx, err))
	}
	state := secure.ConnectionState()
	leaf := state.PeerCertificates[0]
	peer := &PeerTLS{
		Version: tls.VersionName(state.Version), Subject: leaf.Subject.String(), Issuer: leaf.Issuer.String(),
		Expires: leaf.NotAfter, Pinned: pinned(state.VerifiedChains, p.tls.Pins), Client: shown,
	}
	detail := fmt.Sprintf("%s, %s, issued by %s, good until %s", peer.Version, subject(peer, leaf.DNSNames), peer.Issuer, leaf.NotAfter.Format(time.DateOnly))
	if time.Until(leaf.NotAfter) < soon {
		detail += ": renew it now"
	}
	if p.tls.ClientCertificate != nil && !shown {
		detail += "; it did not ask for the client certificate"
	}
	return p.done(Phase{Name: "tls", Detail: detail, TLS: peer}, nil)
}

// subject is a certificate's subject, or the names in it when it has none.
func subject(p *PeerTLS, names []string) string {
	if p.Subject != "" {
		return p.Subject
	}
	return strings.Join(names, " ")
}

func (p *probe) credential(ctx context.Context) bool {
	if p.placement == nil {
		return p.done(Phase{Name: "credential", Detail: "the back end needs none"}, nil)
	}
	used, err := p.placement.Place(ctx, p.request(ctx, Request{Method: http.MethodGet, Path: "/"}), nil)
	if err != nil {
		return p.done(Phase{Name: "credential"}, err)
	}
	used.Wipe()
	return p.done(Phase{Name: "credential", Detail: "there is one, and it can be placed"}, nil)
}

// ask sends the request that the admin declared harmless.
func (p *probe) ask(ctx context.Context) bool {
	if p.check.method == "" {
		return p.done(Phase{Name: "request", Detail: "none was sent: the manifest has no check, such as GET /health"}, nil)
	}
	o := p.exchange(ctx, ctx, Request{Method: p.check.method, Path: p.check.template})
	if o.err != nil {
		return p.done(Phase{Name: "request"}, o.err)
	}
	asked := p.check.String() + " was answered " + fmt.Sprint(o.answer.Status)
	switch s := o.answer.Status; {
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		return p.done(Phase{Name: "request"}, &broker.Error{Kind: broker.Unauthenticated, Detail: asked + ": the back end does not take the credential; set the secret anew, or look at auth"})
	case s >= 500:
		return p.done(Phase{Name: "request"}, &broker.Error{Kind: broker.Upstream, Detail: asked + ": the back end is not well"})
	case s >= 400:
		return p.done(Phase{Name: "request"}, &broker.Error{Kind: broker.Invalid, Detail: asked + ": look at the path of check and of url"})
	}
	return p.done(Phase{Name: "request", Detail: asked}, nil)
}
