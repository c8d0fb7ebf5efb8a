package deploy

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"pointsman/host/broker"
	"pointsman/host/gateway"
	"pointsman/host/manifest"
)

// secretCheck is how often the gateway's secret is asked for while there are requests: how
// long one that was replaced still works. A client certificate's is the same.
const secretCheck = time.Second

// gatekeeper checks the gateway's proofs with the secret that is sealed now.
type gatekeeper struct {
	gateway *gateway.Gateway
	secrets func() ([][]byte, error) // nil: the proof is a certificate
	asking  sync.Mutex
	asked   atomic.Pointer[asked]
}

// asked is when the secret was asked for last, and why there was none.
type asked struct {
	at  time.Time
	err error
}

// verify refuses what the Gateway refuses. Without the secret nothing passes: a good proof
// is Unavailable then.
func (k *gatekeeper) verify(r gateway.Request) (gateway.Proof, error) {
	k.refresh()
	p, err := k.gateway.Verify(r)
	if err != nil {
		return gateway.Proof{}, err
	}
	if a := k.asked.Load(); a != nil && a.err != nil {
		return gateway.Proof{}, &broker.Error{Kind: broker.Unavailable, Err: a.err}
	}
	return p, nil
}

// refresh takes up a secret that was sealed anew. One request at a time does it; the others
// go on with what is there.
func (k *gatekeeper) refresh() {
	if k.secrets == nil {
		return
	}
	if a := k.asked.Load(); a != nil && time.Since(a.at) < secretCheck || !k.asking.TryLock() {
		return
	}
	defer k.asking.Unlock()
	secrets, err := k.secrets()
	if err == nil {
		err = k.gateway.SetSecrets(secrets)
		wipe(secrets)
	}
	k.asked.Store(&asked{time.Now(), err})
}

func wipe(secrets [][]byte) {
	for _, s := range secrets {
		clear(s)
	}
}

// gatekeeper returns the check of m's proofs, which knows the signatures that previous, of
// the live release or nil, has seen.
func (o Opener) gatekeeper(m *manifest.Gateway, previous *gatekeeper) (*gatekeeper, manifest.Faults) {
	bad := func(code, path string, err error) (*gatekeeper, manifest.Faults) {
		return nil, manifest.Faults{fault(m.Pos, code, path, "gateway %s: %v", m.Name, err)}
	}
	var c gateway.Config
	var secret, path string
	switch {
	case m.MTLS != nil:
		roots, err := o.roots(m.MTLS.CA)
		if err != nil {
			return bad(CodeDoor, "spec.mtls.ca", err)
		}
		c.MTLS = &gateway.MTLS{Roots: roots, Names: m.MTLS.Names}
	case m.Signed != nil:
		secret, path = m.Signed.Secret, "spec.signed.secret"
	case m.Static != nil:
		secret, path = m.Static.Secret, "spec.static.secret"
	}
	k := &gatekeeper{}
	if secret != "" {
		k.secrets = func() ([][]byte, error) { return o.lines(secret) }
		now, err := k.secrets()
		if err != nil {
			return bad(CodeSecret, path, &secretError{path, secret, err})
		}
		defer wipe(now)
		if m.Signed != nil {
			c.Signed = &gateway.Signed{Secrets: now, Skew: m.Signed.Skew}
		} else {
			c.Static = &gateway.Static{Secrets: now}
		}
		k.asked.Store(&asked{at: time.Now()})
	}
	var seen *gateway.Gateway
	if previous != nil {
		seen = previous.gateway
	}
	var err error
	if k.gateway, err = gateway.New(c, seen); err != nil {
		return bad(CodeDoor, "spec", err)
	}
	return k, nil
}

// lines are those of a secret: one, or the old and the new one while it is rotated. The
// caller wipes them.
func (o Opener) lines(name string) ([][]byte, error) {
	s, err := o.Secret(name)
	if err != nil {
		return nil, err
	}
	text := s.Expose()
	lines := bytes.Split(bytes.TrimRight(text, "\r\n"), []byte("\n"))
	for i := range lines {
		lines[i] = bytes.TrimSuffix(lines[i], []byte("\r"))
		if len(lines[i]) == 0 {
			clear(text)
			return nil, errors.New("there is an empty line in it")
		}
	}
	return lines, nil
}
