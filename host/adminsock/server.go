// Package adminsock owns the unix socket by which the operator of the machine speaks with a
// running broker.
//
// It speaks HTTP, so that it can grow:
//
//	GET  /livez              {"state": "sealed", "waiting" or "open"}
//	POST /v1/unseal          the passphrase as the body
//	PUT  /v1/secrets/{name}  the value as the body; ?expires=RFC3339, ?overlap=duration
//
// A refusal is {"error": "..."}. Only the broker's own user and root are heard.
package adminsock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"sync"
	"time"
)

// FileName is the name of the socket in the data folder.
const FileName = "admin.sock"

// Limits of one request.
const (
	maxBody   = 32 << 10         // bytes: a secret is 16 KiB at most
	maxHeader = 8 << 10          // bytes
	readTime  = 10 * time.Second // for a request; it comes from this machine
)

// Handler does what is asked. The methods are called concurrently; actor is the name of the
// user at the other end. Errors are shown to them.
type Handler interface {
	// State is a word for how far the broker is.
	State() string
	// Unseal takes the passphrase of the keyring; the caller wipes it.
	Unseal(ctx context.Context, actor string, passphrase []byte) error
	// PutSecret takes a secret that is only to be kept in memory; the caller wipes it. A zero
	// expires means never.
	PutSecret(ctx context.Context, actor, name string, value []byte, expires time.Time, overlap time.Duration) error
}

// Server listens on one socket.
type Server struct {
	http   *http.Server
	served chan error
}

// Listen makes the socket at path, with mode 0600, and serves h on it. A socket that nobody
// listens on any more is replaced; one that somebody does is an error.
func Listen(path string, h Handler) (*Server, error) {
	if conn, err := net.Dial("unix", path); err == nil {
		return nil, errors.Join(fmt.Errorf("another broker listens on %s", path), conn.Close())
	}
	if st, err := os.Lstat(path); err == nil {
		if st.Mode()&os.ModeSocket == 0 {
			return nil, fmt.Errorf("%s is there and is no socket", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	// Until here the folder's mode and peers see to it that nobody else is heard.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	s := &Server{served: make(chan error, 1)}
	s.http = &http.Server{
		Handler: routes(h), ReadTimeout: readTime, MaxHeaderBytes: maxHeader,
		ErrorLog:    log.New(io.Discard, "", 0), // it would repeat what was sent
		ConnContext: withActor,
	}
	go func() { s.served <- s.http.Serve(&peers{Listener: l}) }()
	return s, nil
}

// Close stops listening, removes the socket, and waits for requests that run until ctx ends.
func (s *Server) Close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	if serr := <-s.served; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	return err
}

// peers accepts connections of the process's own user and root only.
type peers struct{ net.Listener }

// Accept implements net.Listener.
func (p *peers) Accept() (net.Conn, error) {
	for {
		c, err := p.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if _, err := checkPeer(c); err == nil {
			return c, nil
		}
		_ = c.Close() // whoever it is hears nothing
	}
}

// checkPeer returns the user at the other end of c: this process's own, or root.
func checkPeer(c net.Conn) (uid int, err error) {
	uid, err = peerUser(c)
	if err == nil && uid != os.Geteuid() && uid != 0 {
		err = fmt.Errorf("the other end belongs to user %d", uid)
	}
	return uid, err
}

type actorKey struct{}

func withActor(ctx context.Context, c net.Conn) context.Context {
	uid, err := peerUser(c)
	if err != nil {
		return ctx
	}
	name := "uid " + strconv.Itoa(uid)
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		name = u.Username
	}
	return context.WithValue(ctx, actorKey{}, name)
}

func routes(h Handler) http.Handler {
	var unsealing sync.Mutex // one at a time: each try takes 64 MiB
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"state": h.State()})
	})
	mux.HandleFunc("POST /v1/unseal", act(func(r *http.Request, actor string, body []byte) error {
		unsealing.Lock()
		defer unsealing.Unlock()
		return h.Unseal(r.Context(), actor, body)
	}))
	mux.HandleFunc("PUT /v1/secrets/{name}", act(func(r *http.Request, actor string, body []byte) error {
		var expires time.Time
		var overlap time.Duration
		var err error
		q := r.URL.Query()
		if v := q.Get("expires"); v != "" {
			if expires, err = time.Parse(time.RFC3339, v); err != nil {
				return errors.New("expires is not a time")
			}
		}
		if v := q.Get("overlap"); v != "" {
			if overlap, err = time.ParseDuration(v); err != nil {
				return errors.New("overlap is not a duration")
			}
		}
		return h.PutSecret(r.Context(), actor, r.PathValue("name"), body, expires, overlap)
	}))
	return mux
}

// act reads the body for do, wipes it afterwards, and answers.
func act(do func(r *http.Request, actor string, body []byte) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		actor, ok := r.Context().Value(actorKey{}).(string)
		if !ok {
			answer(w, http.StatusForbidden, map[string]string{"error": "who asks cannot be told"})
			return
		}
		body := make([]byte, maxBody+1)
		defer clear(body)
		n, err := io.ReadFull(r.Body, body)
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			answer(w, http.StatusBadRequest, map[string]string{"error": "the body is too large or broken off"})
			return
		}
		if err := do(r, actor, body[:n]); err != nil {
			answer(w, http.StatusConflict, map[string]string{"error": err.Error()})
			return
		}
		answer(w, http.StatusOK, map[string]string{})
	}
}

func answer(w http.ResponseWriter, status int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the other end went away
}
