package rest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/oklog/ulid/v2"

	"pointsman/host/audit"
	"pointsman/host/broker"
	"pointsman/host/gateway"
	"pointsman/host/pipeline"
	"pointsman/host/token"
)

const (
	// maxHeaders is how many header fields a request may have: Apache httpd's default
	// (LimitRequestFields), which gateways and browsers live with.
	maxHeaders = 100
	// maxServe is how long a route may take, whatever it promises: the longest deadline that
	// a manifest may give it (30 s), so that a wait without an end has one.
	maxServe = 30 * time.Second
	// recordTime is how long the record of a request may take. It outlives the consumer's
	// connection, because what was done is recorded also when nobody waits for the answer.
	recordTime = 5 * time.Second
	// maxLogged is how many bytes of an error or a stack one log line has.
	maxLogged = 8 << 10
)

// handle answers one request: decide, record, write, log. It returns no error: every
// failure is an answer.
func (s *Server) handle(c echo.Context) error {
	s.inFlight.Add(1)
	defer s.inFlight.Add(-1)
	began := s.now()
	r, w := c.Request(), c.Response()
	id := newID(began)

	o := s.decide(r, id)
	// A request past the rate is logged only: a consumer must not fill the record with what
	// was not done for it.
	if o.known && broker.KindOf(o.err) != broker.RateLimited {
		if err := s.record(r.Context(), id, began, o); err != nil {
			o.result = pipeline.Result{}
			o.err = &broker.Error{Kind: broker.Unavailable, Err: fmt.Errorf("record the request: %w", err)}
		}
	}
	defer s.logRequest(id, began, &o)
	if o.status() == statusCanceled {
		// Writing nothing would be an empty 200 to a client that only closed its sending half.
		panic(http.ErrAbortHandler)
	}
	if err := o.write(w, r, id); err != nil {
		s.log.Debug("answer was not taken", "call", id) // err has the consumer's address
	}
	return nil
}

// decide takes the request through the doors of the package comment. It does not panic.
func (s *Server) decide(r *http.Request, id broker.RequestID) (o outcome) {
	o.method = methodName(r.Method)
	defer func() {
		if v := recover(); v != nil {
			s.log.Error("request panicked", "call", id, "route", o.route,
				"err", shorten(fmt.Sprint(v), maxLogged), "stack", shorten(string(debug.Stack()), maxLogged))
			o.result, o.allow, o.options = pipeline.Result{}, "", false
			o.err = &broker.Error{Kind: broker.Internal, Err: errors.New("panic")}
		}
	}()

	path, query, err := caps(r)
	o.closing = unsure(r)
	if err != nil {
		o.err = err
		return o
	}

	release, done := s.broker.Acquire()
	defer done()
	if release == nil {
		o.err = &broker.Error{Kind: broker.Unavailable, Err: errors.New("no release is live")}
		return o
	}
	o.release = release.Number()

	principal, err := enter(release, r)
	if err != nil {
		o.err = err
		return o
	}
	o.principal, o.known = principal.ID, true

	if ok, after := release.Allow(principal); !ok {
		o.retry = after
		o.quota, o.window = release.Quota(principal)
		o.err = &broker.Error{Kind: broker.RateLimited}
		return o
	}

	if takesBody(r.Method, path) {
		o.route = rewrapPath
		if query != "" {
			o.err = &broker.Error{Kind: broker.Invalid, Detail: "this takes no query"}
			return o
		}
		o.result, o.err = rewrap(r, release, principal)
		if gateway.ReasonOf(o.err) != "" { // the gateway sent another body: nobody asked this
			o = outcome{method: o.method, release: o.release, closing: o.closing, err: o.err}
		}
		return o
	}

	match, allow, err := choose(release.Match(path), r.Method, principal)
	o.allow = allow
	if match.Route != nil {
		o.route = match.Route.Name()
	}
	if err != nil {
		o.err = err
		return o
	}

	if match.Route == nil {
		o.options = true
		return o
	}

	values, err := parseQuery(query)
	if err != nil {
		o.err = err
		return o
	}
	params, err := match.Route.Bind(match.Params, values)
	if err != nil {
		o.err = err
		return o
	}
	o.result, o.err = serve(r.Context(), match.Route, params, broker.Call{
		Request: id, Principal: principal, Release: o.release, Route: o.route,
	})
	return o
}

