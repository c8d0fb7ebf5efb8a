package deploy

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"sync"

	"pointsman/host/credential"
	"pointsman/host/egress"
	"pointsman/host/manifest"
)

// session is a placement whose value is fetched, with what fetches it.
type session struct {
	*credential.Session
	endpoint *egress.Backend
}

// Close ends the fetching and what it goes through.
func (s session) Close() {
	s.Session.Close()
	s.endpoint.Close()
}

// sessions are those of the releases that run. Releases whose manifests say the same of a
// back end's credential share one: a deployment fetches no token anew, and a refresh token
// that the server replaced is not forgotten. Nil shares nothing. Safe for concurrent use.
type sessions struct {
	mu   sync.Mutex
	open map[sessionKey]*shared // guarded by mu
}

// shared is a session and how many back ends have it.
type shared struct {
	session
	users int // guarded by sessions.mu
}

// sessionKey tells one back end's credential from every other.
type sessionKey [sha256.Size]byte

// share returns the session that is open under key, or fresh, which it takes over. Who gets
// it closes it.
func (s *sessions) share(key sessionKey, fresh session) egress.Placement {
	if s == nil {
		return fresh
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.open[key]
	if ok {
		fresh.Close() // it has fetched nothing
	} else {
		known = &shared{session: fresh}
		if s.open == nil {
			s.open = map[sessionKey]*shared{}
		}
		s.open[key] = known
	}
	known.users++
	return lease{known.Session, sync.OnceFunc(func() { s.leave(key, known) })}
}

func (s *sessions) leave(key sessionKey, known *shared) {
	s.mu.Lock()
	known.users--
	last := known.users == 0
	if last {
		delete(s.open, key)
	}
	s.mu.Unlock()
	if last {
		known.Close()
	}
}

// lease is one back end's part in a shared session.
type lease struct {
	*credential.Session
	leave func()
}

// Close gives the part back.
func (l lease) Close() { l.leave() }

// sessionKey is made of all that the session of main's back end is made of, secrets by name
// only: a session takes up by itself what they are replaced with.
func (o Opener) sessionKey(b *manifest.HTTPBackend, main egress.Config) (key sessionKey, err error) {
	parts := struct {
		Backend, URL string
		Private      any
		Insecure     bool
		TLS          *manifest.TLS
		Auth         *manifest.Auth
		Roots        [][]byte // of CA files, which may change while their names stay
	}{Backend: main.Name, URL: b.URL, Private: b.Private, Insecure: b.Insecure, TLS: b.TLS, Auth: b.Auth}
	tls := []*manifest.TLS{b.TLS}
	if a := b.Auth.OAuth2; a != nil {
		tls = append(tls, a.Token.TLS)
	}
	if a := b.Auth.Login; a != nil {
		tls = append(tls, a.At.TLS)
	}
	for _, t := range tls {
		var pem []byte
		if t != nil && t.CA != "" {
			if pem, err = fs.ReadFile(o.Manifests, t.CA); err != nil {
				return key, fmt.Errorf("tls.ca: %w", err)
			}
		}
		parts.Roots = append(parts.Roots, pem)
	}
	text, err := json.Marshal(parts) // maps in the order of their keys
	if err != nil {
		return key, fmt.Errorf("tell the credential of %s from others: %w", main.Name, err)
	}
	return sha256.Sum256(text), nil
}
