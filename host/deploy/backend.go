package deploy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"pointsman/host/credential"
	"pointsman/host/egress"
	"pointsman/host/manifest"
	"pointsman/host/view"
)

// Opener makes clients of back ends out of their manifests.
type Opener struct {
	Manifests fs.FS // for the files that they name, such as CA bundles
	// Secret returns a secret by name. It is asked at every use, so that a rotated value is
	// taken up at once, and once when a back end is opened, so that a missing one is found.
	Secret func(name string) (credential.Secret, error)
	// Databases is the folder of SQLite files; "" means that there is none.
	Databases string
	Log       *slog.Logger

	sessions *sessions // nil: none are shared
}

func (d *Deployer) openBackends(r *Release, src Source, draft *draft) manifest.Faults {
	var faults manifest.Faults
	o := Opener{Manifests: src.Manifests, Secret: d.parts.Credential, Databases: d.parts.Databases, Log: d.parts.Log, sessions: &d.sessions}
	for _, m := range draft.set.Backends {
		if m.SQL != nil {
			db, fs := o.database(m)
			faults = append(faults, fs...)
			if db != nil {
				r.databases[m.Name] = db
			}
			continue
		}
		backend, fs := o.open(m)
		if backend == nil {
			faults = append(faults, fs...)
			continue
		}
		r.backends[m.Name] = backend
		labels, err := view.ParseLabels(m.HTTP.Labels)
		if err != nil {
			faults = append(faults, fault(m.Pos, CodeBackend, "spec.http.labels", "backend %s: %v", m.Name, err))
		}
		r.labels[m.Name] = labels
	}
	return faults
}

// open returns the client of a back end, or nil and why there is none.
func (o Opener) open(m *manifest.Backend) (*egress.Backend, manifest.Faults) {
	bad := func(code, path, format string, args ...any) (*egress.Backend, manifest.Faults) {
		return nil, manifest.Faults{fault(m.Pos, code, path, "backend %s: "+format, append([]any{m.Name}, args...)...)}
	}
	config, err := o.config(m)
	if missing, ok := errors.AsType[*secretError](err); ok {
		return bad(CodeSecret, missing.path, "%v", missing)
	}
	if err != nil {
		return bad(CodeBackend, "spec.http.tls", "%v", err)
	}
	if auth := m.HTTP.Auth; auth != nil {
		if config.Placement, err = o.placement(m.HTTP, config); err != nil {
			if missing, ok := errors.AsType[*secretError](err); ok {
				return bad(CodeSecret, missing.path, "%v", missing)
			}
			return bad(CodeSecret, "spec.http.auth", "%v", err)
		}
	}
	backend, err := egress.New(config)
	if err != nil {
		closePlacement(config.Placement)
		return nil, manifest.Faults{fault(m.Pos, CodeBackend, "spec.http", "%v", err)} // it names the back end
	}
	return backend, nil
}

// config is everything of a back end but its credential.
func (o Opener) config(m *manifest.Backend) (egress.Config, error) {
	b := m.HTTP
	c := egress.Config{
		Name: m.Name, URL: b.URL, Private: b.Private, Insecure: b.Insecure,
		Methods: b.Methods, RequestHeaders: b.Headers.Request, AnswerHeaders: b.Headers.Answer,
		Time: b.Limits.Time, Bytes: b.Limits.Bytes, Ratio: int64(b.Limits.Ratio), Concurrent: b.Limits.Concurrent,
		Rate:  egress.Rate{Count: b.Limits.Rate.Count, Per: b.Limits.Rate.Per},
		Check: b.Check, Log: o.Log,
	}
	if r := b.Retries; r != nil {
		c.Retries = egress.Retries{Attempts: r.Attempts, Time: r.Time, Budget: r.Budget}
	}
	if k := b.Breaker; k != nil {
		c.Breaker = egress.Breaker{Percent: k.Percent, Requests: k.Requests, Within: k.Within, Open: k.Open}
	}
	if b.Hedge != nil {
		c.Hedge = b.Hedge.After
	}
	var err error
	c.TLS, err = o.tls(b.TLS)
	return c, err
}

// tls is what t means. A client certificate is opened once, so that a missing one is found.
func (o Opener) tls(t *manifest.TLS) (egress.TLS, error) {
	if t == nil {
		return egress.TLS{}, nil
	}
	pool, err := caPool(o.Manifests, t)
	if err != nil {
		return egress.TLS{}, err
	}
	out := egress.TLS{RootCAs: pool, ServerName: t.ServerName}
	if t.MinVersion == "1.3" {
		out.MinVersion = tls.VersionTLS13
	}
	for _, text := range t.Pins {
		pin, err := egress.ParsePin(text)
		if err != nil {
			return egress.TLS{}, fmt.Errorf("tls.pins: %w", err)
		}
		out.Pins = append(out.Pins, pin)
	}
	if cert := t.ClientCertificate; cert != nil {
		out.ClientCertificate = func() (*tls.Certificate, error) { return o.certificate(cert.Secret) }
		if _, err := out.ClientCertificate(); err != nil {
			return egress.TLS{}, &secretError{"spec.http.tls.clientCertificate.secret", cert.Secret, err}
		}
	}
	return out, nil
}

func (o Opener) certificate(secret string) (*tls.Certificate, error) {
	s, err := o.Secret(secret)
	if err != nil {
		return nil, err
	}
	pem := s.Expose()
	defer clear(pem)
	return egress.ParseClientCertificate(pem)
}

// secretError is why a back end's secret cannot be used. It tells nothing of its value.
type secretError struct {
	path, name string
	err        error
}

func (e *secretError) Error() string {
	return fmt.Sprintf("secret %s: %v; seal it with: pointsman secret set %s", e.name, e.err, e.name)
}

func (e *secretError) Unwrap() error { return e.err }

// caPool reads the CA bundle of a back end; nil means the system's.
func caPool(manifests fs.FS, tls *manifest.TLS) (*x509.CertPool, error) {
	if tls == nil || tls.CA == "" {
		return nil, nil
	}
	pem, err := fs.ReadFile(manifests, tls.CA)
	if err != nil {
		return nil, fmt.Errorf("tls.ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("tls.ca: %s holds no PEM certificate", tls.CA)
	}
	return pool, nil
}