// caps checks what can be said of a request without knowing any route.
func caps(r *http.Request) (path, query string, err error) {
	if len(r.RequestURI) > maxURL {
		return "", "", &limitError{uriTooLong, broker.Error{Kind: broker.TooLarge,
			Detail: "the URL is longer than " + strconv.Itoa(maxURL) + " bytes"}}
	}
	fields := 0
	for _, values := range r.Header {
		fields += len(values)
	}
	if fields > maxHeaders {
		return "", "", &limitError{headerTooLarge, broker.Error{Kind: broker.TooLarge,
			Detail: "there are more than " + strconv.Itoa(maxHeaders) + " header fields"}}
	}
	if lookalike(r.Header) {
		return "", "", &broker.Error{Kind: broker.Invalid, Detail: "a header field looks like Content-Length or Transfer-Encoding and is neither"}
	}
	path, query, ok := target(r.RequestURI)
	if hasBody(r) && !takesBody(r.Method, path) {
		return "", "", &broker.Error{Kind: broker.TooLarge, Detail: "the request has a body, and no route takes one"}
	}
	if !ok {
		return "", "", badPath("must start with a slash")
	}
	if err := CheckPath(path); err != nil {
		return "", "", err
	}
	if strings.Count(query, "&") >= maxQuery {
		return "", "", &broker.Error{Kind: broker.TooLarge,
			Detail: "the query has more than " + strconv.Itoa(maxQuery) + " parameters"}
	}
	return path, query, nil
}

// methodName is what the record calls a method: any token is one, and those that nobody
// ever defined are the client's words.
func methodName(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return m
	}
	return "other"
}

// choose returns the match to serve for method, or none and what Allow says if method is
// OPTIONS. Routes that p may not use are treated as if they were not there; the name of
// the one that was asked for is returned with the refusal, for the record only.
func choose(matches []Match, method string, p broker.Principal) (m Match, allow string, err error) {
	var offered []string
	var found, head, hidden Match
	for _, m := range matches {
		of := m.Route.Method()
		if !m.Route.Permits(p) {
			if of == method {
				hidden = m
			}
			continue
		}
		offered = append(offered, of)
		switch {
		case of == method:
			found = m
		case of == http.MethodGet && method == http.MethodHead:
			head = m
		}
	}
	switch {
	case found.Route != nil:
		return found, "", nil
	case head.Route != nil:
		return head, "", nil
	case len(offered) == 0:
		return hidden, "", &broker.Error{Kind: broker.NotFound}
	}
	if slices.Contains(offered, http.MethodGet) {
		offered = append(offered, http.MethodHead)
	}
	offered = append(offered, http.MethodOptions)
	slices.Sort(offered)
	allow = strings.Join(slices.Compact(offered), ", ")
	if method == http.MethodOptions {
		return Match{}, allow, nil
	}
	return hidden, allow, &broker.Error{Kind: broker.NotAllowed}
}

// serve runs the route for as long as the consumer waits, and makes sure that a failure
// says what it means to the consumer.
func serve(ctx context.Context, route Route, params map[string]string, call broker.Call) (pipeline.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, maxServe)
	defer cancel()
	result, err := route.Serve(ctx, call, params)
	if err == nil {
		return result, nil
	}
	result.Answer = nil
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return result, &broker.Error{Kind: broker.Canceled, Err: err}
	}
	switch broker.KindOf(err) {
	case broker.Canceled, broker.RateLimited:
		// Not by this consumer, so it may try again.
		return result, &broker.Error{Kind: broker.Unavailable, Err: err}
	case broker.Unauthenticated, broker.NotAllowed:
		// This consumer's credential and method were found good above. Whoever else's were
		// meant, it must not throw its own away.
		return result, &broker.Error{Kind: broker.Internal, Err: err}
	}
	return result, err
}

// record hands the request to the audit. A recorder that panics has not recorded.
func (s *Server) record(ctx context.Context, id broker.RequestID, began time.Time, o outcome) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	return s.recorder.Request(ctx, audit.Request{
		ID: id, Principal: o.principal, Release: o.release, Route: o.route, Method: o.method,
		Status: o.status(), Outcome: o.word(), Sources: o.result.Sources, Elapsed: s.now().Sub(began),
	})
}

// logRequest writes the one line of a request. It has names and numbers only, and for our
// own failures the error.
func (s *Server) logRequest(id broker.RequestID, began time.Time, o *outcome) {
	status := o.status()
	args := []any{"call", id, "route", o.route, "status", status, "ms", s.now().Sub(began).Milliseconds()}
	if why := gateway.ReasonOf(o.err); why != "" {
		args = append(args, "gateway", why)
	}
	if why := token.ReasonOf(o.err); why != "" && why != token.Malformed { // as every API key is
		args = append(args, "token", why)
	}
	if status < 500 {
		s.log.Info("request", args...)
		return
	}
	s.log.Error("request", append(args, "err", shorten(o.err.Error(), maxLogged))...)
}

// newID returns a ULID: sortable by time, with 80 random bits that nobody can guess from
// the ids of others.
func newID(now time.Time) broker.RequestID {
	return broker.RequestID(ulid.MustNew(ulid.Timestamp(now), rand.Reader).String())
}
