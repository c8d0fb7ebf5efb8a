package credential

import (
	"context"
	"net/http"
	"time"
)

// Times of a session, which is a value that somebody gave and that is good for a while.
const (
	// defaultLife is how long a value is used when neither its giver nor the admin says:
	// short enough that a value withdrawn in silence is not held on to.
	defaultLife = 5 * time.Minute
	// maxLife is the longest that a value is used, whatever its giver says: what is withdrawn
	// there is gone here within the hour, as a revocation in most authorization servers is.
	maxLife = time.Hour
	// maxEarly is how long before its end a value is replaced at the most, jitter aside.
	maxEarly = 30 * time.Second
	// maxSkew is how long before its end a value is no longer sent: a request may travel so long.
	maxSkew = 5 * time.Second
	// keepFormer is how long a replaced value is looked for in answers: twice the longest
	// request (30 s, manifest.MaxDeadline).
	keepFormer = time.Minute
	// maxFormer is how many replaced values are looked for.
	maxFormer = 2
)

// grant is what one fetch brought. It is immutable.
type grant struct {
	value []byte
	life  time.Duration // as its giver says; 0: nothing, or nothing that can be understood
	spent [][]byte      // what was sent to get it: client secret, assertion, password
}

// session is a grant in use. It is immutable.
type session struct {
	number uint64 // from 1
	line   string // as Spot.put takes it
	own    [][]byte
	forms  [][]byte // own, and those of sessions that ended a short while ago
	began  time.Time
	early  time.Time // from then on a fresh one is fetched while this is used
	until  time.Time // from then on it is not used
}

// newSession dates g from began, when it was asked for. admin is the longest life that was
// configured, 0 for none; jitter is from 0 to 1.
func newSession(g *grant, spot Spot, began time.Time, admin time.Duration, jitter float64) *session {
	limit := admin
	if limit == 0 {
		limit = maxLife
	}
	life := min(g.life, limit)
	switch {
	case g.life > 0:
	case admin > 0:
		life = admin
	default:
		life = defaultLife
	}
	s := &session{line: spot.line(g.value), own: append([][]byte{g.value}, g.spent...), began: began}
	s.until = began.Add(life - min(maxSkew, life/10))
	early := min(maxEarly, life/10)
	s.early = s.until.Add(-early - time.Duration(jitter*float64(early)))
	return s
}

// Session is a placement of a value that somebody gives for a while: a token, or what a
// login answers. Safe for concurrent use.
type Session struct {
	source *source
	spot   Spot
}

// Place implements egress.Placement. While there is no good value it waits for one.
func (s *Session) Place(ctx context.Context, req *http.Request, _ []byte) (Used, error) {
	live, err := s.source.get(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.spot.put(req, live.line); err != nil {
		return nil, unfit(err)
	}
	return placed{live}, nil
}

// Current implements egress.Placement.
func (s *Session) Current() Used {
	if forms := s.source.forms(); forms != nil {
		return placed{&session{forms: forms}}
	}
	return nil
}

// Owns implements egress.Placement.
func (s *Session) Owns(where, name string) bool { return s.spot.owns(where, name) }

// Refused implements egress.Placement.
func (s *Session) Refused(used Used) bool {
	p, ok := used.(placed)
	return ok && s.source.refuse(p.session)
}

// Close ends the fetch that may be running, waits for it, and forgets the value. Place
// fails from then on.
func (s *Session) Close() { s.source.close() }

// placed is the Used of a session. All requests placed with a session share its forms:
// copies for each would put more of the secret into memory, not less. They are left to the
// garbage collector when the session is forgotten.
type placed struct{ session *session }

func (p placed) Forms() [][]byte { return p.session.forms }
func (p placed) Wipe()           {}
