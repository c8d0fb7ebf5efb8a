package sim

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
)

// maxBody is the most bytes a request may have. Far above anything a search needs; it only bounds memory.
const maxBody = 1 << 20

// Server is one simulated back end. It is an http.Handler, and every method may be called concurrently.
type Server struct {
	name   string
	vendor vendor
	faults Faults
	log    requestLog
}

// vendor is what differs between the back ends.
type vendor interface {
	// handle answers a request. It may set headers; the body belongs to the caller and must not change afterwards.
	handle(r *http.Request, body []byte, header http.Header) (status int, answer []byte)
	// failure is the body with which this vendor reports a status, for errors that come before any resource.
	failure(status int) []byte
	contentType() string
}

func newServer(name string, v vendor) *Server {
	s := &Server{name: name, vendor: v}
	s.log.keep(defaultKept)
	return s
}

// Name is "salesforce", "hubspot" or "square".
func (s *Server) Name() string { return s.name }

// Faults controls how the server misbehaves.
func (s *Server) Faults() *Faults { return &s.faults }

// Requests returns what the server received, oldest first, as far as it was kept (see Keep). Values of headers are as
// received, credentials included: a test looks here for what was injected. The slice is the caller's, its parts are not
// to be changed.
func (s *Server) Requests() []Recorded { return s.log.list() }

// Keep forgets the requests recorded so far and keeps the last n from now on. None are recorded with n = 0, which is
// what benchmarks want. A new server keeps 1000.
func (s *Server) Keep(n int) { s.log.keep(n) }

// ServeHTTP records the request, applies the fault that is due, and answers as the vendor would.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(w, r)
	s.log.add(r, body)
	header := w.Header()
	header.Set("Content-Type", s.vendor.contentType())
	fault, faulty := s.faults.take(r)
	if faulty && !fault.before(w, r, s.vendor) {
		return
	}
	var status int
	var answer []byte
	if err != nil {
		status = http.StatusBadRequest
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		answer = s.vendor.failure(status)
	} else {
		status, answer = s.vendor.handle(r, body, header)
	}
	if faulty {
		fault.write(w, r, status, answer)
		return
	}
	header.Set("Content-Length", strconv.Itoa(len(answer)))
	w.WriteHeader(status)
	w.Write(answer) // a client that has gone is no matter of ours
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	return io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
}

// segments splits the path below prefix and decodes each segment, so that %2F stays inside one. ok is false when the
// path is not below the prefix.
func segments(u *url.URL, prefix string) (parts []string, ok bool) {
	rest, ok := strings.CutPrefix(u.EscapedPath(), prefix)
	if !ok {
		return nil, false
	}
	parts = strings.Split(rest, "/")
	for i, part := range parts {
		if strings.IndexByte(part, '%') < 0 {
			continue
		}
		decoded, err := url.PathUnescape(part)
		if err != nil {
			return nil, false
		}
		parts[i] = decoded
	}
	return parts, true
}

// bearer returns the token of an Authorization header. The scheme is compared without regard to case (RFC 9110, 11.1).
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// counter numbers things for request ids and usage headers.
type counter struct{ n atomic.Int64 }

func (c *counter) next() int64 { return c.n.Add(1) }
